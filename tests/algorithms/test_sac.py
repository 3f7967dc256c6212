"""SAC: its formulas by hand, and what an update does."""

import numpy as np
import pytest
import tensorflow as tf

from mopo_tf2.algorithms.sac import (
    SAC,
    critic_losses,
    critic_target,
    policy_loss,
    polyak,
    temperature_loss,
)
from mopo_tf2.config import SACConfig
from mopo_tf2.types import Transitions

TINY = {"hidden_layer_sizes": (4,), "batch_size": 3}


def column(*values):
    return tf.constant(values, tf.float32)[:, None]


def test_critic_target_is_the_discounted_soft_value_unless_the_task_ended():
    target = critic_target(
        rewards=column(1, 1),
        terminals=column(0, 1),
        next_q=column(10, 10),
        next_log_pi=column(2, 2),
        alpha=tf.constant(0.5),
        discount=0.9,
    )
    np.testing.assert_allclose(target, [[1 + 0.9 * (10 - 0.5 * 2)], [1]], rtol=1e-6)


def test_critic_target_has_no_gradient():
    q = column(1.0)
    with tf.GradientTape() as tape:
        tape.watch(q)
        target = critic_target(q, column(0.0), q, q, tf.constant(1.0), 0.9)
    assert tape.gradient(target, q) is None


def test_critic_losses_are_half_the_mean_squared_errors():
    q = tf.stack([column(1, 2), column(0, 4)])
    np.testing.assert_allclose(critic_losses(q, column(0, 0)), [1.25, 4.0])


def test_policy_loss_takes_the_smaller_critic_of_each_row():
    q = tf.stack([column(1, 5), column(3, 2)])
    # mean of 0.5 * 2 - 1 and 0.5 * 4 - 2
    np.testing.assert_allclose(policy_loss(column(2, 4), q, tf.constant(0.5)), 0.0)
    np.testing.assert_allclose(policy_loss(column(4, 4), q, tf.constant(0.5)), 0.5)


def test_temperature_loss_acts_on_log_alpha():
    log_alpha = tf.constant(2.0)
    with tf.GradientTape() as tape:
        tape.watch(log_alpha)
        loss = temperature_loss(log_alpha, column(1, 4), target_entropy=-3.0)
    np.testing.assert_allclose(loss, -(2 * (1 - 3) + 2 * (4 - 3)) / 2)
    np.testing.assert_allclose(tape.gradient(loss, log_alpha), 0.5)


def test_temperature_loss_has_no_gradient_in_the_policy():
    log_pi = column(1, 4)
    with tf.GradientTape() as tape:
        tape.watch(log_pi)
        loss = temperature_loss(tf.constant(2.0), log_pi, -3.0)
    assert tape.gradient(loss, log_pi) is None


def test_polyak_moves_the_share_tau_of_the_source():
    assert float(polyak(tf.constant(10.0), tf.constant(2.0), tf.constant(0.25))) == 4.0


def batch_of(rows, seed=0, leading=()):
    """Random transitions of O = 2, A = 1."""
    randoms = np.random.RandomState(seed)

    def draw(width):
        return randoms.normal(size=(*leading, rows, width)).astype(np.float32)

    return Transitions(draw(2), draw(1), draw(2), draw(1), draw(1) > 1)


def noise_of(*shape, seed=1):
    return np.random.RandomState(seed).normal(size=shape).astype(np.float32)


def weights(sac):
    return [v.numpy() for v in sac.named_variables().values()]


@pytest.fixture(scope="module")
def tiny_runs():
    """Two equal objects and their weights after the same two blocks of two updates."""
    runs = []
    for global_seed in (0, 1):
        tf.random.set_seed(global_seed)  # must not matter
        sac = SAC(2, 1, SACConfig(**TINY), policy_seed=5, critics_seed=6)
        for seed in (0, 1):
            batch = batch_of(3, seed, leading=(2,))
            sac.update_block(batch, noise_of(2, 3, 1), noise_of(2, 3, 1, seed=2))
        runs.append((sac, weights(sac)))
    return runs


def test_update_is_a_function_of_its_inputs_only(tiny_runs):
    for got, expected in zip(tiny_runs[1][1], tiny_runs[0][1], strict=True):
        np.testing.assert_array_equal(got, expected)


def test_target_critics_move_after_the_critics():
    sac = SAC(2, 1, SACConfig(**TINY))
    before = sac.critics.get_weights()
    sac.update(batch_of(3), noise_of(3, 1), noise_of(3, 1, seed=2), tf.constant(0.25))
    triples = zip(before, sac.critics.get_weights(), sac.target_critics.get_weights(), strict=True)
    for old, critic, target in triples:
        np.testing.assert_allclose(target, 0.25 * critic + 0.75 * old, rtol=1e-5, atol=1e-7)


def test_variables_by_name_are_all_that_an_update_depends_on(tiny_runs):
    sac, expected = tiny_runs[0]
    twin = SAC(2, 1, SACConfig(**TINY), policy_seed=50, critics_seed=60)
    for name, variable in twin.named_variables().items():
        variable.assign(sac.named_variables()[name].numpy())
    arguments = batch_of(3, 9), noise_of(3, 1), noise_of(3, 1, seed=2), tf.constant(0.1)
    twin.update(*arguments)
    sac.update(*arguments)
    changed = [
        not np.array_equal(got, old) for got, old in zip(weights(twin), expected, strict=True)
    ]
    assert any(changed)
    for got, wanted in zip(weights(twin), weights(sac), strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-6, atol=1e-9)


def test_target_critics_start_as_copies_of_the_critics():
    sac = SAC(2, 1, SACConfig(**TINY))
    for critic, target in zip(
        sac.critics.get_weights(), sac.target_critics.get_weights(), strict=True
    ):
        np.testing.assert_array_equal(critic, target)
    assert float(sac.log_alpha) == 0.0


def test_rewards_are_scaled_in_the_target_only():
    batch, noise = batch_of(3), noise_of(3, 1)
    targets = [
        SAC(2, 1, SACConfig(**TINY, reward_scale=scale)).target(batch, noise) for scale in (1, 3)
    ]
    np.testing.assert_allclose(targets[1] - targets[0], 2 * batch.rewards, rtol=1e-4, atol=1e-6)


def test_gradients_are_all_taken_at_the_parameters_on_entry():
    sac, twin = (SAC(2, 1, SACConfig(**TINY), policy_seed=1, critics_seed=2) for _ in range(2))
    arguments = batch_of(3), noise_of(3, 1), noise_of(3, 1, seed=2)
    _, gradients = twin.losses_and_gradients(*arguments)
    for name in ("temperature", "policy", "critics"):  # in any order
        pairs = zip(gradients[name], twin._trained[name], strict=True)
        twin.optimizers[name].apply_gradients(pairs)
    sac.update(*arguments, tf.constant(0.0))
    for got, expected in zip(weights(sac), weights(twin), strict=True):
        np.testing.assert_array_equal(got, expected)


def test_sampled_actions_do_not_depend_on_the_chunk_size():
    sac, observations, latents = SAC(2, 1, SACConfig(**TINY)), noise_of(7, 2), noise_of(7, 1)
    actions = sac.sample_actions(observations.astype(np.float64), latents, chunk_size=4)
    expected, _ = sac.policy.sample(observations, latents)
    np.testing.assert_allclose(actions, expected, rtol=1e-5, atol=1e-6)


def test_diagnostics_describe_critics_and_policy_on_the_batch(eager):
    sac, batch, noise, next_noise = SAC(2, 1, SACConfig(**TINY)), batch_of(3), *noise_of(2, 3, 1)
    got = sac.diagnostics(batch, noise, next_noise)
    losses, _ = sac.losses_and_gradients(batch, noise, next_noise)
    q = sac.critics(batch.observations, batch.actions).numpy()
    _, log_pi = sac.policy.sample(batch.observations, noise)
    expected = {
        "Q-avg": q.mean(),
        "Q-std": q.std(),
        "Q_loss": np.mean(losses["critics"]),
        "alpha": 1.0,
        "policy/-log-pis-mean": -np.mean(log_pi),
    }
    for name, value in expected.items():
        np.testing.assert_allclose(got[name], value, rtol=1e-4, err_msg=name)

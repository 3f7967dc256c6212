"""SAC, beside the losses, gradients and updates that parity replays."""

import numpy as np
import tensorflow as tf

from mopo_tf2.algorithms.sac import SAC
from mopo_tf2.config import SACConfig
from mopo_tf2.types import Transitions

TINY = {"hidden_layer_sizes": (4,), "batch_size": 3}


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


def test_update_is_a_function_of_its_inputs_only(eager):
    first, second = SAC(2, 1, SACConfig(**TINY)), SAC(2, 1, SACConfig(**TINY), policy_seed=50)
    for name, variable in first.named_variables().items():
        second.named_variables()[name].assign(variable.numpy())
    for sac, global_seed in ((first, 0), (second, 1)):
        tf.random.set_seed(global_seed)  # must not matter
        for seed in (0, 1):
            batch = batch_of(3, seed, leading=(2,))
            sac.update_block(batch, noise_of(2, 3, 1), noise_of(2, 3, 1, seed=2))
    for got, expected in zip(weights(second), weights(first), strict=True):
        np.testing.assert_array_equal(got, expected)


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

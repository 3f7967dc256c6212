"""Behaviour cloning: its losses and what it learns."""

import numpy as np
import pytest
import tensorflow as tf

from mopo_tf2.algorithms.bc import BC, inside, log_likelihood_loss, mse_loss
from mopo_tf2.configs.bc import BCConfig
from mopo_tf2.dynamics.termination import never
from tests.algorithms.toy_tasks import Line, line_actions, rows_of

TINY = {"policy_hidden_sizes": (8,), "batch_size": 16, "epoch_length": 6, "updates_per_call": 3}


@pytest.fixture
def make(dataset):
    def make(seed=0, **changes):
        return BC(BCConfig(**{**TINY, "eval_n_episodes": 0, **changes}), dataset, never, seed=seed)

    return make


def test_actions_are_clipped_by_the_margin():
    clipped = inside(tf.constant([[-1.0, 0.25, 1.0]]), 0.125)
    np.testing.assert_array_equal(clipped, [[-0.875, 0.25, 0.875]])
    latents = tf.atanh(inside(tf.constant([[-1.0, 1.0]]), BCConfig().action_margin))
    np.testing.assert_allclose(latents, [[-7.25, 7.25]], atol=0.05)


def test_losses_are_the_mean_over_rows_and_components():
    assert float(log_likelihood_loss(tf.constant([[1.0], [-4.0]]))) == 1.5
    assert float(mse_loss(tf.constant([[1.0, 0.0]]), tf.constant([[0.0, 0.5]]))) == 0.625


def test_log_likelihood_of_a_gaussian_through_tanh_is_the_closed_form(make):
    clone = make()
    observations, actions = np.zeros((1, 2), np.float32), np.array([[0.6]], np.float32)
    shift, log_scale = (float(part[0, 0]) for part in clone.policy(observations))
    raw, scale = np.arctanh(0.6), np.exp(log_scale)
    density = np.exp(-0.5 * ((raw - shift) / scale) ** 2) / (scale * np.sqrt(2 * np.pi))
    expected = -np.log(density / (1 - 0.6**2))
    np.testing.assert_allclose(float(clone.loss(observations, actions)), expected, rtol=1e-5)


@pytest.mark.parametrize("bc_loss", ["log_likelihood", "mse"])
def test_saturated_actions_leave_loss_and_weights_finite(dataset, bc_loss, eager):
    saturated = dataset._replace(actions=np.sign(dataset.actions))
    clone = BC(BCConfig(**TINY, bc_loss=bc_loss, eval_n_episodes=0), saturated, never)
    metrics = next(clone.train())
    assert np.isfinite(metrics["policy/loss"])
    assert all(np.isfinite(np.asarray(v)).all() for v in clone.named_variables().values())


def test_mse_trains_the_mode_and_leaves_the_std_alone(make, eager):
    clone = make(bc_loss="mse", epoch_length=4)
    kernel = clone.policy.variables[-2]
    before = kernel.numpy()
    next(clone.train())
    moved = np.abs(kernel.numpy() - before).max(axis=0)
    assert moved[0] > 0.0
    assert moved[1] == 0.0
    # Blocks of three steps and of one.
    assert clone.train_steps == int(clone.optimizer.iterations) == 4


@pytest.mark.parametrize(
    ("bc_loss", "eval_deterministic"),
    [("log_likelihood", False), ("mse", True)],
)
def test_the_clone_reaches_the_mean_return_of_the_policy_it_saw(bc_loss, eval_deterministic):
    transitions, behaviour = rows_of(line_actions(1, 0.2), episodes=100, seed=1)
    config = BCConfig(
        bc_loss=bc_loss,
        eval_deterministic=eval_deterministic,
        policy_hidden_sizes=(32,),
        policy_lr=3e-3,
        epoch_length=500,
        n_epochs=1,
        eval_n_episodes=20,
    )
    clone = BC(config, transitions, never, environments=[Line() for _ in range(20)])
    (metrics,) = clone.train()
    # The policy's speed of 0.8 gives 4.4; one that does not move gets 0.
    np.testing.assert_allclose(metrics["evaluation/return-average"], behaviour, rtol=0.05)


@pytest.mark.parametrize(
    ("bc_loss", "names"),
    [("log_likelihood", {"loss", "mse", "log-pi", "std"}), ("mse", {"loss", "mse"})],
)
def test_an_untrained_std_is_not_reported(make, bc_loss, names, eager):
    metrics = next(make(bc_loss=bc_loss, updates_per_call=6).train())
    assert {n.removeprefix("policy/") for n in metrics if n.startswith("policy/")} == names

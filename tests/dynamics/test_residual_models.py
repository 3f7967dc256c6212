"""The ensemble of residual networks and its training."""

import numpy as np
import pytest

from mopo_tf2.dynamics.residual_models import (
    ResidualEnsemble,
    ResidualTrainer,
    centre_and_spread,
)
from mopo_tf2.dynamics.training import format_samples
from mopo_tf2.errors import DivergenceError, InputError
from mopo_tf2.types import Transitions

SETTINGS = {"lr": 1e-2, "batch_size": 32, "holdout_ratio": 0.1, "max_holdout": 50}


@pytest.fixture(scope="module")
def transitions():
    """Linear dynamics in coordinates of very unlike units, with a constant third one."""
    randoms = np.random.RandomState(0)
    observations = randoms.uniform(-1, 1, size=(600, 3)).astype(np.float32) * [1, 100, 0]
    observations[:, 2] = 7.0
    actions = randoms.uniform(-1, 1, size=(600, 1)).astype(np.float32)
    deltas = np.concatenate([0.1 * actions, 5.0 * actions, 0 * actions], axis=1)
    rewards = 50.0 + observations[:, :1] - 2.0 * actions
    columns = (observations, actions, observations + deltas, rewards)
    return Transitions(*(c.astype(np.float32) for c in columns), np.zeros((600, 1), bool))


def make(seed=0, members=3):
    return ResidualEnsemble(3, 1, num_networks=members, hidden_layer_sizes=(16,), seed=seed)


def test_centre_and_spread_are_mean_and_mean_absolute_deviation():
    centre, spread = centre_and_spread(np.float32([[1, 5], [3, 5], [8, 5]]))
    np.testing.assert_allclose(centre, [4, 5])
    np.testing.assert_allclose(spread, [8 / 3, 1])


def test_training_learns_rewards_and_residuals(transitions):
    ensemble = make()
    result = ResidualTrainer(ensemble, **SETTINGS).train(
        transitions, np.random.RandomState(0), epochs=30
    )
    assert result.holdout_losses.shape == (3,)
    assert result.holdout_losses.max() < 0.01
    rewards, successors = ensemble.predict(transitions.observations, transitions.actions)
    np.testing.assert_allclose(rewards[0], transitions.rewards[:, 0], atol=0.3)
    np.testing.assert_allclose(successors[0, :, 0], transitions.next_observations[:, 0], atol=0.02)
    np.testing.assert_allclose(successors[0, :, 1], transitions.next_observations[:, 1], atol=1.0)


def test_prediction_is_state_plus_unscaled_output(transitions):
    ensemble = make()
    inputs, targets = format_samples(transitions)
    ensemble.fit_transformations(inputs, targets)
    for layer in ensemble.network.dense_layers:
        layer.kernel.assign(0.0 * layer.kernel)
    rewards, successors = ensemble.predict(transitions.observations, transitions.actions)
    np.testing.assert_allclose(rewards, np.full((3, 600), targets[:, 0].mean()), rtol=1e-5)
    expected = transitions.observations + targets[:, 1:].mean(axis=0)
    np.testing.assert_allclose(successors[1], expected, rtol=1e-5, atol=1e-5)


def test_members_differ_and_equal_seeds_do_not(transitions):
    trained = []
    for seed in (0, 0, 1):
        ensemble = make(seed)
        ResidualTrainer(ensemble, **SETTINGS).train(transitions, np.random.RandomState(0), epochs=1)
        trained.append(ensemble.predict(transitions.observations, transitions.actions)[1].numpy())
    np.testing.assert_array_equal(trained[0], trained[1])
    assert not np.allclose(trained[0], trained[2])
    assert not np.allclose(trained[0][0], trained[0][1])


def test_no_holdout_reports_the_loss_on_the_data(transitions):
    trainer = ResidualTrainer(make(), **{**SETTINGS, "holdout_ratio": 0.0})
    result = trainer.train(transitions, np.random.RandomState(0), epochs=1)
    assert np.isfinite(result.holdout_losses).all()


def test_rows_that_are_all_held_out_are_refused(transitions):
    few = Transitions(*(column[:0] for column in transitions))
    with pytest.raises(InputError, match="leave none to train on"):
        ResidualTrainer(make(), **SETTINGS).train(few, np.random.RandomState(0), epochs=1)


def test_fewer_rows_than_a_batch_train(transitions):
    few = Transitions(*(column[:10] for column in transitions))
    result = ResidualTrainer(make(), **SETTINGS).train(few, np.random.RandomState(0), epochs=1)
    assert np.isfinite(result.holdout_losses).all()


def test_divergence_is_told(transitions):
    trainer = ResidualTrainer(make(), **{**SETTINGS, "lr": 1e30})
    with pytest.raises(DivergenceError, match="dynamics_lr"):
        trainer.train(transitions, np.random.RandomState(0), epochs=2)

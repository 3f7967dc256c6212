"""MOReL's model: residual networks, discrepancy and threshold, HALT, paths."""

import itertools
import math

import numpy as np
import pytest

from mopo_tf2.algorithms.morel.model import (
    PessimisticModel,
    ResidualEnsemble,
    ResidualTrainer,
    centre_and_spread,
    discrepancy,
    pessimistic_paths,
    unknown_threshold,
)
from mopo_tf2.dynamics.termination import never
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


def residual(seed=0):
    return ResidualEnsemble(3, 1, num_networks=3, hidden_layer_sizes=(16,), seed=seed)


def test_centre_and_spread_are_mean_and_mean_absolute_deviation():
    centre, spread = centre_and_spread(np.float32([[1, 5], [3, 5], [8, 5]]))
    np.testing.assert_allclose(centre, [4, 5])
    np.testing.assert_allclose(spread, [8 / 3, 0])


def test_training_learns_rewards_and_residuals(transitions):
    ensemble = residual()
    losses = ResidualTrainer(ensemble, **SETTINGS).train(
        transitions, np.random.RandomState(0), epochs=30
    )
    assert losses.shape == (3,)
    assert losses.max() < 0.01
    rewards, successors = ensemble.predict(transitions.observations, transitions.actions)
    np.testing.assert_allclose(rewards[0], transitions.rewards[:, 0], atol=0.3)
    np.testing.assert_allclose(successors[0, :, 0], transitions.next_observations[:, 0], atol=0.02)
    np.testing.assert_allclose(successors[0, :, 1], transitions.next_observations[:, 1], atol=1.0)


def test_no_holdout_reports_the_loss_on_the_data(transitions, eager):
    few = Transitions(*(column[:10] for column in transitions))  # fewer than a batch
    trainer = ResidualTrainer(residual(), **{**SETTINGS, "holdout_ratio": 0.0})
    losses = trainer.train(few, np.random.RandomState(0), epochs=1)
    expected = trainer.ensemble.losses(*format_samples(few))
    np.testing.assert_allclose(losses, expected, rtol=1e-5)


def test_rows_that_are_all_held_out_are_refused(transitions):
    few = Transitions(*(column[:0] for column in transitions))
    with pytest.raises(InputError, match="leave none to train on"):
        ResidualTrainer(residual(), **SETTINGS).train(few, np.random.RandomState(0), epochs=1)


def test_divergence_is_told(transitions, eager):
    trainer = ResidualTrainer(residual(), **{**SETTINGS, "lr": 1e30})
    with pytest.raises(DivergenceError, match="dynamics_lr"):
        trainer.train(transitions, np.random.RandomState(0), epochs=1)


def above_five(observations, actions, next_observations):
    return next_observations[:, :1] > 5.0


def pessimistic(termination_fn=never, **settings):
    """s' = s + a (first member) or s + a + 0.5 |s| (second); reward 1 for both.

    So disc(s, a) = 0.5 |s|: linear in the distance from 0.
    """
    ensemble = ResidualEnsemble(1, 1, num_networks=2, hidden_layer_sizes=(4,))
    hidden, output = ensemble.network.dense_layers
    for variable in (*ensemble.network.variables, *ensemble.reward_network.variables):
        variable.assign(0.0 * variable.value)
    # Hidden units: relu(s), relu(-s), relu(a), relu(-a).
    hidden.kernel.assign(np.tile([[1.0, -1.0, 0, 0], [0, 0, 1.0, -1.0]], (2, 1, 1)))
    output.kernel.assign([[[0], [0], [1], [-1]], [[0.5], [0.5], [1], [-1]]])
    ensemble.reward_network.dense_layers[-1].bias.assign(np.ones((2, 1, 1)))
    return PessimisticModel(ensemble, termination_fn, **{"chunk_size": 4, **settings})


def column(*values):
    return np.float32(values)[:, None]


def step(model, states, actions, members=None):
    members = np.zeros(len(states), np.int32) if members is None else np.int32(members)
    return model.step(column(*states), column(*actions), members)


def test_discrepancy_is_the_largest_pairwise_distance():
    predictions = np.random.RandomState(0).normal(size=(4, 6, 3)).astype(np.float32)
    expected = [
        max(
            np.linalg.norm(predictions[i, row] - predictions[j, row])
            for i, j in itertools.combinations(range(4), 2)
        )
        for row in range(6)
    ]
    np.testing.assert_allclose(discrepancy(predictions), expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("max", 6.0),
        ("coefficient_times_max", 12.0),
        ("max_over_coefficient", 3.0),
        ("none", math.inf),
    ],
)
def test_threshold_rules(rule, expected):
    assert unknown_threshold(6.0, rule, 2.0) == expected
    with pytest.raises(InputError, match=rule):
        unknown_threshold(6.0, "mean", 2.0)


def test_fit_takes_threshold_and_halt_reward_from_the_data():
    model = pessimistic()
    states = column(*np.linspace(-2, 1, 31))
    rewards = column(*np.linspace(-4, 3, 31))
    data = Transitions(states, states * 0, states, rewards, np.zeros((31, 1), bool))
    assert model.fit(data, "max", 1.0, 10.0) == pytest.approx(1.0)
    assert float(model.threshold.numpy()) == pytest.approx(1.0)
    assert float(model.halt_reward.numpy()) == pytest.approx(-14.0)
    assert not model.step(states, states * 0, np.zeros(31, np.int32)).halted.any()


@pytest.mark.parametrize(("halt", "reward"), [("halt", -9.0), ("truncate", 1.0)])
def test_unknown_pair_halts_with_the_reward_of_its_rule(halt, reward):
    model = pessimistic(halt=halt)
    model.threshold.assign(1.0)
    model.halt_reward.assign(-9.0)
    taken = step(model, [1.9, 2.1, -2.1], [0, 0, 0])
    np.testing.assert_array_equal(taken.halted, [False, True, True])
    np.testing.assert_allclose(taken.rewards, [1.0, reward, reward])


def test_each_row_follows_its_member():
    taken = step(pessimistic(), [2, 2], [0.25, 0.25], members=[0, 1])
    np.testing.assert_allclose(taken.next_observations[:, 0], [2.25, 3.25])


def test_model_gets_the_clipped_action():
    taken = step(pessimistic(), [0, 0], [3.0, -3.0])
    np.testing.assert_allclose(taken.next_observations[:, 0], [1, -1])


def test_tasks_own_end_is_no_halt_and_halt_goes_first():
    model = pessimistic(above_five)
    model.threshold.assign(2.45)
    taken = step(model, [4.8, 4.95], [1, 1])
    np.testing.assert_array_equal(taken.terminals, [True, False])
    np.testing.assert_array_equal(taken.halted, [False, True])


def test_prediction_that_is_not_finite_halts_without_a_threshold():
    model = pessimistic()
    model.halt_reward.assign(-9.0)
    taken = step(model, [3e38, 1.0], [0, 0], members=[1, 1])
    np.testing.assert_array_equal(taken.halted, [True, False])
    assert np.isfinite(taken.next_observations).all()
    np.testing.assert_array_equal(taken.rewards, [-9.0, 1.0])


def test_paths_end_in_halt_in_the_tasks_end_or_at_the_horizon():
    model = pessimistic(above_five)
    model.threshold.assign(2.45)
    model.halt_reward.assign(-9.0)
    # Moves of 1: 3.5, 4.5 | 4.95 is unknown | 0, 1, 2.
    starts, latents = column(3.5, 4.95, 0.0), np.zeros((3, 3, 1), np.float32)
    members = np.zeros(3, np.int32)

    def right(states, noise):
        return np.ones_like(states)

    paths = pessimistic_paths(model, right, starts, latents, members)
    np.testing.assert_array_equal(paths.lengths, [2, 1, 3])
    np.testing.assert_array_equal(paths.halted, [False, True, False])
    np.testing.assert_array_equal(paths.terminated, [True, True, False])
    np.testing.assert_allclose(paths.observations[:, 2, 0], [0, 1, 2])
    np.testing.assert_allclose(paths.observations[:, 0, 0], [3.5, 4.5, 0])
    np.testing.assert_allclose(paths.rewards, [[1, -9, 1], [1, 0, 1], [0, 0, 1]])
    alone = pessimistic_paths(model, right, starts[1:2], latents[:, :1], members[:1])
    np.testing.assert_array_equal(alone.lengths, [1])


def test_truncated_path_keeps_four_rows_and_is_not_terminated():
    model = pessimistic(above_five, halt="truncate")
    model.threshold.assign(1.45)  # states beyond 2.9 are unknown
    # Moves of 1: 3, 4, 5 reaches the task's end | 3.0 stays, unknown | 0 to 3, 3 is unknown.
    starts, latents = column(3.0, -3.0, 0.0), np.zeros((6, 3, 1), np.float32)
    move = column(1.0, 0.0, 1.0)
    paths = pessimistic_paths(
        model, lambda states, noise: move, starts, latents, np.zeros(3, np.int32)
    )
    np.testing.assert_array_equal(paths.lengths, [3, 4, 4])
    assert not paths.terminated.any()
    np.testing.assert_array_equal(paths.rewards[:4, 1], np.ones(4))


def test_without_a_threshold_the_tasks_end_is_terminal_in_a_truncated_path():
    model = pessimistic(above_five, halt="truncate")
    paths = pessimistic_paths(
        model,
        lambda states, noise: np.ones_like(states),
        column(4.5, 0.0),
        np.zeros((2, 2, 1), np.float32),
        np.zeros(2, np.int32),
    )
    np.testing.assert_array_equal(paths.terminated, [True, False])


def test_noise_of_a_path_does_not_depend_on_the_others_lengths():
    latents = np.random.RandomState(0).normal(size=(4, 2, 1)).astype(np.float32)
    reached = []
    for other_start in (0.0, 4.95):
        model = pessimistic()
        model.threshold.assign(2.45)
        paths = pessimistic_paths(
            model,
            lambda states, noise: 0.1 * noise,
            column(0.0, other_start),
            latents,
            np.zeros(2, np.int32),
        )
        reached.append(paths.observations[:, 0])
    np.testing.assert_array_equal(reached[0], reached[1])

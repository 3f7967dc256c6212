"""Discrepancy, threshold and HALT, on an ensemble whose disagreement is set by hand."""

import itertools
import math

import numpy as np
import pytest

from mopo_tf2.dynamics.paths import pessimistic_paths
from mopo_tf2.dynamics.pessimism import PessimisticModel, discrepancy, unknown_threshold
from mopo_tf2.dynamics.residual_models import ResidualEnsemble
from mopo_tf2.dynamics.termination import never
from mopo_tf2.errors import InputError
from mopo_tf2.types import Transitions


def above_five(observations, actions, next_observations):
    return next_observations[:, :1] > 5.0


def make(termination_fn=never, **settings):
    """s' = s + a (first member) or s + a + 0.5 |s| (second); reward 1 for both.

    So disc(s, a) = 0.5 |s|: linear in the distance from 0.
    """
    ensemble = ResidualEnsemble(1, 1, num_networks=2, hidden_layer_sizes=(4,))
    hidden, output = ensemble.network.dense_layers
    # Hidden units: relu(s), relu(-s), relu(a), relu(-a).
    hidden.kernel.assign(np.tile([[1.0, -1.0, 0, 0], [0, 0, 1.0, -1.0]], (2, 1, 1)))
    output.kernel.assign([[[0, 0], [0, 0], [0, 1], [0, -1]], [[0, 0.5], [0, 0.5], [0, 1], [0, -1]]])
    output.bias.assign(np.tile([[1.0, 0.0]], (2, 1, 1)))
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


def test_unknown_rule_is_refused():
    with pytest.raises(InputError, match="coefficient_times_max"):
        unknown_threshold(6.0, "mean", 2.0)


def test_fit_takes_threshold_and_halt_reward_from_the_data():
    model = make()
    states = column(*np.linspace(-2, 1, 31))
    rewards = column(*np.linspace(-4, 3, 31))
    data = Transitions(states, states * 0, states, rewards, np.zeros((31, 1), bool))
    assert model.fit(data, "max", 1.0, 10.0) == pytest.approx(1.0)
    assert float(model.threshold.numpy()) == pytest.approx(1.0)
    assert float(model.halt_reward.numpy()) == pytest.approx(-14.0)


def test_no_row_of_the_data_is_unknown_under_the_default_rule():
    model = make()
    states = column(*np.random.RandomState(0).uniform(-2, 2, 500))
    data = Transitions(states, states, states, states, np.zeros((500, 1), bool))
    model.fit(data, "max", 1.0, 10.0)
    assert not model.step(states, states, np.zeros(500, np.int32)).halted.any()


@pytest.mark.parametrize(("halt", "reward"), [("halt", -9.0), ("truncate", 1.0)])
def test_unknown_pair_halts_with_the_reward_of_its_rule(halt, reward):
    model = make(halt=halt)
    model.threshold.assign(1.0)
    model.halt_reward.assign(-9.0)
    taken = step(model, [1.9, 2.1, -2.1], [0, 0, 0])
    np.testing.assert_array_equal(taken.halted, [False, True, True])
    np.testing.assert_allclose(taken.rewards, [1.0, reward, reward])


def test_each_row_follows_its_member():
    taken = step(make(), [2, 2], [0.25, 0.25], members=[0, 1])
    np.testing.assert_allclose(taken.next_observations[:, 0], [2.25, 3.25])


def test_model_gets_the_clipped_action():
    taken = step(make(), [0, 0], [3.0, -3.0])
    np.testing.assert_allclose(taken.next_observations[:, 0], [1, -1])


def test_tasks_own_end_is_no_halt_and_halt_goes_first():
    model = make(above_five)
    model.threshold.assign(2.45)
    taken = step(model, [4.8, 4.95], [1, 1])
    np.testing.assert_array_equal(taken.terminals, [True, False])
    np.testing.assert_array_equal(taken.halted, [False, True])


def test_prediction_that_is_not_finite_halts_without_a_threshold():
    model = make()
    model.halt_reward.assign(-9.0)
    taken = step(model, [3e38, 1.0], [0, 0], members=[1, 1])
    np.testing.assert_array_equal(taken.halted, [True, False])
    assert np.isfinite(taken.next_observations).all()
    np.testing.assert_array_equal(taken.rewards, [-9.0, 1.0])


def test_termination_function_of_another_shape_is_refused():
    with pytest.raises(InputError, match="termination function"):
        step(make(lambda s, a, n: np.zeros(len(s), bool)), [0], [0])


def test_paths_end_in_halt_in_the_tasks_end_or_at_the_horizon():
    model = make(above_five)
    model.threshold.assign(2.45)
    model.halt_reward.assign(-9.0)
    # Moves of 1: 3.5, 4.5 | 4.95 is unknown | 0, 1, 2.
    starts, latents = column(3.5, 4.95, 0.0), np.zeros((3, 3, 1), np.float32)
    paths = pessimistic_paths(
        model, lambda states, noise: np.ones_like(states), starts, latents, np.zeros(3, np.int32)
    )
    np.testing.assert_array_equal(paths.lengths, [2, 1, 3])
    np.testing.assert_array_equal(paths.halted, [False, True, False])
    np.testing.assert_array_equal(paths.terminated, [True, True, False])
    np.testing.assert_allclose(paths.observations[:, 2, 0], [0, 1, 2])
    np.testing.assert_allclose(paths.observations[:, 0, 0], [3.5, 4.5, 0])
    np.testing.assert_allclose(paths.rewards, [[1, -9, 1], [1, 0, 1], [0, 0, 1]])


def test_noise_of_a_path_does_not_depend_on_the_others_lengths():
    latents = np.random.RandomState(0).normal(size=(4, 2, 1)).astype(np.float32)
    reached = []
    for other_start in (0.0, 4.95):
        model = make()
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

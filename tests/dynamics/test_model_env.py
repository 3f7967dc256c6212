"""Penalised model steps, from the ensemble's own predictions."""

import numpy as np
import pytest

from mopo_tf2.dynamics.model_env import ModelEnvironment, draw_noise
from mopo_tf2.errors import InputError

ROWS = 40
RANDOMS = np.random.RandomState(0)
OBSERVATIONS = RANDOMS.normal(size=(ROWS, 2)).astype(np.float32)
ACTIONS = RANDOMS.normal(size=(ROWS, 1)).astype(np.float32)
ALL = np.arange(ROWS)


def above_zero(observations, actions, next_observations):
    return next_observations[:, :1] > 0.0


@pytest.fixture(scope="module")
def ensemble(small_ensemble):
    ensemble = small_ensemble()
    ensemble.elites = [2, 1]
    return ensemble


@pytest.fixture(scope="module")
def predicted(ensemble):
    """Every member's means and stds [E, B, 1 + O] of (reward, next observation)."""
    means, variances = ensemble.predict(np.concatenate([OBSERVATIONS, ACTIONS], axis=1))
    means = means.numpy()
    means[:, :, 1:] += OBSERVATIONS
    return means, np.sqrt(variances)


@pytest.fixture(scope="module")
def environment(ensemble):
    """Return an environment with a penalty of 0.5 u, in chunks that the rows do not fill."""

    def make(**changes):
        settings = {"penalty_coeff": 0.5, "chunk_size": 16, **changes}
        return ModelEnvironment(ensemble, above_zero, **settings)

    return make


@pytest.fixture(scope="module")
def compiled(environment):
    return environment()


def step_of(environment, observations=OBSERVATIONS, **options):
    return environment.step(observations, ACTIONS, np.random.RandomState(3), **options)


def close(got, expected):
    np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-5)


def test_a_step_samples_from_the_elite_that_was_drawn_for_each_row(compiled, ensemble, predicted):
    step = step_of(compiled)
    noise, members = draw_noise(np.random.RandomState(3), ensemble, ROWS)
    assert set(members) == {1, 2}
    means, stds = (part[members, ALL] for part in predicted)
    close(step.means, means)
    close(step.stds, stds)
    samples = means + noise * stds
    close(step.raw_rewards, samples[:, :1])
    close(step.next_observations, samples[:, 1:])
    np.testing.assert_array_equal(step.terminals, step.next_observations[:, :1] > 0.0)


def test_noise_is_drawn_for_all_members_before_the_members_are(ensemble):
    noise, members = draw_noise(np.random.RandomState(3), ensemble, rows=6)
    expected = np.random.RandomState(3)
    drawn = expected.normal(size=(3, 6, 3))
    np.testing.assert_array_equal(members, expected.choice(ensemble.elites, size=6))
    np.testing.assert_array_equal(noise, drawn[members, np.arange(6)])


def test_rewards_are_lowered_by_the_largest_std_of_all_members(compiled, predicted):
    step, norms = step_of(compiled), np.linalg.norm(predicted[1], axis=2)
    assert (norms.argmax(axis=0) == 0).any(), "member 0 is no elite, and must count"
    close(step.penalties[:, 0], norms.max(axis=0))
    close(step.rewards, step.raw_rewards - 0.5 * step.penalties)


def test_disagreement_none_and_a_given_penalty_take_its_place(environment, predicted, eager):
    means = predicted[0][:, :, 1:]
    distances = np.linalg.norm(means - means.mean(axis=0), axis=2)
    close(step_of(environment(penalty_learned_var=False)).penalties[:, 0], distances.max(axis=0))
    assert not step_of(environment(penalty_coeff=0.0)).penalties.any()
    given = step_of(environment(true_penalty=lambda s, a, mean: mean[:, :1] + s[:, :1]))
    close(given.penalties, given.means[:, 1:2] + OBSERVATIONS[:, :1])


def test_deterministic_steps_average_the_members_and_draw_nothing(environment, predicted, eager):
    random_state = np.random.RandomState(4)
    step = environment().step(OBSERVATIONS, ACTIONS, random_state, deterministic=True)
    assert random_state.randint(10**9) == np.random.RandomState(4).randint(10**9)
    means = predicted[0].mean(axis=0)
    close(step.raw_rewards, means[:, :1])
    close(step.next_observations, means[:, 1:])
    close(step.stds, predicted[1].mean(axis=0))


def test_a_single_state_has_no_leading_axis(compiled):
    batch, single = (
        compiled.step(*inputs, np.random.RandomState(5))
        for inputs in ((OBSERVATIONS[:1], ACTIONS[:1]), (OBSERVATIONS[0], ACTIONS[0]))
    )
    for got, expected in zip(single, batch, strict=True):
        np.testing.assert_array_equal(got, expected[0])


def test_states_keep_double_precision(compiled):
    step = step_of(compiled)
    assert step.next_observations.dtype == np.float64
    assert (step.next_observations != step.next_observations.astype(np.float32)).any()


def test_states_are_not_rounded_before_the_change_is_added(compiled):
    exact = OBSERVATIONS.astype(np.float64)
    # Float32 numbers near 1000 are 6e-5 apart; the network sees the rounded state either way.
    exact[:, 1] = 1000 + np.random.RandomState(0).uniform(size=ROWS)
    got, other = (step_of(compiled, s).means[:, 2] for s in (exact, exact.astype(np.float32)))
    assert 0 < np.abs(got - other).max() < 2e-4


@pytest.mark.parametrize(
    ("returned", "told"),
    [
        (lambda rows: np.zeros((rows, 1)), r"float64 \(40, 1\)"),
        (lambda rows: np.zeros(rows, bool), r"bool \(40,\)"),
        (lambda rows: None, r"object \(\)"),
    ],
)
def test_termination_functions_must_return_a_column_of_bools(compiled, monkeypatch, returned, told):
    monkeypatch.setattr(compiled, "termination_fn", lambda s, a, n: returned(len(n)))
    with pytest.raises(InputError, match=rf"must return bool \(40, 1\), got {told}"):
        step_of(compiled)

"""Model steps, beside those that parity replays: chunks, oracle penalty, precision, refusals."""

import numpy as np
import pytest

from mopo_tf2.dynamics.ensemble import GaussianEnsemble
from mopo_tf2.dynamics.model_env import ModelEnvironment
from mopo_tf2.errors import InputError

ROWS = 40
RANDOMS = np.random.RandomState(0)
OBSERVATIONS = RANDOMS.normal(size=(ROWS, 2)).astype(np.float32)
ACTIONS = RANDOMS.normal(size=(ROWS, 1)).astype(np.float32)


def above_zero(observations, actions, next_observations):
    return next_observations[:, :1] > 0.0


@pytest.fixture(scope="module")
def ensemble(tiny_config):
    """Every variable at random; member 0 is no elite."""
    ensemble = GaussianEnsemble(2, 1, tiny_config())
    randoms = np.random.RandomState(1)
    for variable in ensemble.member_variables:
        variable.assign(randoms.normal(size=variable.shape))
    ensemble.scaler.fit(randoms.normal(2.0, 3.0, size=(50, 3)).astype(np.float32))
    ensemble.elites = [2, 1]
    return ensemble


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


def test_rows_that_do_not_fill_the_chunks_are_stepped_as_in_one_call(compiled, environment, eager):
    whole = step_of(environment(chunk_size=ROWS))
    for got, expected in zip(step_of(compiled), whole, strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-5)


def test_a_given_penalty_takes_the_place_of_the_ensembles(environment, eager):
    step = step_of(environment(true_penalty=lambda s, a, mean: mean[:, :1] + s[:, :1]))
    expected = step.means[:, 1:2] + OBSERVATIONS[:, :1]
    np.testing.assert_allclose(step.penalties, expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(step.rewards, step.raw_rewards - 0.5 * step.penalties, rtol=1e-6)


def test_deterministic_steps_draw_nothing(compiled):
    random_state = np.random.RandomState(4)
    compiled.step(OBSERVATIONS, ACTIONS, random_state, deterministic=True)
    assert random_state.randint(10**9) == np.random.RandomState(4).randint(10**9)


def test_states_keep_double_precision(compiled):
    step = step_of(compiled)
    assert step.next_observations.dtype == np.float64
    assert (step.next_observations != step.next_observations.astype(np.float32)).any()


def test_noise_keeps_double_precision(compiled, ensemble):
    step = step_of(compiled)
    random_state = np.random.RandomState(3)
    noise = random_state.normal(size=(ensemble.num_networks, ROWS, ensemble.output_dim))
    noise = noise[random_state.choice(ensemble.elites, size=ROWS), np.arange(ROWS)]
    exact = step.means.astype(np.float64) + noise * step.stds.astype(np.float64)
    samples = np.concatenate([step.raw_rewards, step.next_observations], axis=1)
    # Noise in float32 would change samples by up to 6e-8 of it.
    np.testing.assert_allclose(samples, exact, rtol=0.0, atol=1e-13 * np.abs(exact).max())


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

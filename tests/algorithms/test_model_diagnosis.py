"""Open-loop errors, rollouts and calibration of models: against processes that are known."""

from types import SimpleNamespace

import numpy as np
import pytest

from mopo_tf2.algorithms.model_diagnosis import (
    check_rows,
    last_values,
    open_loop,
    policy_rollouts,
)
from mopo_tf2.config import EnsembleConfig
from mopo_tf2.dynamics.ensemble import GaussianEnsemble
from mopo_tf2.dynamics.model_env import MemberPredictions, ModelEnvironment, ModelStep
from mopo_tf2.dynamics.termination import find_termination_fn
from mopo_tf2.dynamics.training import EnsembleTrainer
from mopo_tf2.evaluation import calibration
from mopo_tf2.evaluation.model_advice import Findings, advice
from mopo_tf2.types import Transitions

GAIN, NOISE, STEPS = 0.9, 0.3, 8


class LinearModel:
    """s' = gain s + a with noise of standard deviation ``std``; the reward is s. Ends above 9."""

    def __init__(self, gain, std):
        self.gain, self.std = gain, std
        self.ensemble = SimpleNamespace(elites=[0, 1], obs_dim=1, act_dim=1)

    def predict(self, observations, actions):
        mean = np.concatenate([observations, self.gain * observations + actions], axis=1)
        means = np.repeat(mean[:, None], 2, axis=1)
        return MemberPredictions(means, np.full_like(means, self.std), np.ones((len(mean), 1)))

    def step(self, observations, actions, random_state, *, deterministic=False):
        mean = self.predict(observations, actions).means[:, 0]
        drawn = mean + self.std * random_state.normal(size=mean.shape)
        raw, reached, penalties = drawn[:, :1], drawn[:, 1:], np.ones((len(mean), 1))
        return ModelStep(reached, raw - penalties, reached > 9, raw, penalties, mean, mean)


def episodes_of(noise, count, random_state):
    """``count`` episodes of STEPS steps of the process with gain GAIN, one after the other."""
    states = np.empty((count, STEPS + 1, 1))
    actions = random_state.normal(size=(count, STEPS, 1))
    states[:, 0] = random_state.normal(size=(count, 1))
    for t in range(STEPS):
        drawn = noise * random_state.normal(size=(count, 1))
        states[:, t + 1] = GAIN * states[:, t] + actions[:, t] + drawn
    rewards = states[:, :-1] + noise * random_state.normal(size=(count, STEPS, 1))
    columns = (states[:, :-1], actions, states[:, 1:], rewards)
    flat = [column.reshape(-1, 1) for column in columns]
    return Transitions(*flat, np.zeros((count * STEPS, 1), bool))


def test_open_loop_errors_of_a_linear_system_are_those_of_its_closed_form():
    data = episodes_of(0.0, 5, np.random.RandomState(0))
    begins, model_gain = STEPS * np.arange(5), 0.8
    found = open_loop(LinearModel(model_gain, 0.1), data, begins, STEPS, np.random.RandomState(1))
    starts, actions = data.observations[begins], data.actions.reshape(5, STEPS)
    for k in range(1, STEPS + 1):

        def power(gain, k=k):
            return gain**k * starts[:, 0] + actions[:, :k] @ gain ** np.arange(k)[::-1]

        expected = power(model_gain) - power(GAIN)
        np.testing.assert_allclose(found.errors[k - 1, :, 1], expected, atol=1e-9)
    assert found.errors[0, :, 0] == pytest.approx(0.0)


@pytest.mark.parametrize(("factor", "expected"), [(1.0, 0.9), (0.5, 0.62)])
def test_sampled_paths_hold_nine_tenths_of_real_values_unless_too_narrow(factor, expected):
    count = 2_000
    data = episodes_of(NOISE, count, np.random.RandomState(0))
    begins = STEPS * np.arange(count)
    model = LinearModel(GAIN, factor * NOISE)
    found = open_loop(model, data, begins, STEPS, np.random.RandomState(1))
    error = calibration.binomial_error(0.9, count)
    tolerance = 4 * error if factor == 1.0 else 0.06
    assert found.within[:, :, 1].mean(axis=1) == pytest.approx(expected, abs=tolerance)


def test_rollouts_are_kept_until_they_end():
    starts, model = np.array([[0.0], [8.5]]), LinearModel(1.0, 0.0)
    rollouts = policy_rollouts(model, np.ones_like, starts, 3, np.random.RandomState(0))
    assert rollouts.taken.tolist() == [[True, True], [True, False], [True, False]]
    assert rollouts.ended[0].tolist() == [False, True]
    assert rollouts.next_observations[:, 0, 0].tolist() == [1.0, 2.0, 3.0]
    assert np.isnan(rollouts.rewards[1:, 1]).all()


def test_the_value_beyond_a_rollout_is_the_smaller_critics_and_zero_after_the_end(eager):
    starts, model = np.array([[0.0], [8.5]]), LinearModel(1.0, 0.0)
    rollouts = policy_rollouts(model, np.ones_like, starts, 3, np.random.RandomState(0))

    def critics(observations, actions):
        return np.stack([observations + actions, 10.0 * observations])

    assert last_values(rollouts, 2, np.ones_like, critics, 4).tolist() == [3.0, 0.0]


@pytest.fixture(scope="module")
def noisy():
    """A process whose noise grows with |s|: a trained ensemble, and rows that it has not seen."""
    random_state = np.random.RandomState(0)

    def rows(count):
        observations = random_state.uniform(-1, 1, (count, 1)).astype(np.float32)
        actions = random_state.uniform(-1, 1, (count, 1)).astype(np.float32)
        noise = (0.05 + 0.5 * np.abs(observations)) * random_state.normal(size=(2, count, 1))
        reached = 0.5 * observations + 0.5 * actions + noise[0]
        columns = (observations, actions, reached, observations + noise[1])
        floats = [column.astype(np.float32) for column in columns]
        return Transitions(*floats, np.zeros((count, 1), bool))

    config = EnsembleConfig(
        num_networks=3,
        num_elites=2,
        hidden_dim=16,
        num_hidden_layers=1,
        weight_decays=(0.0, 0.0),
        # The squared error, by which held-out rows choose an epoch, settles before the noise.
        model_holdout_ratio=0.0,
        model_max_epochs=20,
        model_steps_per_call=79,
        model_batch_size=256,
        model_lr=5e-3,
    )
    ensemble = GaussianEnsemble(1, 1, config)
    EnsembleTrainer(ensemble).train(rows(20_000), np.random.RandomState(1))
    environment = ModelEnvironment(ensemble, find_termination_fn("never"), penalty_coeff=1.0)
    return environment, rows(2_000)


def test_the_parts_of_a_disagreement_are_the_variances_of_the_means(noisy):
    learned, rows = noisy
    environment = ModelEnvironment(
        learned.ensemble, learned.termination_fn, penalty_coeff=1.0, penalty_learned_var=False
    )
    few = Transitions(*(column[:50] for column in rows))
    predicted = learned.predict(few.observations, few.actions)
    expected = predicted.means[:, :, 1].var(axis=1).mean()
    assert check_rows(environment, few).variances == pytest.approx([0.0, expected], rel=1e-3)


def coverage_of(checked):
    predicted = checked.values, checked.means, checked.stds
    transformed = calibration.probability_integral_transform(*predicted)
    return calibration.coverage(transformed, 0.9), calibration.error_ratio(*predicted)


def test_a_trained_ensemble_covers_heteroscedastic_noise(noisy):
    environment, rows = noisy
    checked = check_rows(environment, rows)
    shares, ratios = coverage_of(checked)
    assert shares == pytest.approx(0.9, abs=4 * calibration.binomial_error(0.9, 2_000))
    assert ratios == pytest.approx(1.0, abs=0.15)
    # The penalty knows where the noise is large, as well as one draw of the noise can tell.
    groups, seed = np.arange(2_000), {"seed": 0, "draws": 50}
    found = calibration.rank_correlation(checked.penalties, checked.errors(), groups, **seed)
    drawn = checked.sampled_errors(np.random.RandomState(2))
    attainable = calibration.rank_correlation(checked.penalties, drawn, groups, **seed).value
    assert found.low > 0.3
    assert found.value == pytest.approx(attainable, abs=0.15)


def test_halved_standard_deviations_are_found(noisy):
    environment, rows = noisy
    ensemble, halved = environment.ensemble, np.log(4.0)
    shifted = [ensemble.max_logvar, ensemble.min_logvar, ensemble.variance_head.bias]
    for variable in shifted:
        variable.assign(variable - halved)
    try:
        shares, ratios = coverage_of(check_rows(environment, rows))
    finally:
        for variable in shifted:
            variable.assign(variable + halved)
    assert ratios == pytest.approx(2.0, abs=0.3)
    assert shares == pytest.approx(0.59, abs=0.05)  # P(|z| < 1.645 / 2)
    found = Findings(
        names=("reward", "state"),
        rows=2_000,
        trained_on=False,
        coverage=shares,
        ratios=ratios,
        centers=np.full(2, 0.5),
        penalty_parts=np.full(2, 0.5),
        data_stds=np.ones(2),
        rollout_length=1,
        penalty_coeff=1.0,
        open_errors=np.zeros(1),
        open_coverage=np.ones(1),
        correlation=calibration.RankCorrelation(0.5, 0.4, 0.6),
    )
    assert "standard deviation of reward, state is too small" in advice(found)

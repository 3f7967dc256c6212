"""Calibration, rank correlation and reward parts, against known distributions and closed forms."""

import numpy as np
import pytest

from mopo_tf2.evaluation.calibration import (
    LEVELS,
    binomial_error,
    coverage,
    error_ratio,
    probability_integral_transform,
    rank_correlation,
    reward_parts,
)

ROWS = 4_000


@pytest.fixture(scope="module")
def mixture():
    """Values [N, 1] of mixtures of three Gaussians, with their means and stds [N, 3, 1]."""
    random_state = np.random.RandomState(0)
    means = random_state.normal(0.0, 2.0, (ROWS, 3, 1))
    stds = random_state.uniform(0.3, 1.5, (ROWS, 3, 1))
    chosen = np.arange(ROWS), random_state.randint(0, 3, ROWS)
    return means[chosen] + stds[chosen] * random_state.normal(size=(ROWS, 1)), means, stds


def four_errors(level):
    return pytest.approx(level, abs=4 * binomial_error(level, ROWS))


@pytest.mark.parametrize("level", LEVELS)
def test_right_distributions_cover_what_they_say(mixture, level):
    transformed = probability_integral_transform(*mixture)
    assert coverage(transformed, level)[0] == four_errors(level)


def test_the_transform_of_right_distributions_is_uniform(mixture):
    transformed = np.sort(probability_integral_transform(*mixture)[:, 0])
    assert np.abs(transformed - np.linspace(0, 1, ROWS)).max() < 1.95 / np.sqrt(ROWS)


@pytest.mark.parametrize("factor", [0.5, 1.0, 2.0])
def test_a_wrong_standard_deviation_shows_in_ratio_and_coverage(factor):
    values = np.random.RandomState(1).normal(size=(ROWS, 1))
    means, stds = np.zeros((ROWS, 2, 1)), np.full((ROWS, 2, 1), factor)
    assert error_ratio(values, means, stds)[0] == pytest.approx(1 / factor, rel=0.06)
    # P(|z| <= 1.645 factor)
    expected = {0.5: 0.5891, 1.0: 0.9, 2.0: 0.9990}[factor]
    transformed = probability_integral_transform(values, means, stds)
    assert coverage(transformed, 0.9)[0] == pytest.approx(expected, abs=0.03)


def test_rank_correlation_of_a_monotone_penalty_is_one():
    errors = np.random.RandomState(2).exponential(size=60)
    groups = np.repeat(np.arange(12), 5)
    found = rank_correlation(np.exp(errors), errors, groups, seed=0, draws=20)
    assert found == pytest.approx((1.0, 1.0, 1.0))
    assert rank_correlation(-errors, errors, groups, seed=0, draws=20).value == pytest.approx(-1.0)


def test_the_interval_widens_with_the_dependence_inside_groups():
    random_state = np.random.RandomState(3)
    first, second = (np.repeat(random_state.normal(size=20), 30) for _ in range(2))
    widths = [
        found.high - found.low
        for groups in (np.arange(600), np.repeat(np.arange(20), 30))
        for found in [rank_correlation(first, second, groups, seed=0, draws=100)]
    ]
    assert widths[1] > 3 * widths[0]


def test_a_constant_penalty_has_no_rank_correlation():
    found = rank_correlation(np.ones(9), np.arange(9.0), np.arange(9), seed=0, draws=5)
    assert np.isnan(found).all()


def test_reward_parts_add_to_the_total_and_stop_at_the_end():
    # Two rollouts, the second of one step: 2 + 2 / 2 and 2 of reward, 1 + 1 / 2 and 1 of penalty.
    taken = np.array([[True, True], [True, False]])
    rewards, penalties = np.where(taken, 2.0, np.nan), np.where(taken, 1.0, np.nan)
    parts = reward_parts(rewards, penalties, taken, np.array([8.0, 0.0]), 0.5)
    assert parts == (2.5, -1.25, 1.0, 2.25)
    assert sum(parts.shares.values()) == pytest.approx(1.0)
    assert reward_parts(rewards, penalties, taken, None, 0.5).total == 1.25

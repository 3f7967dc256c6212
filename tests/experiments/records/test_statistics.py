import math

import numpy as np
import pytest

from experiments.records.statistics import (
    interquartile_mean,
    mean_std,
    stratified_bootstrap_interval,
)


def interval(tasks, seed=0, **options):
    return stratified_bootstrap_interval(tasks, np.random.RandomState(seed), **options)


def test_deviation_is_that_of_the_population():
    # Mean (1 + 2 + 6) / 3 = 3; deviations -2, -1, 3; sqrt((4 + 1 + 9) / 3) = sqrt(14 / 3).
    assert mean_std([1.0, 2.0, 6.0]) == pytest.approx((3.0, math.sqrt(14.0 / 3.0)))


def test_one_seed_has_no_deviation():
    mean, std = mean_std([4.0])
    assert mean == 4.0
    assert math.isnan(std)


@pytest.mark.parametrize("function", [mean_std, interquartile_mean])
def test_no_value_is_refused(function):
    with pytest.raises(ValueError, match="at least one"):
        function([])


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        ([7.0], 7.0),
        # 3 scores: floor(3 / 4) = 0 are dropped.
        ([1.0, 2.0, 6.0], 3.0),
        # 4 scores: one at either end; (2 + 6) / 2 = 4.
        ([1000.0, 6.0, 2.0, -1000.0], 4.0),
        # 8 scores: two at either end; (3 + 4 + 5 + 12) / 4 = 6.
        ([1.0, 2.0, 3.0, 4.0, 5.0, 12.0, 90.0, 99.0], 6.0),
        # 7 scores: floor(7 / 4) = 1 at either end; (2 + 3 + 4 + 5 + 6) / 5 = 4.
        ([1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 70.0], 4.0),
    ],
)
def test_interquartile_mean_is_that_of_the_middle_half(scores, expected):
    assert interquartile_mean(scores) == pytest.approx(expected)


def test_interquartile_mean_pools_tasks():
    # [0, 1, 2, 3] and [10, 11, 12, 13] pooled: (2 + 3 + 10 + 11) / 4, not the tasks' means.
    assert interquartile_mean([[0.0, 1.0, 2.0, 3.0], [10.0, 11.0, 12.0, 13.0]]) == 6.5


def test_interval_of_constant_scores_has_no_width():
    assert interval([[5.0, 5.0, 5.0], [5.0, 5.0]]) == (5.0, 5.0)


def test_interval_of_tasks_that_are_constant_has_no_width_for_resampling_stays_in_a_task():
    # Every resample holds 0 thrice and 8 thrice; (0 + 0 + 8 + 8) / 4 = 4. Without strata the
    # number of zeros would vary, and the interval would be wide.
    assert interval([[0.0, 0.0, 0.0], [8.0, 8.0, 8.0]]) == (4.0, 4.0)


def test_interval_of_one_task_with_two_runs_spans_them():
    # A resample is (0, 0), (0, 1), (1, 0) or (1, 1), a quarter each; nothing is trimmed of two,
    # so the values are 0, 1/2, 1 with 1/4, 1/2, 1/4, and the 2.5 % and 97.5 % points 0 and 1.
    assert interval([[0.0, 1.0]]) == (0.0, 1.0)


def test_interval_at_the_level_between_the_tails_is_their_mean():
    # As above; the 30 % and 70 % points both lie in the half of the resamples with value 1/2.
    assert interval([[0.0, 1.0]], level=0.4) == (0.5, 0.5)


def test_interval_agrees_with_the_normal_approximation_for_many_runs():
    # 400 scores from a uniform law on [0, 1]. The trimmed mean of a quarter either side has the
    # asymptotic variance (1 / (n (1 - 2a)^2)) (integral of (x - 1/2)^2 over the middle half plus
    # 2 a (1/4)^2) with a = 1/4: (4 / n) (1/96 + 1/32) = 1 / (6 n); 1.96 / sqrt(6 * 400) = 0.0400.
    scores = (np.arange(400) + 0.5) / 400.0
    low, high = interval([scores], resamples=4000)
    assert (low, high) == pytest.approx((0.46, 0.54), abs=0.004)


def test_interval_is_the_same_for_the_same_seed():
    tasks = [[1.0, 2.0, 5.0], [3.0, 8.0, 9.0]]
    assert interval(tasks, seed=3) == interval(tasks, seed=3)


def test_interval_holds_the_interquartile_mean():
    tasks = [[1.0, 2.0, 5.0, 7.0], [3.0, 8.0, 9.0, 4.0]]
    low, high = interval(tasks)
    assert low < interquartile_mean(tasks) < high


def test_a_task_with_one_run_has_no_interval():
    assert all(math.isnan(bound) for bound in interval([[1.0, 2.0], [3.0]]))


@pytest.mark.parametrize("tasks", [[], [[1.0, 2.0], []]])
def test_interval_without_scores_is_refused(tasks):
    with pytest.raises(ValueError, match="at least one"):
        interval(tasks)

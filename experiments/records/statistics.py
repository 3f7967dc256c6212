"""Statistics over seeds and over tasks, as pure functions of scores."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import stats

RESAMPLES = 10_000


class MeanStd(NamedTuple):
    """Mean and population standard deviation; ``std`` is nan for a single value."""

    mean: float
    std: float


class Interval(NamedTuple):
    """Bounds of a confidence interval; nan if there is none."""

    low: float
    high: float


def mean_std(values: npt.ArrayLike) -> MeanStd:
    """Mean and standard deviation over seeds.

    The deviation is that of the population, sqrt(mean((x - mean)^2)), ddof 0: NumPy's default,
    with which the original computes every deviation that it prints. The paper does not say. With
    n seeds the sample deviation (ddof 1) is sqrt(n / (n - 1)) times as large. One seed has none.

    Args:
        values: [n] scores, one a seed, n at least 1.

    Raises:
        ValueError: if there is no value.
    """
    array = np.asarray(values, dtype=np.float64).reshape(-1)
    if not array.size:
        raise ValueError("expected at least one value, got none.")
    return MeanStd(float(array.mean()), float(array.std()) if array.size > 1 else float("nan"))


def interquartile_mean(scores: npt.ArrayLike) -> float:
    """Mean of the middle half of all scores.

    Of N scores, sorted, floor(N / 4) are dropped at either end and the rest is averaged
    (Agarwal et al. 2021, "Deep reinforcement learning at the edge of the statistical precipice",
    section 4.3; scipy.stats.trim_mean with a quarter at either end). Runs of all tasks are pooled:
    a task with more seeds weighs more.

    Args:
        scores: [N] scores of all runs of all tasks, N at least 1.

    Raises:
        ValueError: if there is no score.
    """
    array = np.asarray(scores, dtype=np.float64).reshape(-1)
    if not array.size:
        raise ValueError("expected at least one score, got none.")
    return float(stats.trim_mean(array, 0.25))


def stratified_bootstrap_interval(
    tasks: Sequence[npt.ArrayLike],
    random_state: np.random.RandomState,
    *,
    level: float = 0.95,
    resamples: int = RESAMPLES,
) -> Interval:
    """Confidence interval of the interquartile mean by a bootstrap with tasks as strata.

    A resample draws, for every task by itself, as many of its runs as it has, with replacement,
    and pools them; its interquartile mean is one bootstrap value. The interval lies between
    the (1 - level) / 2 and (1 + level) / 2 quantiles of the values (the percentile method;
    Agarwal et al. 2021, section 4.1). It speaks of other seeds on the same tasks, not of other
    tasks.

    Args:
        tasks: for each task the [n_t] scores of its runs.
        random_state: the source of the draws; an equal one gives an equal interval.
        level: of confidence, in (0, 1).
        resamples: number of bootstrap values.

    Returns:
        The bounds, nan if a task has fewer than two runs: resampling a single one shows no spread.

    Raises:
        ValueError: if there is no task, or a task without scores.
    """
    strata = [np.asarray(scores, dtype=np.float64).reshape(-1) for scores in tasks]
    if not strata or not all(stratum.size for stratum in strata):
        raise ValueError("expected at least one task, and at least one score of each.")
    if any(stratum.size < 2 for stratum in strata):
        return Interval(float("nan"), float("nan"))
    draws = [
        stratum[random_state.randint(stratum.size, size=(resamples, stratum.size))]
        for stratum in strata
    ]
    values = stats.trim_mean(np.concatenate(draws, axis=1), 0.25, axis=1)
    low, high = np.quantile(values, [(1.0 - level) / 2.0, (1.0 + level) / 2.0])
    return Interval(float(low), float(high))

"""Whether predicted distributions and penalties agree with the errors that were made."""

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import special, stats

from mopo_tf2.types import BoolArray, FloatArray

LEVELS = (0.5, 0.8, 0.9, 0.95)
"""Nominal coverage of the central intervals that are reported."""
_NORMAL_MEDIAN = float(special.ndtri(0.75))  # Of |z|, z standard normal.


def probability_integral_transform(
    values: FloatArray, means: FloatArray, stds: FloatArray
) -> FloatArray:
    """Return F(value) [N, D] float64, F the distribution function of an equal mixture of Gaussians.

    Uniform on [0, 1] if the values are drawn from the mixtures (Dawid 1984).

    Args:
        values: [N, D].
        means: [N, K, D], of the K components.
        stds: [N, K, D], positive.
    """
    standardised = (np.asarray(values, np.float64)[:, None] - means) / stds
    transformed: FloatArray = special.ndtr(standardised).mean(axis=1)
    return transformed


def coverage(transformed: FloatArray, level: float) -> FloatArray:
    """Return the share [D] of values inside the central interval of probability ``level``.

    Args:
        transformed: [N, D], of ``probability_integral_transform``. A value lies between the
            quantiles (1 - level) / 2 and (1 + level) / 2 of its mixture if its transform does.
        level: in (0, 1).
    """
    inside: FloatArray = (np.abs(transformed - 0.5) <= level / 2).mean(axis=0)
    return inside


def binomial_error(level: float, rows: int) -> float:
    """Return the standard error of a share ``level`` that is counted on independent ``rows``."""
    return math.sqrt(level * (1.0 - level) / rows)


def error_ratio(values: FloatArray, means: FloatArray, stds: FloatArray) -> FloatArray:
    """Return the size of the errors in predicted standard deviations, [D]; 1 if they agree.

    The median of |value - mean| / std of the mixture, as a multiple of its value for a Gaussian: a
    few large errors do not change it. Arguments as ``probability_integral_transform``.
    """
    mean = means.mean(axis=1, dtype=np.float64)
    variance = np.square(stds, dtype=np.float64).mean(axis=1) + means.var(axis=1, dtype=np.float64)
    ratio: FloatArray = np.median(np.abs(values - mean) / np.sqrt(variance), axis=0)
    return ratio / _NORMAL_MEDIAN


class RankCorrelation(NamedTuple):
    """Spearman's rank correlation and its 95 % bootstrap interval; nan for constant values."""

    value: float
    low: float
    high: float


def rank_correlation(
    first: FloatArray,
    second: FloatArray,
    groups: npt.NDArray[np.integer],
    *,
    seed: int,
    draws: int = 500,
) -> RankCorrelation:
    """Return Spearman's correlation with a percentile interval over resampled groups.

    Args:
        first: [N].
        second: [N].
        groups: [N], the episode or rollout of each pair: those of one group are not independent,
            so that whole groups are drawn.
        seed: of the bootstrap.
        draws: number of resamples.
    """
    order = np.argsort(groups, kind="stable")
    firsts = np.flatnonzero(np.diff(groups[order], prepend=groups[order][:1] - 1))
    members = np.split(order, firsts[1:])
    random_state = np.random.RandomState(seed)
    values = []
    for _ in range(draws):
        drawn = random_state.randint(0, len(members), len(members))
        rows = np.concatenate([members[group] for group in drawn])
        values.append(_spearman(first[rows], second[rows]))
    kept = np.array(values)[np.isfinite(values)]
    low, high = np.quantile(kept, [0.025, 0.975]) if len(kept) else (math.nan, math.nan)
    return RankCorrelation(_spearman(first, second), float(low), float(high))


def _spearman(first: FloatArray, second: FloatArray) -> float:
    ranks = np.stack([stats.rankdata(first), stats.rankdata(second)])
    if np.ptp(ranks, axis=1).min() == 0.0:
        return math.nan
    return float(np.corrcoef(ranks)[0, 1])


class RewardParts(NamedTuple):
    """Mean discounted reward of model rollouts by source; the parts add to ``total``.

    real:    rewards that the model predicts, before the penalty.
    penalty: minus penalty_coeff * u.
    beyond:  value of the last state; nan if unknown, and then left out of the total.
    total:   sum.
    """

    real: float
    penalty: float
    beyond: float
    total: float

    @property
    def shares(self) -> dict[str, float]:
        """Each part over the total, which may be small or negative; they add to 1."""
        parts = self._asdict()
        total = parts.pop("total") or math.nan
        return {name: value / total for name, value in parts.items()}


def reward_parts(
    rewards: FloatArray,
    penalties: FloatArray,
    taken: BoolArray,
    last_values: FloatArray | None,
    discount: float,
) -> RewardParts:
    """Return where the discounted reward of n rollouts of at most h steps comes from.

    Args:
        rewards: [h, n], before the penalty.
        penalties: [h, n], reward units: penalty_coeff * u.
        taken: [h, n], False after a rollout's end; what the others hold there is ignored.
        last_values: [n], values of the states after h steps, 0 where the task ended; None: unknown.
        discount: gamma.
    """
    weights = discount ** np.arange(len(rewards))[:, None] * taken
    sums = [
        (weights * np.where(taken, part, 0.0)).sum(axis=0).mean() for part in (rewards, penalties)
    ]
    real, penalty = float(sums[0]), -float(sums[1])
    beyond = math.nan
    if last_values is not None:
        beyond = float(discount ** len(rewards) * np.mean(last_values))
    return RewardParts(real, penalty, beyond, real + penalty + float(np.nan_to_num(beyond)))

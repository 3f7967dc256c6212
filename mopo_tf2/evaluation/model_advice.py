"""What to change in a run, by simple rules from what was measured on its model and policy.

Each rule is a function of ``Findings`` that returns a sentence, or "" if it finds nothing.
"""

import dataclasses
import math
from collections.abc import Sequence

import numpy as np

from mopo_tf2.evaluation.calibration import RankCorrelation, binomial_error
from mopo_tf2.types import FloatArray

LEAST_ROWS = 100
_NARROW, _NARROW_RATIO = 0.10, 1.2  # 90 % intervals miss this much, and errors are larger.
_WIDE, _WIDE_RATIO = 0.97, 0.6
_OFF_CENTER = 0.2  # Of the median transform from 0.5.
_HONEST, _SMALL_ERROR = 0.75, 0.2  # Coverage of 90 % in open loop; standard deviations of the data.
_OUTSIDE = 0.10  # 1 % of the data's own rows lie outside.
_GROWTH = 3.0
_OVERFIT = 1.5
_DOMINANT, _ODD_UNITS = 0.9, 3.0
_TELLS = 0.3  # Rank correlation without noise.


@dataclasses.dataclass(frozen=True, kw_only=True)
class Findings:
    """What the rules look at; D = 1 + O, the reward first. nan, or None, if not measured.

    names:           D names, for the sentences.
    rows:            number of rows that were checked.
    trained_on:      whether the model was trained on them.
    coverage:        [D], of central 90 % intervals.
    ratios:          [D], size of the errors in predicted standard deviations.
    centers:         [D], median of the probability integral transform.
    overfit:         error on the checked rows over that on rows of the training.
    penalty_parts:   [D], share of each dimension in the predicted variances, whose sum is u^2.
    data_stds:       [D], standard deviations of the data.
    rollout_length:  h.
    penalty_coeff:   lambda.
    learned_std:     whether u is the predicted standard deviation, not the disagreement.
    open_errors:     [H], median open-loop error, standard deviations of the data.
    open_coverage:   [H], share of real values within the sampled paths; 0.9 if these are right.
    correlation:     of u with the true error.
    attainable:      what it would be if the errors were drawn from the model; nan without noise.
    outside:         share of the states after h steps of the policy that lie outside the data.
    growth:          true error after h steps of the policy over that on the data.
    reward_size:     mean |reward| per step of the policy's rollouts.
    penalty_size:    mean penalty_coeff * u per step.
    value:           value of the state after h steps, mean.
    highest_value:   what the highest reward of the data is worth at every step for ever.
    """

    names: Sequence[str]
    rows: int
    trained_on: bool
    coverage: FloatArray
    ratios: FloatArray
    centers: FloatArray
    overfit: float = math.nan
    penalty_parts: FloatArray
    data_stds: FloatArray
    rollout_length: int
    penalty_coeff: float
    learned_std: bool = True
    open_errors: FloatArray
    open_coverage: FloatArray
    correlation: RankCorrelation
    attainable: float = math.nan
    outside: float = math.nan
    growth: float = math.nan
    reward_size: float = math.nan
    penalty_size: float = math.nan
    value: float = math.nan
    highest_value: float = math.nan


def advice(found: Findings) -> str:
    """Return one paragraph: what to change and why, or that there is nothing to change."""
    sentences = [sentence for rule in RULES if (sentence := rule(found))]
    doubt = _doubt(found)
    if sentences:
        return " ".join([*sentences, doubt]).strip()
    fine = (
        f"Nothing to change: predicted and real errors agree, rollouts of {found.rollout_length} "
        "steps stay honest"
    )
    fine += ", and the policy stays near the data." if math.isfinite(found.outside) else "."
    return f"{fine} {doubt}".strip()


def too_narrow(found: Findings) -> str:
    """Find predicted standard deviations that are too small, at least 100 rows given."""
    allowed = max(_NARROW, 3.0 * binomial_error(0.9, max(found.rows, 1)))
    narrow = (found.coverage < 0.9 - allowed) & (found.ratios > _NARROW_RATIO)
    if not narrow.any() or found.rows < LEAST_ROWS:
        return ""
    ratio = float(np.median(found.ratios[narrow]))
    text = (
        f"The predicted standard deviation of {_listed(found.names, narrow)} is too small: 90 % "
        f"intervals cover {found.coverage[narrow].mean():.0%}, errors are {ratio:.1f} times as "
        "large as predicted."
    )
    if not narrow.mean() > 0.5:
        return f"{text} The penalty is too small where they matter: give the model more data."
    if found.penalty_coeff == 0.0 or not found.learned_std:
        return f"{text} Give the model more data."
    coefficient = f"{ratio * found.penalty_coeff:.2g}"
    return f"{text} The penalty is too small by the same factor: try penalty_coeff={coefficient}."


def too_wide(found: Findings) -> str:
    """Find predicted standard deviations that are far too large in most dimensions."""
    ratio = float(np.nanmedian(found.ratios))
    wide = float(np.nanmedian(found.coverage)) > _WIDE and ratio < _WIDE_RATIO
    penalized = found.penalty_coeff > 0.0 and found.learned_std
    if not wide or found.rows < LEAST_ROWS or not penalized:
        return ""
    return (
        f"The predicted standard deviations are too large: errors are {ratio:.2f} of them. The "
        "penalty is too large by the same factor: try "
        f"penalty_coeff={ratio * found.penalty_coeff:.2g}."
    )


def off_center(found: Findings) -> str:
    """Find dimensions whose predictions miss to one side."""
    off = np.abs(found.centers - 0.5) > _OFF_CENTER
    if not off.any() or found.rows < LEAST_ROWS:
        return ""
    return (
        f"Predictions of {_listed(found.names, off)} miss to one side: the checked rows behave "
        "otherwise than the data of the training; train on data of both kinds."
    )


def overfitted(found: Findings) -> str:
    """Find a model that is much better on the rows it was trained on."""
    if not found.overfit > _OVERFIT:
        return ""
    return (
        f"Errors on the checked rows are {found.overfit:.1f} times those on rows of the training: "
        "give the model more data."
    )


def too_long(found: Findings) -> str:
    """Find the longest honest rollout, if it is shorter than h."""
    honest = (found.open_coverage >= _HONEST) | (found.open_errors <= _SMALL_ERROR)
    longest = len(honest) if honest.all() else int(np.argmin(honest))
    h = found.rollout_length
    if longest >= min(h, len(honest)):
        return ""
    where = f"After {longest + 1} model steps" if longest else "Already after one model step"
    text = (
        f"{where} real values lie within 90 % of the sampled paths only "
        f"{found.open_coverage[longest]:.0%} of the time, at a median error of "
        f"{found.open_errors[longest]:.2f} standard deviations:"
    )
    if h == 1:
        return f"{text} rollouts cannot be shorter than one step; give the model more data."
    return f"{text} set rollout_length={max(longest, 1)} (it is {h})."


def odd_units(found: Findings) -> str:
    """Find a column whose units make it nearly the whole penalty."""
    most = int(np.argmax(found.penalty_parts))
    usual = float(np.nanmedian(found.data_stds))
    odd = found.data_stds[most] > _ODD_UNITS * usual
    if len(found.names) < 3 or not (found.penalty_parts[most] > _DOMINANT and odd):
        return ""
    return (
        f"{found.names[most]} makes {found.penalty_parts[most]:.0%} of the squared penalty because "
        f"of its units (standard deviation {found.data_stds[most]:.3g}, of the others typically "
        f"{usual:.3g}): rescale that column and train again."
    )


def blind_penalty(found: Findings) -> str:
    """Find a penalty that does not rise with the true error."""
    value, _, high = found.correlation
    if math.isnan(found.attainable):
        wanted = _TELLS
    else:
        # Without differences between predicted errors there is nothing to rank.
        wanted = found.attainable / 2 if found.attainable > 0.2 else -1.0
    if not high < wanted:
        return ""
    other = ", or try --algorithm mopo-disagreement" if found.learned_std else ""
    return (
        f"The penalty does not tell where the model errs (rank correlation {value:.2f}): another "
        f"penalty_coeff will not help; shorten rollouts, give the model more data{other}."
    )


def exploited(found: Findings) -> str:
    """Find a policy that goes where there are no data, or where the model errs."""
    reasons = []
    if found.outside > _OUTSIDE:
        reasons.append(f"{found.outside:.0%} of the states that it reaches lie outside the data")
    if found.growth > _GROWTH:
        reasons.append(f"the model's true error there is {found.growth:.1f} times that on the data")
    if not reasons:
        return ""
    text = f"The policy exploits the model: after {found.rollout_length} steps "
    text += " and ".join(reasons)
    if found.penalty_coeff == 0.0:
        return f"{text}. Train with a penalty (--algorithm mopo)."
    shorter = ", or shorten rollouts" if found.rollout_length > 1 else ""
    return f"{text}. Raise penalty_coeff, for example to {2 * found.penalty_coeff:g}{shorter}."


def too_strict(found: Findings) -> str:
    """Find a penalty that outweighs the rewards."""
    if not found.penalty_size > found.reward_size:
        return ""
    lower = found.penalty_coeff * found.reward_size / found.penalty_size / 2
    return (
        f"The penalty ({found.penalty_size:.3g} per step) outweighs the rewards "
        f"({found.reward_size:.3g}): the policy learns to avoid rather than to earn; try "
        f"penalty_coeff={lower:.2g}."
    )


def runaway_value(found: Findings) -> str:
    """Find critics that promise more than the data's highest reward for ever."""
    if not found.value > found.highest_value:
        return ""
    return (
        f"The critics value the states after {found.rollout_length} steps at {found.value:.3g}, "
        f"above the {found.highest_value:.3g} that the highest reward of the data is worth for "
        "ever: they run away; raise penalty_coeff."
    )


RULES = (
    *(too_narrow, too_wide, off_center, overfitted, too_long, odd_units),
    *(blind_penalty, exploited, too_strict, runaway_value),
)


def _doubt(found: Findings) -> str:
    """Return what weakens every sentence above."""
    if found.rows < LEAST_ROWS:
        return f"Only {found.rows} rows could be checked: give more with --data."
    if found.trained_on:
        return "The model was trained on these rows, which flatters it: give others with --data."
    return ""


def _listed(names: Sequence[str], chosen: np.ndarray) -> str:
    """Return up to four names, and how many more there are."""
    listed = [name for name, one in zip(names, chosen, strict=True) if one]
    more = f" and {len(listed) - 4} more" if len(listed) > 4 else ""
    return ", ".join(listed[:4]) + more

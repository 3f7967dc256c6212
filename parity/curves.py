"""Learning curves of the port against those of the original, statistically.

A learning curve has no tolerance: one gradient that rounds otherwise makes another curve. Shown are
a window of epochs that all curves have, sums over it, and what the losses and the model do on the
way. A reference of one seed is one sample, so there is no verdict: ``populations`` tests many.
"""

import dataclasses
import math
from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from mopo_tf2.errors import InputError

from .curve_files import RETURN, Curve

_COMPARED_PARAMETERS = (
    "rollout_length",
    "penalty_coeff",
    "penalty_learned_var",
    "rollout_batch_size",
    "real_ratio",
    "epoch_length",
    "model_retain_epochs",
    "num_networks",
    "num_elites",
    "target_entropy",
    "discount",
    "tau",
    "batch_size",
)
_RESAMPLES = 10_000


# Numbers of one curve. All take its returns, [epochs] float64.


def area_under_curve(returns: np.ndarray) -> float:
    """Return the area under the returns by the trapezoid rule, in return x epochs."""
    return float(np.trapezoid(returns))


def mean_of_last(returns: np.ndarray, epochs: int) -> float:
    """Return the mean of the last ``epochs`` returns, of all if there are fewer."""
    return float(np.mean(returns[-epochs:]))


STATISTICS: dict[str, Callable[[np.ndarray], float]] = {
    "area under the curve": area_under_curve,
    "mean of all epochs": lambda returns: float(np.mean(returns)),
    "mean of the last 20": lambda returns: mean_of_last(returns, 20),
    "mean of the last 10": lambda returns: mean_of_last(returns, 10),
    "final return": lambda returns: float(returns[-1]),
    "best epoch": lambda returns: float(np.max(returns)),
}
LAST_TWENTY = "mean of the last 20"


def bootstrap_interval(
    values: Sequence[float], random_state: np.random.RandomState, level: float = 0.95
) -> tuple[float, float] | None:
    """Return the percentile bootstrap interval of the mean over seeds; None for one seed.

    Args:
        values: one number a seed.
        random_state: for the resamples.
        level: share of the resampled means inside.
    """
    if len(values) < 2:
        return None
    samples = np.asarray(values, np.float64)
    drawn = random_state.randint(len(samples), size=(_RESAMPLES, len(samples)))
    low, high = np.quantile(samples[drawn].mean(axis=1), [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Row:
    """One statistic: per reference seed, per run, and the interval of the runs' mean."""

    name: str
    references: list[float]
    runs: list[float]
    interval: tuple[float, float] | None

    @property
    def share(self) -> float:
        """The runs' mean over the references'; nan unless the latter is positive."""
        reference = float(np.mean(self.references))
        return float(np.mean(self.runs)) / reference if reference > 0 else math.nan


@dataclasses.dataclass(frozen=True, kw_only=True)
class HoldoutRow:
    """A run's hold-out losses against the original's networks, over the epochs both have.

    Attributes:
        run: its name.
        epochs: of ensemble training that both have.
        inside: epochs in which the run's median network lies within the original's networks.
        worst_epoch: where the ratio of the medians is farthest from 1.
        worst_ratio: run over original, there.
        last_ratio: run over original, in the last of these epochs.
    """

    run: str
    epochs: int
    inside: int
    worst_epoch: int
    worst_ratio: float
    last_ratio: float


def compare_holdout(name: str, run: pd.DataFrame, reference: pd.DataFrame) -> HoldoutRow:
    """Compare hold-out losses [epochs, E] with those of the original's networks, epoch by epoch.

    Both spread over networks; a network of the port has no counterpart in the original, since
    their initial weights come from different generators.
    """
    epochs = min(len(run), len(reference))
    ours = np.median(run.to_numpy()[:epochs], axis=1)
    theirs = reference.to_numpy()[:epochs]
    ratios = ours / np.median(theirs, axis=1)
    worst = int(np.argmax(np.abs(np.log(ratios))))
    inside = (theirs.min(axis=1) <= ours) & (ours <= theirs.max(axis=1))
    return HoldoutRow(
        run=name,
        epochs=epochs,
        inside=int(inside.sum()),
        worst_epoch=worst,
        worst_ratio=float(ratios[worst]),
        last_ratio=float(ratios[-1]),
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Comparison:
    """Everything that is said about runs and their reference.

    Attributes:
        references: the original's curves.
        runs: the port's.
        epochs: number of epochs that all of them have, from 0 on: the window.
        rows: the statistics over the window.
        holdout: one row a run; empty if the reference or a run has no record.
    """

    references: list[Curve]
    runs: list[Curve]
    epochs: int
    rows: dict[str, Row]
    holdout: list[HoldoutRow]


def compare(references: Sequence[Curve], runs: Sequence[Curve], seed: int = 0) -> Comparison:
    """Compare runs of the port with the original's over the epochs that all have.

    Args:
        references: the original's curves.
        runs: the port's, of different seeds.
        seed: of the bootstrap.

    Raises:
        InputError: if there is no run, two have the same seed, or the configurations differ.
    """
    if not runs:
        raise InputError("expected at least one run to compare, got none.")
    for curves in (references, runs):
        _require_different_seeds(curves)
    _require_same_configuration([*references, *runs])
    epochs = min(len(curve.progress) for curve in (*references, *runs))
    random_state = np.random.RandomState(seed)
    rows = {}
    for name, statistic in STATISTICS.items():
        ours = [statistic(run.series(RETURN, epochs)) for run in runs]
        theirs = [statistic(reference.series(RETURN, epochs)) for reference in references]
        interval = bootstrap_interval(ours, random_state)
        rows[name] = Row(name=name, references=theirs, runs=ours, interval=interval)
    return Comparison(
        references=list(references),
        runs=list(runs),
        epochs=epochs,
        rows=rows,
        holdout=_holdout_rows(references, runs),
    )


def _require_different_seeds(curves: Sequence[Curve]) -> None:
    seen: dict[int, str] = {}
    for curve in curves:
        if curve.seed is None:
            continue
        if curve.seed in seen:
            raise InputError(
                f"{seen[curve.seed]} and {curve.name} both have seed {curve.seed}: two runs of one "
                "seed are one sample; give one of them."
            )
        seen[curve.seed] = curve.name


def _holdout_rows(references: Sequence[Curve], runs: Sequence[Curve]) -> list[HoldoutRow]:
    recorded = [r.holdout.reset_index(drop=True) for r in references if r.holdout is not None]
    if not recorded:
        return []
    networks = pd.concat(recorded, axis=1, join="inner")
    return [
        compare_holdout(run.name, run.holdout, networks) for run in runs if run.holdout is not None
    ]


def _require_same_configuration(curves: Sequence[Curve]) -> None:
    """Refuse curves whose recorded parameters differ: their returns say nothing of the port."""
    first, *others = curves
    differing = [
        f"{name} is {first.parameters[name]} in {first.name}, {other.parameters[name]} in "
        f"{other.name}"
        for other in others
        for name in _COMPARED_PARAMETERS
        if name in first.parameters
        and name in other.parameters
        and first.parameters[name] != other.parameters[name]
    ]
    if differing:
        raise InputError(
            f"these are different configurations: {'; '.join(differing)}. Compare runs of the "
            "reference's configuration."
        )

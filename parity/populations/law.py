"""Are two populations samples of one law? One permutation test a signal, corrected over signals."""

import dataclasses
import math
from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from mopo_tf2.errors import InputError

from .files import LOGGED, Population

RELABELLINGS = 20_000
LEVEL = 0.05
"""Probability that populations of one law are called different, over all signals together."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Signal:
    """One signal of two populations.

    Attributes:
        name: of the signal.
        original: mean and standard deviation over runs of a run's mean over epochs.
        port: the same of the other population.
        p_value: of the permutation test; nan if all runs are equal.
        corrected: after Holm's correction over signals; nan likewise.
    """

    name: str
    original: tuple[float, float]
    port: tuple[float, float]
    p_value: float
    corrected: float = math.nan

    @property
    def differs(self) -> bool:
        """Whether the two populations are told apart."""
        return self.corrected < LEVEL


def compare_populations(original: Population, port: Population, seed: int = 0) -> list[Signal]:
    """Test every signal of two populations.

    Args:
        original: at least two runs.
        port: likewise, of other seeds: runs of one seed share their held-out rows, so they are no
            independent samples.
        seed: of the relabellings.

    Raises:
        InputError: if there are too few runs, or populations share a seed.
    """
    for population in (original, port):
        if len(population.seeds) < 2:
            raise InputError(f"expected at least 2 runs a population, got {population.seeds}.")
    shared = sorted(set(original.seeds) & set(port.seeds))
    if shared:
        raise InputError(
            f"both populations have seed {shared[0]}, and runs of one seed hold out the same rows: "
            "train other seeds with --first-seed."
        )
    is_first = np.arange(len(original.seeds) + len(port.seeds)) < len(original.seeds)
    random_state = np.random.RandomState(seed)
    drawn = np.array([random_state.permutation(is_first) for _ in range(RELABELLINGS)])
    signals = []
    for name, theirs, ours in _curves(original, port):
        signals.append(
            Signal(
                name=name,
                original=_mean_and_deviation(theirs),
                port=_mean_and_deviation(ours),
                p_value=same_law_p_value(theirs, ours, drawn),
            )
        )
    corrected = holm([signal.p_value for signal in signals])
    return [
        dataclasses.replace(signal, corrected=value)
        for signal, value in zip(signals, corrected, strict=True)
    ]


def _curves(original: Population, port: Population) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Yield each signal's name and its curves [runs, epochs], over the epochs that all have."""
    for name in LOGGED:
        yield (name, *_cut(*(_by_run(p.progress, p.progress[name]) for p in (original, port))))
    for name, function in (
        ("hold-out loss: mean of members", pd.DataFrame.mean),
        ("hold-out loss: lowest member", pd.DataFrame.min),
        ("hold-out loss: spread of members", pd.DataFrame.std),
    ):
        tables = (original.holdout, port.holdout)
        yield (
            name,
            *_cut(*(_by_run(t, function(t.filter(regex="^V[0-9]+$"), axis=1)) for t in tables)),
        )


def _by_run(table: pd.DataFrame, column: pd.Series) -> list[np.ndarray]:
    return [part.to_numpy(np.float64) for _, part in column.groupby(table["seed"])]


def _cut(theirs: list[np.ndarray], ours: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    epochs = min(len(curve) for curve in (*theirs, *ours))
    return tuple(np.array([curve[:epochs] for curve in curves]) for curves in (theirs, ours))  # type: ignore[return-value]


def _mean_and_deviation(curves: np.ndarray) -> tuple[float, float]:
    means = curves.mean(axis=1)
    return float(means.mean()), float(means.std(ddof=1))


def same_law_p_value(first: np.ndarray, second: np.ndarray, relabellings: np.ndarray) -> float:
    """Return the p-value of a permutation test of the energy distance between two sets of curves.

    Each epoch is standardised over both sets. The p-value is the share of relabellings of whole
    curves whose distance is at least as large.

    Args:
        first: [n, epochs] float64.
        second: [m, epochs] float64.
        relabellings: [., n + m] bool, n of them True in each row, in random places.

    Returns:
        The p-value; nan if all curves are equal.
    """
    curves = np.concatenate([first, second])
    deviation = curves.std(axis=0)
    # A signal that never moves keeps a deviation of rounding.
    moving = deviation > 1e-12 * np.abs(curves).max(axis=0)
    if not moving.any():
        return math.nan
    standard = (curves - curves.mean(axis=0))[:, moving] / deviation[moving]
    distances = np.sqrt(((standard[:, None] - standard[None]) ** 2).sum(axis=-1))
    is_first = np.arange(len(curves)) < len(first)
    observed = energy_distances(distances, is_first[None])[0]
    # Sums of the same distances in another order are equal, whatever their rounding.
    as_large = energy_distances(distances, relabellings) >= observed - 1e-9
    return float(1 + as_large.sum()) / (1 + len(relabellings))


def energy_distances(distances: np.ndarray, is_first: np.ndarray) -> np.ndarray:
    """Return 2 E|X - Y| - E|X - X'| - E|Y - Y'| for each labelling.

    Args:
        distances: [n, n] float64, between samples.
        is_first: [labellings, n] bool, which samples are X.

    Returns:
        [labellings] float64.
    """
    x, y = is_first.astype(np.float64), (~is_first).astype(np.float64)
    n, m = x.sum(axis=1), y.sum(axis=1)
    to_x, to_y = x @ distances, y @ distances
    between = (to_x * y).sum(axis=1) / (n * m)
    within = (to_x * x).sum(axis=1) / n**2 + (to_y * y).sum(axis=1) / m**2
    return np.asarray(2.0 * between - within)


def holm(p_values: Sequence[float]) -> list[float]:
    """Return Holm's corrected p-values; nan stays nan and counts for no test."""
    order = [i for i in np.argsort(p_values) if not math.isnan(p_values[i])]
    corrected, largest = [math.nan] * len(p_values), 0.0
    for rank, i in enumerate(order):
        largest = max(largest, min(1.0, (len(order) - rank) * p_values[i]))
        corrected[i] = largest
    return corrected


def table(signals: Sequence[Signal]) -> str:
    """Return the signals as a table of text."""
    lines = [f"{'signal':34}{'original':>22}{'port':>22}{'p':>9}{'Holm':>8}"]
    for signal in signals:
        means = "".join(f"{m:12.4g} +- {s:<7.2g}" for m, s in (signal.original, signal.port))
        told = "" if not signal.differs else "  differs"
        p_values = f"{signal.p_value:9.4f}{signal.corrected:8.3f}"
        if math.isnan(signal.p_value):
            p_values = f"{'equal':>9}{'-':>8}"
        lines.append(f"{signal.name:34}{means}{p_values}{told}")
    return "\n".join(lines)


def verdict(signals: Sequence[Signal]) -> str:
    """Return in one sentence whether the populations differ."""
    tested = [signal for signal in signals if not math.isnan(signal.p_value)]
    differing = [signal.name for signal in tested if signal.differs]
    if differing:
        return f"DIFFERENT at level {LEVEL}, corrected over {len(tested)} signals: " + ", ".join(
            differing
        )
    nearest = min(tested, key=lambda signal: signal.p_value)
    return (
        f"No difference at level {LEVEL}, corrected over {len(tested)} signals; the smallest "
        f"p-value is {nearest.p_value:.3g} ({nearest.name})."
    )

"""One recorded array against what the port computes."""

import dataclasses
import math
from typing import Any

import numpy as np

from .recording import Recording
from .tolerances import LADDER, SMALLEST_P_VALUE

LAW = "law"
"""The rung of two-sample tests, which have no error but a p-value."""


@dataclasses.dataclass(frozen=True)
class Comparison:
    """How far one array is from the recorded one.

    group:           what the table puts into one row.
    array:           name of the recorded array.
    rung:            of the ladder, or ``LAW``.
    values:          how many numbers were compared.
    over:            how many of them are over the rung's limit.
    worst_absolute:  largest absolute difference; nan if there is none to speak of.
    worst_relative:  largest difference relative to the recorded value, where that is not 0.
    share_of_limit:  largest difference as a share of its limit; above 1 it is over.
    index:           where that is, as one writes it in Python.
    fault:           what else is wrong (shape, dtype); empty if nothing is.
    note:            what a reader should know; empty if nothing.
    """

    group: str
    array: str
    rung: str
    values: int
    over: int = 0
    worst_absolute: float = 0.0
    worst_relative: float = 0.0
    share_of_limit: float = 0.0
    index: str = ""
    fault: str = ""
    note: str = ""


@dataclasses.dataclass(frozen=True)
class NotCompared:
    """Arrays that turn out not to be comparable while the case runs, and why."""

    group: str
    arrays: tuple[str, ...]
    reason: str


Finding = Comparison | NotCompared


def compare(
    recording: Recording,
    array: str,
    ours: Any,
    rung: str,
    group: str,
    *,
    rows: np.ndarray | None = None,
    widened: float = 1.0,
    note: str = "",
) -> Comparison:
    """Compare ``ours`` with the recorded ``array``.

    NaN equals NaN and an infinity its like. On the exact rung the kinds of numbers (bool, integer,
    float) must be equal too.

    Args:
        recording: of the case.
        array: its name there.
        ours: same shape.
        rung: of the ladder.
        group: the row of the table.
        rows: bool, the entries along the first axis to compare; None for all.
        widened: factor on the rung's limit, where the recorded values say how far their own
            rounding reaches.
        note: for the reader of the table.
    """
    return compare_values(
        recording[array], ours, rung, group, array, rows=rows, widened=widened, note=note
    )


def compare_values(
    recorded: Any,
    ours: Any,
    rung: str,
    group: str,
    array: str,
    *,
    rows: np.ndarray | None = None,
    widened: float = 1.0,
    note: str = "",
) -> Comparison:
    """Compare two arrays; see ``compare``. ``array`` says what they are."""
    theirs, mine = np.asarray(recorded), np.asarray(ours)
    if mine.shape != theirs.shape:
        fault = f"shape {mine.shape} where {theirs.shape} was recorded"
        return Comparison(group, array, rung, theirs.size, fault=fault)
    if rung == "exact" and mine.dtype.kind.replace("u", "i") != theirs.dtype.kind.replace("u", "i"):
        fault = f"{mine.dtype} where {theirs.dtype} was recorded"
        return Comparison(group, array, rung, theirs.size, fault=fault)
    positions = np.arange(theirs.size).reshape(theirs.shape)
    if rows is not None:
        theirs, mine, positions = theirs[rows], mine[rows], positions[rows]
    if not theirs.size:
        return Comparison(group, array, rung, 0, note=note)
    errors, relative = _errors(theirs, mine)
    limits = widened * _limits(rung, theirs)
    with np.errstate(divide="ignore", invalid="ignore"):
        shares = np.where(errors == 0.0, 0.0, errors / limits)
    worst = int(np.argmax(shares))
    return Comparison(
        group,
        array,
        rung,
        theirs.size,
        over=int((shares > 1.0).sum()),
        worst_absolute=float(errors.max()),
        worst_relative=float(relative.max()),
        share_of_limit=float(shares.flat[worst]),
        index=_written(np.unravel_index(positions.flat[worst], np.shape(recorded))),
        note=note,
    )


def require(condition: bool, group: str, array: str, fault: str, *, values: int = 1) -> Comparison:
    """Return a comparison on the exact rung that misses with ``fault`` unless ``condition``."""
    return Comparison(group, array, "exact", values, fault="" if condition else fault)


def same_law(p_value: float, group: str, array: str, test: str, values: int) -> Comparison:
    """Return a comparison that misses if a two-sample test tells two laws apart."""
    share = math.inf if p_value <= 0.0 or math.isnan(p_value) else SMALLEST_P_VALUE / p_value
    return Comparison(
        group,
        array,
        LAW,
        values,
        over=int(share > 1.0),
        worst_absolute=math.nan,
        worst_relative=math.nan,
        share_of_limit=share,
        note=f"{test}: p = {p_value:.3g}",
    )


def _errors(theirs: np.ndarray, mine: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return absolute and relative differences, infinite where only one side is finite."""
    if theirs.dtype.kind not in "iufb" or mine.dtype.kind not in "iufb":
        errors = np.where(theirs == mine, 0.0, math.inf)
        return errors, errors
    a, b = theirs.astype(np.float64), mine.astype(np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        errors = np.abs(b - a)
        errors = np.where((a == b) | (np.isnan(a) & np.isnan(b)), 0.0, errors)
        errors = np.where(np.isnan(errors), math.inf, errors)
        relative = np.where((a == 0.0) | (errors == 0.0), 0.0, errors / np.abs(a))
    return errors, np.where(np.isnan(relative), math.inf, relative)


def _limits(rung: str, theirs: np.ndarray) -> np.ndarray:
    """Return the limit of every value."""
    limits = np.full(theirs.shape, LADDER[rung].atol)
    if not LADDER[rung].rtol:
        return limits
    sizes = np.abs(theirs.astype(np.float64))
    sizes = np.where(np.isfinite(sizes), sizes, 0.0)
    if LADDER[rung].relative_to == "array":
        sizes = np.full(theirs.shape, sizes.max())
    return np.asarray(limits + LADDER[rung].rtol * sizes)


def _written(index: tuple[Any, ...]) -> str:
    return f"[{', '.join(str(int(i)) for i in index)}]" if index else ""

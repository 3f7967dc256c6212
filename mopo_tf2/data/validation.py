"""Checks that refuse invalid data before training, with one clear line (D-65).

The original trains on any data: NaN rows lead to a NaN loss hours later, a file of another task to
a shape error deep in a graph.
"""

import warnings
from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from mopo_tf2.errors import InputError
from mopo_tf2.types import BoolArray, Transitions

REQUIRED_COLUMNS = ("observations", "actions", "rewards", "terminals")
OPTIONAL_COLUMNS = ("timeouts", "next_observations")
MATRICES = ("observations", "actions", "next_observations")

_BOUND_TOLERANCE = 1e-6


class Column(Protocol):
    """An array in memory or in a file, as far as the structural check needs it."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Sizes of its dimensions."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """Its element type."""


def validate_columns(columns: Mapping[str, Column], *, source: str) -> None:
    """Check names, types, ranks and lengths of the columns of a D4RL-format log; read no value.

    Args:
        columns: observations [N, O], actions [N, A], rewards and terminals [N] or [N, 1];
            optionally timeouts [N] or [N, 1] and next_observations [N, O].
        source: name of the data in messages, usually its path.

    Raises:
        InputError: if a required column is missing or empty, or a type, rank or length is invalid.

    Original: d4rl/offline_env.py:OfflineEnv.get_dataset
    """
    missing = [name for name in REQUIRED_COLUMNS if name not in columns]
    if missing:
        raise InputError(
            f"{source} lacks {', '.join(missing)}: expected observations [N, O], actions [N, A], "
            f"rewards [N] and terminals [N], found {', '.join(sorted(columns)) or 'nothing'}."
        )
    for name in (*REQUIRED_COLUMNS, *OPTIONAL_COLUMNS):
        if name in columns:
            _check_column(name, columns[name], source)
    lengths = {
        name: columns[name].shape[0]
        for name in (*REQUIRED_COLUMNS, *OPTIONAL_COLUMNS)
        if name in columns
    }
    if len(set(lengths.values())) > 1:
        listing = ", ".join(f"{name} {length}" for name, length in lengths.items())
        raise InputError(
            f"{source} has columns of unequal lengths: {listing} rows; write the file anew."
        )
    if lengths["observations"] == 0:
        raise InputError(f"{source} is empty: it has the right columns but no rows.")
    if "next_observations" in columns:
        shape, next_shape = columns["observations"].shape, columns["next_observations"].shape
        if shape != next_shape:
            raise InputError(
                f"{source}: next_observations must have the shape of observations {shape}, "
                f"got {next_shape}."
            )


def terminal_flags(values: npt.NDArray[Any], *, name: str, source: str) -> BoolArray:
    """Return ``values`` [N] as booleans, after checking that all are 0 or 1.

    Raises:
        InputError: if a value is neither; with the number of such values and the first row.
    """
    if values.dtype != np.bool_:
        bad = np.flatnonzero((values != 0) & (values != 1))
        if bad.size:
            raise InputError(
                f"{source}: {name} must be 0 or 1, got {bad.size} other values, the first "
                f"({values[bad[0]]}) in row {bad[0]}."
            )
    return values.astype(np.bool_, copy=False)


def check_finite(
    transitions: Transitions, *, source: str, file_rows: npt.NDArray[np.integer[Any]] | None = None
) -> None:
    """Refuse NaN and infinite values.

    Args:
        transitions: B transitions on the host.
        source: name of the data in messages.
        file_rows: [B] row of the file that each transition came from, for the message; None if
            they are the same.

    Raises:
        InputError: with the number of such values and the first such row of each column.
    """
    complaints = []
    for name, values in transitions._asdict().items():
        if values.dtype.kind != "f":
            continue
        finite = np.isfinite(values)
        if finite.all():
            continue
        row, column = (int(index[0]) for index in np.nonzero(~finite))
        count, nans = int(finite.size - np.count_nonzero(finite)), int(np.isnan(values).sum())
        where = row if file_rows is None else int(file_rows[row])
        complaints.append(
            f"{name} has {count} ({nans} NaN, {count - nans} inf), first in row {where}"
            + (f", column {column}" if values.shape[1] > 1 else "")
        )
    if complaints:
        raise InputError(
            f"{source} has NaN or infinite values: {'; '.join(complaints)}. "
            "Remove or correct these rows."
        )


def validate(
    transitions: Transitions,
    *,
    source: str,
    obs_dim: int | None = None,
    act_dim: int | None = None,
    action_low: npt.ArrayLike | None = None,
    action_high: npt.ArrayLike | None = None,
    min_rows: int = 1,
) -> None:
    """Check that transitions are valid training data for a task.

    Args:
        transitions: B transitions on the host.
        source: name of the data in messages, usually its path or id.
        obs_dim: O of the task; None: unchecked.
        act_dim: A of the task; None: unchecked.
        action_low: [A] or scalar, lower action bounds of the task; None: unchecked.
        action_high: [A] or scalar, upper action bounds; None: unchecked.
        min_rows: minimum number of rows (Q-88: ``min_pool_size``).

    Raises:
        InputError: if ranks, lengths or dimensions are invalid, if there are fewer than
            ``min_rows`` rows, or if a value is NaN or infinite.

    Warns:
        UserWarning: if actions lie outside the bounds; with their range and the number of rows.

    Original: softlearning/samplers/base_sampler.py:BaseSampler.batch_ready
    """
    _check_transition_shapes(transitions, source)
    for name, expected, found in (
        ("observations", obs_dim, transitions.observations.shape[1]),
        ("actions", act_dim, transitions.actions.shape[1]),
    ):
        if expected is not None and found != expected:
            raise InputError(
                f"{source}: {name} have {found} dimensions but the task has {expected}; "
                "is this a dataset of another task?"
            )
    rows = len(transitions.observations)
    if rows == 0:
        raise InputError(f"{source} is empty: it gives no transitions.")
    if rows < min_rows:
        raise InputError(
            f"{source} gives {rows} transitions, fewer than the {min_rows} of min_pool_size; "
            "use a larger dataset or lower min_pool_size."
        )
    check_finite(transitions, source=source)
    if action_low is not None and action_high is not None:
        _warn_of_actions_out_of_bounds(
            transitions.actions, np.asarray(action_low), np.asarray(action_high), source
        )


def _check_column(name: str, column: Column, source: str) -> None:
    if column.dtype.kind not in "biuf":
        raise InputError(f"{source}: {name} must hold numbers, got the type {column.dtype}.")
    shape = tuple(column.shape)
    if name in MATRICES:
        if len(shape) != 2:
            raise InputError(
                f"{source}: {name} must have two dimensions [N, size], got the shape {shape}."
            )
    elif len(shape) != 1 and not (len(shape) == 2 and shape[1] == 1):
        raise InputError(f"{source}: {name} must have the shape [N] or [N, 1], got {shape}.")


def _check_transition_shapes(transitions: Transitions, source: str) -> None:
    rows = len(transitions.observations)
    for name, values in transitions._asdict().items():
        if values.ndim != 2:
            raise InputError(
                f"{source}: {name} must have two dimensions [B, size], got the shape "
                f"{values.shape}."
            )
        if len(values) != rows:
            raise InputError(
                f"{source}: {name} has {len(values)} rows but observations have {rows}."
            )
    if transitions.next_observations.shape != transitions.observations.shape:
        raise InputError(
            f"{source}: next_observations must have the shape of observations "
            f"{transitions.observations.shape}, got {transitions.next_observations.shape}."
        )
    for name in ("rewards", "terminals"):
        width = getattr(transitions, name).shape[1]
        if width != 1:
            raise InputError(f"{source}: {name} must have one column, got {width}.")


def _warn_of_actions_out_of_bounds(
    actions: npt.NDArray[Any], low: npt.NDArray[Any], high: npt.NDArray[Any], source: str
) -> None:
    slack = _BOUND_TOLERANCE * (high - low)
    low_seen, high_seen = actions.min(axis=0), actions.max(axis=0)
    if np.all(low_seen >= low - slack) and np.all(high_seen <= high + slack):
        return
    outside = np.any((actions < low - slack) | (actions > high + slack), axis=1)
    warnings.warn(
        f"{source}: {np.count_nonzero(outside)} of {len(actions)} rows have actions outside the "
        f"task's bounds [{low.min():g}, {high.max():g}]: they range from {low_seen.min():g} to "
        f"{high_seen.max():g}.",
        stacklevel=3,
    )

"""mjrl's files: a pickled list of trajectories, each a dict of arrays (MOReL's datasets)."""

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from mopo_tf2.data.unpickling import number_array
from mopo_tf2.data.validation import terminal_flags
from mopo_tf2.errors import InputError
from mopo_tf2.types import Transitions

_REQUIRED = ("observations", "actions", "rewards")


def pair_trajectories(trajectories: Sequence[Any], *, source: str) -> Transitions:
    """Return the transitions inside each trajectory, one trajectory after the other.

    The successor of a row is the next row of its trajectory. The last row has none and is left out
    (D-119), as mjrl does when it trains models. So no row is terminal, even if a trajectory ended
    the task: model-based methods use the task's termination function instead. A trajectory with
    ``next_observations`` (this project's extension) keeps every row, and its last row is terminal
    if the trajectory is ``terminated``.

    Args:
        trajectories: dicts of observations [T, O], actions [T, A], rewards [T] or [T, 1];
            optionally next_observations [T, O] and terminated, one 0 or 1. Other keys
            (agent_infos, env_infos) are ignored.
        source: name of the data in messages.

    Raises:
        InputError: if there are no trajectories or no pairs, or a trajectory is invalid (it is
            named).

    Warns:
        UserWarning: if left-out last rows ended the task.
    """
    if not trajectories:
        raise InputError(f"{source} is empty: it holds a list without trajectories.")
    parts: list[Transitions] = []
    lost_ends = 0
    for number, trajectory in enumerate(trajectories):
        name = f"{source}: trajectory {number}"
        columns = _columns(trajectory, name)
        is_terminated = _is_terminated(trajectory, name)
        lost_ends += is_terminated and "next_observations" not in columns
        parts.append(_pairs(columns, is_terminated))
        sizes = [(p.observations.shape[1], p.actions.shape[1]) for p in (parts[0], parts[-1])]
        if sizes[0] != sizes[1]:
            raise InputError(
                f"{name} has {sizes[1][0]} observations and {sizes[1][1]} actions but the first "
                f"one has {sizes[0][0]} and {sizes[0][1]}."
            )
    transitions = Transitions(*(np.concatenate(column) for column in zip(*parts, strict=True)))
    if not len(transitions.rewards):
        raise InputError(f"{source}: every trajectory has one row, which has no successor.")
    if lost_ends:
        warnings.warn(
            f"{source}: {lost_ends} of {len(parts)} trajectories ended the task; their last rows "
            "have no next observation and are left out, so that no row is terminal.",
            stacklevel=2,
        )
    return transitions


def trajectory_rows(trajectories: Sequence[Mapping[str, Any]]) -> int:
    """Return the rows of all trajectories, those without a successor included."""
    return sum(len(np.asarray(trajectory["rewards"])) for trajectory in trajectories)


def _columns(trajectory: Any, name: str) -> dict[str, npt.NDArray[Any]]:
    """Return the columns as float32 matrices of one length, next_observations if it has them."""
    if not isinstance(trajectory, Mapping):
        raise InputError(
            f"{name} must be a dict of {', '.join(_REQUIRED)}, got a {type(trajectory).__name__}."
        )
    missing = [column for column in _REQUIRED if column not in trajectory]
    if missing:
        raise InputError(
            f"{name} lacks {', '.join(missing)}; found "
            f"{', '.join(sorted(map(str, trajectory))) or 'nothing'}."
        )
    columns = {}
    for column in (*_REQUIRED, "next_observations"):
        if column not in trajectory:
            continue
        values = number_array(trajectory[column], f"{name}: {column}")
        if values.dtype.kind not in "biuf":
            raise InputError(f"{name}: {column} must hold numbers, got the type {values.dtype}.")
        if column == "rewards" and values.ndim == 1:
            values = values[:, None]
        if values.ndim != 2 or (column == "rewards" and values.shape[1] != 1):
            expected = "[T] or [T, 1]" if column == "rewards" else "[T, size]"
            raise InputError(
                f"{name}: {column} must have the shape {expected}, got {values.shape}."
            )
        columns[column] = values.astype(np.float32)
    lengths = {column: len(values) for column, values in columns.items()}
    if len(set(lengths.values())) > 1:
        listing = ", ".join(f"{column} {length}" for column, length in lengths.items())
        raise InputError(f"{name} has columns of unequal lengths: {listing} rows.")
    successors = columns.get("next_observations", columns["observations"])
    if successors.shape != columns["observations"].shape:
        raise InputError(
            f"{name}: next_observations must have the shape of observations "
            f"{columns['observations'].shape}, got {successors.shape}."
        )
    return columns


def _is_terminated(trajectory: Mapping[str, Any], name: str) -> bool:
    flag = np.asarray(trajectory.get("terminated", False))
    if flag.size != 1 or flag.dtype.kind not in "biuf":
        raise InputError(f"{name}: terminated must be one 0 or 1, got {flag!r}.")
    return bool(terminal_flags(flag.reshape(1), name="terminated", source=name)[0])


def _pairs(columns: dict[str, npt.NDArray[Any]], is_terminated: bool) -> Transitions:
    observations = columns["observations"]
    if "next_observations" in columns:
        kept, successors = len(observations), columns["next_observations"]
    else:
        kept, successors = max(len(observations) - 1, 0), observations[1:]
    terminals = np.zeros((kept, 1), np.bool_)
    if "next_observations" in columns and kept:
        terminals[-1] = is_terminated
    return Transitions(
        observations[:kept],
        columns["actions"][:kept],
        successors,
        columns["rewards"][:kept],
        terminals,
    )

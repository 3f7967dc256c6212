"""The original's other sources of transitions, one function per format (Q-64, D-61).

The original guesses the format: a path that contains 'd4rl' is an id; anything else is read as one
format and, after a bare except, unpickled as another.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mopo_tf2.data.unpickling import load_pickle, number_array
from mopo_tf2.data.validation import REQUIRED_COLUMNS, terminal_flags, validate_columns
from mopo_tf2.errors import InputError
from mopo_tf2.memory import require_archive_fits
from mopo_tf2.own_functions import one_line
from mopo_tf2.types import Transitions

_CHECKPOINT = re.compile(r"checkpoint_(\d+)")


def read_contiguous(path: str | Path, *, obs_dim: int | None, act_dim: int | None) -> Transitions:
    """Read a ``.npy`` table: observation, action, next observation, reward, terminal.

    Args:
        path: a float array [N, 2 O + A + 2].
        obs_dim: O of the task, which the table does not determine.
        act_dim: A of the task.

    Returns:
        N transitions, in the table's order.

    Raises:
        InputError: if the dimensions are not given, or the file is not such a table.

    Original: mopo/off_policy/loader.py:restore_pool_contiguous
    """
    if obs_dim is None or act_dim is None:
        raise InputError(
            f"{path}: a .npy table does not say where its columns end; name the task, whose "
            "observation and action sizes tell."
        )
    table = _load_numpy(Path(path), mmap_mode="r")
    width = 2 * obs_dim + act_dim + 2
    if not isinstance(table, np.ndarray) or table.ndim != 2 or table.dtype.kind not in "biuf":
        raise InputError(
            f"{path} must hold a table of numbers [N, {width}], got {describe(table)}."
        )
    if table.shape[1] != width:
        raise InputError(
            f"{path} has {table.shape[1]} columns; a task with {obs_dim} observations and "
            f"{act_dim} actions needs {width} (observation, action, next observation, reward, "
            "terminal)."
        )
    ends = np.cumsum([obs_dim, act_dim, obs_dim, 1])
    observations, actions, successors, rewards, terminals = np.split(table, ends, axis=1)
    return as_transitions(
        {
            "observations": observations,
            "actions": actions,
            "next_observations": successors,
            "rewards": rewards,
            "terminals": terminals,
        },
        source=str(path),
    )


def read_npz(path: str | Path) -> dict[str, npt.NDArray[Any]]:
    """Read the D4RL columns of a ``.npz``, a format that the original does not read (D-67).

    Returns:
        The columns by name, as ``d4rl.read_hdf5`` gives them; next_observations if it has them.

    Raises:
        InputError: if the file is not a .npz, or its columns are missing or invalid.
    """
    archive = _load_numpy(Path(path))
    if not isinstance(archive, np.lib.npyio.NpzFile):
        raise InputError(f"{path} must be a .npz of named columns, got {describe(archive)}.")
    with archive:
        try:
            columns = {name: archive[name] for name in archive.files}
        except Exception as error:
            raise InputError(_not_numpy(Path(path), error)) from error
    source = str(path)
    validate_columns(columns, source=source)
    for name in ("observations", "actions", "next_observations", "rewards"):
        if name in columns:
            columns[name] = columns[name].astype(np.float32, copy=False)
    for name in ("terminals", "timeouts"):
        if name in columns:
            columns[name] = terminal_flags(columns[name].reshape(-1), name=name, source=source)
    columns["rewards"] = columns["rewards"].reshape(-1)
    return columns


def read_bear(path: str | Path) -> Transitions:
    """Read a BEAR data set: a pickled dict of columns, gzipped or not.

    The keys log_pis, data_policy_mean and data_policy_logvar are ignored, as in the original.

    Raises:
        InputError: if the pickle is invalid, asks for anything but arrays, or lacks a column.

    Original: mopo/off_policy/loader.py:restore_pool_bear
    """
    return as_transitions(load_pickle(path), source=str(path))


def softlearning_files(folder: str | Path) -> list[Path]:
    """Return the ``checkpoint_K/replay_pool.pkl`` of a softlearning run in the order of K.

    Raises:
        InputError: if the folder holds none.

    Original: mopo/off_policy/loader.py:restore_pool_softlearning
    """
    found = {}
    for file in Path(folder).glob("checkpoint_*/replay_pool.pkl"):
        match = _CHECKPOINT.fullmatch(file.parent.name)
        if match:
            found[int(match.group(1))] = file
    if not found:
        raise InputError(
            f"{folder} is a folder without checkpoint_*/replay_pool.pkl; expected softlearning "
            "checkpoints, or give the data file itself."
        )
    return [found[number] for number in sorted(found)]


def read_softlearning(
    folder: str | Path, *, max_size: int | None = None
) -> tuple[Transitions, list[Path]]:
    """Read the replay pools that a softlearning run saved with its checkpoints.

    Args:
        folder: the run's folder.
        max_size: stop after the checkpoint at which this many rows are reached; None reads all.

    Returns:
        The transitions in the order in which they were experienced, and the files that were read.

    Raises:
        InputError: if there are no checkpoints, or one is invalid.

    D-70: the original limits the rows by ``pool_load_max_size`` and, where that is 250,000, skips
    the first two checkpoints.

    Original: mopo/off_policy/loader.py:restore_pool_softlearning;
        softlearning/replay_pools/flexible_replay_pool.py:FlexibleReplayPool.load_experience
    """
    parts, used, size = [], [], 0
    for file in softlearning_files(folder):
        parts.append(as_transitions(load_pickle(file), source=str(file)))
        used.append(file)
        size += len(parts[-1].rewards)
        if max_size is not None and size >= max_size:
            break
    widths = {(part.observations.shape[1], part.actions.shape[1]) for part in parts}
    if len(widths) > 1:
        raise InputError(
            f"{folder}: its checkpoints differ in observation and action sizes: {sorted(widths)}."
        )
    columns = (np.concatenate(column) for column in zip(*parts, strict=True))
    return Transitions(*columns), used


def as_transitions(columns: Any, *, source: str) -> Transitions:
    """Return columns that hold their own next_observations as transitions, row for row.

    Args:
        columns: dict of observations [N, O], actions [N, A], next_observations [N, O], rewards and
            terminals [N] or [N, 1]; further keys are ignored.
        source: name of the data in messages.

    Raises:
        InputError: if it is no such dict, or a column is missing or invalid.
    """
    if not isinstance(columns, Mapping):
        raise InputError(f"{source} must hold a dict of columns, got {describe(columns)}.")
    needed = (*REQUIRED_COLUMNS, "next_observations")
    arrays = {
        name: number_array(columns[name], f"{source}: {name}") for name in needed if name in columns
    }
    if "next_observations" not in arrays:
        raise InputError(
            f"{source} lacks next_observations; found "
            f"{', '.join(sorted(map(str, columns))) or 'nothing'}."
        )
    validate_columns(arrays, source=source)
    rows = len(arrays["observations"])
    flags = terminal_flags(arrays["terminals"].reshape(rows), name="terminals", source=source)

    def matrix(name: str) -> npt.NDArray[Any]:
        return np.ascontiguousarray(arrays[name], dtype=np.float32)

    return Transitions(
        observations=matrix("observations"),
        actions=matrix("actions"),
        next_observations=matrix("next_observations"),
        rewards=matrix("rewards").reshape(rows, 1),
        terminals=np.ascontiguousarray(flags).reshape(rows, 1),
    )


def _load_numpy(path: Path, mmap_mode: Any = None) -> Any:
    require_archive_fits(path)
    try:
        return np.load(path, mmap_mode=mmap_mode, allow_pickle=False)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}.") from error
    except Exception as error:
        # Damaged bytes raise ValueError, EOFError, BadZipFile, SyntaxError, ...
        raise InputError(_not_numpy(path, error)) from error


def _not_numpy(path: Path, error: Exception) -> str:
    """Name what is wrong with the file; NumPy's own words advise to unpickle it."""
    if "pickle" in str(error):
        return f"{path} is damaged or holds Python objects; expected arrays of numbers."
    return f"{path} is not a NumPy file that can be read: {one_line(error)}."


def describe(value: Any) -> str:
    """Return what kind of object ``value`` is, for messages."""
    if isinstance(value, np.ndarray):
        return f"an array {value.shape} of {value.dtype}"
    return f"a {type(value).__name__}"

"""D4RL-format HDF5 files, and the pairing of their rows into transitions."""

import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import h5py
import numpy as np
import numpy.typing as npt

from mopo_tf2.data.hdf5 import own_datasets, require_room
from mopo_tf2.data.validation import (
    MATRICES,
    OPTIONAL_COLUMNS,
    REQUIRED_COLUMNS,
    terminal_flags,
    validate_columns,
)
from mopo_tf2.errors import InputError
from mopo_tf2.own_functions import one_line
from mopo_tf2.types import BoolArray, Transitions

NextObservations = Literal["shift", "drop", "file"]
"""Where the successor of a row comes from; see ``qlearning_transitions``."""

_HDF5_SIGNATURE = b"\x89HDF\r\n\x1a\n"

NEXT_OBSERVATIONS: tuple[NextObservations, ...] = ("shift", "drop", "file")


def read_hdf5(
    path: str | Path, *, with_next_observations: bool = True
) -> dict[str, npt.NDArray[Any]]:
    """Read the columns of a D4RL-format file; ``infos`` and ``metadata`` stay on the disk.

    Args:
        path: an HDF5 file with observations [N, O], actions [N, A], rewards and terminals [N] or
            [N, 1], optionally timeouts [N] or [N, 1] and next_observations [N, O].
        with_next_observations: whether to read the file's own next_observations, if it has them.

    Returns:
        The columns by name: matrices and rewards [N] float32, terminals and timeouts [N] bool.

    Raises:
        InputError: if the file cannot be opened, is truncated or not an HDF5 file, or if its
            columns are missing or invalid.

    Original: d4rl/offline_env.py:OfflineEnv.get_dataset
    """
    path = Path(path)
    source = str(path)
    try:
        with h5py.File(path, "r") as file:
            wanted = [*REQUIRED_COLUMNS, *OPTIONAL_COLUMNS]
            if not with_next_observations:
                wanted.remove("next_observations")
            found = own_datasets(file, wanted, path)
            validate_columns(found, source=source)
            present = [name for name in wanted if name in found]
            require_room(path, [found[name] for name in present])
            return {name: _column(name, found[name], source) for name in present}
    except InputError:
        raise
    except OSError as error:
        raise InputError(_unreadable(path, error)) from error
    except Exception as error:  # HDF5 reports damage as nearly every kind of error.
        raise InputError(f"{path} is damaged and cannot be read: {one_line(error)}.") from error


def check_whole_hdf5(path: str | Path) -> None:
    """Check that a file is a complete HDF5 file.

    Raises:
        InputError: if it has no HDF5 signature, cannot be opened, or its size differs from the size
            in its superblock.
    """
    path = Path(path)
    size = path.stat().st_size
    with open(path, "rb") as file:
        header = file.read(64)
    if not header.startswith(_HDF5_SIGNATURE):
        raise InputError(f"{path} ({size} bytes) is not an HDF5 file.")
    try:
        expected = _end_of_file_address(header)
        if size != expected:
            raise InputError(f"{path} has {size} bytes where its own header says {expected}.")
        with h5py.File(path, "r") as opened:
            list(opened)
    except (OSError, RuntimeError, struct.error, KeyError) as error:
        raise InputError(f"{path} ({size} bytes) is a damaged HDF5 file: {error}.") from error


def qlearning_transitions(
    columns: Mapping[str, npt.NDArray[Any]],
    *,
    max_episode_steps: int = 1000,
    terminate_on_end: bool = False,
    next_observations: NextObservations = "shift",
) -> Transitions:
    """Pair the rows of a D4RL log, which is in order of time, into transitions.

    Args:
        columns: observations [N, O], actions [N, A], rewards [N], terminals [N], optionally
            timeouts [N] and next_observations [N, O].
        max_episode_steps: the task's time limit in steps; only used if there are no timeouts.
        terminate_on_end: keep rows at a time limit. As in D4RL, they are not marked terminal, and
            their successor is the first observation of the next episode.
        next_observations: where the successor of row i comes from.
            ``"shift"`` (as the original): row i + 1. Q-61: on a terminal row that is the first
            observation of the next episode. Q-62: the last row and those at a time limit are left
            out.
            ``"drop"``: the same, without the terminal rows (so the model sees no false transitions,
            but no task ends either).
            ``"file"``: the file's own column. Every row is kept, because each has its successor.

    Returns:
        B transitions; matrices and rewards float32, terminals bool.

    Raises:
        InputError: if columns are invalid or missing, or if the options contradict each other.

    Original: d4rl/__init__.py:qlearning_dataset; mopo/off_policy/loader.py:restore_pool_d4rl
    """
    kept = kept_rows(
        columns,
        max_episode_steps=max_episode_steps,
        terminate_on_end=terminate_on_end,
        next_observations=next_observations,
    )
    return select_transitions(columns, kept, own_successors=next_observations == "file")


def kept_rows(
    columns: Mapping[str, npt.NDArray[Any]],
    *,
    max_episode_steps: int = 1000,
    terminate_on_end: bool = False,
    next_observations: NextObservations = "shift",
) -> BoolArray:
    """Return [N] bool: which rows of a D4RL log become transitions.

    Arguments and errors are those of ``qlearning_transitions``.

    Original: d4rl/__init__.py:qlearning_dataset
    """
    validate_columns(columns, source="the dataset")
    if next_observations not in NEXT_OBSERVATIONS:
        raise InputError(
            f"next_observations must be one of {', '.join(NEXT_OBSERVATIONS)}, "
            f"got {next_observations!r}."
        )
    rows = len(columns["observations"])
    if next_observations == "file":
        if "next_observations" not in columns:
            raise InputError(
                "next_observations='file' needs a file with next_observations, but this one has "
                "none (D4RL's v0 files have none); use 'shift' or 'drop'."
            )
        return np.ones(rows, dtype=np.bool_)
    if next_observations == "drop" and terminate_on_end:
        raise InputError(
            "terminate_on_end keeps rows whose successor is the next episode's first observation, "
            "next_observations='drop' drops such rows: choose one."
        )
    terminals = np.asarray(columns["terminals"]).reshape(rows).astype(np.bool_, copy=False)
    # D-60: d4rl walks the rows in a Python loop; the same rows by array operations.
    if terminate_on_end:
        kept = np.ones(rows, dtype=np.bool_)
    elif "timeouts" in columns:
        kept = ~np.asarray(columns["timeouts"]).reshape(rows).astype(np.bool_, copy=False)
    else:
        kept = ~counted_timeouts(terminals, max_episode_steps)
    if next_observations == "drop":
        kept &= ~terminals
    kept[-1] = False
    return kept


def select_transitions(
    columns: Mapping[str, npt.NDArray[Any]], kept: BoolArray, *, own_successors: bool
) -> Transitions:
    """Return the transitions of the rows that are kept.

    Args:
        columns: as for ``qlearning_transitions``.
        kept: [N] bool; its last entry must be False unless ``own_successors``.
        own_successors: take next_observations from the column of that name, not from the next row.

    Returns:
        B = kept.sum() transitions. Where all rows are kept the arrays are the columns themselves.
    """
    everything = bool(kept.all())

    def select(values: npt.NDArray[Any], mask: BoolArray, dtype: type) -> npt.NDArray[Any]:
        values = np.asarray(values)
        chosen = values if everything else values[mask]
        return np.ascontiguousarray(chosen, dtype=dtype)

    if own_successors:
        successors = select(columns["next_observations"], kept, np.float32)
    else:
        successors = select(columns["observations"], np.roll(kept, 1), np.float32)
    count = len(successors)
    return Transitions(
        observations=select(columns["observations"], kept, np.float32),
        actions=select(columns["actions"], kept, np.float32),
        next_observations=successors,
        rewards=select(columns["rewards"], kept, np.float32).reshape(count, 1),
        terminals=select(columns["terminals"], kept, np.bool_).reshape(count, 1),
    )


def counted_timeouts(terminals: BoolArray, max_episode_steps: int) -> BoolArray:
    """Return [N] bool: the rows at which D4RL's step counter reaches the time limit.

    The counter starts at 0, is 0 again on the row after a time limit, but 1 on the row after a
    terminal one (D4RL resets it and then still adds one, so that such an episode is cut one step
    short). A time limit is where it equals ``max_episode_steps - 1``.

    Args:
        terminals: [N] bool.
        max_episode_steps: the time limit in steps, at least 1.

    Raises:
        InputError: if ``max_episode_steps`` is below 1.

    Original: d4rl/__init__.py:qlearning_dataset
    """
    if max_episode_steps < 1:
        raise InputError(f"max_episode_steps must be at least 1, got {max_episode_steps}.")
    rows = len(terminals)
    # Segments end with a terminal row, the last one with the file.
    starts = np.flatnonzero(np.concatenate(([True], terminals[:-1])))
    lengths = np.diff(np.append(starts, rows))
    # A segment that starts at count c leaves the count 0 to its successor if its terminal row is
    # itself at the time limit, (c + length) % limit == 0, else 1. So a segment passes its own first
    # count on, swaps 0 and 1, or, as nearly all do, leaves 1 whatever it started with.
    remainder = lengths % max_episode_steps
    passes_on = remainder == 0
    swaps = (remainder == max_episode_steps - 1) & ~passes_on
    leaves_one = ~passes_on & ~swaps
    segment = np.arange(len(starts))
    last_one = np.maximum.accumulate(np.where(leaves_one, segment, -1))
    swapped = np.cumsum(swaps)
    swaps_since = swapped - np.where(last_one >= 0, swapped[last_one], 0)
    count_after = (last_one >= 0) ^ (swaps_since % 2 == 1)
    first_count = np.concatenate(([0], count_after[:-1].astype(np.int64)))
    counts = np.arange(rows) - np.repeat(starts - first_count, lengths)
    return np.asarray(counts % max_episode_steps == max_episode_steps - 1)


def _end_of_file_address(header: bytes) -> int:
    """Return the end-of-file address in an HDF5 superblock (file format specification, II.A)."""
    version = header[8]
    if version in (0, 1):
        width, base = header[13], 24 + 4 * version
    elif version in (2, 3):
        width, base = header[9], 12
    else:
        raise KeyError(f"unknown superblock version {version}")
    return int.from_bytes(header[base + 2 * width : base + 3 * width], "little")


def _column(name: str, dataset: h5py.Dataset, source: str) -> npt.NDArray[Any]:
    if name in MATRICES:
        # D-66: converted while reading, without a second copy in float64; d4rl converts each row.
        return np.asarray(dataset.astype(np.float32)[()])
    if name == "rewards":
        return np.asarray(dataset.astype(np.float32)[()]).reshape(-1)
    return terminal_flags(np.asarray(dataset[()]).reshape(-1), name=name, source=source)


def _unreadable(path: Path, error: OSError) -> str:
    text = str(error)
    if isinstance(error, FileNotFoundError) or not path.exists():
        return f"there is no file {path}."
    if path.is_dir():
        return f"{path} is a folder; expected a D4RL-format HDF5 file."
    if isinstance(error, PermissionError) or "Permission denied" in text:
        return f"{path} may not be read: {error.strerror or text}."
    if "signature not found" in text:
        return f"{path} ({path.stat().st_size} bytes) is not an HDF5 file."
    if "truncated" in text:
        return (
            f"{path} is a truncated HDF5 file ({path.stat().st_size} bytes); delete it and "
            "download or write it anew."
        )
    return f"{path} is damaged or truncated and cannot be read: {text}."

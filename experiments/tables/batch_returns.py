"""Returns of the episodes in a dataset: the "batch mean" and "batch max" of the paper's Table 2."""

from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np
import numpy.typing as npt

from ..files import file_sha256
from ..records.run_records import RunRecord
from mopo_tf2.data.datasets import resolve
from mopo_tf2.errors import InputError

_HDF5_SUFFIXES = (".hdf5", ".h5")


class BatchReturns(NamedTuple):
    """Mean and maximum return of a dataset's episodes, reward units; nan if unknown."""

    mean: float
    max: float


def episode_returns(
    rewards: npt.NDArray[Any],
    terminals: npt.NDArray[Any],
    timeouts: npt.NDArray[Any] | None = None,
    *,
    max_path_length: int = 1000,
) -> npt.NDArray[np.float64]:
    """Return the sum of rewards of each whole episode of a log in order of time.

    Args:
        rewards: [N].
        terminals: [N] bool.
        timeouts: [N] bool; None: an episode ends after ``max_path_length`` steps.
        max_path_length: steps.

    Returns:
        [E] sums in the log's order. Rows after the last end are no whole episode and left out.
    """
    is_terminal = np.asarray(terminals).reshape(-1).astype(bool)
    if timeouts is not None:
        is_end = is_terminal | np.asarray(timeouts).reshape(-1).astype(bool)
    else:
        rows = np.arange(is_terminal.size)
        is_start = np.concatenate([[True], is_terminal[:-1]])
        step = rows - np.maximum.accumulate(np.where(is_start, rows, 0))
        is_end = is_terminal | (step % max_path_length == max_path_length - 1)
    sums = np.cumsum(np.asarray(rewards, dtype=np.float64).reshape(-1))
    return np.diff(sums[is_end], prepend=0.0)


def batch_returns(record: RunRecord) -> tuple[BatchReturns, str]:
    """Return mean and maximum of the returns in a run's dataset, and why there are none, or "".

    The file is looked for where the run found it, and nothing is downloaded. A file whose bytes
    are not those that the run recorded is not taken.
    """
    nothing = BatchReturns(float("nan"), float("nan"))
    try:
        path, _ = resolve(record.dataset_source, allow_download=False)
        if path.suffix.lower() not in _HDF5_SUFFIXES:
            return nothing, f"no batch returns: {path.name} is not an HDF5 log of episodes"
        if record.dataset_sha256 and file_sha256(path) != record.dataset_sha256:
            return nothing, f"no batch returns: {path.name} has changed since the run"
        returns = _read_returns(path)
    except InputError as error:
        return nothing, f"no batch returns: {str(error).rstrip('.')}"
    except (OSError, KeyError, ValueError) as error:
        return nothing, f"no batch returns: {record.dataset} cannot be read ({error})"
    if not returns.size:
        return nothing, f"no batch returns: {path.name} holds no whole episode"
    return BatchReturns(float(returns.mean()), float(returns.max())), ""


def _read_returns(path: Path) -> npt.NDArray[np.float64]:
    with h5py.File(path, "r") as file:
        timeouts = file["timeouts"][()] if "timeouts" in file else None
        return episode_returns(file["rewards"][()], file["terminals"][()], timeouts)

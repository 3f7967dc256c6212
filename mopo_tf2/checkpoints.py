"""Arrays and plain metadata in one file, written atomically and read without pickle."""

import json
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mopo_tf2.errors import InputError
from mopo_tf2.files import replacing
from mopo_tf2.memory import require_archive_fits

_METADATA = "metadata.json"
_CHECKPOINT_NAME = re.compile(r"epoch_(\d+)\.npz")
KEPT_CHECKPOINTS = 2


def save_arrays(path: Path, arrays: Mapping[str, np.ndarray], metadata: Mapping[str, Any]) -> None:
    """Write arrays and JSON metadata to ``path`` (.npz) atomically.

    Raises:
        OSError: if the folder cannot be written to; nothing is left behind.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # Names are stored because a damaged zip directory can hide an array without an error.
    head = {"arrays": sorted(arrays), "metadata": metadata}
    text = np.frombuffer(json.dumps(head).encode(), np.uint8)
    with replacing(path) as temporary, temporary.open("wb") as file:
        np.savez(file, allow_pickle=False, **{_METADATA: text}, **arrays)


def load_arrays(path: Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Read what ``save_arrays`` wrote: arrays and metadata. Checksums are verified.

    Raises:
        InputError: if the file is missing, damaged or not of this kind.
    """
    require_archive_fits(path)
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        head = json.loads(arrays.pop(_METADATA).tobytes())
        metadata = head["metadata"]
        if not isinstance(metadata, dict):
            raise TypeError("the metadata are not an object")
        if sorted(arrays) != head["arrays"]:
            raise ValueError("some arrays are missing")
    except FileNotFoundError as error:
        raise InputError(f"expected the file {path}, found none.") from error
    except IsADirectoryError as error:
        raise InputError(f"expected the file {path}, found a folder.") from error
    except Exception as error:  # NumPy, zipfile and json raise nearly everything on damaged bytes.
        raise InputError(
            f"{path} is damaged or not a file of mopo_tf2 ({type(error).__name__})."
        ) from error
    return arrays, metadata


def save_checkpoint(
    folder: Path, epoch: int, arrays: Mapping[str, np.ndarray], counters: Mapping[str, Any]
) -> Path:
    """Write ``folder/epoch_NNNNN.npz`` (``epoch`` epochs done) and remove all but the last two."""
    path = folder / f"epoch_{epoch:05d}.npz"
    save_arrays(path, arrays, counters)
    for stale in checkpoints(folder)[:-KEPT_CHECKPOINTS]:
        stale.unlink()
    return path


def checkpoints(folder: Path) -> list[Path]:
    """Return the checkpoints in ``folder``, oldest first; none if there is no such folder."""
    found = [path for path in folder.glob("epoch_*.npz") if _CHECKPOINT_NAME.fullmatch(path.name)]
    return sorted(found, key=lambda path: int(path.stem.removeprefix("epoch_")))


def load_checkpoint(
    folder: Path, rows: float = math.inf
) -> tuple[dict[str, np.ndarray], dict[str, Any]] | None:
    """Read the last intact checkpoint in ``folder``; None if there are no checkpoints.

    If the last checkpoint is damaged (a disk failed), or the run's table has fewer than its
    ``rows``, the one before it is read.

    Raises:
        InputError: if there are checkpoints but none can be read.
    """
    found = checkpoints(folder)
    error: InputError | None = None
    for path in reversed(found):
        try:
            arrays, counters = load_arrays(path)
            epoch = counters.get("epoch")
            if not isinstance(epoch, int):
                raise InputError(f"{path} is damaged: its epoch is {epoch!r}.")
            if epoch > rows:
                raise InputError(f"{path} counts more epochs than the {rows} that are recorded.")
            return arrays, counters
        except InputError as damaged:
            error = error or damaged
    if error is not None:
        raise error
    return None

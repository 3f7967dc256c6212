"""Files that are either whole or not there: atomic writing, checks of folders, hashes."""

import contextlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from mopo_tf2.errors import InputError

_MARK = ".part"
_LEFTOVER = re.compile(r"\..+-\w{8}\.part(\.\w+)?")


@contextlib.contextmanager
def replacing(path: Path, *, folder: bool = False) -> Iterator[Path]:
    """Give a temporary path beside ``path`` that takes its place if the block ends well.

    The temporary name keeps the suffix (libraries choose a format by it) and starts with a dot.
    On an exception, Ctrl-C included, the temporary file is removed and ``path`` is as it was. The
    folder must exist.

    Args:
        path: of the file.
        folder: it is a folder of files instead, and ``path`` must not exist.
    """
    path = Path(path)
    where: Any = {"prefix": f".{path.stem}-", "suffix": f"{_MARK}{path.suffix}", "dir": path.parent}
    if folder:
        temporary = Path(tempfile.mkdtemp(**where))
    else:
        handle, name = tempfile.mkstemp(**where)
        os.close(handle)
        temporary = Path(name)
    try:
        yield temporary
        # It was made private; a result should be as readable as any other new file.
        temporary.chmod((0o777 if folder else 0o666) & ~_umask())
        for part in (*temporary.rglob("*"), temporary):
            _flush_to_disk(part)
        os.replace(temporary, path)
    except BaseException:
        if folder:
            shutil.rmtree(temporary, ignore_errors=True)
        else:
            temporary.unlink(missing_ok=True)
        raise
    _flush_to_disk(path.parent)


def remove_leftovers(folder: Path) -> None:
    """Remove what ``replacing`` left in ``folder`` when its process was killed."""
    for path in folder.glob(".*"):
        if _LEFTOVER.fullmatch(path.name) and path.is_file():
            path.unlink(missing_ok=True)


def write_bytes(path: Path, data: bytes) -> None:
    """Write ``data`` to ``path`` atomically."""
    with replacing(path) as temporary:
        temporary.write_bytes(data)


def write_json(path: Path, data: Any) -> None:
    """Write ``data`` to ``path`` as indented JSON, atomically; NumPy values become plain ones.

    Raises:
        ValueError: if ``data`` holds inf or nan.
        TypeError: if ``data`` holds something else that JSON does not have.
    """
    text = json.dumps(data, indent=2, allow_nan=False, default=_to_json)
    write_bytes(path, (text + "\n").encode())


def ensure_writable_folder(path: Path) -> Path:
    """Make the folder ``path`` with its parents unless it is there; return ``path``.

    Raises:
        InputError: if ``path`` is a file, or cannot be made or written in.
    """
    path = Path(path)
    if path.exists() and not path.is_dir():
        raise InputError(f"Expected a folder, but {path} is a file: give another path.")
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"Cannot make the folder {path} ({error.strerror}): give a path in a writable folder."
        ) from error
    try:
        with tempfile.TemporaryFile(dir=path):
            pass
    except OSError as error:
        raise InputError(
            f"Cannot write in the folder {path} ({error.strerror}): "
            "give another path or change its permissions."
        ) from error
    return path


def _to_json(value: Any) -> Any:
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} has no JSON form: {value!r}")


def _umask() -> int:
    # The umask can only be read by setting it.
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _flush_to_disk(path: Path) -> None:
    if path.is_dir() and os.name == "nt":
        return  # Windows cannot open a folder.
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)

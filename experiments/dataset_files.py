"""Files in D4RL's format that this project makes: whole under a new name, or not there."""

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from .files import replacing
from mopo_tf2.errors import InputError
from mopo_tf2.evaluation.recording import Columns

Attributes = Mapping[str, str | int | float]

_NEEDED = ("observations", "actions", "rewards", "terminals", "timeouts")


def check_new_file(out: Path) -> None:
    """Refuse a file that exists, or whose folder does not.

    Raises:
        InputError: in these cases.
    """
    if out.exists():
        raise InputError(f"{out} exists already; remove it or choose another name.")
    if not out.parent.is_dir():
        raise InputError(f"no folder {out.parent} to write {out.name} into; make it first.")


@contextlib.contextmanager
def new_dataset_file(out: Path) -> Iterator[Path]:
    """Give a file beside ``out`` that takes its name at the end, or goes if anything is raised.

    Raises:
        InputError: if ``out`` exists, or cannot be written.
    """
    check_new_file(out)
    with contextlib.ExitStack() as stack:
        try:
            temporary = stack.enter_context(replacing(out))
        except OSError as error:
            raise InputError(f"cannot write into {out.parent}: {error.strerror}.") from error
        yield temporary


def write_columns(
    path: Path, columns: Columns, attributes: Attributes, compression: str | None = "gzip"
) -> None:
    """Write columns [N, ...] and attributes into the HDF5 file ``path``."""
    with h5py.File(path, "w") as file:
        for name, values in columns.items():
            file.create_dataset(name, data=values, compression=compression)
        file.attrs.update(dict(attributes))


def read_columns(path: Path) -> tuple[Columns, dict[str, Any]]:
    """Read every column of a file in D4RL's format, and its attributes.

    Columns with another number of rows than ``rewards`` (such as D4RL's ``metadata/*``) are left
    out.

    Raises:
        InputError: if the file is missing, no HDF5 file, or lacks a column that marks episodes.
    """
    columns: dict[str, npt.NDArray[Any]] = {}

    def visit(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset) and item.shape:
            columns[name] = item[()]

    if not path.is_file():
        raise InputError(f"there is no file {path}.")
    try:
        with h5py.File(path, "r") as file:
            file.visititems(visit)
            attributes = {
                name: value.item() if isinstance(value, np.generic) else value
                for name, value in file.attrs.items()
            }
    except OSError as error:
        raise InputError(f"{path} is damaged or no HDF5 file: {error}.") from error
    missing = [name for name in _NEEDED if name not in columns]
    if missing:
        raise InputError(
            f"{path} has no column {', '.join(missing)}: expected a file that mopo-tf2 collect "
            "wrote, or one of the same form."
        )
    rows = len(columns["rewards"])
    return {name: values for name, values in columns.items() if len(values) == rows}, attributes

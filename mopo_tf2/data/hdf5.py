"""HDF5 files of unknown origin: their values must lie in them, and fit into memory."""

from collections.abc import Sequence
from pathlib import Path

import h5py

from mopo_tf2.errors import InputError
from mopo_tf2.memory import require_memory

_LARGEST_COMPRESSION = 20_000
"""Constant columns shrink by 1,000 with gzip, and by more with newer filters."""


def own_datasets(file: h5py.File, wanted: Sequence[str], path: Path) -> dict[str, h5py.Dataset]:
    """Return the datasets whose values lie in the file itself.

    HDF5 can take values from other files of the machine; the file's hash would not cover them.

    Raises:
        InputError: if a wanted one lies elsewhere, or has no shape.
    """
    found = {}
    for name in file:
        if not isinstance(file.get(name, getlink=True), h5py.HardLink):
            if name in wanted:
                raise InputError(_elsewhere(path, name, "a link"))
            continue
        item = file[name]
        if not isinstance(item, h5py.Dataset):
            continue
        if name in wanted:
            require_own_values(item, path)
        found[name] = item
    return found


def require_own_values(dataset: h5py.Dataset, path: Path) -> None:
    """Refuse a dataset whose values lie outside its file ``path``, or that has no shape.

    Raises:
        InputError: if it is one.
    """
    name = str(dataset.name).removeprefix("/")
    if dataset.is_virtual or dataset.external:
        raise InputError(_elsewhere(path, name, "a view of other data"))
    if dataset.shape is None:
        raise InputError(f"{path}: {name} is empty: it has a type but no shape.")


def _elsewhere(path: Path, name: str, what: str) -> str:
    return (
        f"{path}: {name} is {what}, which is not followed: write a file that holds its own values."
    )


def require_closed_file(path: Path) -> None:
    """Refuse a file that takes anything, at any depth, from elsewhere.

    Raises:
        InputError: if there is a link, or a dataset of ``require_own_values``.
        OSError: if it is not an HDF5 file.
    """
    with h5py.File(path, "r") as file:
        groups, seen = [file], set()
        while groups:
            group = groups.pop()
            for name in group:
                if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                    raise InputError(_elsewhere(path, name, "a link"))
                item = group[name]
                address = h5py.h5o.get_info(item.id).addr
                if isinstance(item, h5py.Dataset):
                    require_own_values(item, path)
                elif isinstance(item, h5py.Group) and address not in seen:
                    groups.append(item)
                seen.add(address)


def require_room(path: Path, datasets: Sequence[h5py.Dataset]) -> None:
    """Refuse sizes that the file cannot hold, or this machine's memory.

    Args:
        path: of the file.
        datasets: whose values will be read as float32; the first twice (observations).

    Raises:
        InputError: if a size is impossible.
    """
    size = path.stat().st_size
    for dataset in datasets:
        if dataset.nbytes > _LARGEST_COMPRESSION * size:
            name = str(dataset.name).removeprefix("/")
            raise InputError(
                f"{path} is damaged: {name} has the shape {dataset.shape} in a file of {size} "
                "bytes."
            )
    # float32 columns, and the successors of the observations.
    needed = 4 * sum(dataset.size for dataset in datasets) + 4 * datasets[0].size
    require_memory(needed, str(path), "use fewer rows")

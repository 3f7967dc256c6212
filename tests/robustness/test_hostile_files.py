"""Data files that point elsewhere, or declare more than they hold."""

import contextlib
import gzip
import pickle
import struct
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest

from mopo_tf2 import memory
from mopo_tf2.checkpoints import load_arrays
from mopo_tf2.data.d4rl import read_hdf5
from mopo_tf2.data.datasets import load_dataset
from mopo_tf2.data.sources import read_npz
from mopo_tf2.data.unpickling import load_pickle
from mopo_tf2.errors import InputError

ROWS = 8
COLUMNS = {
    "observations": np.zeros((ROWS, 2), np.float32),
    "actions": np.zeros((ROWS, 1), np.float32),
    "rewards": np.zeros(ROWS, np.float32),
    "terminals": np.zeros(ROWS, bool),
}


def external_link(file: h5py.File, other: Path) -> None:
    file["rewards"] = h5py.ExternalLink(str(other), "/rewards")


def soft_link(file: h5py.File, other: Path) -> None:
    file["rewards"] = h5py.SoftLink("/terminals")


def self_link(file: h5py.File, other: Path) -> None:
    file["rewards"] = h5py.SoftLink("/rewards")


def virtual_dataset(file: h5py.File, other: Path) -> None:
    layout = h5py.VirtualLayout((ROWS,), "f4")
    layout[:] = h5py.VirtualSource(str(other), "rewards", (ROWS,))
    file.create_virtual_dataset("rewards", layout)


def external_storage(file: h5py.File, other: Path) -> None:
    file.create_dataset("rewards", (ROWS,), "f4", external=[(str(other), 0, ROWS * 4)])


def no_shape(file: h5py.File, other: Path) -> None:
    file["rewards"] = h5py.Empty("f4")


def endless(file: h5py.File, other: Path) -> None:
    for name, values in COLUMNS.items():
        if name in file:
            del file[name]
        shape = (10**12, *values.shape[1:])
        file.create_dataset(name, shape, values.dtype, chunks=(1024, *values.shape[1:]))


def folder(file: h5py.File, other: Path) -> None:
    file.create_group("rewards")


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (external_link, "is a link"),
        (soft_link, "is a link"),
        (self_link, "is a link"),
        (virtual_dataset, "is a view of other data"),
        (external_storage, "is a view of other data"),
        (no_shape, "is empty"),
        (endless, "is damaged: observations has the shape"),
        (folder, "lacks rewards"),
    ],
)
def test_hdf5_whose_values_lie_elsewhere_or_nowhere_is_refused(tmp_path, write, message):
    path, other = tmp_path / "data.hdf5", tmp_path / "other.hdf5"
    with h5py.File(other, "w") as file:
        file["rewards"] = COLUMNS["rewards"]
    with h5py.File(path, "w") as file:
        for name, values in COLUMNS.items():
            if name != "rewards":
                file[name] = values
        write(file, other)
    with pytest.raises(InputError, match=message):
        read_hdf5(path)


@pytest.mark.parametrize("position", range(0, 1600, 100))
def test_damaged_hdf5_is_read_or_refused(tmp_path, position):
    path = tmp_path / "data.hdf5"
    with h5py.File(path, "w") as file:
        for name, values in COLUMNS.items():
            file.create_dataset(name, data=values)
    content = bytearray(path.read_bytes())
    content[position : position + 8] = b"\xff" * 8
    path.write_bytes(content)
    with contextlib.suppress(InputError):
        load_dataset(str(path))


def calls(name: str, size: int) -> bytes:
    """A pickle that calls the builtin ``name`` with a number."""
    return b"\x80\x02c__builtin__\n" + name.encode() + b"\nJ" + struct.pack("<i", size) + b"\x85R."


def nested(depth: int) -> bytes:
    """A pickle of columns that are lists of lists, twice the same one on each level."""
    values: list[object] = [0.0, 0.0]
    for _ in range(depth):
        values = [values, values]
    return pickle.dumps([{"observations": values, "actions": values, "rewards": values}])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (calls("bytearray", 2**31 - 1), "empty bytes"),
        (calls("bytes", 2**31 - 1), "empty bytes"),
        (b"\x80\x04\x8e" + struct.pack("<Q", 10**11) + b"abc.", "declares more data"),
        (b"\x80\x05\x96" + struct.pack("<Q", 10**11) + b"abc.", "declares more data"),
        (b"\x80\x02\x8b" + struct.pack("<i", 2**31 - 1) + b"abc.", "declares more data"),
        (b"\x80\x02]r" + struct.pack("<I", 2**32 - 1) + b".", "beyond their count"),
        (nested(40), "must hold numbers"),
    ],
)
@pytest.mark.parametrize("compressed", [False, True])
def test_small_pickle_that_asks_for_much_memory_is_refused(tmp_path, content, message, compressed):
    path = tmp_path / "data.pkl"
    path.write_bytes(gzip.compress(content) if compressed else content)
    with pytest.raises(InputError, match=message):
        load_dataset(str(path))


def test_gzipped_pickle_beyond_the_memory_is_refused(tmp_path, monkeypatch):
    path = tmp_path / "data.pkl"
    path.write_bytes(gzip.compress(pickle.dumps(bytes(10**6))))
    assert len(load_pickle(path)) == 10**6
    monkeypatch.setattr("mopo_tf2.data.unpickling.machine_memory", lambda: 10**5)
    with pytest.raises(InputError, match="declares more data"):
        load_pickle(path)


@pytest.mark.parametrize("read", [read_npz, load_arrays])
def test_archive_that_unpacks_beyond_the_memory_is_refused(tmp_path, monkeypatch, read):
    path = tmp_path / "data.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("rewards.npy", bytes(10**6))
    monkeypatch.setattr(memory, "machine_memory", lambda: 10**5)
    with pytest.raises(InputError, match="needs at least"):
        read(path)


def test_npz_of_objects_is_refused_without_advice_to_unpickle_it(tmp_path):
    path = tmp_path / "data.npz"
    np.savez(path, **{**COLUMNS, "rewards": np.array([None] * ROWS)})
    with pytest.raises(InputError, match="holds Python objects") as refusal:
        read_npz(path)
    assert "allow_pickle" not in str(refusal.value)

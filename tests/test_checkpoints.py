"""Checkpoints: whole or not at all, damaged ones passed over, no pickles."""

import os
import zipfile

import numpy as np
import pytest

from mopo_tf2 import checkpoints
from mopo_tf2.checkpoints import (
    load_arrays,
    load_checkpoint,
    save_arrays,
    save_checkpoint,
)
from mopo_tf2.errors import InputError

ARRAYS = {
    "policy/0": np.arange(6, dtype=np.float32).reshape(2, 3),
    "terminals": np.array([[True], [False]]),
    "key": np.arange(4, dtype=np.uint32),
    "log_alpha": np.float32(0.25),
}
METADATA = {"epoch": 3, "elites": [2, 0], "nested": {"loss": float("nan"), "none": None}}


class Bomb:
    """Writes a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (os.mkdir, (str(self.path),))


def test_arrays_and_metadata_come_back_as_they_were_saved(tmp_path):
    save_arrays(tmp_path / "deep" / "file.npz", ARRAYS, METADATA)
    arrays, metadata = load_arrays(tmp_path / "deep" / "file.npz")
    np.testing.assert_equal(metadata, METADATA)
    np.testing.assert_equal(arrays, ARRAYS)
    assert {name: a.dtype for name, a in arrays.items()} == {n: a.dtype for n, a in ARRAYS.items()}
    with pytest.raises(InputError, match=r"expected the file .*gone\.npz, found none"):
        load_arrays(tmp_path / "gone.npz")


def test_an_error_while_writing_leaves_no_file(tmp_path, monkeypatch):
    def fail_halfway(file, **arrays):
        file.write(b"half")
        raise OSError("no space left on device")

    monkeypatch.setattr(checkpoints.np, "savez", fail_halfway)
    with pytest.raises(OSError, match="no space"):
        save_arrays(tmp_path / "file.npz", ARRAYS, METADATA)
    assert list(tmp_path.iterdir()) == []


def test_an_error_while_writing_keeps_the_file_of_before(tmp_path):
    path = tmp_path / "file.npz"
    save_arrays(path, ARRAYS, METADATA)
    before = path.read_bytes()
    with pytest.raises(TypeError):
        save_arrays(path, ARRAYS, {"unfit": object()})
    with pytest.raises(ValueError, match="Object arrays"):
        save_arrays(path, {"unfit": np.array([object()])}, METADATA)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_flipped_byte_is_refused_or_has_no_effect(tmp_path):
    path = tmp_path / "file.npz"
    save_arrays(path, {"weights": np.arange(3, dtype=np.float32)}, {"epoch": 3})
    whole = path.read_bytes()
    for position in range(len(whole)):
        damaged = bytearray(whole)
        damaged[position] ^= (0x01, 0x20, 0xFF)[position % 3]
        path.write_bytes(damaged)
        try:
            arrays, metadata = load_arrays(path)
        except InputError:
            continue
        np.testing.assert_array_equal(arrays["weights"], [0, 1, 2], err_msg=f"byte {position}")
        assert arrays["weights"].dtype == np.float32
        assert metadata == {"epoch": 3}


def without_metadata(path):
    np.savez(path, **ARRAYS)


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(b"not a zip file"),
        lambda path: path.write_bytes(b"\x80\x04N."),
        lambda path: path.write_bytes(path.read_bytes()[:1]),
        lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
        lambda path: path.write_bytes(path.read_bytes()[:-1]),
        without_metadata,
    ],
)
def test_a_damaged_file_or_one_of_another_kind_is_refused(tmp_path, damage):
    save_arrays(tmp_path / "file.npz", ARRAYS, METADATA)
    damage(tmp_path / "file.npz")
    with pytest.raises(InputError, match="is damaged or not a file of mopo_tf2"):
        load_arrays(tmp_path / "file.npz")


def test_a_file_with_an_object_array_is_refused_without_unpickling_it(tmp_path):
    path, trace = tmp_path / "file.npz", tmp_path / "exploded"
    save_arrays(path, ARRAYS, METADATA)
    np.save(tmp_path / "bomb.npy", np.array([Bomb(trace)], object), allow_pickle=True)
    with zipfile.ZipFile(path, "a") as archive:
        archive.write(tmp_path / "bomb.npy", "bomb.npy")
    with pytest.raises(InputError, match="is damaged or not a file of mopo_tf2"):
        load_arrays(path)
    assert not trace.exists()


def test_the_last_two_checkpoints_and_other_files_are_kept(tmp_path):
    assert load_checkpoint(tmp_path / "no_such_folder") is None
    (tmp_path / "epoch_final.npz").write_bytes(b"something else")
    assert load_checkpoint(tmp_path) is None
    for epoch in (20, 40, 60, 100_000):
        save_checkpoint(tmp_path, epoch, ARRAYS, {"epoch": epoch})
    kept = [path.name for path in checkpoints.checkpoints(tmp_path)]
    assert kept == ["epoch_00060.npz", "epoch_100000.npz"]
    assert load_checkpoint(tmp_path)[1] == {"epoch": 100_000}
    assert (tmp_path / "epoch_final.npz").exists()


def test_a_damaged_checkpoint_is_passed_over_for_the_one_before_if_that_is_whole(tmp_path):
    save_checkpoint(tmp_path, 20, ARRAYS, {"epoch": 20})
    save_checkpoint(tmp_path, 40, ARRAYS, {"epoch": 40}).write_bytes(b"half")
    assert load_checkpoint(tmp_path)[1] == {"epoch": 20}
    save_checkpoint(tmp_path, 20, ARRAYS, {}).write_bytes(b"half")
    with pytest.raises(InputError, match=r"epoch_00040\.npz is damaged"):
        load_checkpoint(tmp_path)


@pytest.mark.parametrize("metadata", [{"epoch": "3"}, {}, [3]])
def test_a_checkpoint_without_a_whole_epoch_is_damaged(tmp_path, metadata):
    save_arrays(tmp_path / "epoch_00003.npz", ARRAYS, metadata)
    with pytest.raises(InputError, match="damaged"):
        load_checkpoint(tmp_path)


def test_a_folder_in_the_place_of_a_checkpoint_is_refused(tmp_path):
    (tmp_path / "epoch_00003.npz").mkdir()
    with pytest.raises(InputError, match="found a folder"):
        load_checkpoint(tmp_path)

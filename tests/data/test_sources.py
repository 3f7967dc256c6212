"""The original's other sources: which files are read, and what is refused.

That the values are those that the original loads is compared by parity.
"""

import gzip
import pickle
from pathlib import Path

import numpy as np
import pytest

from mopo_tf2.data.sources import read_bear, read_contiguous, read_npz, read_softlearning
from mopo_tf2.errors import InputError

FILES = Path(__file__).parents[2] / "parity" / "recordings" / "loader_files"


def table(rows=5, **changes):
    columns = {
        "observations": np.zeros((rows, 2), np.float32),
        "actions": np.zeros((rows, 1), np.float32),
        "next_observations": np.ones((rows, 2), np.float32),
        "rewards": np.arange(rows, dtype=np.float32),
        "terminals": np.zeros(rows, bool),
    }
    return {name: value for name, value in {**columns, **changes}.items() if value is not None}


@pytest.mark.parametrize(("max_size", "count"), [(None, 3), (41, 2), (250_000, 3)])
def test_softlearning_checkpoints_are_read_by_their_numbers_up_to_the_limit(max_size, count):
    _, used = read_softlearning(FILES / "softlearning", max_size=max_size)
    order = ["checkpoint_50", "checkpoint_100", "checkpoint_150"]
    assert [file.parent.name for file in used] == order[:count]


def test_folder_without_checkpoints_is_refused(tmp_path):
    with pytest.raises(InputError, match="checkpoint_"):
        read_softlearning(tmp_path)


@pytest.mark.parametrize(
    ("obs_dim", "act_dim", "message"),
    [(None, 6, "name the task"), (11, 3, r"has 42 columns.*needs 27")],
)
def test_table_that_does_not_fit_the_task_is_refused(obs_dim, act_dim, message):
    with pytest.raises(InputError, match=message):
        read_contiguous(FILES / "contiguous.npy", obs_dim=obs_dim, act_dim=act_dim)


def test_table_that_holds_objects_is_refused(tmp_path):
    np.save(tmp_path / "table.npy", np.array([{}, {}], dtype=object), allow_pickle=True)
    with pytest.raises(InputError, match=r"table.npy"):
        read_contiguous(tmp_path / "table.npy", obs_dim=2, act_dim=1)


@pytest.mark.parametrize("content", [b"", b"not numpy", b"\x93NUMPY\x01\x00"])
@pytest.mark.parametrize("suffix", ["npy", "npz"])
def test_damaged_numpy_files_are_refused(tmp_path, content, suffix):
    path = tmp_path / f"table.{suffix}"
    path.write_bytes(content)
    with pytest.raises(InputError, match="table"):
        read_contiguous(path, obs_dim=2, act_dim=1) if suffix == "npy" else read_npz(path)


def test_npz_columns_are_read_with_their_types(tmp_path):
    np.savez(tmp_path / "log.npz", **table(terminals=np.zeros((5, 1)), rewards=np.zeros((5, 1))))
    read = read_npz(tmp_path / "log.npz")
    assert (read["terminals"].dtype, read["terminals"].shape) == (np.bool_, (5,))
    assert (read["rewards"].dtype, read["rewards"].shape) == (np.float32, (5,))


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([1, 2], "dict of columns"),
        (table(next_observations=None), "lacks next_obs"),
    ],
)
def test_unfit_pickles_are_refused(tmp_path, value, message):
    path = tmp_path / "bear.pkl.gz"
    path.write_bytes(gzip.compress(pickle.dumps(value, protocol=2)))
    with pytest.raises(InputError, match=message):
        read_bear(path)

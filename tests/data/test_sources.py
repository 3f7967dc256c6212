"""The original's other sources, against what the original loaded from the same files."""

import gzip
import pickle
from pathlib import Path

import numpy as np
import pytest

from mopo_tf2.data.sources import (
    read_bear,
    read_contiguous,
    read_npz,
    read_softlearning,
    softlearning_files,
)
from mopo_tf2.errors import InputError

RECORDINGS = Path(__file__).parents[2] / "parity" / "recordings"
FILES = RECORDINGS / "loader_files"


@pytest.fixture(scope="module")
def recording():
    with np.load(RECORDINGS / "loaders.npz") as file:
        return dict(file)


def table(rows=5):
    return {
        "observations": np.zeros((rows, 2), np.float32),
        "actions": np.zeros((rows, 1), np.float32),
        "next_observations": np.ones((rows, 2), np.float32),
        "rewards": np.arange(rows, dtype=np.float32),
        "terminals": np.zeros(rows, bool),
    }


def assert_recorded(transitions, recording, kind):
    for name, values in transitions._asdict().items():
        expected = recording[f"{kind}/{name}"]
        assert values.dtype == expected.dtype, name
        assert type(values) is np.ndarray, name
        np.testing.assert_array_equal(values, expected, err_msg=name)


def test_contiguous_table_is_read_as_the_original_reads_it(recording):
    transitions = read_contiguous(FILES / "contiguous.npy", obs_dim=17, act_dim=6)
    assert_recorded(transitions, recording, "contiguous")


def test_bear_pickle_is_read_as_the_original_reads_it(recording):
    assert_recorded(read_bear(FILES / "bear.pkl.gz"), recording, "bear")


def test_softlearning_checkpoints_are_read_as_the_original_reads_them(recording):
    transitions, used = read_softlearning(
        FILES / "softlearning", max_size=int(recording["softlearning_max_size"])
    )
    assert_recorded(transitions, recording, "softlearning")
    assert [file.parent.name for file in used] == ["checkpoint_50", "checkpoint_100"]


def test_softlearning_checkpoints_are_all_read_without_a_limit():
    transitions, used = read_softlearning(FILES / "softlearning")
    assert len(transitions.rewards) == 120
    assert len(used) == 3


def test_softlearning_checkpoints_are_ordered_by_number():
    order = [file.parent.name for file in softlearning_files(FILES / "softlearning")]
    assert order == ["checkpoint_50", "checkpoint_100", "checkpoint_150"]


def test_folder_without_checkpoints_is_refused(tmp_path):
    with pytest.raises(InputError, match="checkpoint_"):
        read_softlearning(tmp_path)


def test_table_needs_the_tasks_sizes():
    with pytest.raises(InputError, match="name the task"):
        read_contiguous(FILES / "contiguous.npy", obs_dim=None, act_dim=6)


def test_table_of_another_task_is_refused_with_both_widths():
    with pytest.raises(InputError, match=r"has 42 columns.*needs 27"):
        read_contiguous(FILES / "contiguous.npy", obs_dim=11, act_dim=3)


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
    columns = {**table(), "terminals": np.zeros((5, 1)), "rewards": np.zeros((5, 1))}
    np.savez(tmp_path / "log.npz", **columns)
    read = read_npz(tmp_path / "log.npz")
    assert read["terminals"].dtype == np.bool_
    assert read["terminals"].shape == (5,)
    assert read["rewards"].dtype == np.float32
    assert read["rewards"].shape == (5,)


def test_npz_that_lacks_a_column_is_refused(tmp_path):
    columns = table()
    del columns["rewards"]
    np.savez(tmp_path / "log.npz", **columns)
    with pytest.raises(InputError, match="lacks rewards"):
        read_npz(tmp_path / "log.npz")


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([1, 2], "dict of columns"),
        ({**table(), "rewards": np.zeros(4)}, "unequal lengths"),
        ({k: v for k, v in table().items() if k != "next_observations"}, "lacks next_obs"),
        ({**table(), "observations": "text"}, "must hold numbers"),
    ],
)
def test_unfit_pickles_are_refused(tmp_path, value, message):
    path = tmp_path / "bear.pkl.gz"
    path.write_bytes(gzip.compress(pickle.dumps(value, protocol=2)))
    with pytest.raises(InputError, match=message):
        read_bear(path)

import math

import h5py
import numpy as np
import pytest

from experiments.files import file_sha256
from experiments.records.run_records import read_record
from experiments.tables.batch_returns import batch_returns, episode_returns
from tests.experiments.run_folders import write_run


def write_log(path, rewards, terminals, timeouts=None):
    with h5py.File(path, "w") as file:
        file["rewards"] = np.array(rewards, np.float32)
        file["terminals"] = np.array(terminals, bool)
        if timeouts is not None:
            file["timeouts"] = np.array(timeouts, bool)
    return path


def record_on(tmp_path, path, sha256):
    run = write_run(tmp_path / "run", [1.0], dataset=path.name, source=str(path), sha256=sha256)
    return read_record(run)


def test_episodes_end_at_terminals_and_timeouts():
    # 1 + 2 = 3 (terminal), 3 + 4 = 7 (timeout), 5 is no whole episode.
    returns = episode_returns(
        np.array([1.0, 2.0, 3.0, 4.0, 5.0]),
        np.array([0, 1, 0, 0, 0], bool),
        np.array([0, 0, 0, 1, 0], bool),
    )
    assert returns.tolist() == [3.0, 7.0]


def test_without_timeouts_episodes_end_after_their_greatest_length():
    # A terminal after row 0 starts the count anew: rows 1 to 3, then 4 to 6.
    terminals = np.array([1, 0, 0, 0, 0, 0, 0, 0], bool)
    returns = episode_returns(np.arange(8.0), terminals, max_path_length=3)
    assert returns.tolist() == [0.0, 6.0, 15.0]


def test_columns_of_shape_n_1_are_read():
    assert episode_returns(np.ones((2, 1)), np.array([[False], [True]])).tolist() == [2.0]


def test_batch_has_mean_and_maximum(tmp_path):
    path = write_log(tmp_path / "mine.hdf5", [1, 2, 3, 10], [1, 0, 1, 1])
    # Returns 1, 5 and 10.
    batch, problem = batch_returns(record_on(tmp_path, path, file_sha256(path)))
    assert batch == (pytest.approx(16.0 / 3.0), 10.0)
    assert problem == ""


def test_shipped_dataset_has_the_returns_that_its_description_says(tmp_path):
    # Mean 2,438 and maximum 5,392: parity/reference_curves/README.md.
    name = "halfcheetah-sac-replay-v0"
    sha256 = "d303c7870be83219da9eaa38776fd16e155eb14d4585bb11807afebb45f65e83"
    run = write_run(tmp_path / "run", [1.0], dataset=name, sha256=sha256)
    batch, problem = batch_returns(read_record(run))
    assert problem == ""
    assert batch == (pytest.approx(2438, abs=0.5), pytest.approx(5392, abs=0.5))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda path: path.unlink(), "there is no file"),
        (lambda path: write_log(path, [2], [1]), "has changed since the run"),
    ],
)
def test_file_that_is_gone_or_another_gives_none(tmp_path, change, message):
    path = write_log(tmp_path / "mine.hdf5", [1], [1])
    record = record_on(tmp_path, path, file_sha256(path))
    change(path)
    batch, problem = batch_returns(record)
    assert math.isnan(batch.mean)
    assert message in problem


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (lambda path: write_log(path, [1, 2], [0, 0], [0, 0]), "holds no whole episode"),
        (lambda path: path.write_bytes(b"no log"), "cannot be read"),
        (lambda path: h5py.File(path, "w").close(), "cannot be read"),
    ],
)
def test_file_that_is_no_log_of_episodes_gives_none(tmp_path, write, message):
    path = tmp_path / "mine.hdf5"
    write(path)
    batch, problem = batch_returns(record_on(tmp_path, path, file_sha256(path)))
    assert math.isnan(batch.max)
    assert message in problem


def test_other_kinds_of_files_give_none(tmp_path):
    path = tmp_path / "mine.npz"
    path.write_bytes(b"")
    assert "is not an HDF5 log" in batch_returns(record_on(tmp_path, path, None))[1]

"""From a name to transitions."""

import hashlib
import http.server
import pickle
import shutil
import threading
from functools import partial
from pathlib import Path

import h5py
import numpy as np
import pytest

from mopo_tf2.data import catalog, datasets
from mopo_tf2.data.datasets import load_dataset
from mopo_tf2.errors import InputError

LOADER_FILES = Path(__file__).parents[2] / "parity" / "recordings" / "loader_files"
ROWS = 50


@pytest.fixture(autouse=True)
def folders(tmp_path, monkeypatch):
    """A home without datasets and a working folder of the test's own."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("D4RL_DATASET_DIR", raising=False)
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path


def columns(**changes):
    random = np.random.RandomState(0)
    values = {
        "observations": random.normal(size=(ROWS, 11)).astype(np.float32),
        "actions": random.uniform(-1, 1, size=(ROWS, 3)).astype(np.float32),
        "rewards": random.normal(size=ROWS).astype(np.float32),
        "terminals": np.zeros(ROWS, bool),
        "timeouts": np.arange(1, ROWS + 1) % 10 == 0,
    }
    return {**values, **changes}


def write(path, **changes):
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        for name, values in columns(**changes).items():
            file[name] = values
    return path


def test_shipped_dataset_loads_by_its_name():
    dataset = load_dataset("halfcheetah-sac-replay-v0", obs_dim=17, act_dim=6)
    assert (dataset.task, dataset.rows_in_file) == ("halfcheetah", 101_000)
    # 101 time limits are left out, the last row of the file is one of them.
    assert [values.shape for values in dataset.transitions] == [
        (100_899, 17), (100_899, 6), (100_899, 17), (100_899, 1), (100_899, 1),
    ]  # fmt: skip


def test_path_loads_and_says_what_it_read(folders):
    path = write(folders / "mine.hdf5")
    dataset = load_dataset(str(path))
    assert (dataset.name, dataset.path, dataset.task) == ("mine.hdf5", path, None)
    assert dataset.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert dataset.rows_in_file == ROWS
    assert len(dataset.transitions.rewards) == ROWS - 5


def test_file_of_d4rls_name_tells_its_task(folders):
    assert load_dataset(str(write(folders / "hopper_mixed.hdf5"))).task == "hopper"


def test_options_reach_the_pairing(folders):
    successors = np.zeros((ROWS, 11), np.float32)
    path = str(write(folders / "mine.h5", next_observations=successors))
    assert len(load_dataset(path, terminate_on_end=True).transitions.rewards) == ROWS - 1
    own = load_dataset(path, next_observations="file").transitions
    np.testing.assert_array_equal(own.next_observations, successors)


def test_time_limit_counts_where_there_are_no_timeouts(folders):
    path = folders / "mine.hdf5"
    with h5py.File(path, "w") as file:
        for name, values in columns().items():
            if name != "timeouts":
                file[name] = values
    assert len(load_dataset(str(path), max_episode_steps=25).transitions.rewards) == ROWS - 2


@pytest.mark.parametrize("place", ["named", "default"])
def test_id_is_found_under_d4rls_file_name(folders, monkeypatch, place):
    monkeypatch.setenv("D4RL_DATASET_DIR", str(folders / "named"))
    folder = folders / ("named" if place == "named" else "home/.d4rl/datasets")
    path = write(folder / "hopper_mixed.hdf5")
    dataset = load_dataset("hopper-mixed-v0", obs_dim=11, act_dim=3, allow_download=False)
    assert (dataset.name, dataset.path) == ("hopper-medium-replay-v0", path)


def test_known_id_is_not_taken_for_a_folder_of_that_name(folders):
    Path("hopper-medium-replay-v0").mkdir()
    path = write(folders / "home/.d4rl/datasets/hopper_mixed.hdf5")
    assert load_dataset("hopper-medium-replay-v0").path == path


def test_id_that_is_not_there_says_what_to_put_where(folders):
    with pytest.raises(InputError) as raised:
        load_dataset("hopper-medium-v2", allow_download=False)
    for part in ("hopper_medium-v2.hdf5", str(folders / "home/.d4rl/datasets"), "http"):
        assert part in str(raised.value)


def test_id_that_is_not_there_is_fetched_into_the_named_folder(folders, monkeypatch, capsys):
    write(folders / "server" / "hopper_mixed.hdf5")

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *arguments):
            pass

    handler = partial(Quiet, directory=folders / "server")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        info = catalog.DatasetInfo(
            dataset_id="hopper-local-v0",
            task="hopper",
            file_name="hopper_mixed.hdf5",
            address=f"http://127.0.0.1:{server.server_port}/hopper_mixed.hdf5",
            ref_min_score=0.0,
            ref_max_score=1.0,
        )
        monkeypatch.setattr(catalog, "find", lambda name: info)
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        monkeypatch.setenv("D4RL_DATASET_DIR", str(folders / "named"))
        dataset = load_dataset("hopper-local-v0")
        server.shutdown()
    assert dataset.path == folders / "named" / "hopper_mixed.hdf5"
    assert len(dataset.transitions.rewards) == ROWS - 5
    captured = capsys.readouterr()
    assert "hopper_mixed.hdf5" in captured.err
    assert captured.out == ""


def test_name_that_is_nothing_is_refused_with_the_nearest_ids():
    with pytest.raises(InputError, match="did you mean halfcheetah-medium-v2"):
        load_dataset("halfcheeta-medium-v2")


@pytest.mark.parametrize("spec", ["missing.hdf5", "folder/missing", "/missing/file.npy"])
def test_path_that_is_not_there_is_refused(spec):
    with pytest.raises(InputError, match="there is no file"):
        load_dataset(spec)


def test_file_of_no_known_kind_is_refused(folders):
    (folders / "data.xlsx").write_text("1,2")
    with pytest.raises(InputError, match="no known kind"):
        load_dataset(str(folders / "data.xlsx"))


def test_tables_of_the_original_load_by_their_suffix(folders):
    contiguous = load_dataset(str(LOADER_FILES / "contiguous.npy"), obs_dim=17, act_dim=6)
    bear = load_dataset(str(LOADER_FILES / "bear.pkl.gz"), obs_dim=17, act_dim=6)
    softlearning = load_dataset(str(LOADER_FILES / "softlearning"), max_size=80)
    for name in bear.transitions._fields:
        expected = getattr(contiguous.transitions, name)
        np.testing.assert_array_equal(getattr(bear.transitions, name), expected)
        np.testing.assert_array_equal(getattr(softlearning.transitions, name), expected[:80])
    assert softlearning.sha256 == datasets.sha256_of(
        LOADER_FILES / "softlearning" / f"checkpoint_{number}" / "replay_pool.pkl"
        for number in (50, 100)
    )


def test_npz_without_successors_is_paired_as_a_log(folders):
    np.savez(folders / "log.npz", **columns())
    from_npz = load_dataset(str(folders / "log.npz")).transitions
    from_hdf5 = load_dataset(str(write(folders / "log.hdf5"))).transitions
    for one, other in zip(from_npz, from_hdf5, strict=True):
        np.testing.assert_array_equal(one, other)


def test_npz_with_successors_keeps_every_row(folders):
    successors = np.zeros((ROWS, 11))
    np.savez(folders / "log.npz", **columns(next_observations=successors))
    transitions = load_dataset(str(folders / "log.npz")).transitions
    np.testing.assert_array_equal(transitions.next_observations, successors)


def test_nan_is_refused_by_its_row_in_the_file(folders):
    observations = columns()["observations"]
    observations[33, 4] = np.nan
    path = write(folders / "mine.hdf5", observations=observations)
    with pytest.raises(InputError, match=r"observations has 1 .*row 33, column 4"):
        load_dataset(str(path))


def test_dataset_of_another_task_is_refused(folders):
    with pytest.raises(InputError, match="11 dimensions but the task has 17"):
        load_dataset(str(write(folders / "mine.hdf5")), obs_dim=17, act_dim=6)


def test_single_row_gives_nothing_and_is_refused(folders):
    one = {name: values[:1] for name, values in columns().items()}
    with pytest.raises(InputError, match="no transitions"):
        load_dataset(str(write(folders / "mine.hdf5", **one)))


def test_truncated_copy_of_the_shipped_file_is_refused(folders):
    path = folders / "copy.hdf5"
    source = load_dataset("halfcheetah-sac-replay-v0").path
    shutil.copy(source, path)
    with open(path, "r+b") as file:
        file.truncate(1_000_000)
    with pytest.raises(InputError, match="truncated"):
        load_dataset(str(path))


def test_list_of_trajectories_loads_by_what_the_pickle_holds(folders):
    paths = [
        {"observations": np.zeros((n, 2)), "actions": np.zeros((n, 1)), "rewards": np.ones(n)}
        for n in (4, 3)
    ]
    path = folders / "paths.pickle"
    path.write_bytes(pickle.dumps(paths))
    dataset = load_dataset(str(path), obs_dim=2, act_dim=1)
    assert dataset.rows_in_file == 7
    assert len(dataset.transitions.rewards) == 5

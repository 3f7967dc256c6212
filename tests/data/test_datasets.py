"""From a name to transitions."""

import hashlib
import pickle
from pathlib import Path

import h5py
import numpy as np
import pytest

from mopo_tf2.data import catalog, datasets
from mopo_tf2.data.datasets import load_dataset
from mopo_tf2.errors import InputError
from tests.data.file_server import FILE_NAME, Server, refusing, send

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
    return {name: value for name, value in {**values, **changes}.items() if value is not None}


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
    assert (dataset.rows_in_file, len(dataset.transitions.rewards)) == (ROWS, ROWS - 5)
    # A file of D4RL's name tells its task.
    assert load_dataset(str(write(folders / FILE_NAME))).task == "hopper"


@pytest.mark.parametrize(
    ("changes", "options", "rows"),
    [
        ({}, {"terminate_on_end": True}, ROWS - 1),
        ({"timeouts": None}, {"max_episode_steps": 25}, ROWS - 2),
        (
            {"next_observations": np.zeros((ROWS, 11), np.float32)},
            {"next_observations": "file"},
            ROWS,
        ),
    ],
    ids=["ends kept", "time limit counted", "own successors"],
)
def test_options_reach_the_pairing(folders, changes, options, rows):
    transitions = load_dataset(str(write(folders / "mine.h5", **changes)), **options).transitions
    assert len(transitions.rewards) == rows
    assert transitions.next_observations.any() == ("next_observations" not in changes)


def test_without_timeouts_episodes_end_after_a_thousand_steps(folders):
    rows = 1005
    wide = {
        name: np.resize(values, (rows, *values.shape[1:])) for name, values in columns().items()
    }
    wide["rewards"] = np.arange(rows, dtype=np.float32)
    transitions = load_dataset(str(write(folders / "mine.h5", **{**wide, "timeouts": None})))
    kept = transitions.transitions.rewards[:, 0]
    assert kept.tolist() == [row for row in range(rows - 1) if row != 999]


@pytest.mark.parametrize("place", ["named", "default"])
def test_id_is_found_under_d4rls_file_name(folders, monkeypatch, place):
    monkeypatch.setenv("D4RL_DATASET_DIR", str(folders / "named"))
    Path("hopper-mixed-v0").mkdir()  # An id is not taken for a folder of that name.
    folder = folders / ("named" if place == "named" else "home/.d4rl/datasets")
    path = write(folder / FILE_NAME)
    dataset = load_dataset("hopper-mixed-v0", obs_dim=11, act_dim=3, allow_download=False)
    assert (dataset.name, dataset.path) == ("hopper-medium-replay-v0", path)


def test_id_that_is_not_there_says_what_to_put_where(folders):
    with pytest.raises(InputError) as raised:
        load_dataset("hopper-medium-v2", allow_download=False)
    for part in ("hopper_medium-v2.hdf5", str(folders / "home/.d4rl/datasets"), "http"):
        assert part in str(raised.value)


def test_id_that_is_not_there_is_fetched_into_the_named_folder(folders, monkeypatch, capsys):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setenv("D4RL_DATASET_DIR", str(folders / "named"))
    with Server(write(folders / "server.hdf5").read_bytes(), send) as server:
        info = catalog.DatasetInfo(
            dataset_id="hopper-local-v0",
            task="hopper",
            file_name=FILE_NAME,
            address=server.url,
            ref_min_score=0.0,
            ref_max_score=1.0,
        )
        monkeypatch.setattr(catalog, "find", lambda name: info)
        dataset = load_dataset("hopper-local-v0")
    assert dataset.path == folders / "named" / FILE_NAME
    assert len(dataset.transitions.rewards) == ROWS - 5
    captured = capsys.readouterr()
    assert FILE_NAME in captured.err
    assert captured.out == ""


@pytest.mark.parametrize("separator", [" ", ",", ", "])
def test_mirrors_are_asked_before_d4rls_address(folders, monkeypatch, capsys, separator):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    content = write(folders / "server.hdf5").read_bytes()
    with Server(b"", refusing(404)) as empty, Server(content, send) as full:
        addresses = [server.url.rpartition("/")[0] for server in (empty, full)]
        monkeypatch.setenv("MOPO_D4RL_MIRROR", separator.join([addresses[0], addresses[1] + "/"]))
        dataset = load_dataset("hopper-medium-v2")
    assert dataset.path == folders / "home" / ".d4rl" / "datasets" / "hopper_medium-v2.hdf5"
    assert (len(empty.ranges), len(full.ranges)) == (1, 1)
    assert "404" in capsys.readouterr().err


def test_a_mirror_that_is_no_address_is_refused(monkeypatch):
    monkeypatch.setenv("MOPO_D4RL_MIRROR", "ftp://server/folder")
    with pytest.raises(InputError, match="MOPO_D4RL_MIRROR holds 'ftp://server/folder'"):
        load_dataset("hopper-medium-v2")


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("halfcheeta-medium-v2", "did you mean halfcheetah-medium-v2"),
        ("missing.hdf5", "there is no file"),
        ("folder/missing", "there is no file"),
        ("/missing/file.npy", "there is no file"),
    ],
)
def test_name_that_is_nothing_is_refused_with_the_nearest_ids(spec, message):
    with pytest.raises(InputError, match=message):
        load_dataset(spec)


def test_file_of_no_known_kind_is_refused(folders):
    (folders / "data.xlsx").write_text("1,2")
    with pytest.raises(InputError, match="no known kind"):
        load_dataset(str(folders / "data.xlsx"))


def test_tables_of_the_original_load_by_their_suffix():
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


@pytest.mark.parametrize("successors", [None, np.zeros((ROWS, 11))])
def test_npz_is_a_log_unless_it_brings_successors(folders, successors):
    np.savez(folders / "log.npz", **columns(next_observations=successors))
    path = write(folders / "log.hdf5", next_observations=successors)
    mode = "shift" if successors is None else "file"
    from_npz = load_dataset(str(folders / "log.npz")).transitions
    from_hdf5 = load_dataset(str(path), next_observations=mode).transitions
    for one, other in zip(from_npz, from_hdf5, strict=True):
        np.testing.assert_array_equal(one, other)


def test_list_of_trajectories_loads_by_what_the_pickle_holds(folders):
    paths = [
        {"observations": np.zeros((n, 2)), "actions": np.zeros((n, 1)), "rewards": np.ones(n)}
        for n in (4, 3)
    ]
    path = folders / "paths.pickle"
    path.write_bytes(pickle.dumps(paths))
    dataset = load_dataset(str(path), obs_dim=2, act_dim=1)
    assert (dataset.rows_in_file, len(dataset.transitions.rewards)) == (7, 5)


def with_nan():
    observations = columns()["observations"]
    observations[33, 4] = np.nan
    return {"observations": observations}


@pytest.mark.parametrize(
    ("changes", "options", "message"),
    [
        (with_nan(), {}, r"observations has 1 .*row 33, column 4"),
        ({}, {"obs_dim": 17, "act_dim": 6}, "11 dimensions but the task has 17"),
        ({name: values[:1] for name, values in columns().items()}, {}, "no transitions"),
    ],
    ids=["NaN", "another task", "one row"],
)
def test_unfit_file_is_refused(folders, changes, options, message):
    with pytest.raises(InputError, match=message):
        load_dataset(str(write(folders / "mine.hdf5", **changes)), **options)

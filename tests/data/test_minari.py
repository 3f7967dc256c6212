"""Minari datasets, written by Minari itself where that package is installed."""

import sys

import h5py
import numpy as np
import pytest
from gymnasium import spaces

from mopo_tf2.data.datasets import load_dataset
from mopo_tf2.data.minari import read_environment, read_minari
from mopo_tf2.errors import InputError
from tests.data.minari_sets import box, env_spec, write

DATASET_ID = "mujoco/halfcheetah/medium-v0"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))
    return tmp_path


def episode(steps, terminal, start):
    observations = start + np.arange((steps + 1) * 2, dtype=np.float64).reshape(steps + 1, 2)
    return list(observations), np.full((steps, 1), 0.25), terminal


def test_each_row_has_the_successor_of_its_own_episode(folder):
    first, second = episode(3, True, 0.0), episode(2, False, 100.0)
    write(DATASET_ID, box(2), box(1), [first, second])
    dataset = load_dataset(f"minari:{DATASET_ID}", obs_dim=2, act_dim=1, allow_download=False)
    transitions = dataset.transitions
    np.testing.assert_array_equal(
        transitions.observations, np.concatenate([first[0][:-1], second[0][:-1]])
    )
    np.testing.assert_array_equal(
        transitions.next_observations, np.concatenate([first[0][1:], second[0][1:]])
    )
    assert transitions.rewards[:, 0].tolist() == [0, 1, 2, 0, 1]
    assert transitions.terminals[:, 0].tolist() == [False, False, True, False, False]
    assert transitions.observations.dtype == np.float32
    assert (dataset.name, dataset.task) == (f"minari:{DATASET_ID}", "halfcheetah")
    assert dataset.path is not None
    assert folder in dataset.path.parents
    assert dataset.sha256 is not None


OBSERVATIONS, ACTIONS, TERMINAL = episode(3, True, 0.0)


@pytest.mark.parametrize(
    ("kinds", "content", "refused"),
    [
        ((box(2), spaces.Discrete(3)), (OBSERVATIONS, [0, 1, 2], TERMINAL), "actions"),
        (
            (spaces.Dict({"goal": box(2)}), box(1)),
            ({"goal": OBSERVATIONS}, ACTIONS, TERMINAL),
            "observations",
        ),
    ],
    ids=["discrete actions", "dict observations"],
)
def test_what_is_no_vector_is_refused(folder, kinds, content, refused):
    write(DATASET_ID, *kinds, [content])
    with pytest.raises(InputError, match=f"{refused} must be vectors"):
        read_minari(DATASET_ID, allow_download=False)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (DATASET_ID, f"minari download {DATASET_ID}"),
        ("no version", "Minari"),
        ("", "Minari"),
        ("../outside-v0", "Minari"),
    ],
)
def test_dataset_that_is_not_there_is_refused(folder, name, message):
    pytest.importorskip("minari")
    with pytest.raises(InputError, match=message):
        read_minari(name, allow_download=False)


def test_missing_package_is_named_with_its_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "minari", None)
    with pytest.raises(InputError, match=r"pip install 'mopo-tf2\[minari\]'"):
        read_minari(DATASET_ID)


def test_a_dataset_that_takes_values_from_another_file_is_refused(folder):
    write(DATASET_ID, box(2), box(1), [episode(3, True, 0.0)])
    (stored,) = folder.rglob("*.hdf5")
    with h5py.File(stored, "a") as file:
        name = next(iter(file))
        del file[name]["rewards"]
        file[name]["rewards"] = h5py.ExternalLink("elsewhere.hdf5", "/rewards")
    with pytest.raises(InputError, match="rewards is a link"):
        read_minari(DATASET_ID, allow_download=False)


def test_actions_are_mapped_from_the_bounds_of_the_action_space(folder):
    content = episode(3, True, 0.0)[0], np.array([[-2.0], [0.0], [3.0]]), True
    write(DATASET_ID, box(2), box(1, bound=2.0), [content])
    transitions, _, bounds = read_minari(DATASET_ID, allow_download=False)
    assert transitions.actions[:, 0].tolist() == [-1.0, 0.0, 1.5]  # The last is out of bounds.
    assert bounds is not None
    assert (bounds.low, bounds.high) == ((-2.0,), (2.0,))


@pytest.mark.parametrize(
    ("metadata", "expected"),
    [
        ({}, None),
        ({"env_spec": env_spec("Hopper-v5", steps=7)}, ("Hopper-v5", {}, 7, False)),
        (
            {"env_spec": env_spec("Hopper-v5", reset_noise_scale=0.1, steps=None)},
            ("Hopper-v5", {"reset_noise_scale": 0.1}, None, False),
        ),
        (
            {
                "env_spec": env_spec("Hopper-v2"),
                "eval_env_spec": env_spec("Hopper-v4", wrappers=[{"name": "x"}]),
            },
            ("Hopper-v4", {}, 1000, True),
        ),
    ],
    ids=["none", "v5", "arguments", "of evaluation"],
)
def test_the_environment_is_what_the_specification_says(folder, metadata, expected):
    write(DATASET_ID, box(2), box(1), [episode(3, True, 0.0)], metadata)
    found = read_environment(DATASET_ID, allow_download=False)
    values = found and (found.id, found.arguments, found.max_episode_steps, found.wrapped)
    assert values == expected


@pytest.mark.parametrize(
    "text", ["{", "[]", '{"id": 5}', '{"id": "A-v0", "kwargs": 3}', '{"kwargs": {}}', "[" * 10**5]
)
def test_a_damaged_specification_is_refused(folder, text):
    write(DATASET_ID, box(2), box(1), [episode(3, True, 0.0)], {"env_spec": text})
    with pytest.raises(InputError, match="specification of an environment cannot be read"):
        read_environment(DATASET_ID, allow_download=False)


def test_nothing_is_imported_to_learn_of_a_missing_space(folder, monkeypatch):
    (folder / "evil.py").write_text("raise SystemExit('ran')")
    monkeypatch.syspath_prepend(folder)
    spaces_gone = {"observation_space": None, "env_spec": env_spec("Evil-v0")}
    write(DATASET_ID, box(2), box(1), [episode(3, True, 0.0)], spaces_gone)
    with pytest.raises(InputError, match="does not say what its observation space is"):
        read_minari(DATASET_ID, allow_download=False)
    assert "evil" not in sys.modules


def test_half_a_download_does_not_stay(folder, monkeypatch):
    minari = pytest.importorskip("minari")

    def break_off(dataset_id):
        (folder / dataset_id / "data").mkdir(parents=True)
        raise OSError("connection lost")

    monkeypatch.setattr(minari, "download_dataset", break_off)
    with pytest.raises(InputError, match="connection lost"):
        read_minari(DATASET_ID)
    assert not (folder / DATASET_ID).exists()


def test_the_remote_of_the_lock_is_there():
    pytest.importorskip("minari")
    from minari.storage.remotes import get_cloud_storage

    assert type(get_cloud_storage()).__name__ == "HuggingFaceStorage"

"""Minari datasets, written by Minari itself where that package is installed."""

import sys

import h5py
import numpy as np
import pytest
from gymnasium import spaces

from mopo_tf2.data.datasets import load_dataset
from mopo_tf2.data.minari import read_minari
from mopo_tf2.errors import InputError

# Minari warns that a dataset written from arrays names no environment.
pytestmark = pytest.mark.filterwarnings("ignore:.*env.* is :UserWarning")

DATASET_ID = "mujoco/halfcheetah/medium-v0"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))
    return tmp_path


def write(observation_space, action_space, episodes):
    minari = pytest.importorskip("minari")
    from minari.data_collector.episode_buffer import EpisodeBuffer

    buffers = [
        EpisodeBuffer(
            id=number,
            observations=observations,
            actions=list(actions),
            rewards=[float(step) for step in range(len(actions))],
            terminations=[False] * (len(actions) - 1) + [terminal],
            truncations=[False] * (len(actions) - 1) + [not terminal],
        )
        for number, (observations, actions, terminal) in enumerate(episodes)
    ]
    spaces = {"observation_space": observation_space, "action_space": action_space}
    about = dict.fromkeys(
        ("algorithm_name", "code_permalink", "author", "author_email", "description"), "none"
    )
    minari.create_dataset_from_buffers(dataset_id=DATASET_ID, buffer=buffers, **spaces, **about)


def box(size):
    return spaces.Box(-np.inf, np.inf, (size,), np.float64)


def episode(steps, terminal, start):
    observations = start + np.arange((steps + 1) * 2, dtype=np.float64).reshape(steps + 1, 2)
    return list(observations), np.full((steps, 1), 0.25), terminal


def test_each_row_has_the_successor_of_its_own_episode(folder):
    first, second = episode(3, True, 0.0), episode(2, False, 100.0)
    write(box(2), box(1), [first, second])
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
    write(*kinds, [content])
    with pytest.raises(InputError, match=f"{refused} of episode 0 must be vectors"):
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
    write(box(2), box(1), [episode(3, True, 0.0)])
    (stored,) = folder.rglob("*.hdf5")
    with h5py.File(stored, "a") as file:
        name = next(iter(file))
        del file[name]["rewards"]
        file[name]["rewards"] = h5py.ExternalLink("elsewhere.hdf5", "/rewards")
    with pytest.raises(InputError, match="rewards is a link"):
        read_minari(DATASET_ID, allow_download=False)

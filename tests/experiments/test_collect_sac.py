"""``collect --policy sac``: files, resumption, the exported policy."""

import csv
import json
import shutil
import signal
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from experiments.collect_sac import (
    CHECKPOINT_FILE,
    EPISODES_FILE,
    SACCollection,
    collect_with_sac,
    run_folder,
)
from experiments.dataset_files import read_columns
from experiments.exports import load_policy
from experiments.interrupts import Interrupted
from mopo_tf2.config import SACConfig
from mopo_tf2.configs.online_sac import OnlineSACConfig
from mopo_tf2.data.datasets import load_dataset
from mopo_tf2.errors import InputError
from tests.algorithms.test_online_sac import Aim
from tests.experiments.tiny_runs import Answer, mopo

TASK = "tests.experiments.test_collect_sac:Disturbed"
TINY = ["warm_up=20", "block_steps=4", "hidden_layer_sizes=8,8", "batch_size=16"]


class Disturbed(Aim):
    """Calls ``disturb`` when it is stepped for the ``step_of_disturbance``-th time."""

    steps: ClassVar[int] = 0
    step_of_disturbance: ClassVar[int] = -1

    @staticmethod
    def disturb() -> None:
        """Nothing, unless a test says otherwise."""

    def step(self, action: np.ndarray) -> Any:
        type(self).steps += 1
        if self.steps == self.step_of_disturbance:
            self.disturb()
        return super().step(action)


@pytest.fixture(autouse=True)
def undisturbed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Disturbed, "steps", 0)


def collect(out: Path, *options: str) -> Answer:
    return mopo(
        *("collect", TASK, "--policy", "sac", "--steps", "60", "--max-path-length", "5"),
        *("--out", out, *options, "--set", *TINY),
    )


def interrupt(task: Disturbed) -> None:
    signal.raise_signal(signal.SIGINT)


def die(task: Disturbed) -> None:
    raise RuntimeError("killed")


def same_columns(one: Path, other: Path) -> bool:
    ours, theirs = read_columns(one)[0], read_columns(other)[0]
    return ours.keys() == theirs.keys() and all(
        np.array_equal(ours[name], theirs[name]) for name in ours
    )


def collection(out: Path, **changes: Any) -> SACCollection:
    sac = SACConfig(hidden_layer_sizes=(8, 8), batch_size=16)
    config = OnlineSACConfig(steps=60, warm_up=20, block_steps=4, max_path_length=5, sac=sac)
    fields = {"save": "replay", "n": 60, "seed": 0, "config": config, **changes}
    attributes = {"task": TASK, "physics": "own"}
    return SACCollection(out=out, attributes=attributes, **fields)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Answer]:
    """A collection to look at, not to change, and what the command said."""
    out = tmp_path_factory.mktemp("finished") / "data.hdf5"
    return out, collect(out)


def test_replay_buffer_is_a_dataset_in_order_of_time(finished: tuple[Path, Answer]) -> None:
    out, answer = finished
    assert answer.code == 0, answer.err
    assert "60 transitions, 12 whole episodes" in answer.out
    columns, attributes = read_columns(out)
    assert np.flatnonzero(columns["timeouts"]).tolist() == list(range(4, 60, 5))
    assert attributes["policy"] == "sac"
    assert (attributes["save"], attributes["sac_steps"]) == ("replay", 60)
    # Whoever reads D4RL's files leaves out the rows at a time limit, whose successor is not there.
    assert len(load_dataset(str(out)).transitions.rewards) == 48


def test_returns_are_kept_as_a_table(finished: tuple[Path, Answer]) -> None:
    out, _ = finished
    with (run_folder(out) / EPISODES_FILE).open(newline="") as file:
        rows = list(csv.DictReader(file))
    columns, _ = read_columns(out)
    assert [int(row["timesteps_total"]) for row in rows] == list(range(5, 61, 5))
    assert {row["length"] for row in rows} == {"5"}
    expected = columns["rewards"].reshape(12, 5).sum(axis=1)
    np.testing.assert_allclose([float(row["return"]) for row in rows], expected, rtol=1e-5)


def test_exported_policy_collects_and_evaluates(
    tmp_path: Path, finished: tuple[Path, Answer]
) -> None:
    folder, more = run_folder(finished[0]), tmp_path / "more.hdf5"
    answer = mopo("collect", TASK, "--policy", folder, "--n", "10", "--out", more)
    assert answer.code == 0, answer.err
    assert len(read_columns(more)[0]["rewards"]) == 10
    evaluated = mopo("evaluate", folder, "--episodes", "2")
    assert evaluated.code == 0, evaluated.err
    assert "return" in evaluated.out


def test_progress_names_steps_returns_and_speed(finished: tuple[Path, Answer]) -> None:
    line = finished[1].err.strip().splitlines()[-1]
    assert "60 of 60 steps (12 episodes, mean return of the last 10: " in line
    assert "steps/s" in line


def test_nothing_is_left_beside_the_file_but_what_is_said(finished: tuple[Path, Answer]) -> None:
    out, _ = finished
    found = sorted(str(path.relative_to(out.parent)) for path in out.parent.rglob("*.*"))
    folder = "data.hdf5.run"
    assert found == [
        *("data.hdf5", folder, f"{folder}/collect.json", f"{folder}/episodes.csv"),
        f"{folder}/policy/policy.npz",
    ]
    assert json.loads((run_folder(out) / "collect.json").read_text())["steps"] == 60


# In the warm-up, and while it learns.
@pytest.mark.parametrize("step", [3, 37])
def test_ctrl_c_and_the_same_command_again_give_the_undisturbed_file(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    finished: tuple[Path, Answer],
    step: int,
) -> None:
    out = tmp_path / "data.hdf5"
    monkeypatch.setattr(Disturbed, "step_of_disturbance", step)
    monkeypatch.setattr(Disturbed, "disturb", interrupt)
    stopped = collect(out)
    assert stopped.code == 130, stopped
    assert f"stopped after {-(-step // 5) * 5} of 60 steps; the same command goes on" in stopped.out
    assert not out.exists()
    monkeypatch.setattr(Disturbed, "step_of_disturbance", -1)
    answer = collect(out)
    assert answer.code == 0, answer.err
    assert "continued the interrupted collection" in answer.out
    assert same_columns(finished[0], out)
    assert not (run_folder(out) / CHECKPOINT_FILE).exists()


def test_a_killed_collection_goes_on_from_its_last_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, finished: tuple[Path, Answer]
) -> None:
    out = tmp_path / "data.hdf5"
    monkeypatch.setattr(Disturbed, "step_of_disturbance", 48)
    monkeypatch.setattr(Disturbed, "disturb", die)
    with pytest.raises(RuntimeError, match="killed"):
        collect_with_sac(Disturbed(), collection(out, checkpoint_steps=20))
    assert not out.exists()
    assert sum(1 for _ in (run_folder(out) / EPISODES_FILE).open()) == 9  # a header, 40 steps
    monkeypatch.setattr(Disturbed, "step_of_disturbance", -1)
    _, continued = collect_with_sac(Disturbed(), collection(out))
    assert continued
    assert same_columns(finished[0], out)


def test_rollouts_are_of_the_trained_policy_and_sampled_and_survive_a_kill(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, parted = tmp_path / "whole.hdf5", tmp_path / "parted.hdf5"
    collect_with_sac(Disturbed(), collection(whole, save="policy", n=33))
    columns, _ = read_columns(whole)
    assert len(columns["rewards"]) == 33
    mode = load_policy(run_folder(whole)).acting()
    modes = np.concatenate([mode(row[np.newaxis]) for row in columns["observations"]])
    # A policy that has hardly learned is close to a squashed standard normal around its mode.
    deviations = np.arctanh(columns["actions"]) - np.arctanh(modes)
    assert 0.5 < np.std(deviations) < 1.5
    assert abs(np.mean(deviations)) < 0.6
    # 60 steps of training, then killed in the rollouts: they are made again without training.
    monkeypatch.setattr(Disturbed, "steps", 0)
    monkeypatch.setattr(Disturbed, "step_of_disturbance", 80)
    monkeypatch.setattr(Disturbed, "disturb", die)
    with pytest.raises(RuntimeError, match="killed"):
        collect_with_sac(Disturbed(), collection(parted, save="policy", n=33))
    assert not parted.exists()
    monkeypatch.setattr(Disturbed, "steps", 1000)
    collect_with_sac(Disturbed(), collection(parted, save="policy", n=33))
    assert Disturbed.steps == 1033
    assert same_columns(whole, parted)


def stop(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave an interrupted collection."""
    monkeypatch.setattr(Disturbed, "step_of_disturbance", 12)
    monkeypatch.setattr(Disturbed, "disturb", interrupt)
    with pytest.raises(Interrupted, match="stopped after 15 of 60 steps"):
        collect_with_sac(Disturbed(), collection(out))


def test_an_interrupted_collection_with_other_settings_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "data.hdf5"
    stop(out, monkeypatch)
    with pytest.raises(InputError, match="interrupted collection with seed 0, now it is 1"):
        collect_with_sac(Disturbed(), collection(out, seed=1))


def test_a_damaged_checkpoint_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "data.hdf5"
    stop(out, monkeypatch)
    (run_folder(out) / CHECKPOINT_FILE).write_bytes(b"no archive")
    with pytest.raises(InputError, match="is damaged"):
        collect_with_sac(Disturbed(), collection(out))


def test_the_folder_of_a_finished_collection_is_not_overwritten(
    tmp_path: Path, finished: tuple[Path, Answer]
) -> None:
    out = tmp_path / "data.hdf5"
    shutil.copytree(run_folder(finished[0]), run_folder(out))
    with pytest.raises(InputError, match=r"of a finished collection whose file data.hdf5 is gone"):
        collect_with_sac(Disturbed(), collection(out))


SAC = ["collect", TASK, "--out", "x.hdf5", "--policy", "sac"]


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (SAC, "needs --steps"),
        (["collect", "hopper", "--out", "x.hdf5", "--n", "5", "--steps", "9"], "--policy sac"),
        (["collect", "hopper", "--out", "x.hdf5"], "--n, the number of transitions, is missing"),
        ([*SAC, "--steps", "60", "--n", "5"], "--n is the number of rollout steps"),
        ([*SAC, "--steps", "60"], "warm_up of 5000"),
        ([*SAC, "--steps", "60", "--save", "all"], "--save"),
        ([*SAC, "--steps", "60", "--set", "warm_ups=3"], "Did you mean 'warm_up'?"),
        ([*SAC, "--steps", "60", "--set", "steps=3"], "give --steps instead of --set steps"),
        ([*SAC, "--steps", "60", "--save", "policy", "--n", "0"], "positive number of rows"),
    ],
)
def test_unfit_words_are_refused_in_one_line_and_nothing_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], named: str
) -> None:
    monkeypatch.chdir(tmp_path)
    answer = mopo(*arguments)
    assert answer.code == 2, answer
    assert named in answer.err
    assert len(answer.err.strip().splitlines()) == 1
    assert list(tmp_path.iterdir()) == []

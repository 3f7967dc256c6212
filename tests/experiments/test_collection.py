"""Datasets that are collected, relabelled and joined: whole, as they should be, or not there."""

import json
import shutil
import signal
from pathlib import Path
from typing import Any, ClassVar

import gymnasium
import h5py
import numpy as np
import pandas as pd
import pytest

from experiments.collection import _roll_out, collect, join, read_dataset, relabel
from experiments.run_folder import RunFolder
from mopo_tf2.data.datasets import load_dataset
from mopo_tf2.errors import DivergenceError, InputError
from mopo_tf2.evaluation.environments import make_environment
from tests.algorithms.test_online_sac import Aim
from tests.eager import eagerly
from tests.experiments.tiny_runs import mopo, refused


class Task(Aim):
    """``Aim`` with actions in [-2, 4], which can truncate, and be disturbed in a step."""

    action_space = gymnasium.spaces.Box(-2.0, 4.0, (1,), np.float32)
    steps: ClassVar[int] = 0
    disturbances: ClassVar[dict[int, Any]] = {}

    def __init__(self, length=1000, truncates=False):
        super().__init__(length)
        self.truncates, self.actions = truncates, []

    def step(self, action):
        type(self).steps += 1
        self.disturbances.get(self.steps, lambda: None)()
        self.actions.append(action)
        observation, reward, over, _, infos = super().step(action)
        return observation, reward, over and not self.truncates, over, infos


TASK = f"{Task.__module__}:Task"


@pytest.fixture(autouse=True)
def disturbances(monkeypatch):
    """What happens in which step of ``Task``: nothing, unless a test says otherwise."""
    found = {}
    monkeypatch.setattr(Task, "steps", 0)
    monkeypatch.setattr(Task, "disturbances", found)
    with eagerly():
        yield found


def press_ctrl_c():
    # A job in the background ignores SIGINT, unless someone asks for it.
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        raise KeyboardInterrupt
    signal.raise_signal(signal.SIGINT)


def die():
    raise RuntimeError("killed")


def rolled_out(task, n, policy=None, length=1000):
    random_state = np.random.RandomState(0)
    return _roll_out(task, Path("x"), n, random_state, policy, length).closed_columns()


def same(one, other):
    ours, theirs = read_dataset(one)[0], read_dataset(other)[0]
    return ours.keys() == theirs.keys() and all(
        np.array_equal(ours[name], theirs[name]) for name in ours
    )


def test_file_has_the_columns_of_d4rl(tmp_path):
    answer = mopo("collect", "hopper", "--n", "30", "--out", tmp_path / "data.hdf5")
    assert answer.code == 0, answer.err
    columns = read_dataset(tmp_path / "data.hdf5")[0]
    found = {f"{name} {values.dtype} {values.shape[1:]}" for name, values in columns.items()}
    assert found == {
        *("actions float32 (3,)", "infos/qpos float64 (6,)", "infos/qvel float64 (6,)"),
        *("next_observations float32 (11,)", "observations float32 (11,)", "rewards float32 ()"),
        *("terminals bool ()", "timeouts bool ()"),
    }


def test_random_actions_are_uniform_over_the_whole_range():
    counts, _ = np.histogram(rolled_out(Task(), 5000)["actions"], bins=10, range=(-1.0, 1.0))
    # Each bin is binomial(5000, 0.1): 500 +- 21; six standard deviations.
    assert np.abs(counts - 500).max() < 128


def test_policy_acts_on_the_observation_within_the_bounds():
    task = Task(4)
    columns = rolled_out(task, 8, policy=lambda observations: np.tanh(observations[:, :1]))
    expected = np.tanh(columns["observations"][:, :1])
    np.testing.assert_allclose(columns["actions"], expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(task.actions, 1.0 + 3.0 * expected, rtol=1e-5, atol=1e-6)


def test_actions_that_are_not_finite_end_the_collection():
    with pytest.raises(DivergenceError, match="not finite in step 1"):
        rolled_out(Task(), 8, policy=lambda rows: np.full((1, 1), np.nan))


@pytest.mark.parametrize(
    ("environment", "terminals", "timeouts"),
    [
        (Task(4), [3, 7], [9]),
        (Task(4, truncates=True), [], [3, 7, 9]),
        (Task(5), [], [4, 9]),
        (Task(2), [1, 3, 5, 7, 9], []),
    ],
    ids=["ends", "truncates", "ends at the limit", "ends with the file"],
)
def test_terminals_and_timeouts_are_told_apart(environment, terminals, timeouts):
    columns = rolled_out(environment, 10, length=5)
    assert np.flatnonzero(columns["terminals"]).tolist() == terminals
    assert np.flatnonzero(columns["timeouts"]).tolist() == timeouts


def test_only_the_first_reset_is_seeded():
    task = Task(2)
    rolled_out(task, 6)
    assert task.seeds[0] is not None
    assert task.seeds[1:] == [None] * 2


def test_seed_decides_and_is_written_with_task_and_physics(tmp_path):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        collect("ant", tmp_path / name, 20, seed=seed, physics="gymnasium")
    assert same(tmp_path / "a", tmp_path / "b")
    assert not same(tmp_path / "a", tmp_path / "c")
    written = {"task": "ant", "physics": "gymnasium", "seed": 2, "policy": "random"}
    assert read_dataset(tmp_path / "c")[1].items() >= written.items()


def test_progress_and_whole_episodes_are_reported(tmp_path):
    arguments = ("--n", "45", "--max-path-length", "20", "--out", tmp_path / "data.hdf5")
    answer = mopo("collect", "halfcheetah", *arguments)
    assert answer.err.splitlines()[-1] == "collecting data.hdf5: 45 of 45 steps"
    assert "45 transitions, 2 whole episodes with a mean return of" in answer.out


def test_interrupt_leaves_no_file(tmp_path, disturbances):
    disturbances[4] = press_ctrl_c
    answer = mopo("collect", TASK, "--n", "50", "--out", tmp_path / "data.hdf5")
    assert (answer.code, answer.err.splitlines()[-1]) == (130, "error: interrupted.")
    assert list(tmp_path.iterdir()) == []


def test_a_failure_while_the_file_is_written_leaves_none(tmp_path, monkeypatch):
    def fail(*_, **__):
        raise OSError("no space left on device")

    monkeypatch.setattr(h5py.AttributeManager, "update", fail)
    with pytest.raises(OSError, match="no space"):
        collect("hopper", tmp_path / "data.hdf5", 5)
    assert list(tmp_path.iterdir()) == []


COLLECT = ["collect", "hopper", "--out", "x.hdf5"]
SAC = ["collect", TASK, "--out", "x.hdf5", "--policy", "sac"]


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ([*COLLECT, "--n", "0"], "--n: expected a whole number from 1"),
        ([*COLLECT, "--n", "5", "--max-path-length", "0"], "--max-path-length: expected a whole"),
        ([*COLLECT, "--n", "5", "--seed", "-1"], "--seed must lie in"),
        (["collect", "hopper", "--out", "there.hdf5", "--n", "5"], "exists already"),
        (["collect", "hopper", "--out", "nowhere/x.hdf5", "--n", "5"], "no folder nowhere"),
        (["collect", "hoper", "--out", "x.hdf5", "--n", "5"], "Did you mean 'hopper'?"),
        ([*COLLECT, "--n", "5", "--policy", "nowhere"], "expected a run folder nowhere"),
        ([*COLLECT, "--n", "5", "--steps", "9"], "--policy sac"),
        (COLLECT, "--n, the number of transitions, is missing"),
        (SAC, "needs --steps"),
        ([*SAC, "--steps", "60", "--n", "5"], "--n is the number of rollout steps"),
        ([*SAC, "--steps", "60"], "warm_up of 5000"),
        ([*SAC, "--steps", "60", "--set", "warm_ups=3"], "Did you mean 'warm_up'?"),
        ([*SAC, "--steps", "60", "--set", "steps=3"], "give --steps instead of --set steps"),
        (["relabel", "there.hdf5", "--task", "ant-angle", "--out", "x"], "not an HDF5 file"),
        (["relabel", "no.hdf5", "--task", "ant-angle", "--out", "x.hdf5"], "no file no.hdf5"),
        (["join", "no.hdf5", "--out", "x.hdf5"], "at least two files"),
    ],
)
def test_invalid_input_is_refused_before_anything_is_made(tmp_path, monkeypatch, arguments, named):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("experiments.collection.use_device", die)  # TensorFlow is not loaded
    Path("there.hdf5").write_bytes(b"kept")
    assert named in refused(*arguments)
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"kept"]


def test_a_runs_policy_collects_data_of_its_own_task(tiny_run, tmp_path):
    out = tmp_path / "policy.hdf5"
    answer = mopo("collect", "halfcheetah", "--out", out, "--n", "20", "--policy", tiny_run)
    assert answer.code == 0, answer.err
    columns = read_dataset(out)[0]
    act = RunFolder(tiny_run).load_policy()[0].acting(1, 0)
    expected = np.concatenate([act(row[np.newaxis]) for row in columns["observations"]])
    np.testing.assert_allclose(columns["actions"], expected, atol=1e-6)


def test_a_policy_of_another_task_is_refused_or_of_the_same_sizes_warned_of(tiny_run, tmp_path):
    arguments = ("--out", tmp_path / "x", "--n", "5", "--policy", tiny_run)
    assert "17 observation and 6 action dimensions" in refused("collect", "hopper", *arguments)
    assert list(tmp_path.iterdir()) == []
    said = mopo("collect", "walker2d", *arguments).err
    assert "was trained for halfcheetah, not walker2d" in said


def test_what_a_policy_draws_follows_the_seed(tiny_run, tmp_path, monkeypatch):
    seeds = []
    policy, _ = RunFolder(tiny_run).load_policy()
    act = policy.acting(1, 0)
    monkeypatch.setattr(type(policy), "acting", lambda self, rows, seed: seeds.append(seed) or act)
    collect("halfcheetah", tmp_path / "x", 3, policy=str(tiny_run), seed=5)
    assert seeds == [5]


def collect_sac(out, *options):
    return mopo(
        *("collect", TASK, "--policy", "sac", "--steps", "40", "--max-path-length", "5"),
        *("--out", out, *options, "--set", "warm_up=20", "block_steps=4"),
        *("--set", "hidden_layer_sizes=8,8", "batch_size=16"),
    )


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A collection to look at, not to change, and what the command said."""
    out = tmp_path_factory.mktemp("finished") / "data.hdf5"
    with eagerly():
        return out, collect_sac(out)


def test_replay_buffer_is_a_dataset_in_order_of_time(finished):
    out, answer = finished
    assert answer.code == 0, answer.err
    assert "40 transitions, 8 whole episodes" in answer.out
    columns, attributes = read_dataset(out)
    assert np.flatnonzero(columns["timeouts"]).tolist() == list(range(4, 40, 5))
    assert attributes.items() >= {"policy": "sac", "save": "replay", "sac_steps": 40}.items()
    # Whoever reads D4RL's files leaves out the rows at a time limit, whose successor is not there.
    assert len(load_dataset(str(out)).transitions.rewards) == 32


def test_the_folder_beside_the_file_holds_settings_returns_and_policy(finished):
    out, _ = finished
    folder = Path(f"{out}.run")
    found = sorted(str(path.relative_to(folder)) for path in folder.rglob("*.*"))
    assert found == ["collect.json", "episodes.csv", "policy/policy.npz"]
    assert json.loads((folder / "collect.json").read_text())["steps"] == 40
    table = pd.read_csv(folder / "episodes.csv", index_col="episode")
    assert table["timesteps_total"].tolist() == list(range(5, 41, 5))
    assert set(table["length"]) == {5}
    expected = read_dataset(out)[0]["rewards"].reshape(8, 5).sum(axis=1)
    np.testing.assert_allclose(table["return"], expected, rtol=1e-5)


def test_exported_policy_collects_and_evaluates(tmp_path, finished):
    folder, more = Path(f"{finished[0]}.run"), tmp_path / "more.hdf5"
    answer = mopo("collect", TASK, "--policy", folder, "--n", "10", "--out", more)
    assert answer.code == 0, answer.err
    named = ("--environment", RunFolder(folder).policy_metadata()["environment"])
    assert "return" in mopo("evaluate", folder, "--episodes", "2", *named).out


def test_a_collection_that_was_stopped_and_then_killed_gives_the_undisturbed_file(
    tmp_path, monkeypatch, disturbances, finished
):
    out = tmp_path / "data.hdf5"
    monkeypatch.setattr("experiments.collection._CHECKPOINT_STEPS", 10)
    disturbances.update({12: press_ctrl_c, 35: die})
    stopped = collect_sac(out)
    assert stopped.code == 130, stopped
    assert "stopped after 15 of 40 steps; run the same command to continue." in stopped.out
    with pytest.raises(RuntimeError, match="killed"):
        collect_sac(out)
    assert not out.exists()
    answer = collect_sac(out)
    assert answer.code == 0, answer.err
    assert "continued the interrupted collection" in answer.out
    # From the checkpoint of step 25; an environment is tried by one step.
    assert Task.steps == 35 + 1 + 15
    assert same(finished[0], out)
    assert not Path(f"{out}.run", "checkpoint.npz").exists()


def test_rollouts_are_sampled_from_the_trained_policy_and_survive_a_kill(tmp_path, disturbances):
    out, again = tmp_path / "data.hdf5", tmp_path / "again.hdf5"
    options = ("--save", "policy", "--n", "33")
    # 40 steps of training, then killed in the rollouts: they are made again without training.
    disturbances[41 + 20] = die
    with pytest.raises(RuntimeError, match="killed"):
        collect_sac(out, *options)
    assert not out.exists()
    shutil.copytree(f"{out}.run", f"{again}.run")
    for path in (out, again):
        collect_sac(path, *options)
    assert Task.steps == 41 + 20 + 2 * (1 + 33)
    assert same(out, again)
    columns, _ = read_dataset(out)
    assert len(columns["rewards"]) == 33
    mode = RunFolder(Path(f"{out}.run")).load_policy()[0].acting(1, 0)
    modes = np.concatenate([mode(row[np.newaxis]) for row in columns["observations"]])
    # A policy that has hardly learned is close to a squashed standard normal around its mode.
    deviations = np.arctanh(columns["actions"]) - np.arctanh(modes)
    assert 0.5 < np.std(deviations) < 1.5
    assert abs(np.mean(deviations)) < 0.6


def test_what_an_interrupted_collection_left_is_not_taken_for_another(tmp_path, disturbances):
    out = tmp_path / "data.hdf5"
    disturbances[12] = press_ctrl_c
    collect_sac(out)
    refusal = collect_sac(out, "--seed", "1")
    assert (refusal.code, refusal.out) == (2, "")
    assert "interrupted collection with seed 0, now it is 1" in refusal.err
    Path(f"{out}.run", "checkpoint.npz").write_bytes(b"no archive")
    assert "is damaged" in collect_sac(out).err


def test_the_folder_of_a_finished_collection_is_not_overwritten(tmp_path, finished):
    out = tmp_path / "data.hdf5"
    shutil.copytree(f"{finished[0]}.run", f"{out}.run")
    assert "of a finished collection whose file data.hdf5 is gone" in collect_sac(out).err


def write(path, rewards, **columns):
    """Write a file whose columns but the rewards are given or trivial."""
    rows, attributes = len(rewards), columns.pop("attributes", {})
    trivial = {
        "observations": np.zeros((rows, 2), np.float32),
        "actions": np.zeros((rows, 1), np.float32),
        "rewards": np.asarray(rewards, np.float32),
        "terminals": np.zeros(rows, bool),
        "timeouts": np.zeros(rows, bool),
    }
    with h5py.File(path, "w") as file:
        for name, values in {**trivial, **columns}.items():
            if values is not None:
                file[name] = values
        file.attrs.update(attributes)
    return path


@pytest.mark.parametrize("physics", ["d4rl", "gymnasium"])
@pytest.mark.parametrize(
    ("collected", "evaluated"),
    [("halfcheetah-capped", "halfcheetah-jump"), ("ant-straight", "ant-angle")],
)
def test_relabelled_rewards_are_those_of_stepping_the_task(tmp_path, collected, evaluated, physics):
    source, out = tmp_path / "source.hdf5", tmp_path / "out.hdf5"
    collect(collected, source, 200, physics=physics, max_path_length=50)
    relabel(source, evaluated, out)
    columns = read_dataset(out)[0]
    environment: Any = make_environment(evaluated, physics=physics)
    rewards = []
    ends = np.flatnonzero(columns["terminals"] | columns["timeouts"]) + 1
    for start, end in zip([0, *ends[:-1]], ends, strict=True):
        environment.reset(seed=0)
        # Whole episodes: a simulator's step depends on more than qpos and qvel (its last forward
        # pass and its warm start), which begin anew with an episode.
        environment.set_state(columns["infos/qpos"][start], columns["infos/qvel"][start])
        for row in range(start, end):
            observation, reward, _, _, _ = environment.step(columns["actions"][row])
            rewards.append(np.float32(reward))
            expected = columns["next_observations"][row]
            np.testing.assert_array_equal(observation.astype(np.float32), expected)
    np.testing.assert_array_equal(rewards, columns["rewards"])


def test_relabelling_there_and_back_changes_the_rewards_alone(tmp_path):
    first, second, third = (tmp_path / f"{name}.hdf5" for name in "abc")
    collect("halfcheetah-capped", first, 80)
    relabel(first, "halfcheetah-jump", second)
    relabel(second, "halfcheetah-capped", third)
    (before, old), (between, new) = read_dataset(first), read_dataset(second)
    assert same(first, third)
    assert np.abs(between["rewards"] - before["rewards"]).max() > 0.1
    for name in before.keys() - {"rewards"}:
        np.testing.assert_array_equal(before[name], between[name])
    changed = {"task": "halfcheetah-jump", "relabelled_from": "halfcheetah-capped"}
    assert new == old | changed


def test_batch_mean_and_max_are_printed_before_and_after(tmp_path):
    velocities = np.array([1.0, 2.0, 5.0, -1.0])
    source = write(
        tmp_path / "source.hdf5",
        velocities,
        timeouts=np.array([0, 1, 0, 1], bool),
        attributes={"task": "halfcheetah-capped"},
        **{"infos/x_velocity": velocities, "infos/torso_height": np.array([0.7, 0.7, 0.7, 0.8])},
    )
    arguments = ("--task", "halfcheetah-jump", "--out", tmp_path / "out.hdf5")
    text = mopo("relabel", source, *arguments).out
    # Episodes of 1 + 2 and min(5, 3) - 1 + 15 * 0.1.
    assert "before: 2 episodes, batch mean 3.5, batch max 4.0" in text
    assert "after:  2 episodes, batch mean 3.2, batch max 3.5" in text


@pytest.mark.parametrize(
    ("task", "changes", "message"),
    [
        ("hopper", {}, "no rewards are known for --task hopper: give one of halfcheetah-jump"),
        ("ant-angle", {}, "data of halfcheetah-capped: ant-angle needs data of ant-straight or"),
        ("halfcheetah-jump", {}, "no column infos/x_velocity, infos/torso_height"),
        ("halfcheetah-jump", {"timeouts": None}, "has no column timeouts"),
        ("halfcheetah-jump", {"actions": None}, "lacks actions"),
    ],
)
def test_files_without_what_relabelling_needs_are_refused(tmp_path, task, changes, message):
    attributes = {"task": "halfcheetah-capped"}
    source = write(tmp_path / "source.hdf5", [1.0, 2.0], attributes=attributes, **changes)
    with pytest.raises(InputError, match=message):
        relabel(source, task, tmp_path / "out.hdf5")
    assert list(tmp_path.iterdir()) == [source]


def test_joined_rows_come_in_order_with_an_end_between_the_files(tmp_path):
    a = write(tmp_path / "a.hdf5", [1.0, 2.0, 3.0], terminals=np.array([0, 1, 0], bool))
    b = write(tmp_path / "b.hdf5", [4.0, 5.0], terminals=np.array([0, 1], bool))
    join([a, b], tmp_path / "c.hdf5")
    columns = read_dataset(tmp_path / "c.hdf5")[0]
    np.testing.assert_array_equal(columns["rewards"], [1, 2, 3, 4, 5])
    np.testing.assert_array_equal(columns["terminals"], [0, 1, 0, 0, 1])
    np.testing.assert_array_equal(columns["timeouts"], [0, 0, 1, 0, 0])


def test_joining_keeps_and_tells_what_the_files_share(tmp_path):
    about = {"task": "ant", "seed": 0}
    columns = {"infos/qpos": np.zeros((2, 3))}
    a = write(tmp_path / "a.hdf5", [1.0, 2.0], attributes=about, **columns)
    b = write(tmp_path / "b.hdf5", [7.0], attributes={**about, "seed": 1})
    text = mopo("join", a, b, "--out", tmp_path / "c.hdf5").out
    assert "a.hdf5: 2 transitions, 1 episode, batch mean 3.0, batch max 3.0" in text
    assert "c.hdf5: 3 transitions, 2 episodes, batch mean 5.0, batch max 7.0" in text
    assert "left out, as not every file has them: infos/qpos" in text
    joined, shared = read_dataset(tmp_path / "c.hdf5")
    assert "infos/qpos" not in joined
    assert shared == {"task": "ant", "joined": "a.hdf5, b.hdf5"}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"attributes": {"task": "hopper"}}, "a.hdf5 has task ant, .*b.hdf5 has task hopper"),
        ({"attributes": {"physics": "gymnasium"}}, "b.hdf5 has physics gymnasium"),
        ({"observations": np.zeros((1, 3), np.float32)}, r"b.hdf5 has observations .*\(3,\)"),
    ],
)
def test_files_of_different_kinds_are_not_joined(tmp_path, changes, message):
    first = {"task": "ant", "physics": "d4rl"}
    a = write(tmp_path / "a.hdf5", [1.0], attributes=first)
    b = write(tmp_path / "b.hdf5", [1.0], **changes)
    with pytest.raises(InputError, match=message):
        join([a, b], tmp_path / "c.hdf5")
    assert not (tmp_path / "c.hdf5").exists()

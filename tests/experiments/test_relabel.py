"""Datasets made of datasets: relabelled ones, joined ones."""

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from experiments.collect_task import collect_task
from experiments.dataset_files import read_columns
from experiments.relabel import join, relabel
from mopo_tf2.errors import InputError
from mopo_tf2.evaluation.environments import make_environment
from tests.experiments.tiny_runs import mopo


def write(path: Path, rewards: Any, **columns: Any) -> Path:
    """Write a file whose columns but the rewards are given or trivial."""
    rewards = np.asarray(rewards, np.float32)
    rows = len(rewards)
    attributes = columns.pop("attributes", {})
    trivial = {
        "observations": np.zeros((rows, 2), np.float32),
        "actions": np.zeros((rows, 1), np.float32),
        "rewards": rewards,
        "terminals": np.zeros(rows, bool),
        "timeouts": np.zeros(rows, bool),
    }
    with h5py.File(path, "w") as file:
        for name, values in {**trivial, **columns}.items():
            if values is not None:
                file[name] = values
        file.attrs.update(attributes)
    return path


def episodes(columns: dict[str, np.ndarray]) -> list[slice]:
    ends = np.flatnonzero(columns["terminals"] | columns["timeouts"]) + 1
    return [slice(start, end) for start, end in zip([0, *ends[:-1]], ends, strict=True)]


@pytest.mark.parametrize("physics", ["d4rl", "gymnasium"])
@pytest.mark.parametrize(
    ("collected", "evaluated"),
    [("halfcheetah-capped", "halfcheetah-jump"), ("ant-straight", "ant-angle")],
)
def test_relabelled_rewards_are_those_of_stepping_the_task(
    tmp_path: Path, collected: str, evaluated: str, physics: str
) -> None:
    source, out = tmp_path / "source.hdf5", tmp_path / "out.hdf5"
    collect_task(collected, source, 400, physics=physics, max_path_length=50)
    relabel(source, evaluated, out)
    columns, _ = read_columns(out)
    environment: Any = make_environment(evaluated, physics=physics)
    rewards = []
    for rows in episodes(columns):
        environment.reset(seed=0)
        # Whole episodes: a simulator's step depends on more than qpos and qvel (its last forward
        # pass and its warm start), which begin anew with an episode.
        environment.set_state(columns["infos/qpos"][rows][0], columns["infos/qvel"][rows][0])
        for row in range(rows.start, rows.stop):
            observation, reward, terminated, _, _ = environment.step(columns["actions"][row])
            rewards.append(np.float32(reward))
            np.testing.assert_array_equal(
                observation.astype(np.float32), columns["next_observations"][row]
            )
            assert terminated == columns["terminals"][row] or columns["timeouts"][row]
    np.testing.assert_array_equal(rewards, columns["rewards"])
    assert len(episodes(columns)) > 7


def test_data_of_d4rls_ant_can_be_relabelled(tmp_path: Path) -> None:
    for task in ("ant", "ant-straight"):
        collect_task(task, tmp_path / f"{task}.hdf5", 60)
        relabel(tmp_path / f"{task}.hdf5", "ant-angle", tmp_path / f"{task}-angle.hdf5")
    ant, _ = read_columns(tmp_path / "ant-angle.hdf5")
    straight, _ = read_columns(tmp_path / "ant-straight-angle.hdf5")
    np.testing.assert_array_equal(ant["rewards"], straight["rewards"])


def test_relabelling_there_and_back_gives_the_first_rewards(tmp_path: Path) -> None:
    names = ["a.hdf5", "b.hdf5", "c.hdf5"]
    first, second, third = (tmp_path / name for name in names)
    collect_task("halfcheetah-capped", first, 80)
    relabel(first, "halfcheetah-jump", second)
    relabel(second, "halfcheetah-capped", third)
    before, between, after = (read_columns(path)[0] for path in (first, second, third))
    np.testing.assert_array_equal(after["rewards"], before["rewards"])
    assert np.abs(between["rewards"] - before["rewards"]).max() > 0.1


def test_everything_but_the_rewards_stays(tmp_path: Path) -> None:
    source, out = tmp_path / "source.hdf5", tmp_path / "out.hdf5"
    collect_task("ant-straight", source, 50)
    relabel(source, "ant-angle", out)
    (before, old), (after, new) = read_columns(source), read_columns(out)
    assert before.keys() == after.keys()
    for name in before.keys() - {"rewards"}:
        np.testing.assert_array_equal(before[name], after[name])
    assert (new["task"], new["relabelled_from"]) == ("ant-angle", "ant-straight")
    assert {name: new[name] for name in old.keys() - {"task"}} == {
        name: value for name, value in old.items() if name != "task"
    }


def test_batch_mean_and_max_are_printed_before_and_after(tmp_path: Path) -> None:
    velocities = np.array([1.0, 2.0, 5.0, -1.0])
    source = write(
        tmp_path / "source.hdf5",
        velocities,
        timeouts=np.array([0, 1, 0, 1], bool),
        attributes={"task": "halfcheetah-capped"},
        **{"infos/x_velocity": velocities, "infos/torso_height": np.array([0.7, 0.7, 0.7, 0.8])},
    )
    text = relabel(source, "halfcheetah-jump", tmp_path / "out.hdf5")
    # Episodes of 1 + 2 and min(5, 3) - 1 + 15 * 0.1.
    assert "before: 2 episodes, batch mean 3.5, batch max 4.0" in text
    assert "after:  2 episodes, batch mean 3.2, batch max 3.5" in text


@pytest.mark.parametrize(
    ("task", "changes", "message"),
    [
        ("hopper", {}, "no rewards are known for --task hopper: give one of halfcheetah-jump"),
        ("ant-angle", {}, "data of halfcheetah-capped: ant-angle needs data of ant-straight or"),
        ("halfcheetah-jump", {}, "no column infos/x_velocity, infos/torso_height, from which"),
        ("halfcheetah-jump", {"timeouts": None}, "has no column timeouts"),
    ],
)
def test_unfit_files_are_refused(
    tmp_path: Path, task: str, changes: dict[str, Any], message: str
) -> None:
    attributes = {"task": "halfcheetah-capped"}
    source = write(tmp_path / "source.hdf5", [1.0, 2.0], attributes=attributes, **changes)
    with pytest.raises(InputError, match=message):
        relabel(source, task, tmp_path / "out.hdf5")
    assert list(tmp_path.iterdir()) == [source]


def test_a_file_that_is_no_dataset_is_refused(tmp_path: Path) -> None:
    (tmp_path / "data.hdf5").write_text("rewards")
    with pytest.raises(InputError, match="damaged or no HDF5 file"):
        relabel(tmp_path / "data.hdf5", "ant-angle", tmp_path / "out.hdf5")


def test_an_existing_file_is_not_overwritten(tmp_path: Path) -> None:
    source = write(tmp_path / "source.hdf5", [1.0])
    with pytest.raises(InputError, match=r"source.hdf5 exists already"):
        relabel(source, "ant-angle", source)


def test_joined_rows_come_in_order_with_an_end_between_the_files(tmp_path: Path) -> None:
    a = write(tmp_path / "a.hdf5", [1.0, 2.0, 3.0], terminals=np.array([0, 1, 0], bool))
    b = write(tmp_path / "b.hdf5", [4.0, 5.0], terminals=np.array([0, 1], bool))
    join([a, b], tmp_path / "c.hdf5")
    columns, _ = read_columns(tmp_path / "c.hdf5")
    np.testing.assert_array_equal(columns["rewards"], [1, 2, 3, 4, 5])
    np.testing.assert_array_equal(columns["terminals"], [0, 1, 0, 0, 1])
    np.testing.assert_array_equal(columns["timeouts"], [0, 0, 1, 0, 0])


def test_joining_says_the_returns_of_each_file_and_what_is_left_out(tmp_path: Path) -> None:
    a = write(tmp_path / "a.hdf5", [1.0, 2.0], **{"infos/qpos": np.zeros((2, 3))})
    b = write(tmp_path / "b.hdf5", [7.0])
    text = join([a, b], tmp_path / "c.hdf5")
    assert "a.hdf5: 2 transitions, 1 episodes, batch mean 3.0, batch max 3.0" in text
    assert "c.hdf5: 3 transitions, 2 episodes, batch mean 5.0, batch max 7.0" in text
    assert "left out, as not every file has them: infos/qpos" in text
    assert "infos/qpos" not in read_columns(tmp_path / "c.hdf5")[0]


def test_joined_files_keep_the_attributes_they_share(tmp_path: Path) -> None:
    a = write(tmp_path / "a.hdf5", [1.0], attributes={"task": "ant", "seed": 0})
    b = write(tmp_path / "b.hdf5", [1.0], attributes={"task": "ant", "seed": 1})
    join([a, b], tmp_path / "c.hdf5")
    _, attributes = read_columns(tmp_path / "c.hdf5")
    assert attributes == {"task": "ant", "joined": "a.hdf5, b.hdf5"}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"attributes": {"task": "hopper"}}, "b.hdf5 has task hopper, .*a.hdf5 has ant"),
        ({"attributes": {"physics": "gymnasium"}}, "b.hdf5 has physics gymnasium"),
        ({"observations": np.zeros((1, 3), np.float32)}, r"observations of .*b.hdf5 .*\(3,\)"),
    ],
)
def test_files_of_different_kinds_are_not_joined(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    a = write(tmp_path / "a.hdf5", [1.0], attributes={"task": "ant", "physics": "d4rl"})
    b = write(tmp_path / "b.hdf5", [1.0], **changes)
    with pytest.raises(InputError, match=message):
        join([a, b], tmp_path / "c.hdf5")
    assert not (tmp_path / "c.hdf5").exists()


def test_commands_relabel_and_join(tmp_path: Path) -> None:
    data, angle, both = (tmp_path / f"{name}.hdf5" for name in ("data", "angle", "both"))
    assert mopo("collect", "ant-straight", "--n", "30", "--out", data).code == 0
    relabelled = mopo("relabel", data, "--task", "ant-angle", "--out", angle)
    assert relabelled.code == 0
    assert "ant-straight -> ant-angle: 30 transitions" in relabelled.out
    joined = mopo("join", angle, angle, "--out", both)
    assert joined.code == 0
    assert "both.hdf5: 60 transitions" in joined.out


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["relabel", "no.hdf5", "--task", "ant-angle", "--out", "x.hdf5"], "no file no.hdf5"),
        (["join", "no.hdf5", "--out", "x.hdf5"], "at least two files"),
        (["join", "no.hdf5", "nor.hdf5", "--out", "x.hdf5"], "no file no.hdf5"),
    ],
)
def test_commands_refuse_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], named: str
) -> None:
    monkeypatch.chdir(tmp_path)
    answer = mopo(*arguments)
    assert answer.code == 2
    assert named in answer.err
    assert list(tmp_path.iterdir()) == []

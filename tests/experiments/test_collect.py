"""Collected files: what is in them, and that there is never half of one."""

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import gymnasium
import h5py
import numpy as np
import pytest

from experiments.collect import Collected, collect
from mopo_tf2.errors import InputError
from mopo_tf2.evaluation.environments import make_environment

ROOT = Path(__file__).resolve().parents[2]


class Walk(gymnasium.Env[Any, Any]):
    """Ends after ``length`` steps with reward 1 each; no simulator."""

    observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (1,), np.float64)
    action_space = gymnasium.spaces.Box(-2.0, 4.0, (1,), np.float32)

    def __init__(self, length: int = 1000, truncates: bool = False) -> None:
        self.length, self.truncates = length, truncates
        self.actions: list[np.ndarray] = []
        self.seeds: list[int | None] = []

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        self.count = 0
        self.seeds.append(seed)
        return np.zeros(1), {}

    def step(self, action: np.ndarray) -> Any:
        self.count += 1
        self.actions.append(action)
        over = self.count == self.length
        return np.full(1, self.count), 1.0, over and not self.truncates, over, {}


def collected(
    folder: Path, environment: gymnasium.Env[Any, Any], n: int, seed: int = 0, **options: Any
) -> tuple[Collected, dict[str, np.ndarray]]:
    random_state = np.random.RandomState(seed)
    out = folder / "data.hdf5"
    result = collect(environment, out, n, random_state=random_state, **options)
    columns: dict[str, np.ndarray] = {}
    with h5py.File(out) as file:
        file.visititems(
            lambda name, item: (
                columns.update({name: item[()]}) if isinstance(item, h5py.Dataset) else None
            )
        )
    return result, columns


def test_file_has_the_columns_of_d4rl(tmp_path: Path) -> None:
    _, columns = collected(tmp_path, make_environment("hopper"), 30)
    assert {name: (column.shape, str(column.dtype)) for name, column in columns.items()} == {
        "observations": ((30, 11), "float32"),
        "actions": ((30, 3), "float32"),
        "next_observations": ((30, 11), "float32"),
        "rewards": ((30,), "float32"),
        "terminals": ((30,), "bool"),
        "timeouts": ((30,), "bool"),
        "infos/qpos": ((30, 6), "float64"),
        "infos/qvel": ((30, 6), "float64"),
    }


def test_rows_follow_from_the_stored_states_and_actions(tmp_path: Path) -> None:
    _, columns = collected(tmp_path, make_environment("walker2d"), 40)
    replay: Any = make_environment("walker2d")
    replay.reset(seed=0)
    for row in range(40):
        replay.set_state(columns["infos/qpos"][row], columns["infos/qvel"][row])
        observation, reward, terminated, _, _ = replay.step(columns["actions"][row])
        np.testing.assert_allclose(
            observation, columns["next_observations"][row], rtol=1e-5, atol=1e-5
        )
        assert reward == pytest.approx(columns["rewards"][row], rel=1e-5, abs=1e-5)
        assert terminated == columns["terminals"][row]


def test_next_observation_is_the_observation_of_the_next_row_within_an_episode(
    tmp_path: Path,
) -> None:
    _, columns = collected(tmp_path, make_environment("hopper"), 120)
    inside = ~(columns["terminals"] | columns["timeouts"])[:-1]
    assert 0 < (~inside).sum() < 119
    np.testing.assert_array_equal(
        columns["next_observations"][:-1][inside], columns["observations"][1:][inside]
    )


def test_random_actions_are_uniform_over_the_whole_range(tmp_path: Path) -> None:
    _, columns = collected(tmp_path, Walk(), 5000)
    actions = columns["actions"]
    counts, _ = np.histogram(actions, bins=10, range=(-1.0, 1.0))
    assert counts.sum() == 5000
    # Each bin is binomial(5000, 0.1): 500 +- 21; six standard deviations.
    assert np.abs(counts - 500).max() < 128


def test_actions_taken_are_the_stored_ones_rescaled_to_the_bounds(tmp_path: Path) -> None:
    walk = Walk()
    _, columns = collected(tmp_path, walk, 50)
    np.testing.assert_allclose(walk.actions, 1.0 + 3.0 * columns["actions"], rtol=1e-6, atol=1e-6)


def test_actions_taken_within_unit_bounds_are_the_very_ones_stored(tmp_path: Path) -> None:
    walk = Walk()
    walk.action_space = gymnasium.spaces.Box(-1.0, 1.0, (1,), np.float32)
    _, columns = collected(tmp_path, walk, 500)
    np.testing.assert_array_equal(walk.actions, columns["actions"])


def test_policy_acts_on_the_observation(tmp_path: Path) -> None:
    _, columns = collected(tmp_path, Walk(4), 8, policy=lambda observations: observations / 4.0)
    np.testing.assert_allclose(columns["actions"][:, 0], [0, 0.25, 0.5, 0.75] * 2, atol=1e-7)


@pytest.mark.parametrize(
    ("environment", "terminals", "timeouts"),
    [
        (Walk(4), [3, 7], [9]),
        (Walk(4, truncates=True), [], [3, 7, 9]),
        (Walk(1000), [], [4, 9]),
        (Walk(5), [], [4, 9]),
        (Walk(2), [1, 3, 5, 7, 9], []),
    ],
    ids=["ends", "truncates", "never ends", "ends at the limit", "ends with the file"],
)
def test_terminals_and_timeouts_are_told_apart(
    tmp_path: Path, environment: Walk, terminals: list[int], timeouts: list[int]
) -> None:
    _, columns = collected(tmp_path, environment, 10, max_path_length=5)
    assert np.flatnonzero(columns["terminals"]).tolist() == terminals
    assert np.flatnonzero(columns["timeouts"]).tolist() == timeouts


def test_summary_counts_whole_episodes_only(tmp_path: Path) -> None:
    result, _ = collected(tmp_path, Walk(4), 10)
    assert (result.steps, result.episodes, result.return_average) == (10, 2, 4.0)


def test_equal_seeds_give_equal_files_and_others_do_not(tmp_path: Path) -> None:
    files = []
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        (tmp_path / name).mkdir()
        files.append(collected(tmp_path / name, make_environment("ant"), 20, seed=seed)[1])
    for name, column in files[0].items():
        np.testing.assert_array_equal(column, files[1][name])
    assert not np.array_equal(files[0]["observations"][0], files[2]["observations"][0])


def test_only_the_first_reset_is_seeded(tmp_path: Path) -> None:
    walk = Walk(2)
    collected(tmp_path, walk, 6)
    assert walk.seeds[0] is not None
    assert walk.seeds[1:] == [None] * 2


def test_attributes_and_compression_are_written(tmp_path: Path) -> None:
    out = tmp_path / "data.hdf5"
    for compression in ("gzip", None):
        out.unlink(missing_ok=True)
        collect(
            Walk(),
            out,
            3,
            random_state=np.random.RandomState(0),
            compression=compression,
            attributes={"task": "walk", "seed": 0},
        )
        with h5py.File(out) as file:
            assert dict(file.attrs) == {"task": "walk", "seed": 0}
            assert file["observations"].compression == compression


def test_plain_lines_report_progress_where_there_is_no_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    collected(tmp_path, Walk(), 40)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 10
    assert lines[-1] == "collecting data.hdf5: 40 of 40 steps"


def test_error_in_the_environment_leaves_no_file(tmp_path: Path) -> None:
    def fails(observations: np.ndarray) -> np.ndarray:
        raise RuntimeError("broken policy")

    with pytest.raises(RuntimeError, match="broken policy"):
        collected(tmp_path, Walk(), 10, policy=fails)
    assert list(tmp_path.iterdir()) == []


def test_interrupt_leaves_no_file(tmp_path: Path) -> None:
    script = (
        "import numpy as np, pathlib\n"
        "from experiments.collect import collect\n"
        "from mopo_tf2.evaluation.environments import make_environment\n"
        f"collect(make_environment('hopper'), pathlib.Path({str(tmp_path / 'data.hdf5')!r}),\n"
        "        10**7, random_state=np.random.RandomState(0))\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 60
    while not list(tmp_path.iterdir()) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert list(tmp_path.iterdir()), "the collection never began"
    process.send_signal(2)
    _, error = process.communicate(timeout=60)
    assert "KeyboardInterrupt" in error
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "n", "message"),
    [
        ("data.hdf5", 0, "positive number of rows, got 0"),
        ("there.hdf5", 5, "exists already"),
        ("nowhere/data.hdf5", 5, "no folder"),
    ],
)
def test_unfit_output_is_refused_before_a_step(
    tmp_path: Path, name: str, n: int, message: str
) -> None:
    (tmp_path / "there.hdf5").write_bytes(b"kept")
    walk = Walk()
    with pytest.raises(InputError, match=message):
        collect(walk, tmp_path / name, n, random_state=np.random.RandomState(0))
    assert walk.actions == []
    assert (tmp_path / "there.hdf5").read_bytes() == b"kept"

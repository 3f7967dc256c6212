"""What the command line refuses: one line, exit code 2, nothing written."""

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from experiments.field_help import field_docs, field_help
from mopo_tf2.config import EnsembleConfig, MOPOConfig, SACConfig
from tests.experiments.tiny_runs import mopo

SHIPPED = "halfcheetah-sac-replay-v0"
ROWS = 1500


def write_dataset(path: Path, change: Callable[[dict[str, np.ndarray]], None]) -> Path:
    """Write a D4RL-format file of HalfCheetah's sizes after ``change`` spoiled its columns."""
    random_state = np.random.RandomState(0)
    columns = {
        "observations": random_state.normal(size=(ROWS, 17)).astype(np.float32),
        "actions": random_state.uniform(-1, 1, size=(ROWS, 6)).astype(np.float32),
        "rewards": random_state.normal(size=ROWS).astype(np.float32),
        "terminals": np.zeros(ROWS, bool),
        "timeouts": np.zeros(ROWS, bool),
    }
    change(columns)
    with h5py.File(path, "w") as file:
        for name, column in columns.items():
            file.create_dataset(name, data=column)
    return path


def refused(*arguments: str | Path) -> str:
    """Run a command that must be refused; return its one line."""
    answer = mopo(*arguments)
    assert answer.code == 2, answer
    lines = answer.err.strip().splitlines()
    assert len(lines) == 1, answer.err
    return lines[0]


def lack_rewards(columns: dict[str, np.ndarray]) -> None:
    del columns["rewards"]


def shorten_actions(columns: dict[str, np.ndarray]) -> None:
    columns["actions"] = columns["actions"][:-3]


def flatten_observations(columns: dict[str, np.ndarray]) -> None:
    columns["observations"] = columns["observations"][:, 0]


def spoil_with_nan(columns: dict[str, np.ndarray]) -> None:
    columns["observations"][[7, 9], 2] = np.nan


def spoil_with_inf(columns: dict[str, np.ndarray]) -> None:
    columns["rewards"][11] = np.inf


def empty(columns: dict[str, np.ndarray]) -> None:
    for name, column in columns.items():
        columns[name] = column[:0]


def have_hoppers_sizes(columns: dict[str, np.ndarray]) -> None:
    columns["observations"] = columns["observations"][:, :11]


def have_few_rows(columns: dict[str, np.ndarray]) -> None:
    for name, column in columns.items():
        columns[name] = column[:50]


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lack_rewards, ["rewards"]),
        (shorten_actions, ["actions", "1497"]),
        (flatten_observations, ["observations"]),
        (spoil_with_nan, ["observations", "2", "row 7"]),
        (spoil_with_inf, ["rewards", "row 11"]),
        (empty, ["empty"]),
        (have_hoppers_sizes, ["11", "17"]),
        (have_few_rows, ["min_pool_size"]),
    ],
)
def test_unfit_data_are_refused_before_anything_is_written(
    tmp_path: Path, change: Callable[[dict[str, np.ndarray]], None], named: list[str]
) -> None:
    data = write_dataset(tmp_path / "data.hdf5", change)
    out = tmp_path / "run"
    line = refused("train", "halfcheetah_mixed", "--dataset", data, "--out", out)
    assert all(word in line for word in named), line
    assert not out.exists()


def test_a_truncated_file_is_refused(tmp_path: Path) -> None:
    whole = write_dataset(tmp_path / "whole.hdf5", lambda columns: None)
    cut = tmp_path / "cut.hdf5"
    cut.write_bytes(whole.read_bytes()[:-5000])
    line = refused("train", "halfcheetah_mixed", "--dataset", cut, "--out", tmp_path / "run")
    assert "cut.hdf5" in line
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["train", "halfcheetah_mixd"], ["halfcheetah_mixed"]),
        (["train", "halfcheetah_mixed", "--set", "rollout_len=3"], ["rollout_length"]),
        (["train", "halfcheetah_mixed", "--set", "n_epochs=many"], ["whole number", "many"]),
        (["train", "halfcheetah_mixed", "--set", "real_ratio=2"], ["real_ratio", "[0, 1]"]),
        (["train", "halfcheetah_mixed", "--set", "real_ratio"], ["KEY=VALUE"]),
        (["train", "halfcheetah_mixed", "--epochs", "3", "--set", "n_epochs=4"], ["--epochs"]),
        (["train", "halfcheetah_mixed", "--dataset", "nope.hdf5"], ["nope.hdf5"]),
        (["train", "halfcheetah_mixed", "--seed", "-1"], ["--seed"]),
        (["train", "halfcheetah_mixed", "--dataset", SHIPPED, "--termination", "no"], ["hopper"]),
        (["train", "halfcheetah_mixed", "--dataset", SHIPPED, "--environment", "no:no"], ["no"]),
        (["train", "halfcheetah_mixed", "--model", "nowhere"], ["nowhere"]),
        (["train", "halfcheetah_mixed", "--resume"], ["holds no run"]),
        (["train"], ["CONFIG"]),
        (["evaluate", "nowhere"], ["nowhere"]),
        (["collect", "halfcheetah", "--out", "x.hdf5", "--n", "0"], ["positive"]),
        (["collect", "halfcheeta", "--out", "x.hdf5", "--n", "5"], ["halfcheetah"]),
        (["plot", "nowhere"], ["nowhere"]),
    ],
)
def test_wrong_words_are_answered_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], named: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    line = refused(*arguments)
    assert all(word in line for word in named), line
    assert list(tmp_path.iterdir()) == []


def test_an_unwritable_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    line = refused(
        *("train", "halfcheetah_mixed", "--dataset", SHIPPED, "--out", tmp_path / "file" / "run")
    )
    assert "file" in line


def test_the_demo_removes_nothing_but_a_former_demo(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("data")
    assert "former demo" in refused("demo", "--out", tmp_path)
    assert (tmp_path / "precious").exists()


def test_every_field_of_the_configuration_is_explained() -> None:
    text = field_help()
    for cls in (MOPOConfig, EnsembleConfig, SACConfig):
        for name, meaning in field_docs(cls).items():
            assert meaning, name
            if name not in ("ensemble", "sac"):
                assert f"{name} = " in text


def test_what_a_method_fixes_is_said_in_the_help() -> None:
    assert "by definition: penalty_coeff = 0.0" in field_help()

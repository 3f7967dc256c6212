"""Training and evaluation on a table without a simulator: docs/own_data.md, in small."""

import contextlib
import functools
import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from experiments.cli import _parser
from experiments.logging import read_progress
from experiments.run_spec import Overrides, build_spec
from mopo_tf2.configs.fitted_q import FittedQConfig
from mopo_tf2.data.datasets import load_dataset
from mopo_tf2.errors import InputError
from tests.experiments.tiny_runs import TINY_SETTINGS, Answer, mopo

PAGE = (Path(__file__).parents[2] / "docs" / "own_data.md").read_text(encoding="utf-8")
PROGRAMS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
COMMANDS = re.findall(r"^mopo-tf2 (.*)$", PAGE, re.MULTILINE)
TINY = [*TINY_SETTINGS, "model_eval_horizon=5"]
NO_SIMULATOR = "in the learned model, no simulator"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the page's first program was saved and run."""
    folder = tmp_path_factory.mktemp("own")
    (folder / "my_process.py").write_text(PROGRAMS[0])
    subprocess.run([sys.executable, "my_process.py"], cwd=folder, check=True)
    return folder


@pytest.fixture(scope="module")
def trained(folder: Path) -> Answer:
    """What the page's training said, with tiny networks."""
    command = shlex.split(COMMANDS[0].replace("--epochs 12", "--epochs 2"))
    with contextlib.chdir(folder):
        answer = mopo(*command[: command.index("--set")], "--set", *TINY)
    assert answer.code == 0, answer.err
    return answer


@pytest.fixture(scope="module")
def run(folder: Path, trained: Answer) -> Path:
    return folder / "runs" / "pump"


@pytest.fixture
def short_fqe(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let evaluate take ten steps of fitted-Q evaluation."""
    short = functools.partial(FittedQConfig, steps=10)
    monkeypatch.setattr("experiments.evaluate_own.FittedQConfig", short)


def test_the_table_of_the_page_loads(folder):
    dataset = load_dataset(str(folder / "pump.csv"))
    assert dataset.columns.observations == ("obs_pressure", "obs_demand")
    assert dataset.action_bounds.high == (9.0,)
    assert np.abs(dataset.transitions.actions).max() <= 1
    assert 0 < dataset.transitions.terminals.sum() < 250


def test_every_command_of_the_page_is_one(folder):
    assert len(COMMANDS) >= 5
    for command in COMMANDS:
        _parser().parse_args(shlex.split(command))


def test_training_says_that_there_is_no_simulator(trained):
    first, columns, bounds, *_ = trained.out.splitlines()
    assert f"evaluation {NO_SIMULATOR}" in first
    assert "observations obs_pressure, obs_demand; actions pump_level" in columns
    assert "[-1, 1] stands for [0, 9]" in bounds
    assert f"return {NO_SIMULATOR}:" in trained.out
    assert f"every return above is one {NO_SIMULATOR}." in trained.out


def test_returns_of_the_model_have_columns_of_their_own(run):
    progress = read_progress(run)
    assert progress["evaluation/return-average"].isna().all()
    for name in ("return-average", "penalized-return-average", "episode-length-avg"):
        assert np.isfinite(progress[f"model_evaluation/{name}"]).all()


def test_bounds_and_columns_are_recorded(run):
    recorded = json.loads((run / "config.json").read_text())["recorded"]
    assert recorded["dataset"]["action_bounds"] == {"low": [0.0], "high": [9.0]}
    assert recorded["dataset"]["columns"]["actions"] == ["pump_level"]
    assert recorded["environment"]["task"] == "none"
    assert recorded["environment"]["action_high"] == [9.0]


def test_evaluation_names_both_opinions(folder, run, short_fqe, monkeypatch):
    monkeypatch.chdir(folder)
    answer = mopo("evaluate", run, "--episodes", "3")
    assert answer.code == 0, answer.err
    assert "nothing here is a return of the real process" in answer.out
    assert f"{NO_SIMULATOR} (3 episodes of at most 5 steps" in answer.out
    assert "fitted-Q evaluation, no simulator (" in answer.out


def test_a_run_without_simulator_cannot_be_filmed(folder, run, monkeypatch):
    monkeypatch.chdir(folder)
    answer = mopo("evaluate", run, "--video", "a.mp4")
    assert answer.code == 2
    assert "no simulator that could be filmed" in answer.err


def test_fqe_takes_other_data_with_the_same_bounds(folder, run, monkeypatch):
    monkeypatch.chdir(folder)
    for suffix in ("", ".columns.json"):
        Path(f"held_out.csv{suffix}").write_bytes(Path(f"pump.csv{suffix}").read_bytes())
    arguments = ("fqe", run, "--dataset", "held_out.csv", "--steps", "10", "--critics", "2")
    answer = mopo(*arguments, "--discount", "0.5")
    assert answer.code == 0, answer.err
    assert "rows of held_out.csv, 10 steps" in answer.out
    assert "(gamma 0.5, no horizon; 2 critics" in answer.out
    columns = json.loads(Path("held_out.csv.columns.json").read_text())
    Path("held_out.csv.columns.json").write_text(json.dumps({**columns, "action_high": [10]}))
    answer = mopo(*arguments)
    assert answer.code == 2
    assert "was trained with action_low [0.0] and action_high [9.0]" in answer.err


def test_data_that_changed_since_the_training_are_pointed_out(folder, run, monkeypatch):
    monkeypatch.chdir(folder)
    table = Path("pump.csv")
    before = table.read_text()
    try:
        table.write_text(before.rsplit("\n", 2)[0] + "\n")
        answer = mopo("fqe", run, "--steps", "10", "--critics", "2")
    finally:
        table.write_text(before)
    assert "pump.csv is not the file of the training any more" in answer.out


def test_picture_table_and_report_say_where_the_returns_are_from(folder, run, monkeypatch):
    monkeypatch.chdir(folder)
    assert mopo("plot", run, "--out", "curves.png").code == 0
    assert "Return in the learned model, no simulator" in mopo("table", "runs").out
    assert mopo("report", "runs", "--out", "report.html").code == 0
    assert "Return in the learned model, no simulator" in Path("report.html").read_text()
    answer = mopo("table", "runs", "--metric", "return").out
    assert "it has no simulator, only returns in the learned model" in answer


def test_a_method_without_a_model_trains_and_leaves_the_evaluation_to_the_data(
    folder, short_fqe, monkeypatch
):
    monkeypatch.chdir(folder)
    settings = ["hidden_layer_sizes=16,16", "epoch_length=10", "updates_per_call=10"]
    answer = mopo(
        *("train", "own", "--algorithm", "sac", "--dataset", "pump.csv", "--out", "sac"),
        *("--epochs", "1", "--set", *settings),
    )
    assert answer.code == 0, answer.err
    assert "no evaluation while it trains (no simulator)" in answer.out
    assert "nothing is evaluated yet (no simulator)" in answer.out
    answer = mopo("evaluate", "sac")
    assert "sac has no model of its own to evaluate in." in answer.out
    assert "fitted-Q evaluation" in answer.out


def test_a_run_goes_on_where_it_stopped(folder, run, monkeypatch):
    monkeypatch.chdir(folder)
    common = ("--dataset", "pump.csv", "--termination", "my_process:ends")
    part = mopo("train", "own", *common, "--out", "part", "--epochs", "1", "--set", *TINY)
    assert part.code == 0, part.err
    more = mopo(
        "train", "own", *common, "--out", "part", "--resume", "--epochs", "2", "--set", *TINY
    )
    assert more.code == 0, more.err
    whole, resumed = (read_progress(path) for path in (run, Path("part")))
    for name in ("model_evaluation/return-average", "Q_loss"):
        np.testing.assert_array_equal(whole[name], resumed[name])


def test_own_needs_a_dataset():
    with pytest.raises(InputError, match="own has no data of its own: name yours with --dataset"):
        build_spec("own", Overrides())


def test_actions_out_of_bounds_are_refused_with_what_to_write(folder, monkeypatch):
    monkeypatch.chdir(folder)
    columns = json.loads(Path("pump.csv.columns.json").read_text())
    del columns["action_low"], columns["action_high"]
    Path("raw.csv").write_bytes(Path("pump.csv").read_bytes())
    Path("raw.csv.columns.json").write_text(json.dumps(columns))
    answer = mopo("train", "own", "--dataset", "raw.csv", "--out", "refused")
    assert answer.code == 2
    assert '"action_low": [0.0], "action_high": [9.0]' in answer.err
    assert not Path("refused").exists()

"""One trial, in this process; Ray takes part in test_sweep.py."""

import dataclasses
import json
import math
import shutil
from pathlib import Path

import numpy as np
import pytest

from experiments.collect_task import collect_task
from experiments.exports import MODEL_FILE
from experiments.sweeps.folder_lock import FolderLock
from experiments.sweeps.plan import SweepRequest, Trial, plan_trials, write_plan
from experiments.sweeps.trial import DONE, LOCKED, UNFIT, main, run_trial
from experiments.sweeps.trial_state import (
    Status,
    is_finished,
    last_log_line,
    last_row,
    read_status,
    write_status,
)
from mopo_tf2.checkpoints import checkpoints, load_arrays
from mopo_tf2.config_fields import parse_settings
from tests.experiments.tiny_runs import TINY_SETTINGS


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "random.hdf5"
    collect_task("hopper", path, 600)
    return path


def plan(data: Path, out: Path, *, epochs: int, grid: tuple[str, ...] = ()) -> list[Trial]:
    settings = {**parse_settings(TINY_SETTINGS), "n_epochs": str(epochs)}
    request = SweepRequest(
        tasks=["hopper_mixed"],
        seeds=1,
        datasets=[str(data)],
        settings=settings,
        grid=grid,
        share_model=bool(grid),
    )
    trials = plan_trials(request)
    write_plan(out, request, trials)
    return trials


@pytest.fixture(scope="module")
def finished(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sweep of one trial of one epoch."""
    out = tmp_path_factory.mktemp("sweep")
    (trial,) = plan(data, out, epochs=1)
    assert run_trial(out, trial) == DONE
    return out


@pytest.fixture
def copied(finished: Path, tmp_path: Path) -> Path:
    return shutil.copytree(finished, tmp_path / "out")


def test_a_trial_runs_once_and_goes_on_when_more_epochs_are_asked_for(
    data: Path, copied: Path
) -> None:
    (trial,) = plan(data, copied, epochs=1)
    run = copied / trial.folder
    assert read_status(run) == Status(state="finished", attempts=1)
    before = (run / "progress.csv").read_bytes()
    assert run_trial(copied, trial) == DONE  # nothing is left to do
    assert read_status(run).attempts == 1
    assert (run / "progress.csv").read_bytes() == before

    plan(data, copied, epochs=2)
    assert main([str(copied), trial.folder]) == DONE
    assert read_status(run) == Status(state="finished", attempts=2)
    assert last_row(run)[0] == 2
    assert (run / "progress.csv").read_bytes().startswith(before)


def test_a_shared_ensemble_is_trained_anew_if_that_was_cut_short_and_then_used(
    data: Path, tmp_path: Path
) -> None:
    model, trial, _ = plan(data, tmp_path, epochs=1, grid=("penalty_coeff=1,5",))
    run = tmp_path / model.folder
    assert run_trial(tmp_path, trial) == UNFIT
    status = read_status(tmp_path / trial.folder)
    assert (status.state, status.attempts) == ("failed", 1)
    assert "model_seed_0" in str(status.error)

    assert run_trial(tmp_path, model) == DONE
    assert not (run / "progress.csv").exists()
    wanted, _ = load_arrays(run / MODEL_FILE)
    (run / MODEL_FILE).unlink()
    for checkpoint in checkpoints(run / "checkpoints"):
        checkpoint.unlink()
    assert run_trial(tmp_path, model) == DONE
    assert run_trial(tmp_path, model) == DONE  # nothing is left to do
    assert read_status(run).attempts == 2

    assert run_trial(tmp_path, trial) == DONE
    for folder in (model.folder, trial.folder):
        arrays, _ = load_arrays(tmp_path / folder / MODEL_FILE)
        for name, array in wanted.items():
            np.testing.assert_array_equal(arrays[name], array, err_msg=name)


def test_a_robbed_trial_stops_before_it_writes(data: Path, copied: Path) -> None:
    (trial,) = plan(data, copied, epochs=2)
    run = copied / trial.folder
    before = (run / "progress.csv").read_bytes()

    def rob() -> None:
        robber = {"machine": "elsewhere", "pid": 1, "started": "1", "id": "x"}
        (run / ".lock" / "000009").write_text(json.dumps(robber))
        write_status(run, Status(state="running", attempts=9))

    assert run_trial(copied, trial, rob) == LOCKED
    assert (run / "progress.csv").read_bytes() == before
    assert checkpoints(run / "checkpoints")[-1].name == "epoch_00001.npz"
    assert read_status(run) == Status(state="running", attempts=9)


def test_a_folder_in_use_is_left_alone(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (trial,) = plan(data, tmp_path, epochs=1)
    run = tmp_path / trial.folder
    run.mkdir(parents=True)
    monkeypatch.setattr(
        "experiments.sweeps.trial.FolderLock", lambda f: FolderLock(f, patience=0.0)
    )
    with FolderLock(run):
        assert run_trial(tmp_path, trial) == LOCKED
    assert [path.name for path in run.iterdir()] == [".lock"]


def test_a_run_of_another_kind_in_the_trials_folder_is_not_continued(
    data: Path, copied: Path
) -> None:
    (trial,) = plan(data, copied, epochs=1)
    algorithm = dataclasses.replace(trial.spec.algorithm, real_ratio=0.5, n_epochs=2)
    other = dataclasses.replace(trial, spec=dataclasses.replace(trial.spec, algorithm=algorithm))
    assert run_trial(copied, other) == UNFIT
    assert "real_ratio" in str(read_status(copied / trial.folder).error)


def test_an_absent_or_damaged_status_is_pending(tmp_path: Path) -> None:
    assert read_status(tmp_path) == Status()
    (tmp_path / "status.json").write_text('{"state"')
    assert read_status(tmp_path) == Status()


def test_the_last_whole_row_tells_epoch_and_return(tmp_path: Path) -> None:
    assert last_row(tmp_path)[0] == 0
    path = tmp_path / "progress.csv"
    path.write_text("epoch,evaluation/return-average\n")
    assert last_row(tmp_path)[0] == 0
    rows = "".join(f"{i},{i / 2}\n" for i in range(20_000))  # more than is read of it
    path.write_text("epoch,evaluation/return-average\n" + rows + "20000,3")
    assert last_row(tmp_path) == (20_000, 9999.5)
    path.write_text("epoch,other\n4,1\n")
    done, average = last_row(tmp_path)
    assert done == 5
    assert math.isnan(average)


def test_a_run_whose_last_checkpoint_is_missing_is_not_finished(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "progress.csv").write_text("epoch\n0\n1\n")
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "epoch_00001.npz").touch()
    assert not is_finished(tmp_path, 2, model_only=False)
    (tmp_path / "checkpoints" / "epoch_00002.npz").touch()
    assert is_finished(tmp_path, 2, model_only=False)
    assert not is_finished(tmp_path, 3, model_only=False)


def test_the_last_log_line_is_the_last_that_says_something(tmp_path: Path) -> None:
    assert last_log_line(tmp_path) is None
    (tmp_path / "trial.log").write_text("one\ntwo\n\n  \n")
    assert last_log_line(tmp_path) == "two"

import io
import re
from pathlib import Path

import pytest
from rich.console import Console

from experiments.sweeps.plan import SweepRequest, Trial, plan_trials
from experiments.sweeps.trial_state import Status, write_status
from experiments.sweeps.trial_table import PlainView, counts, read_rows, trial_table


@pytest.fixture
def trials() -> list[Trial]:
    request = SweepRequest(
        tasks=["hopper_mixed"],
        seeds=1,
        settings={"n_epochs": "9"},
        grid=["penalty_coeff=1,5"],
        share_model=True,
    )
    return plan_trials(request)


def put(out: Path, trial: Trial, status: Status, rows: int = 0) -> None:
    folder = out / trial.folder
    folder.mkdir(parents=True, exist_ok=True)
    write_status(folder, status)
    lines = ["epoch,evaluation/return-average", *(f"{i},{i * 10.0}" for i in range(rows))]
    (folder / "progress.csv").write_text("\n".join(lines) + "\n")


def test_the_table_shows_each_trial_with_what_needs_a_look_first(
    trials: list[Trial], tmp_path: Path
) -> None:
    model, first, second = trials
    put(tmp_path, model, Status(state="finished", attempts=1))
    put(tmp_path, first, Status(state="running", attempts=2), rows=4)
    put(tmp_path, second, Status(state="failed", attempts=4, error="lost"))
    rows = read_rows(tmp_path, trials)
    assert counts(rows) == "1 finished, 1 running, 0 pending, 1 failed"
    console = Console(file=io.StringIO(), width=120, record=True)
    console.print(trial_table(rows))
    lines = [re.split(r" *│ *", line)[1:-1] for line in console.export_text().splitlines()]
    assert [line for line in lines if line] == [
        ["hopper_mixed", "0", "penalty_coeff=5", "failed", "0/9", "-", "4"],
        ["hopper_mixed", "0", "penalty_coeff=1", "running", "4/9", "30.0", "2"],
        ["hopper_mixed", "0", "", "finished", "model", "-", "1"],
    ]


def test_a_trial_that_has_no_folder_yet_is_pending(trials: list[Trial], tmp_path: Path) -> None:
    assert {row.state for row in read_rows(tmp_path, trials)} == {"pending"}


def test_plain_lines_tell_changes_once_and_a_summary_each_minute(
    trials: list[Trial], tmp_path: Path
) -> None:
    stream, now = io.StringIO(), [0.0]
    view = PlainView(stream, clock=lambda: now[0])
    view.show(read_rows(tmp_path, trials))
    assert stream.getvalue() == ""
    put(tmp_path, trials[1], Status(state="running", attempts=1), rows=2)
    for _ in range(3):
        view.show(read_rows(tmp_path, trials))
    folder = "hopper_mixed/penalty_coeff=1/seed_0"
    assert stream.getvalue() == f"{folder}: running, epoch 2/9, return 10.0, attempt 1\n"
    now[0] = 61.0
    view.show(read_rows(tmp_path, trials))
    summary = f"0 finished, 1 running, 2 pending, 0 failed; {folder} 2/9 (10.0)"
    assert stream.getvalue().splitlines()[1:] == [summary]
    put(tmp_path, trials[1], Status(state="failed", attempts=1, error="lost"), rows=2)
    view.show(read_rows(tmp_path, trials))
    assert (
        stream.getvalue()
        .splitlines()[-1]
        .endswith("failed, epoch 2/9, return 10.0, attempt 1: lost")
    )

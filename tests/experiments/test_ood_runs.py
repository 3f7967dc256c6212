"""halfcheetah-jump from nothing: collect, relabel, train, evaluate, table."""

import csv
from pathlib import Path

import numpy as np
import pytest

from experiments.dataset_files import read_columns
from experiments.tables.batch_returns import episode_returns
from tests.experiments.tiny_runs import TINY_SETTINGS, mopo

METHODS = ("mopo", "sac")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the relabelled data and a tiny run of each method on them."""
    folder = tmp_path_factory.mktemp("jump")
    capped, jump = folder / "capped.hdf5", folder / "halfcheetah-jump.hdf5"
    path_length = ("--max-path-length", "100")
    commands = [
        ["collect", "halfcheetah-capped", "--n", "600", "--out", capped, *path_length],
        ["relabel", capped, "--task", "halfcheetah-jump", "--out", jump],
    ]
    for method in METHODS:
        own = {"hidden_layer_sizes", "batch_size", "updates_per_call"}
        shared = {"epoch_length", "eval_n_episodes", "max_path_length", "min_pool_size"}
        settings = [
            setting
            for setting in TINY_SETTINGS
            if method == "mopo" or setting.partition("=")[0] in own | shared
        ]
        run = ["--algorithm", method, "--dataset", jump, "--out", folder / "runs" / method]
        commands.append(["train", "halfcheetah_jump", *run, "--epochs", "2", "--set", *settings])
    for command in commands:
        answer = mopo(*command)
        assert answer.code == 0, answer.err
    return folder


def test_table_2_has_batch_mean_and_max_of_the_relabelled_data(made: Path) -> None:
    out = made / "table.csv"
    answer = mopo("table", made / "runs", "--paper", "mopo-table2", "--out", out)
    assert answer.code == 0, answer.err
    columns, _ = read_columns(made / "halfcheetah-jump.hdf5")
    returns = episode_returns(columns["rewards"], columns["terminals"], columns["timeouts"])
    with out.open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row.get("batch_mean")]
    assert len(rows) >= len(METHODS)
    for row in rows[: len(METHODS)]:
        assert float(row["batch_mean"]) == pytest.approx(returns.mean(), abs=0.1)
        assert float(row["batch_max"]) == pytest.approx(returns.max(), abs=0.1)
    assert np.ptp(returns) > 1.0


def test_a_run_is_evaluated_in_its_own_task_without_a_score(made: Path) -> None:
    answer = mopo("evaluate", made / "runs" / "sac", "--episodes", "1")
    assert answer.code == 0, answer.err
    assert "halfcheetah-jump (d4rl physics)" in answer.out
    assert "score" not in answer.out

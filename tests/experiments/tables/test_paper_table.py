"""Tables against numbers computed by hand, on tiny runs."""

import json
import math

import numpy as np
import pytest

from experiments.records.run_records import read_records
from experiments.records.run_scores import BEST, LAST, LAST_TEN
from experiments.tables.paper_table import make_table
from mopo_tf2.errors import InputError
from tests.experiments.run_folders import write_run

CONSTANT = [5.0] * 12


def table(root, paper="mopo-table1", **options):
    return make_table(read_records(root), paper, **options)


def only_row(root, *arguments, **options):
    (row,) = table(root, *arguments, **options).rows
    return row


def seeds(row):
    return [record.seed for record in row.counted]


def left_out(root, **options):
    return {
        item.record.name: (str(item.record.state), item.reason)
        for item in table(root, **options).not_counted
    }


def test_cells_are_mean_and_deviation_over_seeds(tmp_path):
    # LAST 4 and 10: mean 7, deviation 3. LAST TEN: seed 0 has 2 ... 10, 4: 5.8; seed 1 has nine
    # times 0 and 10: 1; mean 3.4, deviation 2.4. BEST 10 and 12: mean 11, deviation 1.
    write_run(tmp_path / "seed_0", [*range(11), 4], seed=0)
    write_run(tmp_path / "seed_1", [12.0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 10.0], seed=1)
    cells = only_row(tmp_path).cells
    assert [(cells[name].mean, cells[name].std) for name in (LAST, LAST_TEN, BEST)] == [
        pytest.approx((7.0, 3.0)),
        pytest.approx((3.4, 2.4)),
        pytest.approx((11.0, 1.0)),
    ]


def test_scores_of_the_seeds_stand_behind_a_cell(tmp_path):
    for seed, score in ((1, 8.0), (0, 2.0)):
        write_run(tmp_path / str(seed), [score], seed=seed)
    row = only_row(tmp_path)
    assert (seeds(row), row.cells[LAST].scores) == ([0, 1], (2.0, 8.0))


def test_finished_runs_of_unequal_length_each_count_at_their_own_end(tmp_path):
    write_run(tmp_path / "seed_0", [1.0] * 11 + [3.0], seed=0)
    write_run(tmp_path / "seed_1", [1.0] * 13 + [7.0], seed=1)
    row = only_row(tmp_path)
    assert row.cells[LAST].mean == 5.0
    assert "runs of unequal length, each at its own last epoch: seed 0 12, seed 1 14" in row.notes


def test_unfinished_run_is_not_averaged_but_listed(tmp_path):
    write_run(tmp_path / "seed_0", CONSTANT, seed=0)
    write_run(tmp_path / "seed_1", [90.0] * 12, seed=1, asked=20)
    row = only_row(tmp_path)
    assert (row.cells[LAST].mean, seeds(row), row.left_out) == (5.0, [0], 1)
    assert left_out(tmp_path) == {"seed_1": ("unfinished", "")}


def test_unfinished_run_is_averaged_on_request_and_said(tmp_path):
    write_run(tmp_path / "seed_0", CONSTANT, seed=0)
    write_run(tmp_path / "seed_1", [9.0] * 12, seed=1, asked=20)
    row = only_row(tmp_path, include_unfinished=True)
    assert (row.cells[LAST].mean, row.has_unfinished) == (7.0, True)
    assert "seed 1 is unfinished (12 of 20 epochs) and averaged in" in row.notes


def test_crashed_run_with_half_a_row_is_not_averaged(tmp_path):
    write_run(tmp_path / "seed_0", CONSTANT, seed=0)
    write_run(tmp_path / "seed_1", [90.0] * 12, seed=1)
    path = tmp_path / "seed_1/progress.csv"
    path.write_bytes(path.read_bytes()[:-4])
    assert only_row(tmp_path).cells[BEST].mean == 5.0
    assert left_out(tmp_path) == {"seed_1": ("unfinished", "")}


def test_crashed_run_is_averaged_without_its_half_row_on_request(tmp_path):
    # Rows 0 to 10 are whole: LAST is that of epoch 10, 10; the half row's 99 is not read.
    write_run(tmp_path / "seed_1", [*range(11), 99.0], seed=1)
    path = tmp_path / "seed_1/progress.csv"
    path.write_bytes(path.read_bytes()[:-4])
    assert only_row(tmp_path, include_unfinished=True).cells[LAST].mean == 10.0


def test_damaged_run_is_never_averaged(tmp_path):
    write_run(tmp_path / "seed_0", CONSTANT, seed=0)
    write_run(tmp_path / "seed_1", CONSTANT, seed=1)
    (tmp_path / "seed_1/progress.csv").write_text("epoch,a\n0,1\n1\n2,3\n")
    assert seeds(only_row(tmp_path, include_unfinished=True)) == [0]
    state, reason = left_out(tmp_path, include_unfinished=True)["seed_1"]
    assert state == "failed"
    assert "line 3: expected 2 cells, got 1" in reason


def test_empty_run_and_empty_folder_are_listed(tmp_path):
    write_run(tmp_path / "seed_0", CONSTANT, seed=0)
    write_run(tmp_path / "seed_1", [], seed=1, asked=5)
    (tmp_path / "seed_2").mkdir()
    assert left_out(tmp_path, include_unfinished=True) == {
        "seed_1": ("empty", "no whole epoch is recorded"),
        "seed_2": ("empty", "empty folder"),
    }


def test_run_that_the_sweep_gave_up_is_listed_with_its_error(tmp_path):
    write_run(tmp_path / "seed_0", CONSTANT, asked=20)
    status = {"state": "failed", "attempts": 3, "error": "out of memory"}
    (tmp_path / "seed_0/status.json").write_text(json.dumps(status))
    assert left_out(tmp_path) == {"seed_0": ("failed", "the sweep gave it up: out of memory")}


def test_row_without_a_finished_run_has_no_numbers(tmp_path):
    write_run(tmp_path / "seed_0", CONSTANT, asked=20)
    row = only_row(tmp_path)
    assert all(math.isnan(cell.mean) for cell in row.cells.values())


def test_nan_at_the_last_epoch_of_one_seed_leaves_the_cell_without_a_number(tmp_path):
    write_run(tmp_path / "seed_0", CONSTANT, seed=0)
    write_run(tmp_path / "seed_1", [7.0] * 11 + [math.nan], seed=1)
    row = only_row(tmp_path)
    assert math.isnan(row.cells[LAST].mean)
    assert math.isnan(row.cells[LAST_TEN].mean)
    assert row.cells[BEST].mean == 6.0
    assert "seed 1: the evaluation of the last epoch (11) is nan: no LAST" in row.notes


def test_missing_seed_is_said(tmp_path):
    for seed in (0, 1, 2):
        write_run(tmp_path / f"a/seed_{seed}", CONSTANT, seed=seed)
    for seed in (0, 2):
        write_run(tmp_path / f"b/seed_{seed}", CONSTANT, seed=seed, config="hopper_mixed")
    notes = [row.notes for row in table(tmp_path).rows]
    said = "no run of seed 1, which other rows have"
    assert [said in own for own in notes] == [False, True]


def test_two_runs_of_one_seed_count_once_and_the_finished_one_does(tmp_path):
    write_run(tmp_path / "a", [90.0] * 12, asked=20)
    write_run(tmp_path / "b", CONSTANT)
    write_run(tmp_path / "c", [80.0] * 12)
    row = only_row(tmp_path, include_unfinished=True)
    assert [record.name for record in row.counted] == ["b"]
    assert left_out(tmp_path, include_unfinished=True)["c"] == (
        "finished",
        "seed 0 is counted once, as b",
    )


def test_grid_points_are_rows(tmp_path):
    for penalty in (0.5, 5.0):
        write_run(tmp_path / str(penalty), CONSTANT, penalty_coeff=penalty)
    configurations = [row.configuration for row in table(tmp_path).rows]
    assert configurations == [f"halfcheetah_mixed, penalty_coeff={p}" for p in (0.5, 5.0)]


def test_published_number_stands_beside_the_papers_data_only(tmp_path):
    write_run(tmp_path / "a", CONSTANT)
    write_run(tmp_path / "b", CONSTANT, dataset="halfcheetah-sac-replay-v0")
    write_run(tmp_path / "c", CONSTANT, config="halfcheetah-medium-replay-v2")
    said = {row.dataset: row.published and row.published.value for row in table(tmp_path).rows}
    assert said == {
        "halfcheetah-medium-replay-v0": 53.1,
        "halfcheetah-sac-replay-v0": None,
        "halfcheetah-medium-replay-v2": None,
    }


def test_own_data_are_shown_with_their_hash(tmp_path):
    write_run(tmp_path / "a", CONSTANT, dataset="mine.hdf5")
    assert only_row(tmp_path).dataset == "mine.hdf5 (sha256 01234567)"


def test_published_numbers_of_other_methods_are_those_of_the_rows_data(tmp_path):
    write_run(tmp_path / "a", CONSTANT)
    methods = {entry.method: entry.value for entry in table(tmp_path).published}
    assert methods["BEAR"] == 36.2
    assert {entry.key for entry in table(tmp_path).published} == {"halfcheetah-medium-replay-v0"}


def test_raw_returns_are_those_of_the_metric(tmp_path):
    # Score 50 lies in the middle of -280.178953 and 12135: 5927.4105235.
    write_run(tmp_path / "a", [50.0])
    made = table(tmp_path, metric="return")
    assert made.rows[0].cells[LAST].mean == pytest.approx(5927.4105235)
    assert made.aggregates == ()
    assert "mopo-table1 has another metric (score) and is not shown." in made.caption


def test_table_2_shows_returns(tmp_path):
    write_run(tmp_path / "a", [50.0])
    made = table(tmp_path, "mopo-table2")
    assert (made.metric, made.rows[0].cells[LAST].mean) == ("return", pytest.approx(5927.4105235))
    assert math.isnan(made.rows[0].batch.mean)


def test_unknown_paper_is_refused(tmp_path):
    write_run(tmp_path / "a", CONSTANT)
    with pytest.raises(InputError, match="did you mean mopo-table1"):
        table(tmp_path, "mopo-table-1")


# Over tasks.


def two_tasks(root, first, second):
    for seed, score in enumerate(first):
        write_run(root / f"a/{seed}", [score], seed=seed)
    for seed, score in enumerate(second):
        write_run(root / f"b/{seed}", [score], seed=seed, config="hopper_mixed")


def test_statistics_over_tasks(tmp_path):
    # Task means 3 and 12: 7.5. Pooled 1, 2, 3, 6, 8, 10, 14, 16 (8 runs): without two at either
    # end (3 + 6 + 8 + 10) / 4 = 6.75. Published 53.1 and 67.5: 60.3.
    two_tasks(tmp_path, [1.0, 2.0, 3.0, 6.0], [8.0, 10.0, 14.0, 16.0])
    (aggregate,) = table(tmp_path).aggregates
    cell = aggregate.cells[LAST]
    assert (cell.mean, cell.iqm, cell.tasks) == (pytest.approx(7.5), pytest.approx(6.75), 2)
    assert cell.published == pytest.approx(60.3)
    assert cell.interval.low < 6.75 < cell.interval.high


def test_interval_of_constant_scores_has_no_width(tmp_path):
    two_tasks(tmp_path, [4.0, 4.0], [4.0, 4.0])
    assert table(tmp_path).aggregates[0].cells[LAST].interval == (4.0, 4.0)


def test_tables_of_the_same_runs_are_equal(tmp_path):
    two_tasks(tmp_path, [1.0, 2.0, 3.0], [8.0, 9.0, 1.0])
    first, second = table(tmp_path), table(tmp_path)
    assert first.aggregates == second.aggregates


def test_unequal_numbers_of_seeds_are_said(tmp_path):
    two_tasks(tmp_path, [1.0, 2.0, 3.0], [8.0, 9.0])
    (aggregate,) = table(tmp_path).aggregates
    assert aggregate.notes == ("tasks weigh by their number of seeds (2 to 3)",)


def test_task_without_the_statistic_is_not_counted_in_it_and_said(tmp_path):
    write_run(tmp_path / "a", [1.0, math.nan])
    write_run(tmp_path / "b", [8.0, 6.0], config="hopper_mixed")
    cells = table(tmp_path).aggregates[0].cells
    assert (cells[LAST].mean, cells[LAST].tasks, cells[LAST].of_tasks) == (6.0, 1, 2)
    assert (cells[BEST].mean, cells[BEST].tasks) == (4.5, 2)


def test_versions_of_the_data_are_not_mixed(tmp_path):
    write_run(tmp_path / "a", CONSTANT, config="hopper_medium")
    write_run(tmp_path / "b", CONSTANT, config="hopper-medium-v2")
    write_run(tmp_path / "c", CONSTANT, dataset="halfcheetah-sac-replay-v0")
    families = [aggregate.family for aggregate in table(tmp_path).aggregates]
    assert sorted(families) == ["D4RL v0", "D4RL v2", "other data"]


def test_published_mean_needs_a_number_for_each_task(tmp_path):
    write_run(tmp_path / "a", CONSTANT)
    write_run(tmp_path / "b", CONSTANT, config="hopper_mixed", physics="d4rl", sha256=None)
    (aggregate,) = table(tmp_path).aggregates
    assert np.isnan(aggregate.cells[LAST].published)

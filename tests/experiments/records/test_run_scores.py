import math

import numpy as np
import pytest

from experiments.records.run_records import read_record
from experiments.records.run_scores import BEST, LAST, LAST_TEN, evaluations, run_scores, summarise
from tests.experiments.run_folders import write_run

NAN = math.nan


def test_statistics_of_twelve_epochs():
    # 0, 1, ..., 10, 4: the last is 4; the last ten are 2 ... 10 and 4, (54 + 4) / 10 = 5.8;
    # the best is 10.
    scores = summarise([*range(11), 4])
    assert scores.values == {LAST: 4.0, LAST_TEN: pytest.approx(5.8), BEST: 10.0}
    assert scores.remarks == ()


def test_ten_epochs_are_the_last_ten():
    assert summarise([10.0] + [0.0] * 9).values[LAST_TEN] == 1.0


def test_fewer_than_ten_epochs_are_averaged_and_said():
    scores = summarise([1.0, 2.0, 6.0])
    assert scores.values[LAST_TEN] == 3.0
    assert scores.remarks == ("3 epochs only: their mean stands for LAST TEN",)


def test_nan_at_the_last_epoch_is_not_replaced_by_the_one_before():
    scores = summarise([1.0] * 11 + [NAN])
    assert math.isnan(scores.values[LAST])
    assert math.isnan(scores.values[LAST_TEN])
    assert "the evaluation of the last epoch (11) is nan: no LAST" in scores.remarks


def test_nan_within_the_last_ten_leaves_last():
    scores = summarise([1.0] * 5 + [NAN] + [1.0] * 5 + [3.0])
    assert scores.values[LAST] == 3.0
    assert math.isnan(scores.values[LAST_TEN])
    assert "epoch 5 is of the last ten nan: no LAST TEN" in scores.remarks


def test_nan_before_the_last_ten_concerns_only_best():
    # The last ten are nine times 1 and 3: 12 / 10.
    scores = summarise([NAN] + [1.0] * 9 + [3.0])
    assert scores.values == {LAST: 3.0, LAST_TEN: pytest.approx(1.2), BEST: 3.0}
    assert scores.remarks == ("BEST leaves out epoch 0 is nan",)


def test_infinite_evaluations_are_no_best():
    assert summarise([1.0, math.inf, 2.0]).values[BEST] == 2.0


def test_no_epoch_is_refused():
    with pytest.raises(ValueError, match="at least one epoch"):
        summarise([])


def test_missing_epochs_count_as_nan(tmp_path):
    write_run(tmp_path / "run", [1.0, 2.0, 3.0])
    path = tmp_path / "run/progress.csv"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[:2] + lines[3:]))
    values = evaluations(read_record(tmp_path / "run"), "score")
    np.testing.assert_array_equal(values, [1.0, NAN, 3.0])


def test_score_is_computed_where_only_the_return_is_recorded(tmp_path):
    # D4RL's references of HalfCheetah: -280.178953 is 0, 12135 is 100; the middle is 50.
    write_run(tmp_path / "run", [0.0, 50.0, 100.0])
    path = tmp_path / "run/progress.csv"
    path.write_text(path.read_text().replace("evaluation/normalized-score", "other"))
    values = evaluations(read_record(tmp_path / "run"), "score")
    np.testing.assert_allclose(values, [0.0, 50.0, 100.0], atol=1e-9)


def test_task_without_references_has_no_score_and_says_what_to_do(tmp_path):
    write_run(tmp_path / "run", [5.0, 6.0], environment="mine:make", dataset="mine.hdf5")
    record = read_record(tmp_path / "run")
    scores = run_scores(record, "score")
    assert all(map(math.isnan, scores.values.values()))
    assert scores.remarks == ("D4RL has no reference returns for mine:make: use --metric return",)
    assert run_scores(record, "return").values[LAST] == 6.0


def test_run_that_never_evaluated_says_so(tmp_path):
    write_run(tmp_path / "run", [1.0])
    path = tmp_path / "run/progress.csv"
    path.write_text("epoch\n0\n")
    remarks = run_scores(read_record(tmp_path / "run"), "return").remarks
    assert remarks == (
        "progress.csv has no column evaluation/return-average: nothing was evaluated",
    )

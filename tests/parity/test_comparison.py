import math

import numpy as np
import pytest

from parity.comparison import Comparison, compare_values, same_law
from parity.runner import Row, _rows
from parity.tolerances import LADDER, Rung


def test_worst_value_is_named_by_its_index() -> None:
    recorded = np.zeros((2, 3))
    ours = recorded.copy()
    ours[1, 2] = 3.0
    found = compare_values(recorded, ours, "exact", "group", "array")
    assert (found.index, found.over, found.worst_absolute) == ("[1, 2]", 1, 3.0)


def test_equal_arrays_have_no_error_even_without_a_tolerance() -> None:
    values = np.array([0.0, -1.5, np.nan, np.inf, -np.inf])
    found = compare_values(values, values.copy(), "exact", "group", "array")
    assert (found.over, found.worst_absolute, found.share_of_limit) == (0, 0.0, 0.0)


@pytest.mark.parametrize(
    ("recorded", "ours"), [(np.nan, 1.0), (1.0, np.nan), (np.inf, -np.inf), (np.inf, 1.0)]
)
def test_what_is_not_finite_on_one_side_is_over_every_limit(recorded: float, ours: float) -> None:
    found = compare_values(np.array([recorded]), np.array([ours]), "trained", "group", "array")
    assert found.over == 1
    assert found.share_of_limit == math.inf


def test_another_shape_is_a_fault() -> None:
    found = compare_values(np.zeros((2, 1)), np.zeros(2), "trained", "group", "array")
    assert found.fault == "shape (2,) where (2, 1) was recorded"


def test_another_kind_of_number_is_a_fault_where_values_must_be_equal() -> None:
    found = compare_values(np.zeros(2, bool), np.zeros(2), "exact", "group", "array")
    assert found.fault == "float64 where bool was recorded"


def test_texts_are_compared() -> None:
    found = compare_values(np.array(["a", "b"]), np.array(["a", "c"]), "exact", "group", "array")
    assert (found.over, found.index) == (1, "[1]")


def test_limit_relative_to_the_array_is_that_of_its_largest_value() -> None:
    recorded = np.array([1.0, 100.0])
    limit = LADDER["forward"].rtol * 100.0
    within = compare_values(recorded, recorded + np.array([0.9 * limit, 0.0]), "forward", "g", "a")
    over = compare_values(recorded, recorded + np.array([1.1 * limit, 0.0]), "forward", "g", "a")
    assert (within.over, over.over) == (0, 1)
    assert within.share_of_limit == pytest.approx(0.9, rel=1e-6)


def test_limit_relative_to_each_value_is_small_for_small_ones() -> None:
    recorded = np.array([1e-3, 100.0])
    found = compare_values(recorded, recorded + np.array([1e-6, 0.0]), "variance", "g", "a")
    assert (found.over, found.index) == (1, "[0]")


def test_rows_that_are_left_out_are_not_compared_and_the_index_is_that_of_the_array() -> None:
    recorded, ours = np.zeros(4), np.array([9.0, 0.0, 9.0, 1.0])
    kept = np.array([False, True, False, True])
    found = compare_values(recorded, ours, "exact", "g", "a", rows=kept)
    assert (found.values, found.over, found.index) == (2, 1, "[3]")


def row_of(values: int, over: int, worst: float, rung: str) -> Row:
    found = Comparison("g", rung, rung, values, over, worst, share_of_limit=2.0 if over else 0.5)
    return _rows([found])[0]


def test_few_exceptions_pass_if_the_rung_has_some_and_they_are_small() -> None:
    rung = LADDER["sac_updates"]
    values = 10_000
    few = int(rung.exceptions * values)
    assert row_of(values, few, rung.exception_limit, "sac_updates").passed
    assert not row_of(values, few + 1, rung.exception_limit, "sac_updates").passed
    assert not row_of(values, few, 1.01 * rung.exception_limit, "sac_updates").passed


def test_no_exception_passes_on_a_rung_without() -> None:
    assert not row_of(10_000, 1, 1e-9, "pool").passed


def test_arrays_of_one_group_make_one_row_that_names_the_worst() -> None:
    found = [
        Comparison("g", "good", "op", 5, share_of_limit=0.1),
        Comparison("g", "bad", "op", 7, over=2, share_of_limit=3.0, index="[4]"),
        Comparison("other", "good", "op", 1),
    ]
    rows = _rows(found)
    assert [row.group for row in rows] == ["g", "other"]
    assert (rows[0].values, rows[0].where, rows[0].passed) == (12, "bad[4]", False)


@pytest.mark.parametrize(("p_value", "over"), [(0.5, 0), (0.00099, 1), (0.0, 1), (math.nan, 1)])
def test_two_samples_miss_only_below_the_smallest_p_value(p_value: float, over: int) -> None:
    assert same_law(p_value, "g", "a", "test", 10).over == over


def test_every_rung_has_a_reason_and_none_is_without_a_bound() -> None:
    for name, rung in LADDER.items():
        assert len(rung.reason) > 10, name
        assert 0.0 <= rung.rtol <= 0.1, name
        assert 0.0 <= rung.atol <= 4e-4, name
        assert rung.exceptions <= 0.01, name


def test_limits_are_no_looser_than_ten_times_what_a_plain_replay_reached() -> None:
    # parity/recordings/README.md, its last paragraph.
    few_1e_7, sac, outlier, after_60 = 3e-7, 1e-7, 6e-6, 4e-5
    trained, pools, simulator = 1e-5, 2e-6, 5e-13
    reached = {
        "forward": Rung(10 * few_1e_7, 0.0, ""),
        "sac_updates": Rung(0.0, 10 * sac, "", exception_limit=10 * outlier),
        "sac_many_updates": Rung(0.0, 10 * after_60, ""),
        "trained": Rung(0.0, 10 * trained, ""),
        "pool": Rung(0.0, 10 * pools, ""),
        "simulator": Rung(0.0, 10 * simulator, ""),
    }
    for name, rung in reached.items():
        assert LADDER[name].rtol <= rung.rtol * 1.0001, name
        assert LADDER[name].atol <= rung.atol * 1.0001, name
    assert LADDER["sac_updates"].exception_limit <= 10 * outlier * 1.0001

import math

import numpy as np
import pytest

from parity.comparison import Comparison, compare_values, same_law
from parity.runner import _rows
from parity.tolerances import LADDER


def compared(recorded, ours, rung="exact", **options):
    return compare_values(np.asarray(recorded), np.asarray(ours), rung, "group", "array", **options)


def test_worst_value_is_named_by_its_index():
    found = compared(np.zeros((2, 3)), [[0, 0, 0], [0, 0, 3.0]])
    assert (found.index, found.over, found.worst_absolute) == ("[1, 2]", 1, 3.0)
    found = compared(["a", "b"], ["a", "c"])
    assert (found.index, found.over) == ("[1]", 1)


def test_equal_arrays_have_no_error_even_without_a_tolerance():
    values = np.array([0.0, -1.5, np.nan, np.inf, -np.inf])
    found = compared(values, values.copy())
    assert (found.over, found.worst_absolute, found.share_of_limit) == (0, 0.0, 0.0)


@pytest.mark.parametrize(
    ("recorded", "ours"), [(np.nan, 1.0), (1.0, np.nan), (np.inf, -np.inf), (np.inf, 1.0)]
)
def test_what_is_not_finite_on_one_side_is_over_every_limit(recorded, ours):
    found = compared([recorded], [ours], "trained")
    assert (found.over, found.share_of_limit) == (1, math.inf)


@pytest.mark.parametrize(
    ("recorded", "ours", "fault"),
    [
        (np.zeros((2, 1)), np.zeros(2), "shape (2,) where (2, 1) was recorded"),
        (np.zeros(2, bool), np.zeros(2), "float64 where bool was recorded"),
    ],
)
def test_another_shape_or_kind_of_number_is_a_fault(recorded, ours, fault):
    assert compared(recorded, ours).fault == fault


@pytest.mark.parametrize(("share", "over"), [(0.9, 0), (1.1, 1)])
def test_limit_relative_to_the_array_is_that_of_its_largest_value(share, over):
    limit = LADDER["forward"].rtol * 100.0
    found = compared([1.0, 100.0], [1.0 + share * limit, 100.0], "forward")
    assert found.over == over
    assert found.share_of_limit == pytest.approx(share, rel=1e-6)


def test_limit_relative_to_each_value_is_small_for_small_ones():
    found = compared([1e-3, 100.0], [1e-3 + 1e-6, 100.0], "variance")
    assert (found.over, found.index) == (1, "[0]")


@pytest.mark.parametrize(("widened", "over"), [(1.0, 1), (2.0, 0)])
def test_widened_limit_is_a_multiple_of_the_rungs(widened, over):
    limit = LADDER["pool"].atol
    found = compare_values([0.0], [1.5 * limit], "pool", "g", "a", widened=widened)
    assert (found.over, found.share_of_limit) == (over, pytest.approx(1.5 / widened))


def test_rows_that_are_left_out_are_not_compared_and_the_index_is_that_of_the_array():
    kept = np.array([False, True, False, True])
    found = compared(np.zeros(4), [9.0, 0.0, 9.0, 1.0], rows=kept)
    assert (found.values, found.over, found.index) == (2, 1, "[3]")


SAC = LADDER["sac_updates"]
FEW = int(SAC.exceptions * 10_000)


@pytest.mark.parametrize(
    ("rung", "over", "worst", "passes"),
    [
        ("sac_updates", FEW, SAC.exception_limit, True),
        ("sac_updates", FEW + 1, SAC.exception_limit, False),
        ("sac_updates", FEW, 1.01 * SAC.exception_limit, False),
        ("pool", 1, 1e-9, False),
    ],
)
def test_few_small_exceptions_pass_on_a_rung_that_has_some(rung, over, worst, passes):
    found = Comparison("g", rung, rung, 10_000, over, worst, share_of_limit=2.0)
    assert _rows([found])[0].passed is passes


def test_arrays_of_one_group_make_one_row_that_names_the_worst():
    found = [
        Comparison("g", "good", "op", 5, share_of_limit=0.1),
        Comparison("g", "bad", "op", 7, over=2, share_of_limit=3.0, index="[4]"),
        Comparison("other", "good", "op", 1),
    ]
    rows = _rows(found)
    assert [row.group for row in rows] == ["g", "other"]
    assert (rows[0].values, rows[0].where, rows[0].passed) == (12, "bad[4]", False)


@pytest.mark.parametrize(("p_value", "over"), [(0.5, 0), (0.00099, 1), (0.0, 1), (math.nan, 1)])
def test_two_samples_miss_only_below_the_smallest_p_value(p_value, over):
    assert same_law(p_value, "g", "a", "test", 10).over == over


def test_every_rung_has_a_reason_and_none_is_without_a_bound():
    for name, rung in LADDER.items():
        assert len(rung.reason) > 10, name
        assert 0.0 <= rung.rtol <= 0.01, name
        assert 0.0 <= rung.atol <= 4e-4, name
        assert rung.exceptions <= 0.01, name


# What a plain replay reached: parity/recordings/README.md, its last paragraph.
@pytest.mark.parametrize(
    ("rung", "limit", "reached"),
    [
        ("forward", "rtol", 3e-7),
        ("sac_updates", "atol", 1e-7),
        ("sac_updates", "exception_limit", 6e-6),
        ("sac_many_updates", "atol", 6e-7),
        ("critics_after_race", "atol", 4e-5),
        ("trained", "atol", 1e-5),
        ("pool", "atol", 2e-6),
        ("simulator", "atol", 5e-13),
    ],
)
def test_limits_are_no_looser_than_ten_times_what_a_plain_replay_reached(rung, limit, reached):
    assert getattr(LADDER[rung], limit) <= 10 * reached * 1.0001
    assert limit == "rtol" or LADDER[rung].rtol == 0.0
    assert limit != "rtol" or LADDER[rung].atol == 0.0

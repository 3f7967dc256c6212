"""Distances to the nearest row, against a search through all rows and against grids."""

import numpy as np
import pytest

from mopo_tf2.evaluation.data_distance import DataDistance


def every_distance(rows, queries):
    scaled = (queries[:, None] - rows[None]) / rows.std(axis=0)
    return np.sqrt(np.square(scaled).sum(axis=2))


def test_distance_is_that_of_the_nearest_row_in_standard_deviations():
    random = np.random.RandomState(0)
    rows = random.normal(5.0, [1.0, 100.0, 0.01], (50, 3))
    queries = random.normal(5.0, [1.0, 100.0, 0.01], (2_000, 3))
    expected = every_distance(rows, queries).min(axis=1)
    np.testing.assert_allclose(DataDistance(rows)(queries), expected, rtol=1e-6)


def test_rows_of_the_data_have_distance_0():
    rows = np.random.RandomState(0).normal(1e4, 1.0, (300, 23))
    np.testing.assert_array_equal(DataDistance(rows)(rows), 0.0)


def test_a_constant_column_counts_in_its_own_units():
    rows = np.stack([np.linspace(-1.0, 1.0, 9), np.full(9, 0.1)], axis=1)
    assert DataDistance(rows)(rows[:1] + np.array([0.0, 3.0])) == pytest.approx([3.0])


def test_a_point_that_far_away_overflows_single_precision_is_far():
    distance = DataDistance(np.random.RandomState(0).normal(size=(20, 2)))
    assert distance(np.array([[1e50, 0.0]])) > 1e49
    assert np.isinf(distance(np.array([[np.inf, 0.0]])))


def test_quantile_leaves_the_row_itself_out():
    rows = np.array([[0.0], [1.0], [2.0], [3.0], [13.0]])
    gap = 1.0 / rows.std()
    distance = DataDistance(rows)
    assert distance.quantile(0.5) == pytest.approx(gap)
    assert distance.quantile(1.0) == pytest.approx(10 * gap)


def test_a_random_part_of_the_rows_keeps_the_scale_of_all():
    rows = np.random.RandomState(1).normal(size=(3_000, 2))
    few = DataDistance(rows, max_rows=100, seed=3)
    zeros = few(rows) == 0.0
    assert zeros.sum() == 100
    np.testing.assert_allclose(few(rows), every_distance(rows, rows)[:, zeros].min(axis=1))
    assert few.quantile(0.5) > DataDistance(rows).quantile(0.5)


@pytest.mark.parametrize("rows", [np.zeros((0, 2)), np.zeros(3), np.array([[np.nan]])])
def test_rows_that_give_no_distance_are_refused(rows):
    with pytest.raises(ValueError, match="finite rows"):
        DataDistance(rows)

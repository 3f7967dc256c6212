"""The ring buffer, against a list."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mopo_tf2.data.replay_pool import ReplayPool, pool_of
from mopo_tf2.types import Transitions


def numbered(first, count):
    """``count`` transitions of O = 2, A = 1; every column tells the row's number."""
    numbers = np.arange(first, first + count, dtype=np.float32)[:, None]
    return Transitions(
        observations=np.concatenate([numbers, -numbers], axis=1),
        actions=numbers / 100,
        next_observations=np.concatenate([numbers + 1, -numbers - 1], axis=1),
        rewards=10 * numbers,
        terminals=numbers % 3 == 0,
    )


def numbers_in(pool):
    return list(pool.stored().observations[:, 0].astype(int))


@given(st.integers(1, 12), st.lists(st.integers(0, 30), max_size=6))
def test_pool_holds_what_adding_row_by_row_to_a_ring_leaves(capacity, counts):
    pool, ring, pointer, first = ReplayPool(capacity, 2, 1), {}, 0, 0
    for count in counts:
        pool.add(numbered(first, count))
        for number in range(first, first + count):
            ring[pointer] = number
            pointer = (pointer + 1) % capacity
        first += count
    assert numbers_in(pool) == [ring[slot] for slot in sorted(ring)]
    assert (pool.size, pool.pointer) == (len(ring), pointer)


def test_columns_of_a_row_stay_together_in_single_precision_and_bool():
    pool = ReplayPool(4, 2, 1)
    pool.add(numbered(0, 3))
    pool.add(Transitions(*(column.astype(np.float64) for column in numbered(3, 3))))
    for name, column in pool.rows(np.array([0, 3]))._asdict().items():
        expected = [getattr(numbered(number, 1), name)[0] for number in (4, 3)]
        np.testing.assert_array_equal(column, expected)
        assert column.dtype == (np.bool_ if name == "terminals" else np.float32)


def test_indices_of_any_shape_give_rows_of_that_shape():
    pool = ReplayPool(4, 2, 1)
    pool.add(numbered(0, 4))
    rows = pool.rows(np.array([[0, 1, 2], [3, 3, 0]]))
    assert [column.shape[:-1] for column in rows] == [(2, 3)] * 5
    np.testing.assert_array_equal(rows.rewards[:, :, 0], [[0, 10, 20], [30, 30, 0]])


def test_an_empty_pool_cannot_be_sampled_and_one_without_rows_not_made():
    with pytest.raises(ValueError, match="cannot sample from an empty ReplayPool"):
        ReplayPool(4, 2, 1).random_indices(1, np.random.RandomState(0))
    with pytest.raises(ValueError, match="capacity must be positive, got 0"):
        ReplayPool(0, 2, 1)


@pytest.mark.parametrize("name", Transitions._fields)
def test_a_column_of_another_shape_is_an_error_that_names_it(name):
    pool = ReplayPool(4, 2, 1)
    pool.add(numbered(0, 2))
    flat = numbered(5, 3)._replace(**{name: np.zeros(3, np.float32)})
    with pytest.raises(ValueError, match=rf"^{name} must have shape|^observations must"):
        pool.add(flat)
    assert numbers_in(pool) == [0, 1]


@given(st.integers(1, 8), st.integers(0, 20), st.integers(0, 20))
def test_restored_pool_goes_on_as_the_stored_one(capacity, before, after):
    pool, twin = ReplayPool(capacity, 2, 1), ReplayPool(capacity, 2, 1)
    pool.add(numbered(0, before))
    twin.add(numbered(500, 3))
    twin.restore(pool.stored(), pool.pointer)
    pool.add(numbered(before, after))
    twin.add(numbered(before, after))
    assert numbers_in(twin) == numbers_in(pool)
    assert (twin.size, twin.pointer) == (pool.size, pool.pointer)


@pytest.mark.parametrize("pointer", [-1, 0, 4])
def test_restoring_a_pointer_that_does_not_belong_to_the_rows_is_an_error(pointer):
    with pytest.raises(ValueError, match="does not fit 2 stored rows"):
        ReplayPool(4, 2, 1).restore(numbered(0, 2), pointer)


# Storage order is the ring's, as after a full pass: drawn indices depend on it.
@pytest.mark.parametrize(
    ("max_size", "kept"), [(4, [8, 9, 6, 7]), (None, [*range(10)]), (1_000_000, [*range(10)])]
)
def test_pool_of_a_dataset_keeps_its_last_rows(max_size, kept):
    pool = pool_of(numbered(0, 10), max_size)
    assert numbers_in(pool) == kept
    assert pool.capacity == len(kept)

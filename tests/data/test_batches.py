"""Rows for rollouts and for SAC: how many of each, in which order drawn."""

import numpy as np
import pytest

from mopo_tf2.data.batches import mixed_batches, rollout_starts
from mopo_tf2.data.replay_pool import ReplayPool
from mopo_tf2.types import Transitions


def pool_of_numbers(first, count):
    numbers = np.arange(first, first + count, dtype=np.float32)[:, None]
    pool = ReplayPool(count, 1, 1)
    pool.add(Transitions(numbers, numbers, numbers, numbers, np.zeros((count, 1), bool)))
    return pool


def draw(count=1, batch_size=256, real_ratio=0.05, seed=0, model_pool=None):
    """Numbers of the drawn rows; 0 to 49 are real, 1000 to 1069 are the model's."""
    batches = mixed_batches(
        pool_of_numbers(0, 50),
        model_pool or pool_of_numbers(1000, 70),
        np.random.RandomState(seed),
        count=count,
        batch_size=batch_size,
        real_ratio=real_ratio,
    )
    return batches.rewards[:, :, 0]


def test_rollout_starts_are_drawn_with_replacement():
    starts = rollout_starts(pool_of_numbers(0, 5), 9, np.random.RandomState(2))
    np.testing.assert_array_equal(starts[:, 0], np.random.RandomState(2).randint(0, 5, 9))


def test_five_per_cent_of_256_rows_are_12_real_ones_and_they_come_first():
    (numbers,) = draw()
    assert (numbers[:12] < 50).all()
    assert (numbers[12:] >= 1000).all()


def test_batches_are_drawn_one_by_one_real_rows_before_model_rows():
    expected = np.random.RandomState(7)
    rows = []
    for _ in range(3):
        rows += [[*expected.randint(0, 50, 2), *(1000 + expected.randint(0, 70, 6))]]
    np.testing.assert_array_equal(draw(count=3, batch_size=8, real_ratio=0.25, seed=7), rows)


def test_real_ratio_of_one_never_draws_from_the_model_pool():
    numbers = draw(count=2, batch_size=8, real_ratio=1.0, model_pool=ReplayPool(5, 1, 1))
    assert numbers.shape == (2, 8)
    assert (numbers < 50).all()


def test_real_ratio_of_zero_takes_model_rows_only():
    assert (draw(real_ratio=0.0) >= 1000).all()


def test_an_empty_model_pool_is_an_error_if_its_rows_are_needed():
    with pytest.raises(ValueError, match="empty ReplayPool"):
        draw(model_pool=ReplayPool(5, 1, 1))

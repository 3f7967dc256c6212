"""Mixed batches: how many rows of each pool, in which order drawn."""

import numpy as np
import pytest

from mopo_tf2.data.batches import mixed_batches
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


def test_the_model_pool_may_be_empty_only_if_every_row_is_real():
    empty = ReplayPool(5, 1, 1)
    assert (draw(real_ratio=1.0, model_pool=empty) < 50).all()
    assert (draw(real_ratio=0.0) >= 1000).all()
    with pytest.raises(ValueError, match="empty ReplayPool"):
        draw(model_pool=empty)

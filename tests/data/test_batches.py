"""Rows for rollouts and for SAC: how many of each, in which order drawn."""

from pathlib import Path

import numpy as np
import pytest

from mopo_tf2.data.batches import mixed_batches, rollout_starts
from mopo_tf2.data.replay_pool import ReplayPool, pool_of
from mopo_tf2.types import Transitions

RECORDING = Path(__file__).parents[2] / "parity" / "recordings" / "model_rollouts.npz"


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


@pytest.mark.parametrize("domain", ["hopper", "halfcheetah"])
def test_a_training_batch_equals_that_of_the_original(domain):
    with np.load(RECORDING) as recording:
        pools = [
            pool_of(
                Transitions(*(recording[f"{domain}/{pool}/{k}"] for k in Transitions._fields)), None
            )
            for pool in ("env_pool", "model_pool")
        ]
        batches = mixed_batches(
            *pools,
            np.random.RandomState(int(recording["batch_numpy_seed"])),
            count=1,
            batch_size=int(recording["batch_size"]),
            real_ratio=float(recording["real_ratio"]),
        )
        for name, column in batches._asdict().items():
            expected = recording[f"{domain}/training_batch/{name}"]
            np.testing.assert_array_equal(column[0], expected, err_msg=name)


def test_rollout_starts_equal_those_of_the_original():
    with np.load(RECORDING) as recording:
        columns = (recording[f"hopper/env_pool/{k}"] for k in Transitions._fields)
        pool = pool_of(Transitions(*columns), None)
        count = int(recording["rollout_batch_size"])
        random_state = np.random.RandomState(int(recording["rollout_numpy_seed"]))
        starts = rollout_starts(pool, count, random_state)
        expected = recording["hopper/model_pool/observations"][:count]
    np.testing.assert_array_equal(starts, expected)


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


def test_stacked_batches_equal_batches_drawn_singly():
    stacked = draw(count=4, batch_size=8, real_ratio=0.5, seed=3)
    environment_pool, model_pool = pool_of_numbers(0, 50), pool_of_numbers(1000, 70)
    random_state = np.random.RandomState(3)
    for numbers in stacked:
        single = mixed_batches(
            environment_pool, model_pool, random_state, count=1, batch_size=8, real_ratio=0.5
        )
        np.testing.assert_array_equal(single.rewards[0, :, 0], numbers)


def test_real_ratio_of_one_never_draws_from_the_model_pool():
    numbers = draw(count=2, batch_size=8, real_ratio=1.0, model_pool=ReplayPool(5, 1, 1))
    assert numbers.shape == (2, 8)
    assert (numbers < 50).all()


def test_real_ratio_of_zero_takes_model_rows_only():
    assert (draw(real_ratio=0.0) >= 1000).all()


def test_an_empty_model_pool_is_an_error_if_its_rows_are_needed():
    with pytest.raises(ValueError, match="empty ReplayPool"):
        draw(model_pool=ReplayPool(5, 1, 1))

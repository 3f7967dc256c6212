"""One seed, every stream."""

import numpy as np
import pytest

from mopo_tf2.seeding import random_streams, spawn_seeds


def test_host_stream_is_the_one_of_the_seed_itself():
    got, expected = random_streams(72).host, np.random.RandomState(72)
    np.testing.assert_array_equal(got.permutation(50), expected.permutation(50))
    np.testing.assert_array_equal(got.normal(size=7), expected.normal(size=7))


def test_equal_seeds_give_equal_streams_and_others_others():
    first, second = random_streams(3), random_streams(4)
    again = random_streams(3)
    drawn = first.device.normal([4]).numpy()
    np.testing.assert_array_equal(drawn, again.device.normal([4]))
    assert np.abs(drawn - second.device.normal([4])).min() > 0
    assert first.weight_seeds == again.weight_seeds
    assert not set(first.weight_seeds.values()) & set(second.weight_seeds.values())


def test_every_network_has_a_weight_seed_of_its_own():
    seeds = random_streams(0).weight_seeds
    assert set(seeds) == {"ensemble", "policy", "critics"}
    assert len(set(seeds.values())) == 3


@pytest.mark.parametrize("seed", [-1, 2**32])
def test_a_seed_out_of_range_is_refused(seed):
    with pytest.raises(ValueError, match=rf"seed must lie in \[0, 4294967295\], got {seed}"):
        random_streams(seed)
    assert random_streams(2**32 - 1).host.randint(10) in range(10)


def test_spawned_seeds_are_distinct_and_repeatable():
    assert len(set(spawn_seeds(5, 100))) == 100
    assert spawn_seeds(5, 3) == spawn_seeds(5, 3) != spawn_seeds(6, 3)

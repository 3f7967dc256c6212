"""Returns and advantages, by hand and against a slow loop."""

import numpy as np
import pytest

from mopo_tf2.algorithms.advantages import (
    discounted_sums,
    generalised_advantages,
    next_values,
    normalised,
    path_mask,
)


def test_discounted_sums_by_hand():
    values = np.array([[1.0, 0.0], [2.0, 4.0], [3.0, 0.0]])
    expected = [[1 + 0.5 * (2 + 0.5 * 3), 2.0], [3.5, 4.0], [3.0, 0.0]]
    np.testing.assert_allclose(discounted_sums(values, 0.5), expected)


def test_value_behind_the_end_is_zero_only_if_the_path_terminated():
    values = np.array([[1.0, 10.0], [2.0, 20.0], [99.0, 30.0]])
    following = next_values(values, np.array([2, 3]), np.array([True, False]))
    np.testing.assert_array_equal(following[:2, 0], [2.0, 0.0])
    np.testing.assert_array_equal(following[:, 1], [20.0, 30.0, 30.0])


def test_advantages_by_hand():
    # deltas: 1 + 0.5 * 2 - 1 = 1 and 3 + 0 - 2 = 1; A_0 = 1 + 0.5 * 0.8 * 1.
    advantages = generalised_advantages(
        np.array([[1.0], [3.0]]),
        np.array([[1.0], [2.0]]),
        np.array([2]),
        np.array([True]),
        discount=0.5,
        gae_lambda=0.8,
    )
    np.testing.assert_allclose(advantages, [[1.4], [1.0]])


def slow_advantages(rewards, values, is_terminated, discount, gae_lambda):
    """One path, by the double sum of its definition."""
    following = [*values[1:], 0.0 if is_terminated else values[-1]]
    steps = range(len(rewards))
    deltas = [rewards[t] + discount * following[t] - values[t] for t in steps]
    return [
        sum((discount * gae_lambda) ** (k - t) * deltas[k] for k in range(t, len(rewards)))
        for t in steps
    ]


def test_advantages_of_uneven_paths_match_a_slow_loop():
    randoms = np.random.RandomState(0)
    lengths, terminated = np.array([7, 1, 4, 7]), np.array([False, True, True, True])
    mask = path_mask(lengths, 7)
    rewards, values = np.where(mask, randoms.normal(size=(7, 4)), 0), randoms.normal(size=(7, 4))
    advantages = generalised_advantages(
        rewards, values, lengths, terminated, discount=0.999, gae_lambda=0.97
    )
    for path, length in enumerate(lengths):
        expected = slow_advantages(
            rewards[:length, path], values[:length, path], terminated[path], 0.999, 0.97
        )
        np.testing.assert_allclose(advantages[:length, path], expected)
        np.testing.assert_array_equal(advantages[length:, path], 0.0)


def test_lambda_one_gives_returns_minus_values():
    randoms = np.random.RandomState(1)
    rewards, values = randoms.normal(size=(5, 2)), randoms.normal(size=(5, 2))
    lengths, terminated = np.full(2, 5), np.full(2, True)
    advantages = generalised_advantages(
        rewards, values, lengths, terminated, discount=0.9, gae_lambda=1.0
    )
    np.testing.assert_allclose(advantages, discounted_sums(rewards, 0.9) - values)


def test_normalised_advantages_have_no_mean_and_unit_spread():
    values = normalised(np.random.RandomState(0).normal(3.0, 5.0, size=1000))
    assert values.mean() == pytest.approx(0.0, abs=1e-9)
    assert values.std() == pytest.approx(1.0, abs=1e-5)

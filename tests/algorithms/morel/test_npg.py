"""MOReL's planner: advantages by hand, the baseline, and the step against dense linear algebra."""

import numpy as np
import pytest
import tensorflow as tf

from mopo_tf2.algorithms.morel.npg import (
    NaturalGradient,
    ValueBaseline,
    baseline_features,
    flat,
    generalised_advantages,
    normalised,
    path_mask,
    policy_rows,
)
from mopo_tf2.networks.unsquashed_policy import UnsquashedGaussianPolicy

ROWS, OBS_DIM, ACT_DIM, DAMPING = 50, 3, 2, 1e-3


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


def test_normalised_advantages_have_no_mean_and_unit_spread():
    values = normalised(np.random.RandomState(0).normal(3.0, 5.0, size=1000))
    assert values.mean() == pytest.approx(0.0, abs=1e-9)
    assert values.std() == pytest.approx(1.0, abs=1e-5)


def baseline_of(**changes):
    settings = {"lr": 1e-2, "batch_size": 16, "seed": 1, **changes}
    return ValueBaseline(2, (16,), **settings)


def features():
    randoms = np.random.RandomState(0)
    observations = randoms.normal(size=(200, 2)).astype(np.float32)
    return baseline_features(observations, randoms.randint(0, 500, 200))


def test_features_by_hand():
    read = baseline_features(np.float32([[5.0, -20.0]]), np.array([100]))
    np.testing.assert_allclose(read, [[0.5, -1.0, 0.1, 0.01, 0.001, 0.0001]], rtol=1e-6)
    assert read.dtype == np.float32


def test_regression_reaches_the_returns():
    inputs = features()
    returns = 3.0 + 5.0 * (inputs[:, 0] - 2.0 * inputs[:, 2])
    baseline = baseline_of()
    baseline.fit(inputs, returns, np.random.RandomState(0), epochs=60)
    errors = baseline.values(inputs) - returns
    assert np.mean(errors**2) < 0.05 * returns.var()


@pytest.mark.parametrize(("rows", "steps"), [(200, 11), (40, 1), (9, 1)])
def test_a_pass_leaves_out_its_last_two_batches_unless_there_is_one(eager, rows, steps):
    baseline = baseline_of()
    baseline.fit(features()[:rows], np.zeros(rows), np.random.RandomState(0), epochs=1)
    assert int(baseline.optimizer.iterations) == steps


@pytest.fixture
def policy():
    policy = UnsquashedGaussianPolicy(ACT_DIM, (3,), init_log_std=-0.3, min_log_std=-9.0, seed=1)
    policy.build((None, OBS_DIM))
    # The output kernel starts near 0, where the first layer would hardly matter.
    policy.network.dense_layers[-1].kernel.assign(100.0 * policy.network.dense_layers[-1].kernel)
    return policy


@pytest.fixture
def data(policy):
    randoms = np.random.RandomState(0)
    observations = randoms.normal(size=(ROWS, OBS_DIM)).astype(np.float32)
    latents = randoms.normal(size=(ROWS, ACT_DIM)).astype(np.float32)
    actions = policy.sample(observations, latents).numpy()
    return observations, actions, randoms.normal(size=ROWS).astype(np.float32)


@pytest.fixture
def rows(data):
    # 50 rows in chunks of 16, in a shape for up to 100: the last chunk in use is filled up.
    return policy_rows(*data, chunk_size=16, max_rows=100)


def values_of(policy):
    return [variable.value for variable in policy.trainable_variables]


def dense_fisher(policy, observations):
    """Mean over rows of the scores' covariance, from each row's Jacobian of the mean."""
    with tf.GradientTape() as tape:
        mean = policy(observations)
    jacobians = tape.jacobian(
        mean, values_of(policy), unconnected_gradients=tf.UnconnectedGradients.ZERO
    )
    jacobian = np.concatenate([j.numpy().reshape(ROWS, ACT_DIM, -1) for j in jacobians], axis=-1)
    precision = np.exp(-2.0 * policy.log_std.numpy())
    fisher = np.einsum("bai,a,baj->ij", jacobian, precision, jacobian) / ROWS
    place = np.concatenate(
        [np.full(v.shape, v is policy.log_std).ravel() for v in policy.trainable_variables]
    )
    fisher[place, place] += 2.0
    return fisher.astype(np.float64)


def scores(policy, observations, actions):
    """grad log pi of each row, [B, P]."""
    with tf.GradientTape() as tape:
        log_pi = policy.log_pi(observations, actions)
    jacobians = tape.jacobian(log_pi, values_of(policy))
    return np.concatenate([j.numpy().reshape(len(actions), -1) for j in jacobians], axis=-1)


def improver(policy, **changes):
    settings = {"step_size": 0.02, "iterations": 200, "damping": DAMPING, **changes}
    return NaturalGradient(policy, **settings)


def test_step_moves_by_the_dense_solution(policy, data, rows):
    observations, actions, advantages = data
    before = flat(values_of(policy)).numpy()
    gradient = (advantages[:, None] * scores(policy, observations, actions)).mean(axis=0)
    fisher = dense_fisher(policy, observations)
    direction = np.linalg.solve(fisher + DAMPING * np.eye(len(fisher)), gradient)
    alpha = np.sqrt(0.02 / (gradient @ direction))
    result = improver(policy).step(*rows)
    moved = flat(values_of(policy)).numpy() - before
    np.testing.assert_allclose(moved, alpha * direction, rtol=1e-2, atol=1e-3 * np.abs(moved).max())
    assert float(result.step_size) == pytest.approx(alpha, rel=1e-3)


def test_small_step_improves_the_surrogate(eager, policy, data, rows):
    result = improver(policy, step_size=1e-4, iterations=10).step(*rows)
    assert float(result.surrogate_before) == pytest.approx(data[2].mean(), abs=1e-5)
    assert float(result.surrogate_after) > float(result.surrogate_before)
    assert float(result.kl) == pytest.approx(0.5 * 1e-4, rel=0.1)  # half of delta


def test_rows_that_fill_up_and_chunks_not_in_use_have_no_part(data, policy):
    fitting = policy_rows(*data, chunk_size=50, max_rows=50)
    filled = policy_rows(*data, chunk_size=16, max_rows=900)
    assert filled[0].observations.shape[0] == 57
    assert filled[1] == 4
    one, other = (
        improver(policy).gradient(r, tf.constant(count)) for r, count in (fitting, filled)
    )
    np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)


def test_log_std_does_not_fall_below_its_minimum(eager, policy, rows):
    policy.min_log_std = -0.3
    improver(policy, step_size=1.0, iterations=5).step(*rows)
    assert policy.log_std.numpy().min() >= np.float32(-0.3)

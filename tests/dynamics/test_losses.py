"""The ensemble's losses, by hand on numbers that a reader can check."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from mopo_tf2.dynamics import losses

MEAN = tf.constant([[[1.0, 2.0], [3.0, 4.0]]])
TARGETS = tf.zeros([1, 2, 2])
BOUNDS = np.array([[0.5]], np.float32), np.array([[-10.0]], np.float32)


def test_gaussian_nll_is_scaled_error_plus_log_variance_without_halves():
    log_var = tf.math.log([[[1.0, 2.0], [4.0, 8.0]]])
    # (1/1 + 4/2 + 9/4 + 16/8) / 4 and (0 + 1 + 2 + 3) log 2 / 4
    expected = 1.8125 + 1.5 * np.log(2)
    np.testing.assert_allclose(losses.gaussian_nll(MEAN, log_var, TARGETS), [expected], rtol=1e-6)
    members = tf.concat([MEAN, 2 * MEAN], axis=0)
    got = losses.gaussian_nll(members, tf.zeros_like(members), tf.zeros_like(members))
    np.testing.assert_allclose(got, [7.5, 30.0], rtol=1e-6)


def test_gaussian_nll_refuses_targets_that_would_broadcast():
    with pytest.raises(ValueError, match="incompatible"):
        losses.gaussian_nll(MEAN, MEAN, TARGETS[:, :1])


def test_squared_error_is_the_plain_mean_per_member():
    mean = tf.concat([MEAN, 2 * MEAN], axis=0)
    np.testing.assert_allclose(losses.squared_error(mean, TARGETS[0]), [7.5, 30.0], rtol=1e-6)


def test_bound_term_is_a_hundredth_of_the_summed_distance():
    term = losses.log_var_bound_term(tf.constant([[1.0, 2.0]]), tf.constant([[-3.0, -4.0]]))
    np.testing.assert_allclose(term, 0.1, rtol=1e-6)


def test_weight_decay_is_half_the_sum_of_squares_of_every_layer():
    kernels = [tf.constant([[[3.0, 4.0]]]), tf.constant([[[1.0]], [[2.0]]])]
    # 0.1 * 25 / 2 + 0.2 * 5 / 2
    np.testing.assert_allclose(losses.weight_decay(kernels, [0.1, 0.2]), 1.75, rtol=1e-6)


@given(st.floats(-1e4, 1e4, width=32))
def test_log_variance_stays_between_its_soft_bounds(raw):
    max_logvar, min_logvar = BOUNDS
    bounded = losses.bounded_log_var(np.array([[[raw]]], np.float32), max_logvar, min_logvar)
    # The second softplus lifts the upper bound by log(1 + exp(-10.5)), about 3e-5.
    assert -10.0 <= float(bounded[0, 0, 0]) <= -10.0 + np.logaddexp(0.0, 10.5) + 1e-6


@pytest.mark.parametrize("raw", [-12.0, -5.0, 0.0, 3.0])
def test_log_variance_is_squeezed_from_above_first(raw):
    upper = 0.5 - np.logaddexp(0.0, 0.5 - raw)
    expected = -10.0 + np.logaddexp(0.0, upper + 10.0)
    bounded = losses.bounded_log_var(np.array([[[raw]]], np.float32), *BOUNDS)
    np.testing.assert_allclose(bounded, [[[expected]]], rtol=1e-5)

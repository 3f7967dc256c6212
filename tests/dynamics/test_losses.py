"""The ensemble's losses, beside what parity compares."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from mopo_tf2.dynamics import losses


def test_gaussian_nll_refuses_targets_that_would_broadcast():
    mean = tf.zeros([1, 2, 2])
    with pytest.raises(ValueError, match="incompatible"):
        losses.gaussian_nll(mean, mean, mean[:, :1])


@given(st.floats(-1e4, 1e4, width=32))
def test_log_variance_stays_between_its_soft_bounds(raw):
    bounds = np.array([[0.5]], np.float32), np.array([[-10.0]], np.float32)
    bounded = losses.bounded_log_var(np.array([[[raw]]], np.float32), *bounds)
    # The second softplus lifts the upper bound by log(1 + exp(-10.5)), about 3e-5.
    assert -10.0 <= float(bounded[0, 0, 0]) <= -10.0 + np.logaddexp(0.0, 10.5) + 1e-6

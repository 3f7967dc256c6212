"""Input standardisation."""

import numpy as np

from mopo_tf2.dynamics.scaler import Scaler, column_statistics


def fitted(data):
    scaler = Scaler(data.shape[1])
    scaler.fit(data)
    return scaler


def test_stddev_has_no_degrees_of_freedom_correction():
    _, std = column_statistics(np.array([[1.0], [3.0]], np.float32))
    np.testing.assert_array_equal(std, [[1.0]])


def test_constant_column_becomes_zero():
    data = np.array([[5.0, 1.0], [5.0, 3.0]], np.float32)
    scaler = fitted(data)
    np.testing.assert_array_equal(scaler.transform(data), [[0.0, -1.0], [0.0, 1.0]])
    np.testing.assert_array_equal(scaler.inverse_transform(scaler.transform(data)), data)


def test_small_but_varying_column_is_scaled():
    data = np.array([[0.0], [2e-11]], np.float32)
    np.testing.assert_allclose(fitted(data).transform(data), [[-1.0], [1.0]], rtol=1e-6)


def test_unfitted_scaler_changes_nothing():
    inputs = np.array([[2.0, -3.0]], np.float32)
    np.testing.assert_array_equal(Scaler(2).transform(inputs), inputs)

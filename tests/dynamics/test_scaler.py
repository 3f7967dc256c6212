"""Input standardisation."""

import numpy as np

from mopo_tf2.dynamics.scaler import Scaler, column_statistics


def fitted(data):
    scaler = Scaler(data.shape[1])
    scaler.fit(data)
    return scaler


def test_statistics_equal_those_of_the_original(load_recording):
    recording = load_recording("scaler")
    mean, std = column_statistics(recording["data"])
    np.testing.assert_array_equal(mean, recording["mu"])
    np.testing.assert_array_equal(std, recording["sigma"])


def test_transformed_rows_equal_those_of_the_original(load_recording):
    recording = load_recording("scaler")
    transformed = fitted(recording["data"]).transform(recording["query"])
    np.testing.assert_allclose(transformed, recording["transformed"], rtol=1e-6, atol=1e-7)


def test_inverse_transform_equals_that_of_the_original(load_recording):
    recording = load_recording("scaler")
    back = fitted(recording["data"]).inverse_transform(recording["query"])
    np.testing.assert_allclose(back, recording["inverse_transformed"], rtol=1e-6, atol=1e-6)


def test_stddev_has_no_degrees_of_freedom_correction():
    _, std = column_statistics(np.array([[1.0], [3.0]], np.float32))
    np.testing.assert_array_equal(std, [[1.0]])


def test_constant_column_becomes_zero():
    data = np.array([[5.0, 1.0], [5.0, 3.0]], np.float32)
    np.testing.assert_array_equal(fitted(data).transform(data), [[0.0, -1.0], [0.0, 1.0]])


def test_small_but_varying_column_is_scaled():
    data = np.array([[0.0], [2e-11]], np.float32)
    np.testing.assert_allclose(fitted(data).transform(data), [[-1.0], [1.0]], rtol=1e-6)


def test_unfitted_scaler_changes_nothing():
    inputs = np.array([[2.0, -3.0]], np.float32)
    np.testing.assert_array_equal(Scaler(2).transform(inputs), inputs)

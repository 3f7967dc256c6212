"""The value baseline and its features."""

import numpy as np
import pytest

from mopo_tf2.networks.value_baseline import ValueBaseline, baseline_features


def make(**changes):
    settings = {"lr": 1e-2, "batch_size": 16, "seed": 1, **changes}
    return ValueBaseline(2, (16,), **settings)


def features(rows=200):
    randoms = np.random.RandomState(0)
    observations = randoms.normal(size=(rows, 2)).astype(np.float32)
    return baseline_features(observations, randoms.randint(0, 500, rows))


def test_features_by_hand():
    read = baseline_features(np.float32([[5.0, -20.0]]), np.array([100]))
    np.testing.assert_allclose(read, [[0.5, -1.0, 0.1, 0.01, 0.001, 0.0001]], rtol=1e-6)
    assert read.dtype == np.float32


def test_regression_reaches_returns_of_any_scale():
    inputs = features()
    returns = 3000.0 + 500.0 * (inputs[:, 0] - 2.0 * inputs[:, 2])
    baseline = make()
    baseline.fit(inputs, returns, np.random.RandomState(0), epochs=60)
    errors = baseline.values(inputs) - returns
    assert np.mean(errors**2) < 0.05 * returns.var()


def test_change_of_units_leaves_the_prediction():
    inputs, randoms = features(), np.random.RandomState(0)
    baseline = make()
    baseline.fit(inputs, 10.0 * inputs[:, 0], randoms, epochs=3)
    before = baseline.values(inputs)
    baseline._rescale(500.0, 20.0)
    np.testing.assert_allclose(baseline.values(inputs), before, rtol=1e-3, atol=1e-3)


def test_prediction_before_the_first_fit_is_zero():
    np.testing.assert_array_equal(make().values(features()), np.zeros(200))


def test_equal_returns_are_no_division_by_zero():
    baseline = make()
    baseline.fit(features(), np.full(200, 7.0), np.random.RandomState(0), epochs=1)
    assert baseline.values(features()) == pytest.approx(7.0, abs=0.1)


def test_restored_variables_go_on_equally():
    inputs, returns = features(), features()[:, 0]
    one, other = make(), make(seed=2)
    one.fit(inputs, returns, np.random.RandomState(0), epochs=1)
    for name, variable in other.named_variables().items():
        variable.assign(one.named_variables()[name])
    for baseline in (one, other):
        baseline.fit(inputs, returns, np.random.RandomState(5), epochs=1)
    np.testing.assert_array_equal(one.values(inputs), other.values(inputs))

"""Steps: NumPy and TensorFlow compute the same, and bounds hold."""

import numpy as np
import pytest
import tensorflow as tf

from mopo_tf2.evaluation.episodes import rescale_actions
from mopo_tf2.networks.graph import OPERATIONS, Graph

RANDOMS = np.random.RandomState(0)


@pytest.mark.parametrize("name", OPERATIONS)
def test_an_operation_is_the_same_in_numpy_and_tensorflow(name):
    shapes = {"best": ((4, 3, 1), (4, 3, 2)), "matmul": ((4, 3, 2), (2, 5))}
    one = [(4, 3)] if name in ("relu", "tanh", "exp", "expand") else [(4, 3), (3,)]
    operands = [RANDOMS.normal(size=s).astype(np.float32) for s in shapes.get(name, one)]
    expected = OPERATIONS[name].numpy(*operands)
    found = OPERATIONS[name].tensorflow(*map(tf.constant, operands))
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_the_first_of_equal_values_is_the_best():
    values = np.array([[[1.0], [2.0], [2.0]]], np.float32)
    rows = np.arange(6, dtype=np.float32).reshape(1, 3, 2)
    for function in (OPERATIONS["best"].numpy, OPERATIONS["best"].tensorflow):
        np.testing.assert_array_equal(function(values, rows), [[2.0, 3.0]])


def test_steps_on_constants_alone_are_computed_at_once():
    graph = Graph({"x": (None, 2)})
    np.testing.assert_array_equal(graph.step("add", np.float32([1, 2]), 3.0), [4, 5])
    assert graph.steps == []


def test_rescaled_actions_are_those_of_evaluation_and_never_leave_the_bounds():
    low, high = np.array([0.1, -1.0, 0.0]), np.array([0.3, 1.0, 1e-3])
    graph = Graph({"unit": (None, 3)})
    graph.rescale("unit", low, high)
    unit = np.concatenate([RANDOMS.uniform(-1, 1, (50, 3)), np.full((1, 3), 1.0), [[-1.0] * 3]])
    unit = unit.astype(np.float32)
    found = graph.run("numpy", {"unit": unit})
    expected = rescale_actions(unit, low.astype(np.float32), high.astype(np.float32))
    np.testing.assert_allclose(found, expected, atol=1e-7 * (high - low).max())
    np.testing.assert_array_equal(found[:, 1], expected[:, 1])
    assert float(np.float32(0.3)) > 0.3  # so rounding to the nearest would leave them
    assert (found.astype(np.float64) >= low).all()
    assert (found.astype(np.float64) <= high).all()

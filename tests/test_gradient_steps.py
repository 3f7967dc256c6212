"""Adam's epsilon, and many steps in one compiled call."""

from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from mopo_tf2.gradient_steps import CompiledSteps, adam, minimise


class Pair(NamedTuple):
    left: np.ndarray
    right: np.ndarray


def pairs(count):
    return Pair(np.arange(1.0, count + 1), np.full((count, 2), 10.0))


def test_adam_has_the_epsilon_of_tf1():
    # One step from g = 1e-7: lr * g / (g + epsilon / sqrt(1 - beta_2)), epsilon = 1e-8.
    variable = keras.Variable([2.0])
    optimizer = adam(3e-4, [variable])
    with tf.GradientTape() as tape:
        loss = 1e-7 * variable.value[0]
    minimise(optimizer, tape, loss, [variable])
    step = 3e-4 * 1e-7 / (1e-7 + 1e-8 / np.sqrt(0.001))
    np.testing.assert_allclose(2.0 - variable.numpy(), [step], rtol=1e-3)


def test_adam_takes_one_minus_beta_in_float32():
    variable = keras.Variable([2.0])
    optimizer = adam(3e-4, [variable])
    with tf.GradientTape() as tape:
        loss = variable.value[0]
    minimise(optimizer, tape, loss, [variable])
    for slots, beta in ((optimizer._momentums, 0.9), (optimizer._velocities, 0.999)):
        assert slots[0].numpy()[0] == np.float32(1.0) - np.float32(beta)


def test_corrected_adam_has_the_epsilon_of_pytorch():
    # One step from g = 1e-7: lr * g / (g + epsilon), epsilon = 1e-8.
    variable = keras.Variable([2.0])
    optimizer = adam(3e-4, [variable], corrected_epsilon=True)
    with tf.GradientTape() as tape:
        loss = 1e-7 * variable.value[0]
    minimise(optimizer, tape, loss, [variable])
    np.testing.assert_allclose(2.0 - variable.numpy(), [3e-4 / 1.1], rtol=1e-3)


def test_every_row_of_nested_inputs_is_one_step_in_order():
    total = keras.Variable(0.0, dtype="float64")

    def step(pair, factor):
        total.assign(10.0 * total.value + factor * pair.left + 0.0 * tf.reduce_sum(pair.right))

    CompiledSteps(step)(pairs(3), np.array([1.0, 1.0, 2.0]))
    assert float(total) == 126.0


def test_a_shorter_block_is_filled_up_and_compiled_no_second_time():
    total = keras.Variable(0.0, dtype="float64")
    steps = CompiledSteps(lambda pair: total.assign_add(1.0 + pair.left))
    for count in (3, 2, 1):
        steps(pairs(count))
    assert float(total) == 9.0 + 5.0 + 2.0
    assert steps._compiled.experimental_get_tracing_count() == 1

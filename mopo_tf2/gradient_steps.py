"""Gradient steps: Adam as TF1 or PyTorch has it, and many steps in one compiled call."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from mopo_tf2.chunks import fill

ADAM_EPSILON = 1e-8
"""TF1's default, added to sqrt(v) with the bias correction folded into the step size (Q-05, Q-46).
Keras' default of 1e-7 changes some weights by 1e-2."""


@keras.saving.register_keras_serializable(package="mopo_tf2")
class CorrectedAdam(keras.optimizers.Adam):
    """Adam whose epsilon is added to the bias-corrected sqrt(v), as in PyTorch.

    Kingma and Ba 2015, algorithm 1. Keras and TF1 add it to the uncorrected root, which makes it
    sqrt(1000) times larger in the first step.
    """

    epsilon: Any

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Take Keras' step with the epsilon that amounts to PyTorch's."""
        epsilon, step = self.epsilon, tf.cast(self.iterations.value + 1, tf.float32)
        self.epsilon = epsilon * tf.sqrt(1.0 - tf.pow(self.beta_2, step))
        super().update_step(gradient, variable, learning_rate)
        self.epsilon = epsilon


def adam(
    learning_rate: float,
    variables: Sequence[keras.Variable],
    *,
    corrected_epsilon: bool = False,
) -> keras.optimizers.Adam:
    """Return an Adam optimiser whose slots for ``variables`` exist already.

    Args:
        learning_rate: of every step.
        variables: those to be trained.
        corrected_epsilon: whether it is PyTorch's (``CorrectedAdam``) or TF1's.
    """
    if corrected_epsilon:
        optimizer: keras.optimizers.Adam = CorrectedAdam(learning_rate, epsilon=ADAM_EPSILON)
    else:
        # TF1 takes 1 - beta in float32, which for the second moment is 1.3e-5 less than
        # 0.001. Keras and PyTorch take it in float64, so Keras is given the float32 numbers.
        beta_1, beta_2 = float(np.float32(0.9)), float(np.float32(0.999))
        optimizer = keras.optimizers.Adam(learning_rate, beta_1, beta_2, epsilon=ADAM_EPSILON)
    optimizer.build(variables)
    return optimizer


def optimizer_arrays(optimizers: Sequence[keras.optimizers.Optimizer]) -> dict[str, np.ndarray]:
    """Return every variable of ``optimizers`` by its name in checkpoints."""
    variables = [variable for optimizer in optimizers for variable in optimizer.variables]
    return {f"adam/{i}": variable.numpy() for i, variable in enumerate(variables)}


def load_optimizers(
    optimizers: Sequence[keras.optimizers.Optimizer], arrays: Mapping[str, np.ndarray]
) -> None:
    """Assign what ``optimizer_arrays`` returned; KeyError if one is missing."""
    variables = [variable for optimizer in optimizers for variable in optimizer.variables]
    for i, variable in enumerate(variables):
        variable.assign(arrays[f"adam/{i}"])


def tf_values(variables: Sequence[keras.Variable]) -> list[tf.Variable]:
    """Return the TensorFlow variables of Keras ``variables``, as gradient tapes expect them."""
    return [variable.value for variable in variables]


def minimise(
    optimizer: keras.optimizers.Adam,
    tape: tf.GradientTape,
    loss: tf.Tensor,
    variables: Sequence[keras.Variable],
) -> None:
    """Take one step of ``optimizer`` on ``variables`` down the gradient of ``loss``."""
    gradients = tape.gradient(loss, tf_values(variables))
    optimizer.apply_gradients(zip(gradients, variables, strict=True))


class CompiledSteps:
    """Calls a step once per leading row of its inputs: K steps in one compiled call.

    Inputs with fewer rows than a call before are filled up with zeros, which no step sees. So a
    short last block costs no second compilation.

    Args:
        step: takes one row of every input and changes variables.
    """

    def __init__(self, step: Callable[..., None]):
        self._step = step
        self._longest = 0
        self._compiled = tf.function(self._steps, jit_compile=True)

    def __call__(self, *inputs: Any) -> None:
        """Take the steps.

        Args:
            inputs: arrays or tensors [K, ...], or named tuples of them.
        """
        count = len(tf.nest.flatten(inputs)[0])
        self._longest = max(self._longest, count)
        if count < self._longest:
            inputs = tf.nest.map_structure(
                lambda column: fill(np.asarray(column), self._longest), inputs
            )
        self._compiled(tf.constant(count), *inputs)

    def _steps(self, count: tf.Tensor, *inputs: Any) -> None:
        for k in tf.range(count):
            self._step(*tf.nest.map_structure(lambda column: column[k], inputs))  # noqa: B023

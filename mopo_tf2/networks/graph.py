"""A policy as a list of steps that NumPy, TensorFlow, ONNX and LiteRT run alike."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from mopo_tf2.types import FloatArray

Value = str | FloatArray
"""An input or the result of a step, by its name; or a constant."""


class Operation(NamedTuple):
    """One kind of step: its function in NumPy and in TensorFlow, and its type in ONNX."""

    numpy: Callable[..., Any]
    tensorflow: Callable[..., Any]
    onnx: str


def _numpy_best(values: FloatArray, rows: FloatArray) -> FloatArray:
    best: FloatArray = np.take_along_axis(rows, values.argmax(axis=1)[:, None], axis=1)[:, 0]
    return best


def _tensorflow_best(values: tf.Tensor, rows: tf.Tensor) -> tf.Tensor:
    best = tf.argmax(tf.squeeze(values, axis=2), axis=1, output_type=tf.int32)
    return tf.gather(rows, best, batch_dims=1)


OPERATIONS = {
    "matmul": Operation(np.matmul, tf.matmul, "MatMul"),
    "add": Operation(np.add, tf.add, "Add"),
    "subtract": Operation(np.subtract, tf.subtract, "Sub"),
    "multiply": Operation(np.multiply, tf.multiply, "Mul"),
    "divide": Operation(np.divide, tf.divide, "Div"),
    "minimum": Operation(np.minimum, tf.minimum, "Min"),
    "maximum": Operation(np.maximum, tf.maximum, "Max"),
    "relu": Operation(lambda x: np.maximum(x, 0), tf.nn.relu, "Relu"),
    "tanh": Operation(np.tanh, tf.tanh, "Tanh"),
    "exp": Operation(np.exp, tf.exp, "Exp"),
    # [B, I] -> [B, 1, I]
    "expand": Operation(lambda x: x[:, None], lambda x: x[:, tf.newaxis], "Unsqueeze"),
    # [B, n, 1] and [B, n, A] -> [B, A], the row of the largest value
    "best": Operation(_numpy_best, _tensorflow_best, "ArgMax"),
}
"""Every kind of step. Operands are float32 and broadcast as in NumPy."""


class Graph:
    """Steps from inputs to actions; the last one yields ``actions``.

    Args:
        inputs: shapes by name; None is the size of the batch.

    Attributes:
        constants: float32 arrays by name.
        steps: operation, names of its operands, name of its result.
    """

    def __init__(self, inputs: Mapping[str, tuple[int | None, ...]]):
        self.inputs = dict(inputs)
        self.constants: dict[str, FloatArray] = {}
        self.steps: list[tuple[str, list[str], str]] = []

    def step(self, operation: str, *operands: Value | float, result: str | None = None) -> Value:
        """Append a step and return its result; of constants alone it is computed at once."""
        if not any(isinstance(operand, str) for operand in operands):
            constant: FloatArray = OPERATIONS[operation].numpy(*map(np.float32, operands))
            return constant
        names = [self._name(operand) for operand in operands]
        self.steps.append((operation, names, result or f"{operation}_{len(self.steps)}"))
        return self.steps[-1][-1]

    def _name(self, operand: Value | float) -> str:
        if isinstance(operand, str):
            return operand
        name = f"constant_{len(self.constants)}"
        self.constants[name] = np.array(operand, np.float32)
        return name

    def rescale(self, unit_actions: Value, low: FloatArray, high: FloatArray) -> None:
        """End with actions in [``low``, ``high``], each [A], as ``rescale_actions`` maps them.

        Bounds that are not float32 are rounded inwards.
        """
        low32, high32 = _rounded(low, np.less, np.inf), _rounded(high, np.greater, -np.inf)
        half = self.step("multiply", self.step("add", unit_actions, 1.0), 0.5)
        scaled = self.step("add", low32, self.step("multiply", half, high32 - low32))
        self.step("minimum", self.step("maximum", scaled, low32), high32, result="actions")

    def run(self, library: str, inputs: Mapping[str, Any]) -> Any:
        """Return the actions for ``inputs``, computed by "numpy" or "tensorflow"."""
        values: dict[str, Any] = {**self.constants, **inputs}
        for operation, operands, result in self.steps:
            function = getattr(OPERATIONS[operation], library)
            values[result] = function(*(values[name] for name in operands))
        return values["actions"]


def _rounded(bounds: FloatArray, outside: Callable[..., Any], inwards: float) -> FloatArray:
    """Return ``bounds`` as float32, moved by one unit in the last place where they lie outside."""
    rounded = np.asarray(bounds, np.float32)
    beyond = outside(rounded.astype(np.float64), bounds)
    return np.where(beyond, np.nextafter(rounded, np.float32(inwards)), rounded)

"""Multilayer perceptrons with the initialisation of Keras or of PyTorch."""

import functools
from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf

from mopo_tf2.networks.ensemble_dense import EnsembleDense, glorot_uniform
from mopo_tf2.networks.graph import Graph, Value
from mopo_tf2.seeding import spawn_seeds


class Feedforward(keras.layers.Layer):
    """Hidden layers and a linear output.

    Kernels are glorot uniform and biases zero at first (Q-44). With ``fan_in_uniform`` both are
    uniform within 1 / sqrt(inputs of the layer), as in PyTorch.

    Args:
        hidden_layer_sizes: units of each hidden layer.
        output_size: units of the output.
        activation: of the hidden layers.
        num_networks: None: one network, [B, I] -> [B, U]. Otherwise this many networks with the
            same inputs run as one batched product, [B, I] -> [E, B, U].
        fan_in_uniform: see above.
        seed: of the initial weights.

    Original: softlearning/models/feedforward.py:feedforward_model
    """

    def __init__(
        self,
        hidden_layer_sizes: Sequence[int],
        output_size: int,
        *,
        activation: str = "relu",
        num_networks: int | None = None,
        fan_in_uniform: bool = False,
        seed: int = 0,
    ):
        super().__init__()
        self.hidden_layer_sizes = tuple(hidden_layer_sizes)
        self.output_size = output_size
        self.activation = activation
        self.num_networks = num_networks
        self.fan_in_uniform, self.seed = fan_in_uniform, seed
        sizes = (*self.hidden_layer_sizes, output_size)
        activations = [activation] * len(self.hidden_layer_sizes) + [None]
        self.dense_layers = [
            self._dense(units, activation, layer_seed)
            for units, activation, layer_seed in zip(
                sizes, activations, spawn_seeds(seed, len(sizes)), strict=True
            )
        ]

    def _dense(self, units: int, activation: str | None, seed: int) -> keras.layers.Layer:
        if self.num_networks is None:
            initializer = keras.initializers.GlorotUniform(seed=seed)
            return keras.layers.Dense(units, activation, kernel_initializer=initializer)
        return EnsembleDense(
            units, self.num_networks, activation, seed=seed, initializer=glorot_uniform
        )

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Create the variables of every layer."""
        shape = tuple(input_shape)
        for layer in self.dense_layers:
            layer.build(shape)
            shape = layer.compute_output_shape(shape)
        if self.fan_in_uniform:
            self._draw_fan_in_uniform()

    def _draw_fan_in_uniform(self) -> None:
        randoms = np.random.RandomState(spawn_seeds(self.seed, 1)[0])
        for layer in self.dense_layers:
            bound = layer.kernel.shape[-2] ** -0.5
            for variable in (layer.kernel, layer.bias):
                variable.assign(randoms.uniform(-bound, bound, variable.shape))

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Map inputs [B, I] float32 to outputs; see the class."""
        outputs = inputs
        for layer in self.dense_layers:
            outputs = layer(outputs)
        return outputs

    def describe(
        self, graph: Graph, *inputs: tuple[Value, int], parts: Sequence[slice] = (slice(None),)
    ) -> list[Value]:
        """Add this network, of one member, to ``graph``; return its outputs, one for each part.

        Args:
            graph: is extended.
            inputs: value [..., I] and I of each input; the network maps their concatenation.
            parts: of the output units.
        """
        *hidden, output = self.dense_layers
        for layer in hidden:
            inputs = ((graph.step(self.activation, _dense(graph, layer, inputs)), layer.units),)
        return [_dense(graph, output, inputs, part) for part in parts]


def _dense(
    graph: Graph,
    layer: keras.layers.Layer,
    inputs: Sequence[tuple[Value, int]],
    units: slice = slice(None),
) -> Value:
    """Multiply each input with its own rows of the kernel, so that the inputs may broadcast."""
    kernel, bias = layer.kernel.numpy(), layer.bias.numpy()
    rows = np.split(kernel.reshape(kernel.shape[-2:]), np.cumsum([width for _, width in inputs]))
    products = [
        graph.step("matmul", value, own[:, units])
        for (value, _), own in zip(inputs, rows[:-1], strict=True)
    ]
    total = functools.reduce(functools.partial(graph.step, "add"), products)
    return graph.step("add", total, bias.reshape(-1)[units])


class PairNetwork(keras.layers.Layer):
    """A ``Feedforward`` on the concatenation of two inputs, [B, I] and [B, J]: a base class.

    Attributes:
        network: set by the subclass.
    """

    network: Feedforward

    def build(
        self, first_shape: tuple[int | None, ...], second_shape: tuple[int | None, ...]
    ) -> None:
        """Create the variables for inputs of size I + J."""
        self.network.build((None, first_shape[-1] + second_shape[-1]))  # type: ignore[operator]

    def outputs(self, first: tf.Tensor, second: tf.Tensor) -> tf.Tensor:
        """Return the network's outputs."""
        return self.network(tf.concat([first, second], axis=-1))

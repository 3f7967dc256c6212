"""E dense layers as one batched product."""

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from mopo_tf2.seeding import spawn_seeds


def fan_in_truncated_normal(input_dim: int, seed: int) -> keras.initializers.Initializer:
    """Return a normal of stddev ``1 / (2 sqrt(input_dim))``, truncated at two stddevs (Q-04).

    Original: mopo/models/fc.py:FC.construct_vars
    """
    return keras.initializers.TruncatedNormal(stddev=1.0 / (2.0 * input_dim**0.5), seed=seed)


def glorot_uniform(input_dim: int, seed: int) -> keras.initializers.Initializer:
    """Return Keras' default for dense layers, which the original's critics use (Q-44).

    ``input_dim`` is unused: Keras takes the fans from each member's shape.
    """
    return keras.initializers.GlorotUniform(seed=seed)


@keras.saving.register_keras_serializable(package="mopo_tf2")
class EnsembleDense(keras.layers.Layer):
    """``num_networks`` dense layers with separate weights, applied in one batched product.

    Args:
        units: outputs of each member.
        num_networks: E.
        activation: a name that ``keras.activations`` knows, or None; the original's are
            "relu", "tanh", "sigmoid", "softmax" and "swish".
        seed: of the initial weights; each member has a seed derived from it.
        initializer: (input_dim, seed) -> initializer of one member's [I, U] kernel.

    Call: inputs [B, I] (shared by all members) or [E, B, I] float32 -> [E, B, U] float32.

    Raises:
        ValueError: if the inputs are neither 2-D nor 3-D with E leading.

    Original: mopo/models/fc.py:FC; mopo/models/fc.py:FC.compute_output_tensor
    """

    def __init__(
        self,
        units: int,
        num_networks: int,
        activation: str | None = None,
        *,
        seed: int = 0,
        initializer: Callable[[int, int], keras.initializers.Initializer] = fan_in_truncated_normal,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.units = units
        self.num_networks = num_networks
        self.activation = keras.activations.get(activation)
        self.seed = seed
        self.initializer = initializer

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Create ``kernel`` [E, I, U] and ``bias`` [E, 1, U]."""
        if len(input_shape) not in (2, 3) or (
            len(input_shape) == 3 and input_shape[0] != self.num_networks
        ):
            raise ValueError(
                f"EnsembleDense expects inputs [B, I] or [{self.num_networks}, B, I]. "
                f"Received: {tuple(input_shape)}."
            )
        input_dim = int(input_shape[-1])  # type: ignore[arg-type]
        member_seeds = spawn_seeds(self.seed, self.num_networks)

        def draw_members(shape: tuple[int, ...], dtype: Any = None) -> tf.Tensor:
            members = [self.initializer(input_dim, seed)(shape[1:], dtype) for seed in member_seeds]
            return tf.stack([tf.convert_to_tensor(member) for member in members])

        self.kernel = self.add_weight(
            name="kernel",
            shape=(self.num_networks, input_dim, self.units),
            initializer=draw_members,
        )
        self.bias = self.add_weight(
            name="bias", shape=(self.num_networks, 1, self.units), initializer="zeros"
        )

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Apply every member; see the class."""
        return self.activation(tf.matmul(inputs, self.kernel) + self.bias)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Return (E, B, U)."""
        return (self.num_networks, input_shape[-2], self.units)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, so that ``from_config`` rebuilds the layer."""
        return {
            **super().get_config(),
            "units": self.units,
            "num_networks": self.num_networks,
            "activation": keras.activations.serialize(self.activation),
            "seed": self.seed,
            "initializer": self.initializer.__name__,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "EnsembleDense":
        """Rebuild a layer from ``get_config``."""
        known = {f.__name__: f for f in (fan_in_truncated_normal, glorot_uniform)}
        return cls(**{**config, "initializer": known[config["initializer"]]})

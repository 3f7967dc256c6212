"""The Gaussian policy without squashing: a network computes the mean, the stddev is a variable."""

import math
from collections.abc import Sequence
from typing import Any, ClassVar, Self

import keras
import numpy as np
import tensorflow as tf

from mopo_tf2.networks.acting import ExportablePolicy
from mopo_tf2.networks.feedforward import Feedforward
from mopo_tf2.networks.graph import Graph, Value
from mopo_tf2.types import FloatArray, PolicyFn

OUTPUT_INITIAL_FACTOR = 1e-2
"""Factor on the last layer's initial weights, so that the first means are near 0, as in mjrl."""
MAX_LOG_STD = 1.0
"""Highest log stddev of the actions, as in mjrl."""
_SMALLEST_SCALE = 1e-6


def gaussian_log_pi(mean: tf.Tensor, log_std: tf.Tensor, actions: tf.Tensor) -> tf.Tensor:
    """Return log N(actions; mean, exp(log_std)^2), [B] float32, nats.

    Args:
        mean: [B, A] float32.
        log_std: [A] float32.
        actions: [B, A] float32, not clipped.
    """
    deviations = (actions - mean) * tf.exp(-log_std)
    constant = 0.5 * math.log(2.0 * math.pi)
    return -tf.reduce_sum(0.5 * tf.square(deviations) + log_std + constant, axis=-1)


def gaussian_kl(
    old_mean: tf.Tensor, old_log_std: tf.Tensor, mean: tf.Tensor, log_std: tf.Tensor
) -> tf.Tensor:
    """Return KL(old || new) of diagonal Gaussians, [B] float32, nats.

    Args:
        old_mean: [B, A] float32.
        old_log_std: [A] float32.
        mean: [B, A] float32, of the new one.
        log_std: [A] float32, of the new one.
    """
    old_variance, variance = tf.exp(2.0 * old_log_std), tf.exp(2.0 * log_std)
    moved = (tf.square(old_mean - mean) + old_variance) / (2.0 * variance)
    return tf.reduce_sum(moved - 0.5 + log_std - old_log_std, axis=-1)


class UnsquashedGaussianPolicy(ExportablePolicy, keras.layers.Layer):
    """pi(a | s) = N(mean(s), exp(log_std)^2), tanh hidden layers, log_std independent of s.

    The density is that of the drawn action; the model and the environment receive this action
    clipped to [-1, 1] (D-117). Observations are standardised before the first layer.

    Args:
        act_dim: A.
        hidden_layer_sizes: units of each hidden layer.
        init_log_std: initial log stddev of every action component.
        min_log_std: lowest log stddev, see ``clip_log_std``.
        seed: of the initial weights.

    mjrl's gaussian_mlp.
    """

    kind: ClassVar[str] = "unsquashed"

    def __init__(
        self,
        act_dim: int,
        hidden_layer_sizes: Sequence[int],
        *,
        init_log_std: float = -0.25,
        min_log_std: float = -1.0,
        seed: int = 0,
    ):
        super().__init__()
        self.act_dim = act_dim
        self.init_log_std, self.min_log_std = init_log_std, min_log_std
        self.network = Feedforward(
            hidden_layer_sizes, act_dim, activation="tanh", fan_in_uniform=True, seed=seed
        )

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Create the variables for observations [B, O]."""
        self.network.build(input_shape)
        for variable in self.network.dense_layers[-1].variables:
            variable.assign(OUTPUT_INITIAL_FACTOR * variable.value)
        self.log_std = self.add_weight(
            name="log_std",
            shape=(self.act_dim,),
            initializer=keras.initializers.Constant(self.init_log_std),
        )
        self.obs_dim = int(input_shape[-1])  # type: ignore[arg-type]
        row = (self.obs_dim,)
        self.obs_shift = self.add_weight(
            name="obs_shift", shape=row, initializer="zeros", trainable=False
        )
        self.obs_scale = self.add_weight(
            name="obs_scale", shape=row, initializer="ones", trainable=False
        )

    def standardise(self, shift: FloatArray, scale: FloatArray) -> None:
        """Set the standardisation ``(observation - shift) / (scale + 1e-6)``, each [O]."""
        self.obs_shift.assign(shift)
        self.obs_scale.assign(scale)

    def call(self, observations: tf.Tensor) -> tf.Tensor:
        """Return the means [B, A] float32, not clipped, for observations [B, O]."""
        return self.network((observations - self.obs_shift) / (self.obs_scale + _SMALLEST_SCALE))

    def sample(self, observations: tf.Tensor, latents: tf.Tensor) -> tf.Tensor:
        """Return actions [B, A], not clipped, for the given standard normal latents [B, A]."""
        return self(observations) + tf.exp(self.log_std.value) * latents

    def mode(self, observations: tf.Tensor) -> tf.Tensor:
        """Return the deterministic actions, the means clipped to [-1, 1], [B, A]."""
        return tf.clip_by_value(self(observations), -1.0, 1.0)

    def log_pi(self, observations: tf.Tensor, actions: tf.Tensor) -> tf.Tensor:
        """Return log pi(a | s) [B] of drawn actions [B, A], not clipped."""
        return gaussian_log_pi(self(observations), self.log_std.value, actions)

    def clip_log_std(self) -> None:
        """Bring the log stddev between its minimum and ``MAX_LOG_STD``."""
        self.log_std.assign(tf.clip_by_value(self.log_std.value, self.min_log_std, MAX_LOG_STD))

    def acting(self, rows: int, seed: int = 0) -> PolicyFn:
        """See ``ExportablePolicy.acting``; the mode, which draws nothing from ``seed``."""
        return self._on_host(self.mode, rows)

    def _describe(self, graph: Graph, latents: str | None, seed: int) -> Value:
        moved = graph.step("subtract", "observations", self.obs_shift.numpy())
        scaled = graph.step("divide", moved, self.obs_scale.numpy() + np.float32(_SMALLEST_SCALE))
        (actions,) = self.network.describe(graph, (scaled, self.obs_dim))
        if latents is not None:
            noise = graph.step("multiply", np.exp(self.log_std.numpy()), latents)
            actions = graph.step("add", actions, noise)
        return graph.step("minimum", graph.step("maximum", actions, -1.0), 1.0)

    def _exported_variables(self) -> dict[str, keras.Variable]:
        return {f"weights/{i}": variable for i, variable in enumerate(self.variables)}

    def _metadata(self) -> dict[str, Any]:
        return {
            "obs_dim": self.obs_dim,
            "act_dim": self.act_dim,
            "hidden_layer_sizes": list(self.network.hidden_layer_sizes),
            "min_log_std": self.min_log_std,
        }

    @classmethod
    def _from_metadata(cls, metadata: dict[str, Any]) -> Self:
        policy = cls(
            metadata["act_dim"],
            metadata["hidden_layer_sizes"],
            min_log_std=metadata["min_log_std"],
        )
        policy.build((None, metadata["obs_dim"]))
        return policy

"""The Gaussian policy without squashing: a network gives the mean, the stddev is a parameter."""

import math
from collections.abc import Sequence
from typing import Any, ClassVar, Self

import keras
import numpy as np
import tensorflow as tf

from mopo_tf2.chunks import map_in_chunks
from mopo_tf2.seeding import spawn_seeds
from mopo_tf2.types import FloatArray, PolicyFn

OUTPUT_INITIAL_FACTOR = 1e-2
"""Shrinks the initial kernel of the last layer, so that the first means are near 0, as in mjrl."""


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


@keras.saving.register_keras_serializable(package="mopo_tf2")
class UnsquashedGaussianPolicy(keras.layers.Layer):
    """pi(a | s) = N(mean(s), exp(log_std)^2), tanh hidden layers, log_std independent of s.

    The density is that of the action as it is drawn; what model and environment get is that action
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
        min_log_std: float = -2.0,
        seed: int = 0,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.act_dim = act_dim
        self.hidden_layer_sizes = tuple(hidden_layer_sizes)
        self.init_log_std, self.min_log_std = init_log_std, min_log_std
        self.seed = seed
        seeds = spawn_seeds(seed, len(self.hidden_layer_sizes) + 1)
        self.dense_layers = [
            keras.layers.Dense(
                units,
                activation,
                kernel_initializer=keras.initializers.GlorotUniform(seed=layer_seed),
            )
            for units, activation, layer_seed in zip(
                (*self.hidden_layer_sizes, act_dim),
                ["tanh"] * len(self.hidden_layer_sizes) + [None],
                seeds,
                strict=True,
            )
        ]

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Create the variables for observations [B, O]."""
        shape = tuple(input_shape)
        for layer in self.dense_layers:
            layer.build(shape)
            shape = layer.compute_output_shape(shape)
        output = self.dense_layers[-1].kernel
        output.assign(OUTPUT_INITIAL_FACTOR * output.value)
        self.log_std = self.add_weight(
            name="log_std",
            shape=(self.act_dim,),
            initializer=keras.initializers.Constant(self.init_log_std),
        )
        row = (int(input_shape[-1]),)  # type: ignore[arg-type]
        self.obs_shift = self.add_weight(
            name="obs_shift", shape=row, initializer="zeros", trainable=False
        )
        self.obs_scale = self.add_weight(
            name="obs_scale", shape=row, initializer="ones", trainable=False
        )

    @property
    def obs_dim(self) -> int:
        """O."""
        return int(self.obs_shift.shape[0])

    def standardise(self, shift: FloatArray, scale: FloatArray) -> None:
        """Let the network read ``(observation - shift) / scale``, each [O], scale above 0."""
        self.obs_shift.assign(shift)
        self.obs_scale.assign(scale)

    def call(self, observations: tf.Tensor) -> tf.Tensor:
        """Return the means [B, A] float32, not clipped, for observations [B, O]."""
        outputs = (observations - self.obs_shift) / self.obs_scale
        for layer in self.dense_layers:
            outputs = layer(outputs)
        return outputs

    def sample(self, observations: tf.Tensor, latents: tf.Tensor) -> tf.Tensor:
        """Return actions [B, A], not clipped, for the given standard normal latents [B, A]."""
        return self(observations) + tf.exp(self.log_std.value) * latents

    def mode(self, observations: tf.Tensor) -> tf.Tensor:
        """Return the deterministic actions, the means clipped to [-1, 1], [B, A]."""
        return tf.clip_by_value(self(observations), -1.0, 1.0)

    def log_pi(self, observations: tf.Tensor, actions: tf.Tensor) -> tf.Tensor:
        """Return log pi(a | s) [B] of actions [B, A] as they were drawn, not clipped."""
        return gaussian_log_pi(self(observations), self.log_std.value, actions)

    def clip_log_std(self) -> None:
        """Raise the log stddev to its minimum where it fell below."""
        self.log_std.assign(tf.maximum(self.log_std.value, self.min_log_std))

    def acting(self, rows: int, seed: int) -> PolicyFn:
        """Return the deterministic policy as a function on the host, [B, O] -> [B, A] float32.

        It sees the policy's weights as they are when it is called.

        Args:
            rows: compiled for so many at once; more are taken in chunks, fewer are filled up.
            seed: unused, nothing is drawn.
        """
        mode = tf.function(self.mode, jit_compile=True).get_concrete_function(
            tf.TensorSpec([rows, self.obs_dim], tf.float32)
        )

        def act(observations: FloatArray) -> FloatArray:
            inputs = observations.astype(np.float32)
            if len(inputs) == rows:
                return mode(tf.constant(inputs)).numpy()
            return map_in_chunks(lambda chunk: [mode(tf.constant(chunk))], [inputs], rows)[0]

        return act

    def exported(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Return the weights by name, and what ``from_exported`` needs besides."""
        arrays = {f"weights/{i}": variable.numpy() for i, variable in enumerate(self.variables)}
        return arrays, {
            "obs_dim": self.obs_dim,
            "act_dim": self.act_dim,
            "hidden_layer_sizes": list(self.hidden_layer_sizes),
            "min_log_std": self.min_log_std,
        }

    @classmethod
    def from_exported(cls, arrays: dict[str, np.ndarray], metadata: dict[str, Any]) -> Self:
        """Build the policy that ``exported`` described.

        Raises:
            KeyError: if an array or number is missing.
            ValueError: if an array has another shape.
        """
        policy = cls(
            metadata["act_dim"],
            metadata["hidden_layer_sizes"],
            min_log_std=metadata["min_log_std"],
        )
        policy.build((None, metadata["obs_dim"]))
        for i, variable in enumerate(policy.variables):
            value = arrays[f"weights/{i}"]
            if value.shape != tuple(variable.shape):
                raise ValueError(
                    f"weights/{i} must have the shape {tuple(variable.shape)}, got {value.shape}."
                )
            variable.assign(value)
        return policy

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {
            **super().get_config(),
            "act_dim": self.act_dim,
            "hidden_layer_sizes": self.hidden_layer_sizes,
            "init_log_std": self.init_log_std,
            "min_log_std": self.min_log_std,
            "seed": self.seed,
        }

"""The squashed Gaussian policy. TensorFlow Probability is used in this module only."""

from collections.abc import Sequence
from typing import Any, ClassVar, Self

import keras
import tensorflow as tf
import tensorflow_probability as tfp

from mopo_tf2.networks.acting import ExportablePolicy
from mopo_tf2.networks.feedforward import Feedforward
from mopo_tf2.networks.graph import Graph, Value
from mopo_tf2.types import PolicyFn

LOG_SCALE_BOUNDS = (-20.0, 2.0)
"""Bounds of the log standard deviation before the squashing, by ``clip_by_value`` (Q-44)."""


def squash(shift: tf.Tensor, log_scale: tf.Tensor, latents: tf.Tensor) -> tuple[tf.Tensor, ...]:
    """Return actions and their log-density for standard normal latents.

    ``action = tanh(shift + exp(log_scale) * latent)``. The density is computed from the latent,
    ``log N(latent) - log|d action / d latent|``, and so is finite at saturation (Q-41).

    Args:
        shift: [B, A] float32, mean before the squashing.
        log_scale: [B, A] float32, log stddev before the squashing.
        latents: [B, A] float32, standard normal.

    Returns:
        raw_actions [B, A], before the squashing; actions [B, A] in [-1, 1]; log_pi [B, 1], nats.

    Original: softlearning/policies/gaussian_policy.py:GaussianPolicy.__init__;
        softlearning/distributions/squash_bijector.py:SquashBijector._forward_log_det_jacobian
    """
    affine = tfp.bijectors.Chain(
        [tfp.bijectors.Shift(shift), tfp.bijectors.Scale(log_scale=log_scale)]
    )
    tanh = tfp.bijectors.Tanh()
    raw_actions = affine.forward(latents)
    # the original evaluates the base density at the latent recovered from the raw action,
    # with rounding that a tiny scale amplifies (recorded: 1 % of log pi at exp(-20)). It is written
    # out because TFP's inverse would return the cached latent.
    recovered = (raw_actions - shift) / tf.exp(log_scale)
    base = tfp.distributions.MultivariateNormalDiag(
        loc=tf.zeros_like(latents), scale_diag=tf.ones_like(latents)
    )
    log_det = affine.forward_log_det_jacobian(latents, event_ndims=1)
    log_det += tanh.forward_log_det_jacobian(raw_actions, event_ndims=1)
    log_pi = base.log_prob(recovered) - log_det
    return raw_actions, tanh.forward(raw_actions), log_pi[:, None]


class GaussianPolicy(ExportablePolicy, keras.layers.Layer):
    """pi(a | s): a Gaussian squashed by tanh; a network computes its shift and log scale.

    Args:
        act_dim: A.
        hidden_layer_sizes: units of each hidden layer.
        seed: of the initial weights.

    Original: softlearning/policies/gaussian_policy.py:FeedforwardGaussianPolicy
    """

    kind: ClassVar[str] = "gaussian"

    def __init__(self, act_dim: int, hidden_layer_sizes: Sequence[int], *, seed: int = 0):
        super().__init__()
        self.act_dim = act_dim
        self.network = Feedforward(hidden_layer_sizes, 2 * act_dim, seed=seed)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Create the variables for observations [B, O]."""
        self.obs_dim = int(input_shape[-1])  # type: ignore[arg-type]
        self.network.build(input_shape)

    def call(self, observations: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Return shift and clipped log scale, each [B, A] float32, for observations [B, O]."""
        shift, log_scale = tf.split(self.network(observations), 2, axis=-1)
        return shift, tf.clip_by_value(log_scale, *LOG_SCALE_BOUNDS)

    def sample(self, observations: tf.Tensor, latents: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Return actions [B, A] and log_pi [B, 1] for the given standard normal latents [B, A].

        Original: softlearning/policies/gaussian_policy.py:GaussianPolicy.actions
        """
        shift, log_scale = self(observations)
        _, actions, log_pi = squash(shift, log_scale, latents)
        return actions, log_pi

    def mode(self, observations: tf.Tensor) -> tf.Tensor:
        """Return the deterministic actions tanh(shift), [B, A]."""
        shift, _ = self(observations)
        return tf.tanh(shift)

    def log_pi(self, observations: tf.Tensor, actions: tf.Tensor) -> tf.Tensor:
        """Return log pi(a | s) [B, 1] of given actions [B, A], through atanh.

        NaN or infinite where an action is exactly -1 or 1, as in the original (Q-41).

        Original: softlearning/policies/gaussian_policy.py:GaussianPolicy.log_pis
        """
        shift, log_scale = self(observations)
        latents = (tf.atanh(actions) - shift) * tf.exp(-log_scale)
        log_pi = squash(shift, log_scale, latents)[2]
        return log_pi

    def diagnostics(self, observations: tf.Tensor, latents: tf.Tensor) -> dict[str, tf.Tensor]:
        """Return mean and stddev of the policy's outputs, over rows and action components.

        Original: softlearning/policies/gaussian_policy.py:GaussianPolicy.get_diagnostics
        """
        shift, log_scale = self(observations)
        raw_actions, actions, log_pi = squash(shift, log_scale, latents)
        values = {
            "shifts": shift,
            "log_scale_diags": log_scale,
            "-log-pis": -log_pi,
            "raw-actions": raw_actions,
            "actions": actions,
        }
        result = {}
        for name, value in values.items():
            result[f"{name}-mean"] = tf.reduce_mean(value)
            result[f"{name}-std"] = tf.math.reduce_std(value)
        return result

    def acting(self, rows: int, seed: int = 0) -> PolicyFn:
        """See ``ExportablePolicy.acting``; the mode, which draws nothing from ``seed``."""
        return self._on_host(self.mode, rows)

    def _describe(self, graph: Graph, latents: str | None, seed: int) -> Value:
        halves = slice(self.act_dim), slice(self.act_dim, None)
        inputs = ("observations", self.obs_dim)
        if latents is None:
            return graph.step("tanh", *self.network.describe(graph, inputs, parts=halves[:1]))
        shift, log_scale = self.network.describe(graph, inputs, parts=halves)
        low, high = LOG_SCALE_BOUNDS
        clipped = graph.step("minimum", graph.step("maximum", log_scale, low), high)
        noise = graph.step("multiply", graph.step("exp", clipped), latents)
        return graph.step("tanh", graph.step("add", shift, noise))

    def _exported_variables(self) -> dict[str, keras.Variable]:
        return {str(i): variable for i, variable in enumerate(self.variables)}

    def _metadata(self) -> dict[str, Any]:
        return {
            "obs_dim": self.obs_dim,
            "act_dim": self.act_dim,
            "hidden_layer_sizes": list(self.network.hidden_layer_sizes),
        }

    @classmethod
    def _from_metadata(cls, metadata: dict[str, Any]) -> Self:
        policy = cls(metadata["act_dim"], metadata["hidden_layer_sizes"])
        policy.build((None, metadata["obs_dim"]))
        return policy

"""Behaviour cloning: the two losses, and the class that trains with one of them."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from mopo_tf2.algorithms.epoch_metrics import Stopwatch
from mopo_tf2.algorithms.offline import OfflineAlgorithm
from mopo_tf2.chunks import map_in_chunks
from mopo_tf2.configs.bc import BCConfig
from mopo_tf2.gradient_steps import CompiledSteps, adam, minimise
from mopo_tf2.networks.gaussian_policy import GaussianPolicy
from mopo_tf2.types import FloatArray


def inside(actions: tf.Tensor, margin: float) -> tf.Tensor:
    """Return ``actions`` [B, A] clipped to [-1 + margin, 1 - margin], where atanh is finite.

    D-120: a squashed Gaussian has no density at an action of exactly -1 or 1. Datasets contain
    many, because float32 rounds tanh(9.1) to 1; with the default margin they count as tanh(7.3).
    """
    return tf.clip_by_value(actions, -1.0 + margin, 1.0 - margin)


def log_likelihood_loss(log_pi: tf.Tensor) -> tf.Tensor:
    """Return the mean of -log pi(a | s), nats, for ``log_pi`` [B, 1] float32."""
    return -tf.reduce_mean(log_pi)


def mse_loss(modes: tf.Tensor, actions: tf.Tensor) -> tf.Tensor:
    """Return the squared error, averaged over batch and components, of ``modes`` [B, A]."""
    return tf.reduce_mean(tf.square(modes - actions))


class BC(OfflineAlgorithm):
    """Behaviour cloning (Pomerleau 1991): the policy learns the actions of the data.

    Its policy is SAC's, a Gaussian squashed by tanh. Arguments as ``OfflineAlgorithm``.

    MOPO paper (Yu et al. 2020), table 1, column "BC".
    """

    config: BCConfig

    def __init__(self, config: BCConfig, *args: Any, **kwargs: Any):
        super().__init__(config, *args, **kwargs)
        seed = self.streams.weight_seeds["policy"]
        self._policy = GaussianPolicy(self.act_dim, config.policy_hidden_sizes, seed=seed)
        self._policy.build((None, self.obs_dim))
        self._trained = list(self._policy.trainable_variables)
        self.optimizer = adam(config.policy_lr, self._trained)
        self._updates = CompiledSteps(self.update)
        self._compiled_diagnostics = tf.function(self._diagnostics, jit_compile=True)
        self._compiled_sample = tf.function(self._policy.sample)

    @property
    def policy(self) -> GaussianPolicy:
        """The cloned policy."""
        return self._policy

    def loss(self, observations: tf.Tensor, actions: tf.Tensor) -> tf.Tensor:
        """Return the loss that ``config.bc_loss`` names, a scalar, on [B, O] and [B, A]."""
        if self.config.bc_loss == "mse":
            return mse_loss(self._policy.mode(observations), actions)
        return log_likelihood_loss(self._log_pi(observations, actions))

    def _log_pi(self, observations: tf.Tensor, actions: tf.Tensor) -> tf.Tensor:
        return self._policy.log_pi(observations, inside(actions, self.config.action_margin))

    def update(self, observations: tf.Tensor, actions: tf.Tensor) -> None:
        """Take one gradient step on [B, O] and [B, A]."""
        with tf.GradientTape() as tape:
            loss = self.loss(observations, actions)
        minimise(self.optimizer, tape, loss, self._trained)

    def _train_one_epoch(self, clock: Stopwatch) -> tuple[dict[str, Any], dict[str, float]]:
        config = self.config
        with clock.measure("times/train"):
            for _, count in self._step_blocks(config.epoch_length, config.updates_per_call):
                batches = self._dataset_batches(count, config.batch_size)
                self._updates(batches.observations, batches.actions)
        batch = self._dataset_batches(1, config.batch_size)
        return self._compiled_diagnostics(batch.observations[0], batch.actions[0]), {}

    def _diagnostics(self, observations: tf.Tensor, actions: tf.Tensor) -> dict[str, tf.Tensor]:
        """Describe the policy on a batch; density and std only if the loss trains them."""
        values = {
            "policy/loss": self.loss(observations, actions),
            "policy/mse": mse_loss(self._policy.mode(observations), actions),
        }
        if self.config.bc_loss == "log_likelihood":
            _, log_scale = self._policy(observations)
            values["policy/log-pi"] = tf.reduce_mean(self._log_pi(observations, actions))
            values["policy/std"] = tf.reduce_mean(tf.exp(log_scale))
        return values

    def _sample_actions(self, observations: FloatArray, chunk_size: int) -> FloatArray:
        noise = self._device_normal((len(observations), self.act_dim)).numpy()
        inputs = [observations.astype(np.float32), noise]
        return map_in_chunks(self._compiled_sample, inputs, chunk_size)[0]

    def named_variables(self) -> dict[str, keras.Variable]:
        """Return the variables of policy and optimiser."""
        parts = {"policy": self._policy.variables, "optimizer": self.optimizer.variables}
        return {f"{part}/{i}": v for part, vs in parts.items() for i, v in enumerate(vs)}

"""Soft actor-critic: the formulas, and the class that holds the networks."""

import keras
import numpy as np
import tensorflow as tf

from mopo_tf2.chunks import map_in_chunks
from mopo_tf2.config import SACConfig
from mopo_tf2.gradient_steps import CompiledSteps, adam, tf_values
from mopo_tf2.networks.gaussian_policy import GaussianPolicy
from mopo_tf2.networks.q_function import QFunctions
from mopo_tf2.types import Transitions


def critic_target(
    rewards: tf.Tensor,
    terminals: tf.Tensor,
    next_q: tf.Tensor,
    next_log_pi: tf.Tensor,
    alpha: tf.Tensor,
    discount: float,
) -> tf.Tensor:
    """Return r + discount * (1 - d) * (min_i Q'_i(s', a') - alpha log pi(a' | s')).

    Args:
        rewards: [B, 1] float32.
        terminals: [B, 1] float32, 0 or 1.
        next_q: [B, 1] float32, the smaller of the target critics at s', a'.
        next_log_pi: [B, 1] float32, nats.
        alpha: scalar, temperature.
        discount: gamma.

    Returns:
        [B, 1] float32, without gradient.

    Original: mopo/algorithms/mopo.py:MOPO._get_Q_target; mopo/algorithms/mopo.py:td_target
    """
    next_value = next_q - alpha * next_log_pi
    return tf.stop_gradient(rewards + discount * (1.0 - terminals) * next_value)


def critic_losses(q: tf.Tensor, target: tf.Tensor) -> tf.Tensor:
    """Return half the mean squared error of each critic, [critics] (Q-44).

    Args:
        q: [critics, B, 1] float32.
        target: [B, 1] float32.

    Original: mopo/algorithms/mopo.py:MOPO._init_critic_update
    """
    return 0.5 * tf.reduce_mean(tf.square(q - target), axis=[1, 2])


def policy_loss(log_pi: tf.Tensor, q: tf.Tensor, alpha: tf.Tensor) -> tf.Tensor:
    """Return the mean of ``alpha * log pi - min_i Q_i(s, a)`` for actions of the policy.

    Args:
        log_pi: [B, 1] float32, nats.
        q: [critics, B, 1] float32.
        alpha: scalar, temperature.

    Original: mopo/algorithms/mopo.py:MOPO._init_actor_update
    """
    return tf.reduce_mean(alpha * log_pi - tf.reduce_min(q, axis=0))


def temperature_loss(log_alpha: tf.Tensor, log_pi: tf.Tensor, target_entropy: float) -> tf.Tensor:
    """Return -E[log_alpha (log pi(a | s) + target_entropy)]; on log_alpha, not alpha (Q-42).

    Original: mopo/algorithms/mopo.py:MOPO._init_actor_update
    """
    return -tf.reduce_mean(log_alpha * tf.stop_gradient(log_pi + target_entropy))


def polyak(source: tf.Tensor, target: tf.Tensor, tau: tf.Tensor) -> tf.Tensor:
    """Return tau * source + (1 - tau) * target (Q-47).

    Original: mopo/algorithms/mopo.py:MOPO._update_target
    """
    return tau * source + (1.0 - tau) * target


def follow(online: keras.layers.Layer, target: keras.layers.Layer, tau: tf.Tensor) -> None:
    """Move every variable of the network ``target`` towards ``online`` by ``polyak``."""
    for source, moved in zip(online.variables, target.variables, strict=True):
        moved.assign(polyak(source.value, moved.value, tau))


class SAC:
    """Policy, critics, target critics, temperature and their optimisers.

    Args:
        obs_dim: O.
        act_dim: A.
        config: sizes and coefficients.
        policy_seed: of the policy's initial weights.
        critics_seed: of the critics' initial weights.

    Original: mopo/algorithms/mopo.py:MOPO._init_actor_update;
        mopo/algorithms/mopo.py:MOPO._init_critic_update;
        softlearning/algorithms/sac.py:SAC
    """

    def __init__(
        self,
        obs_dim: int,
        act_dim: int,
        config: SACConfig,
        *,
        policy_seed: int = 0,
        critics_seed: int = 0,
    ):
        self.config, self.act_dim = config, act_dim
        self.target_entropy = config.entropy_target(act_dim)
        sizes = config.hidden_layer_sizes
        self.policy = GaussianPolicy(act_dim, sizes, seed=policy_seed)
        self.policy.build((None, obs_dim))
        self.critics = QFunctions(sizes, seed=critics_seed)
        self.target_critics = QFunctions(sizes, seed=critics_seed)
        for critics in (self.critics, self.target_critics):
            critics.build((None, obs_dim), (None, act_dim))
        self.target_critics.set_weights(self.critics.get_weights())
        self.log_alpha = keras.Variable(0.0, dtype="float32", name="log_alpha")
        self._trained = {
            "policy": list(self.policy.trainable_variables),
            "critics": list(self.critics.trainable_variables),
            "temperature": [self.log_alpha],
        }
        self.optimizers = {name: adam(config.lr, part) for name, part in self._trained.items()}
        self._updates = CompiledSteps(self.update)
        self._compiled_sample = tf.function(self.policy.sample, jit_compile=True)
        self._compiled_diagnostics = tf.function(self._diagnostics, jit_compile=True)

    def target(self, batch: Transitions, next_noise: tf.Tensor) -> tf.Tensor:
        """Return the critics' target [B, 1]; ``next_noise`` [B, A] draws the next actions.

        Original: mopo/algorithms/mopo.py:MOPO._get_Q_target
        """
        next_actions, next_log_pi = self.policy.sample(batch.next_observations, next_noise)
        next_q = tf.reduce_min(self.target_critics(batch.next_observations, next_actions), axis=0)
        return critic_target(
            self.config.reward_scale * batch.rewards,
            tf.cast(batch.terminals, tf.float32),
            next_q,
            next_log_pi,
            tf.exp(self.log_alpha.value),
            self.config.discount,
        )

    def losses_and_gradients(
        self, batch: Transitions, noise: tf.Tensor, next_noise: tf.Tensor
    ) -> tuple[dict[str, tf.Tensor], dict[str, list[tf.Tensor]]]:
        """Return losses and gradients of policy, critics and temperature, by these names.

        All are taken at the current parameters (Q-40).

        Args:
            batch: columns [B, width]; float32, terminals bool.
            noise: [B, A] float32, standard normal, draws the actions of the policy loss.
            next_noise: [B, A] float32, draws the next actions of the critics' target.

        Returns:
            losses, of which "critics" has one entry per critic, [critics]; and gradients, one per
            variable of the part.
        """
        alpha = tf.exp(self.log_alpha.value)
        target = self.target(batch, next_noise)
        trained = {name: tf_values(variables) for name, variables in self._trained.items()}
        losses, gradients = {}, {}
        with tf.GradientTape() as tape:
            q = self.critics(batch.observations, batch.actions)
            losses["critics"] = critic_losses(q, target)
        gradients["critics"] = tape.gradient(losses["critics"], trained["critics"])
        with tf.GradientTape() as tape:
            actions, log_pi = self.policy.sample(batch.observations, noise)
            losses["policy"] = policy_loss(log_pi, self.critics(batch.observations, actions), alpha)
        gradients["policy"] = tape.gradient(losses["policy"], trained["policy"])
        with tf.GradientTape() as tape:
            losses["temperature"] = temperature_loss(
                self.log_alpha.value, log_pi, self.target_entropy
            )
        gradients["temperature"] = tape.gradient(losses["temperature"], trained["temperature"])
        return losses, gradients

    def update(
        self, batch: Transitions, noise: tf.Tensor, next_noise: tf.Tensor, tau: tf.Tensor
    ) -> None:
        """Take one step: all gradients at the parameters on entry, then apply, then targets.

        Args:
            batch: see ``losses_and_gradients``.
            noise: see there.
            next_noise: see there.
            tau: scalar, Polyak factor of the target critics; 0 leaves them unchanged.

        Original: mopo/algorithms/mopo.py:MOPO._do_training
        """
        _, gradients = self.losses_and_gradients(batch, noise, next_noise)
        for name, optimizer in self.optimizers.items():
            optimizer.apply_gradients(zip(gradients[name], self._trained[name], strict=True))
        follow(self.critics, self.target_critics, tau)

    def update_block(
        self,
        batches: Transitions,
        noise: tf.Tensor,
        next_noise: tf.Tensor,
        tau: np.ndarray | None = None,
    ) -> None:
        """Take one gradient step per leading row: K steps in one compiled call.

        Args:
            batches: columns [K, B, width].
            noise: [K, B, A] float32, standard normal.
            next_noise: [K, B, A] float32.
            tau: [K] float32; ``config.tau`` for every step by default.
        """
        if tau is None:
            tau = np.full(len(batches.observations), self.config.tau, np.float32)
        self._updates(batches, noise, next_noise, tau)

    def sample_actions(
        self, observations: np.ndarray, latents: np.ndarray, chunk_size: int
    ) -> np.ndarray:
        """Return actions [B, A] float32 for observations [B, O] and latents [B, A].

        D-29: the original predicts in batches of 32 (Q-29); the network is row-wise, so the
        distribution is the same.

        Original: softlearning/policies/gaussian_policy.py:GaussianPolicy.actions_np
        """
        inputs = [observations.astype(np.float32), latents]
        return map_in_chunks(self._compiled_sample, inputs, chunk_size)[0]

    def diagnostics(
        self, batch: Transitions, noise: tf.Tensor, next_noise: tf.Tensor
    ) -> dict[str, float]:
        """Return Q-avg, Q-std, Q_loss, alpha and policy/* on one batch (Q-86).

        Original: mopo/algorithms/mopo.py:MOPO.get_diagnostics
        """
        described = self._compiled_diagnostics(batch, noise, next_noise)
        return {name: float(value) for name, value in described.items()}

    def _diagnostics(
        self, batch: Transitions, noise: tf.Tensor, next_noise: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        q = self.critics(batch.observations, batch.actions)
        policy = self.policy.diagnostics(batch.observations, noise)
        return {
            "Q-avg": tf.reduce_mean(q),
            "Q-std": tf.math.reduce_std(q),
            "Q_loss": tf.reduce_mean(critic_losses(q, self.target(batch, next_noise))),
            "alpha": tf.exp(self.log_alpha.value),
            **{f"policy/{name}": value for name, value in policy.items()},
        }

    def named_variables(self) -> dict[str, keras.Variable]:
        """Return every variable, the optimisers' included, by the name it has in checkpoints.

        Original: mopo/algorithms/mopo.py:MOPO.tf_saveables
        """
        named = {"log_alpha": self.log_alpha}
        parts = {
            "policy": self.policy.variables,
            "critics": self.critics.variables,
            "target_critics": self.target_critics.variables,
            **{f"optimizers/{name}": o.variables for name, o in self.optimizers.items()},
        }
        for name, variables in parts.items():
            named.update({f"{name}/{i}": variable for i, variable in enumerate(variables)})
        return named

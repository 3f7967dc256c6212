"""The conditional variational autoencoder of actions: G(a | s) of BCQ."""

from collections.abc import Sequence

import tensorflow as tf

from mopo_tf2.networks.feedforward import Feedforward, PairNetwork

LOG_STD_BOUNDS = (-4.0, 15.0)
"""Bounds of the encoder's log standard deviation, as in the authors' code of BCQ."""


class ActionEncoder(PairNetwork):
    """E(z | s, a): the Gaussian of the latent vector of an action in a state.

    Mean and log standard deviation are halves of one output layer. D-121: the authors' code has two
    layers, which compute and start as the two halves do.

    Args:
        latent_dim: L.
        hidden_layer_sizes: units of each hidden layer.
        seed: of the initial weights.

    Call: observations [B, O], actions [B, A] float32 -> mean, log_std, each [B, L] float32.

    BCQ paper (Fujimoto et al. 2019), section 5.
    """

    def __init__(self, latent_dim: int, hidden_layer_sizes: Sequence[int], *, seed: int = 0):
        super().__init__()
        self.latent_dim = latent_dim
        self.network = Feedforward(
            hidden_layer_sizes, 2 * latent_dim, fan_in_uniform=True, seed=seed
        )

    def call(self, observations: tf.Tensor, actions: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Return mean and clipped log standard deviation; see the class."""
        mean, log_std = tf.split(self.outputs(observations, actions), 2, axis=-1)
        return mean, tf.clip_by_value(log_std, *LOG_STD_BOUNDS)


class ActionDecoder(PairNetwork):
    """D(a | s, z): the action that a latent vector encodes in a state.

    Args:
        act_dim: A.
        hidden_layer_sizes: units of each hidden layer.
        seed: of the initial weights.

    Call: observations [B, O], latents [B, L] float32 -> actions [B, A] float32 in [-1, 1].

    BCQ paper (Fujimoto et al. 2019), section 5.
    """

    def __init__(self, act_dim: int, hidden_layer_sizes: Sequence[int], *, seed: int = 0):
        super().__init__()
        self.act_dim = act_dim
        self.network = Feedforward(hidden_layer_sizes, act_dim, fan_in_uniform=True, seed=seed)

    def call(self, observations: tf.Tensor, latents: tf.Tensor) -> tf.Tensor:
        """Return the actions; see the class."""
        return tf.tanh(self.outputs(observations, latents))


def kl_divergence(mean: tf.Tensor, log_std: tf.Tensor) -> tf.Tensor:
    """Return KL(N(mean, std^2) || N(0, 1)) in nats, averaged over batch AND latent size.

    The divergence of a row is L times this value; BCQ's authors scale it so.

    Args:
        mean: [B, L] float32.
        log_std: [B, L] float32.

    Returns:
        Scalar.

    BCQ paper (Fujimoto et al. 2019), appendix; Kingma and Welling 2014, appendix B.
    """
    kl = 0.5 * (tf.square(mean) + tf.exp(2.0 * log_std) - 1.0) - log_std
    return tf.reduce_mean(kl)

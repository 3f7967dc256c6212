"""BCQ's policy: sample actions like the data's, perturb them, take the best."""

from collections.abc import Sequence
from typing import Any, ClassVar

import keras
import numpy as np
import tensorflow as tf

from mopo_tf2.chunks import map_in_chunks
from mopo_tf2.networks.feedforward import Feedforward
from mopo_tf2.networks.q_function import QFunctions
from mopo_tf2.networks.variational_autoencoder import ActionDecoder
from mopo_tf2.types import FloatArray, PolicyFn


@keras.saving.register_keras_serializable(package="mopo_tf2")
class Perturbation(keras.layers.Layer):
    """xi(s, a): moves an action by at most ``phi`` per component, and keeps it in [-1, 1].

    Args:
        act_dim: A.
        hidden_layer_sizes: units of each hidden layer.
        phi: bound of the change.
        seed: of the initial weights.

    Call: observations [B, O], actions [B, A] float32 -> perturbed actions [B, A] float32.

    BCQ paper (Fujimoto et al. 2019), section 5.
    """

    def __init__(
        self,
        act_dim: int,
        hidden_layer_sizes: Sequence[int],
        *,
        phi: float,
        seed: int = 0,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.act_dim, self.phi = act_dim, phi
        self.network = Feedforward(hidden_layer_sizes, act_dim, seed=seed)

    def build(
        self, observations_shape: tuple[int | None, ...], actions_shape: tuple[int | None, ...]
    ) -> None:
        """Create the variables for inputs of size O + A."""
        self.network.build((None, observations_shape[-1] + actions_shape[-1]))  # type: ignore[operator]

    def call(self, observations: tf.Tensor, actions: tf.Tensor) -> tf.Tensor:
        """Return clip(a + phi tanh(network(s, a)), -1, 1); see the class."""
        change = self.phi * tf.tanh(self.network(tf.concat([observations, actions], axis=-1)))
        return tf.clip_by_value(actions + change, -1.0, 1.0)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {
            **super().get_config(),
            "act_dim": self.act_dim,
            "hidden_layer_sizes": self.network.hidden_layer_sizes,
            "phi": self.phi,
            "seed": self.network.seed,
        }


class BCQPolicy:
    """pi(s) = argmax over n perturbed samples of the VAE of Q_1(s, a).

    Args:
        decoder: the VAE's, built.
        perturbation: built.
        critic: the first critic alone (``num_critics`` 1), built.
        num_actions: n, sampled per state.
        latent_clip: sampled latent vectors are clipped to [-this, this].

    BCQ paper (Fujimoto et al. 2019), section 5 and algorithm 1.
    """

    kind: ClassVar[str] = "bcq"

    def __init__(
        self,
        decoder: ActionDecoder,
        perturbation: Perturbation,
        critic: QFunctions,
        *,
        num_actions: int = 100,
        latent_clip: float = 0.5,
    ):
        self.decoder, self.perturbation, self.critic = decoder, perturbation, critic
        self.num_actions, self.latent_clip = num_actions, latent_clip
        self.act_dim = decoder.act_dim
        self.obs_dim = int(perturbation.variables[0].shape[0]) - self.act_dim
        self.latent_dim = int(decoder.variables[0].shape[0]) - self.obs_dim
        self._compiled: dict[int, Any] = {}

    def best_actions(self, observations: tf.Tensor, latents: tf.Tensor) -> tf.Tensor:
        """Return the best action of each row, [B, A], among those of the ``latents``.

        Args:
            observations: [B, O] float32.
            latents: [n, L] float32, standard normal; clipped here. The rows share them.
        """
        rows, count = observations.shape[0], latents.shape[0]
        repeated = tf.repeat(observations, count, axis=0)
        clipped = tf.clip_by_value(latents, -self.latent_clip, self.latent_clip)
        sampled = self.decoder(repeated, tf.tile(clipped, [rows, 1]))
        actions = self.perturbation(repeated, sampled)
        best = tf.argmax(tf.reshape(self.critic(repeated, actions), [rows, count]), axis=1)
        return tf.gather(tf.reshape(actions, [rows, count, -1]), best, batch_dims=1)

    def acting(self, rows: int, seed: int) -> PolicyFn:
        """Return the policy as evaluation runs it: a host function [B, O] -> [B, A] in [-1, 1].

        It sees the weights as they are when it is called. Call number k draws one set of latent
        vectors from (``seed``, k), which its rows share (D-122): so a row's action depends on its
        observation, ``seed`` and k, and not on which or how many other rows there are.

        Args:
            rows: compiled for so many at once; more are taken in chunks, fewer are filled up.
            seed: of the latent vectors, not negative.
        """
        if rows not in self._compiled:
            self._compiled[rows] = tf.function(
                self.best_actions, jit_compile=True
            ).get_concrete_function(
                tf.TensorSpec([rows, self.obs_dim], tf.float32),
                tf.TensorSpec([self.num_actions, self.latent_dim], tf.float32),
            )
        best_actions = self._compiled[rows]
        randoms = np.random.RandomState(seed)

        def act(observations: FloatArray) -> FloatArray:
            normal = randoms.standard_normal((self.num_actions, self.latent_dim))
            latents = tf.constant(normal, tf.float32)
            inputs = observations.astype(np.float32)
            return map_in_chunks(
                lambda chunk: [best_actions(tf.constant(chunk), latents)], [inputs], rows
            )[0]

        return act

    def exported(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """See ``ExportablePolicy.exported``."""
        arrays = {
            f"{part}/{i}": variable.numpy()
            for part, layer in self._parts().items()
            for i, variable in enumerate(layer.variables)
        }
        metadata = {
            "obs_dim": self.obs_dim,
            "act_dim": self.act_dim,
            "latent_dim": self.latent_dim,
            "num_actions": self.num_actions,
            "latent_clip": self.latent_clip,
            "phi": self.perturbation.phi,
            **{
                f"{part}_hidden_sizes": list(layer.network.hidden_layer_sizes)
                for part, layer in self._parts().items()
            },
        }
        return arrays, metadata

    def _parts(self) -> dict[str, Any]:
        return {
            "decoder": self.decoder,
            "perturbation": self.perturbation,
            "critic": self.critic,
        }

    @classmethod
    def from_exported(cls, arrays: dict[str, np.ndarray], metadata: dict[str, Any]) -> "BCQPolicy":
        """See ``ExportablePolicy.from_exported``."""
        observations, actions = (None, metadata["obs_dim"]), (None, metadata["act_dim"])
        decoder = ActionDecoder(metadata["act_dim"], metadata["decoder_hidden_sizes"])
        decoder.build(observations, (None, metadata["latent_dim"]))
        perturbation = Perturbation(
            metadata["act_dim"], metadata["perturbation_hidden_sizes"], phi=metadata["phi"]
        )
        perturbation.build(observations, actions)
        critic = QFunctions(metadata["critic_hidden_sizes"], num_critics=1)
        critic.build(observations, actions)
        policy = cls(
            decoder,
            perturbation,
            critic,
            num_actions=metadata["num_actions"],
            latent_clip=metadata["latent_clip"],
        )
        for part, layer in policy._parts().items():
            layer.set_weights([arrays[f"{part}/{i}"] for i in range(len(layer.variables))])
        return policy

"""BCQ's policy: sample actions like those in the data, perturb them, take the best."""

from collections.abc import Sequence
from typing import Any, ClassVar, Self

import keras
import numpy as np
import tensorflow as tf

from mopo_tf2.networks.acting import ExportablePolicy
from mopo_tf2.networks.feedforward import Feedforward, PairNetwork
from mopo_tf2.networks.graph import Graph, Value
from mopo_tf2.networks.q_function import QFunctions
from mopo_tf2.networks.variational_autoencoder import ActionDecoder
from mopo_tf2.types import FloatArray, PolicyFn


class Perturbation(PairNetwork):
    """xi(s, a): changes an action by at most ``phi`` per component and keeps it in [-1, 1].

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
    ):
        super().__init__()
        self.act_dim, self.phi = act_dim, phi
        self.network = Feedforward(hidden_layer_sizes, act_dim, fan_in_uniform=True, seed=seed)

    def call(self, observations: tf.Tensor, actions: tf.Tensor) -> tf.Tensor:
        """Return clip(a + phi tanh(network(s, a)), -1, 1); see the class."""
        change = self.phi * tf.tanh(self.outputs(observations, actions))
        return tf.clip_by_value(actions + change, -1.0, 1.0)


class BCQPolicy(ExportablePolicy):
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

    def best_actions(self, observations: tf.Tensor, latents: tf.Tensor) -> tf.Tensor:
        """Return the best action of each row, [B, A], among those of the ``latents``.

        Args:
            observations: [B, O] float32.
            latents: [n, L] float32, standard normal; clipped here. All rows share them.
        """
        rows, count = observations.shape[0], latents.shape[0]
        repeated = tf.repeat(observations, count, axis=0)
        clipped = tf.clip_by_value(latents, -self.latent_clip, self.latent_clip)
        sampled = self.decoder(repeated, tf.tile(clipped, [rows, 1]))
        actions = self.perturbation(repeated, sampled)
        best = tf.argmax(tf.reshape(self.critic(repeated, actions), [rows, count]), axis=1)
        return tf.gather(tf.reshape(actions, [rows, count, -1]), best, batch_dims=1)

    def acting(self, rows: int, seed: int = 0) -> PolicyFn:
        """See ``ExportablePolicy.acting``.

        Call number k draws one set of latent vectors from (``seed``, k), which its rows share
        (D-122). So a row's action depends on its observation, ``seed`` and k, but not on the other
        rows.
        """
        shape, randoms = self.latent_shape, np.random.RandomState(seed)
        best_actions = self._on_host(self.best_actions, rows, tf.TensorSpec(shape, tf.float32))

        def act(observations: FloatArray) -> FloatArray:
            return best_actions(
                observations, tf.constant(randoms.standard_normal(shape), tf.float32)
            )

        return act

    @property
    def latent_shape(self) -> tuple[int, int]:
        """[n, L]; all rows share them."""
        return (self.num_actions, self.latent_dim)

    def acting_latents(self, rows: int, seed: int) -> FloatArray:
        """See ``ExportablePolicy.acting_latents``; [n, L] for any number of rows."""
        drawn = np.random.RandomState(seed).standard_normal(self.latent_shape)
        return drawn.astype(np.float32)

    def _describe(self, graph: Graph, latents: str | None, seed: int) -> Value:
        drawn: Value = latents or self.acting_latents(1, seed)
        clip = self.latent_clip
        drawn = graph.step("minimum", graph.step("maximum", drawn, -clip), clip)
        observations = (graph.step("expand", "observations"), self.obs_dim)
        (raw,) = self.decoder.network.describe(graph, observations, (drawn, self.latent_dim))
        sampled = graph.step("tanh", raw)
        pairs = observations, (sampled, self.act_dim)
        (raw,) = self.perturbation.network.describe(graph, *pairs)
        change = graph.step("multiply", graph.step("tanh", raw), self.perturbation.phi)
        moved = graph.step("add", sampled, change)
        actions = graph.step("minimum", graph.step("maximum", moved, -1.0), 1.0)
        (values,) = self.critic.network.describe(graph, observations, (actions, self.act_dim))
        return graph.step("best", values, actions)

    def _exported_variables(self) -> dict[str, keras.Variable]:
        return {
            f"{part}/{i}": variable
            for part, layer in self._parts().items()
            for i, variable in enumerate(layer.variables)
        }

    def _metadata(self) -> dict[str, Any]:
        return {
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

    def _parts(self) -> dict[str, Any]:
        return {
            "decoder": self.decoder,
            "perturbation": self.perturbation,
            "critic": self.critic,
        }

    @classmethod
    def _from_metadata(cls, metadata: dict[str, Any]) -> Self:
        observations, actions = (None, metadata["obs_dim"]), (None, metadata["act_dim"])
        decoder = ActionDecoder(metadata["act_dim"], metadata["decoder_hidden_sizes"])
        decoder.build(observations, (None, metadata["latent_dim"]))
        perturbation = Perturbation(
            metadata["act_dim"], metadata["perturbation_hidden_sizes"], phi=metadata["phi"]
        )
        perturbation.build(observations, actions)
        critic = QFunctions(metadata["critic_hidden_sizes"], num_critics=1)
        critic.build(observations, actions)
        return cls(
            decoder,
            perturbation,
            critic,
            num_actions=metadata["num_actions"],
            latent_clip=metadata["latent_clip"],
        )

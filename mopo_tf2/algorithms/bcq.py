"""Batch-constrained deep Q-learning: the formulas, and the class that holds the networks."""

from typing import Any, NamedTuple

import keras
import tensorflow as tf

from mopo_tf2.algorithms.epoch_metrics import Stopwatch
from mopo_tf2.algorithms.offline import OfflineAlgorithm
from mopo_tf2.algorithms.sac import follow
from mopo_tf2.configs.bcq import BCQConfig
from mopo_tf2.gradient_steps import CompiledSteps, adam, minimise
from mopo_tf2.networks.bcq_policy import BCQPolicy, Perturbation
from mopo_tf2.networks.q_function import QFunctions
from mopo_tf2.networks.variational_autoencoder import (
    ActionDecoder,
    ActionEncoder,
    kl_divergence,
)
from mopo_tf2.seeding import spawn_seeds
from mopo_tf2.types import Transitions


class Noise(NamedTuple):
    """Standard normal float32 of one gradient step on B rows with n sampled actions each.

    encoding: [B, L], of the latent vectors that the VAE is trained with.
    next_latents: [B * n, L], of the next actions in the critics' target; n rows per state.
    latents: [B, L], of the actions that the perturbation network is trained with.
    """

    encoding: tf.Tensor
    next_latents: tf.Tensor
    latents: tf.Tensor


def reconstruction_loss(reconstructions: tf.Tensor, actions: tf.Tensor) -> tf.Tensor:
    """Return the squared error of [B, A], averaged over batch and components.

    BCQ paper (Fujimoto et al. 2019), algorithm 1; its code.
    """
    return tf.reduce_mean(tf.square(reconstructions - actions))


def soft_clipped_value(next_q: tf.Tensor, lmbda: float, num_actions: int) -> tf.Tensor:
    """Return max over sampled actions of lambda min_j Q'_j + (1 - lambda) max_j Q'_j, [B, 1].

    Args:
        next_q: [critics, B * n, 1] float32, of the target critics; n consecutive rows per state.
        lmbda: lambda.
        num_actions: n.

    BCQ paper (Fujimoto et al. 2019), eq. 13.
    """
    smallest, largest = tf.reduce_min(next_q, axis=0), tf.reduce_max(next_q, axis=0)
    values = lmbda * smallest + (1.0 - lmbda) * largest
    return tf.reduce_max(tf.reshape(values, [-1, num_actions]), axis=1, keepdims=True)


def critic_target(
    rewards: tf.Tensor, terminals: tf.Tensor, next_value: tf.Tensor, discount: float
) -> tf.Tensor:
    """Return r + discount * (1 - d) * V'(s'), all [B, 1] float32, without gradient.

    BCQ paper (Fujimoto et al. 2019), eq. 13.
    """
    return tf.stop_gradient(rewards + discount * (1.0 - terminals) * next_value)


def critic_loss(q: tf.Tensor, target: tf.Tensor) -> tf.Tensor:
    """Return the sum over critics of their mean squared errors, from [critics, B, 1] and [B, 1].

    BCQ paper (Fujimoto et al. 2019), algorithm 1.
    """
    return tf.reduce_sum(tf.reduce_mean(tf.square(q - target), axis=[1, 2]))


class BCQ(OfflineAlgorithm):
    """BCQ (Fujimoto, Meger and Precup 2019) for continuous actions.

    A VAE generates actions like those in the data, a perturbation network changes them by at most
    phi, and the critics choose among them: actions unlike the data are never evaluated.
    Arguments as ``OfflineAlgorithm``.

    BCQ paper (Fujimoto et al. 2019), algorithm 1; the authors' continuous_BCQ/BCQ.py.
    """

    config: BCQConfig

    def __init__(self, config: BCQConfig, *args: Any, **kwargs: Any):
        super().__init__(config, *args, **kwargs)
        self.latent_dim = config.latent_dim or 2 * self.act_dim
        policy_seeds = spawn_seeds(self.streams.weight_seeds["policy"], 3)
        self._build_networks(policy_seeds, spawn_seeds(self.streams.weight_seeds["critics"], 2))
        self._policy = BCQPolicy(
            self.decoder,
            self.perturbation,
            self.critics[0],
            num_actions=config.num_evaluation_actions,
            latent_clip=config.latent_clip,
        )
        trained: dict[str, list[Any]] = {
            "vae": [self.encoder, self.decoder],
            "critics": self.critics,
            "perturbation": [self.perturbation],
        }
        self._trained = {
            name: [variable for layer in layers for variable in layer.trainable_variables]
            for name, layers in trained.items()
        }
        self.optimizers = {
            name: adam(config.lr, part, corrected_epsilon=True)
            for name, part in self._trained.items()
        }
        self._updates = CompiledSteps(self.update)
        self._compiled_diagnostics = tf.function(self._diagnostics, jit_compile=True)

    def _build_networks(self, policy_seeds: list[int], critic_seeds: list[int]) -> None:
        config = self.config
        encoder_seed, decoder_seed, perturbation_seed = policy_seeds
        observations, actions = (None, self.obs_dim), (None, self.act_dim)
        self.encoder = ActionEncoder(self.latent_dim, config.vae_hidden_sizes, seed=encoder_seed)
        self.encoder.build(observations, actions)
        self.decoder = ActionDecoder(self.act_dim, config.vae_hidden_sizes, seed=decoder_seed)
        self.decoder.build(observations, (None, self.latent_dim))
        self.perturbation, self.target_perturbation = (
            Perturbation(
                self.act_dim,
                config.perturbation_hidden_sizes,
                phi=config.phi,
                seed=perturbation_seed,
            )
            for _ in range(2)
        )
        # Two networks of one critic each, because some of the work needs the first alone.
        self.critics, self.target_critics = (
            [
                QFunctions(
                    config.critic_hidden_sizes, num_critics=1, fan_in_uniform=True, seed=seed
                )
                for seed in critic_seeds
            ]
            for _ in range(2)
        )
        for online, target in self._online_and_target():
            online.build(observations, actions)
            target.build(observations, actions)
            target.set_weights(online.get_weights())

    def _online_and_target(self) -> list[tuple[Any, Any]]:
        pairs = zip(self.critics, self.target_critics, strict=True)
        return [(self.perturbation, self.target_perturbation), *pairs]

    @property
    def policy(self) -> BCQPolicy:
        """The best of many perturbed samples."""
        return self._policy

    def update(self, batch: Transitions, noise: Noise) -> None:
        """Take one gradient step of each part, in this order: VAE, critics, perturbation, targets.

        Each gradient is taken at the updated parameters of the parts before it.

        Args:
            batch: columns [B, width]; float32, terminals bool.
            noise: see there.

        BCQ paper (Fujimoto et al. 2019), algorithm 1; order of its code.
        """
        with tf.GradientTape() as tape:
            reconstruction, kl = self.vae_losses(batch, noise.encoding)
            loss = reconstruction + self.config.kl_weight * kl
        self._apply("vae", tape, loss)
        target = self.target(batch, noise.next_latents)
        with tf.GradientTape() as tape:
            q = self._q(self.critics, batch.observations, batch.actions)
            loss = critic_loss(q, target)
        self._apply("critics", tape, loss)
        sampled = self._decode(batch.observations, noise.latents)
        with tf.GradientTape() as tape:
            loss = self.perturbation_loss(batch.observations, sampled)
        self._apply("perturbation", tape, loss)
        for online, target_network in self._online_and_target():
            follow(online, target_network, self.config.tau)

    def _apply(self, name: str, tape: tf.GradientTape, loss: tf.Tensor) -> None:
        minimise(self.optimizers[name], tape, loss, self._trained[name])

    def vae_losses(self, batch: Transitions, noise: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Return squared error and KL term of the VAE, scalars; ``noise`` [B, L].

        BCQ paper (Fujimoto et al. 2019), algorithm 1.
        """
        mean, log_std = self.encoder(batch.observations, batch.actions)
        decoded = self.decoder(batch.observations, mean + tf.exp(log_std) * noise)
        return reconstruction_loss(decoded, batch.actions), kl_divergence(mean, log_std)

    def target(self, batch: Transitions, next_latents: tf.Tensor) -> tf.Tensor:
        """Return the critics' target [B, 1]; ``next_latents`` [B * n, L] draw the next actions.

        BCQ paper (Fujimoto et al. 2019), eq. 13.
        """
        count = self.config.num_sampled_actions
        next_observations = tf.repeat(batch.next_observations, count, axis=0)
        sampled = self._decode(next_observations, next_latents)
        next_actions = self.target_perturbation(next_observations, sampled)
        next_q = self._q(self.target_critics, next_observations, next_actions)
        return critic_target(
            batch.rewards,
            tf.cast(batch.terminals, tf.float32),
            soft_clipped_value(next_q, self.config.lmbda, count),
            self.config.discount,
        )

    def perturbation_loss(self, observations: tf.Tensor, sampled: tf.Tensor) -> tf.Tensor:
        """Return the mean of -Q_1(s, a + xi(s, a)) for ``sampled`` actions [B, A] of the VAE.

        BCQ paper (Fujimoto et al. 2019), algorithm 1.
        """
        perturbed = self.perturbation(observations, sampled)
        return -tf.reduce_mean(self.critics[0](observations, perturbed))

    def _decode(self, observations: tf.Tensor, latents: tf.Tensor) -> tf.Tensor:
        clip = self.config.latent_clip
        return self.decoder(observations, tf.clip_by_value(latents, -clip, clip))

    def _q(
        self, critics: list[QFunctions], observations: tf.Tensor, actions: tf.Tensor
    ) -> tf.Tensor:
        """Return [critics, B, 1]."""
        return tf.concat([critic(observations, actions) for critic in critics], axis=0)

    def _train_one_epoch(self, clock: Stopwatch) -> tuple[dict[str, Any], dict[str, float]]:
        config = self.config
        with clock.measure("times/train"):
            for _, count in self._step_blocks(config.epoch_length, config.updates_per_call):
                batches = self._dataset_batches(count, config.batch_size)
                self._updates(batches, self._noise(count))
        batches = self._dataset_batches(1, config.batch_size)
        batch = Transitions(*(column[0] for column in batches))
        noise = Noise(*(part[0] for part in self._noise(1)))
        return self._compiled_diagnostics(batch, noise), {}

    def _noise(self, count: int) -> Noise:
        rows, size = self.config.batch_size, self.latent_dim
        widths = (rows, rows * self.config.num_sampled_actions, rows)
        return Noise(*(self._device_normal((count, width, size)) for width in widths))

    def _diagnostics(self, batch: Transitions, noise: Noise) -> dict[str, tf.Tensor]:
        reconstruction, kl = self.vae_losses(batch, noise.encoding)
        q = self._q(self.critics, batch.observations, batch.actions)
        sampled = self._decode(batch.observations, noise.latents)
        change = self.perturbation(batch.observations, sampled) - sampled
        return {
            "Q-avg": tf.reduce_mean(q),
            "Q-std": tf.math.reduce_std(q),
            "Q_loss": critic_loss(q, self.target(batch, noise.next_latents)),
            "policy/loss": self.perturbation_loss(batch.observations, sampled),
            "policy/perturbation-mean": tf.reduce_mean(tf.abs(change)),
            "vae/reconstruction": reconstruction,
            "vae/kl": kl,
        }

    def named_variables(self) -> dict[str, keras.Variable]:
        """Return every variable, the optimisers' included."""
        parts: dict[str, Any] = {"encoder": self.encoder, "decoder": self.decoder}
        names = ("perturbation", "critic_1", "critic_2")
        for name, (online, target) in zip(names, self._online_and_target(), strict=True):
            parts.update({name: online, f"target_{name}": target})
        parts.update({f"optimizers/{name}": o for name, o in self.optimizers.items()})
        return {f"{name}/{i}": v for name, p in parts.items() for i, v in enumerate(p.variables)}

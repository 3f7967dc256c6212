"""Model-based offline reinforcement learning: planning in a pessimistic MDP."""

import math
import time
from collections.abc import Callable
from typing import Any, ClassVar

import keras
import numpy as np
import tensorflow as tf

from mopo_tf2.algorithms.epoch_metrics import Stopwatch
from mopo_tf2.algorithms.morel.model import (
    Paths,
    PessimisticModel,
    ResidualEnsemble,
    ResidualTrainer,
    pessimistic_paths,
)
from mopo_tf2.algorithms.morel.npg import (
    NaturalGradient,
    NaturalGradientResult,
    ValueBaseline,
    baseline_features,
    discounted_sums,
    generalised_advantages,
    normalised,
    path_mask,
    policy_rows,
)
from mopo_tf2.algorithms.offline import OfflineAlgorithm
from mopo_tf2.chunks import map_in_chunks
from mopo_tf2.configs.morel import MORELConfig
from mopo_tf2.data.starts import episode_starts
from mopo_tf2.dynamics.scaler import column_statistics
from mopo_tf2.gradient_steps import CompiledSteps, adam, minimise
from mopo_tf2.networks.unsquashed_policy import UnsquashedGaussianPolicy
from mopo_tf2.progress import Progress
from mopo_tf2.types import FloatArray, Transitions

POLICY_CHUNK = 2048
"""Rows per iteration of the loop over all steps of the paths; affects speed and memory only."""
SMALLEST_VARIANCE = 1e-12
"""Lower bound of the returns' variance where it is a divisor."""
_STEPS_PER_CALL = 64


def clone_behaviour(
    policy: UnsquashedGaussianPolicy,
    transitions: Transitions,
    random_state: np.random.RandomState,
    *,
    epochs: int,
    lr: float,
    batch_size: int,
    progress: Progress,
) -> None:
    """Fit the policy's mean to the actions in the data by squared error; the log stddev stays.

    Sets the policy's standardisation from the data first, even with 0 epochs (D-117). Draws every
    batch with replacement.

    MOReL paper (Kidambi et al. 2020), algorithm 1; mjrl's behavior_cloning with its MSE loss.
    """
    observations, actions = transitions.observations, transitions.actions
    policy.standardise(*(row[0] for row in column_statistics(observations)))
    variables = [v for v in policy.trainable_variables if v is not policy.log_std]
    optimizer = adam(lr, variables, corrected_epsilon=True)

    def step(observations: tf.Tensor, actions: tf.Tensor) -> None:
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.square(policy(observations) - actions))
        minimise(optimizer, tape, loss, variables)

    steps = CompiledSteps(step)
    batch_size = min(batch_size, len(observations))
    batches = len(observations) // batch_size
    for _ in range(epochs):
        order = random_state.randint(0, len(observations), (batches, batch_size))
        for start in range(0, batches, _STEPS_PER_CALL):
            rows = order[start : start + _STEPS_PER_CALL]
            steps(observations[rows], actions[rows])
            progress.updates(start + len(rows), batches)


class MOReL(OfflineAlgorithm):
    """MOReL on one dataset: algorithm 1 of the paper. Arguments as ``OfflineAlgorithm``.

    1. learn the dynamics from the data (``train_model``);
    2. build the pessimistic MDP, with its unknown state-action detector (``train_model``);
    3. optionally initialise the policy by behaviour cloning (``train_model``);
    4. plan in the pessimistic MDP: natural policy gradient, one iteration per epoch.

    MOReL paper (Kidambi et al. 2020), algorithm 1.
    """

    config: MORELConfig
    needs_model: ClassVar[bool] = True

    def __init__(self, config: MORELConfig, *args: Any, **kwargs: Any):
        super().__init__(config, *args, **kwargs)
        seeds = self.streams.weight_seeds
        self.ensemble = ResidualEnsemble(
            self.obs_dim,
            self.act_dim,
            num_networks=config.dynamics_networks,
            hidden_layer_sizes=config.dynamics_hidden_layer_sizes,
            reward_hidden_layer_sizes=config.reward_hidden_layer_sizes,
            seed=seeds["ensemble"],
        )
        self.pessimistic_model = PessimisticModel(
            self.ensemble, self.termination_fn, halt=config.halt
        )
        self._policy = UnsquashedGaussianPolicy(
            self.act_dim,
            config.policy_hidden_layer_sizes,
            init_log_std=config.init_log_std,
            min_log_std=config.min_log_std,
            seed=seeds["policy"],
        )
        self._policy.build((None, self.obs_dim))
        self.baseline = ValueBaseline(
            self.obs_dim,
            config.baseline_hidden_layer_sizes,
            lr=config.baseline_lr,
            batch_size=config.baseline_batch_size,
            weight_decay=config.baseline_weight_decay,
            seed=seeds["critics"],
        )
        self.natural_gradient = NaturalGradient(
            self._policy,
            step_size=config.npg_step_size,
            iterations=config.cg_iterations,
            damping=config.cg_damping,
        )
        self._compiled_sample = tf.function(self._policy.sample, jit_compile=True)

    @property
    def policy(self) -> UnsquashedGaussianPolicy:
        """The policy that is trained, evaluated and exported."""
        return self._policy

    def train_model(
        self, max_epochs: int | None = None, *, after_epoch: Callable[[], None] = lambda: None
    ) -> None:
        """Learn the dynamics, set the threshold, and initialise the policy.

        After ``restore`` the training of the dynamics is continued.
        """
        config, dataset, started = self.config, self.environment_pool.stored(), time.monotonic()
        trainer: Any = self._trainer or self._make_trainer()
        self._trainer = trainer
        losses = trainer.train(
            dataset,
            self.streams.host,
            epochs=config.dynamics_epochs if max_epochs is None else max_epochs,
            progress=self.progress,
            after_epoch=after_epoch,
        )
        self._trainer = None
        self.pessimistic_model.fit(
            dataset, config.threshold_rule, config.pessimism_coeff, config.halt_reward_offset
        )
        clone_behaviour(
            self._policy,
            dataset,
            self.streams.host,
            epochs=config.bc_epochs,
            lr=config.bc_lr,
            batch_size=config.bc_batch_size,
            progress=self.progress,
        )
        self._accept_model(float(losses.mean()), time.monotonic() - started)

    def _make_trainer(self) -> ResidualTrainer:
        return ResidualTrainer(
            self.ensemble,
            lr=self.config.dynamics_lr,
            batch_size=self.config.dynamics_batch_size,
            holdout_ratio=self.config.dynamics_holdout_ratio,
            max_holdout=self.config.dynamics_max_holdout,
        )

    def _train_one_epoch(self, clock: Stopwatch) -> tuple[dict[str, float], dict[str, float]]:
        """Take one NPG iteration: paths, advantages, policy step, fit of the baseline."""
        config = self.config
        with clock.measure("times/epoch_rollout_model"):
            paths = self._paths()
        with clock.measure("times/train"):
            mask = path_mask(paths.lengths, config.horizon)
            steps = np.arange(config.horizon)[:, None] * np.ones_like(mask, np.int64)
            features = baseline_features(paths.observations[mask], steps[mask])
            values = np.zeros(mask.shape, np.float32)
            values[mask] = self.baseline.values(features)
            advantages = generalised_advantages(
                paths.rewards,
                values,
                paths.lengths,
                paths.terminated,
                discount=config.npg_discount,
                gae_lambda=config.gae_lambda,
            )
            result = self._improve(paths, mask, advantages[mask])
            returns = discounted_sums(paths.rewards, config.npg_discount)[mask]
            self.baseline.fit(features, returns, self.streams.host, config.baseline_epochs)
        self.train_steps += 1
        self.progress.updates(1, 1)
        unexplained = float(np.mean(np.square(returns - values[mask])))
        threshold = float(self.pessimistic_model.threshold.numpy())
        return self._diagnostics(paths, result), {
            "baseline/relative-error": unexplained / max(float(returns.var()), SMALLEST_VARIANCE),
            "model/unknown-threshold": threshold if math.isfinite(threshold) else math.nan,
        }

    def _paths(self) -> Paths:
        """Roll the policy out in the pessimistic model from states of the dataset.

        Every member takes the same starts.
        """
        config, dataset = self.config, self.environment_pool.stored()
        members = np.arange(config.dynamics_networks, dtype=np.int32)
        rows = np.arange(self.environment_pool.size)
        if config.start_state == "initial":
            rows = np.flatnonzero(episode_starts(dataset))
        chosen = rows[self.streams.host.randint(0, len(rows), config.num_trajectories)]
        latents = self._device_normal((config.horizon, config.num_paths, self.act_dim)).numpy()
        return pessimistic_paths(
            self.pessimistic_model,
            lambda observations, noise: self._compiled_sample(observations, noise).numpy(),
            np.tile(dataset.observations[chosen], (len(members), 1)),
            latents,
            np.repeat(members, config.num_trajectories),
            self.progress,
        )

    def _improve(
        self, paths: Paths, mask: np.ndarray, advantages: np.ndarray
    ) -> NaturalGradientResult:
        most = self.config.num_paths * self.config.horizon
        rows, count = policy_rows(
            paths.observations[mask],
            paths.actions[mask],
            normalised(advantages),
            chunk_size=min(POLICY_CHUNK, most),
            max_rows=most,
        )
        return self.natural_gradient.step(rows, count)

    def _diagnostics(self, paths: Paths, result: NaturalGradientResult) -> dict[str, float]:
        path_returns = paths.rewards.sum(axis=0, dtype=np.float64)
        log_std = self._policy.log_std.numpy()
        return {
            "model/return-average": float(path_returns.mean()),
            "model/return-std": float(path_returns.std()),
            "model/mean_rollout_length": float(paths.lengths.mean()),
            "model/halted-share": float(paths.halted.mean()),
            "npg/kl": float(result.kl),
            "npg/surrogate-improvement": float(result.surrogate_after - result.surrogate_before),
            "npg/step-size": float(result.step_size),
            "npg/gradient-norm": float(result.gradient_norm),
            "policy/log-std-mean": float(log_std.mean()),
            "policy/log-std-min": float(log_std.min()),
        }

    def _sample_actions(self, observations: FloatArray, chunk_size: int) -> FloatArray:
        noise = self._device_normal((len(observations), self.act_dim)).numpy()
        inputs = [observations.astype(np.float32), noise]
        actions = map_in_chunks(lambda *rows: [self._compiled_sample(*rows)], inputs, chunk_size)[0]
        return np.clip(actions, -1.0, 1.0)

    def named_variables(self) -> dict[str, keras.Variable]:
        """Return dynamics, threshold, HALT reward, policy, and baseline with its optimiser."""
        named = {f"policy/{i}": variable for i, variable in enumerate(self._policy.variables)}
        for prefix, part in (
            ("dynamics", self.ensemble),
            ("pessimism", self.pessimistic_model),
            ("baseline", self.baseline),
        ):
            named.update({f"{prefix}/{k}": v for k, v in part.named_variables().items()})
        return named

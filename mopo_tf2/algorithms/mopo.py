"""Model-based offline policy optimisation: the loop over model, rollouts and policy."""

import math
import time
from collections.abc import Iterator, Sequence
from typing import Any

import gymnasium
import numpy as np
import tensorflow as tf

from mopo_tf2.algorithms.epoch_metrics import (
    EVALUATION_KEYS,
    ROLLOUT_KEYS,
    RolloutStatistics,
    Stopwatch,
    refuse_divergence,
)
from mopo_tf2.algorithms.sac import SAC
from mopo_tf2.config import MOPOConfig
from mopo_tf2.data.batches import mixed_batches, rollout_starts
from mopo_tf2.data.replay_pool import ReplayPool, pool_of
from mopo_tf2.dynamics.ensemble import GaussianEnsemble
from mopo_tf2.dynamics.model_env import ModelEnvironment
from mopo_tf2.dynamics.rollouts import branched_rollouts
from mopo_tf2.dynamics.training import EnsembleTrainer
from mopo_tf2.evaluation.episodes import evaluation_seeds, run_episodes
from mopo_tf2.evaluation.metrics import normalized_score, return_statistics
from mopo_tf2.networks.gaussian_policy import deterministic_actions
from mopo_tf2.progress import NoProgress, Progress
from mopo_tf2.seeding import random_streams
from mopo_tf2.types import FloatArray, TerminationFn, Transitions

UNKNOWN_SCORES = (math.nan, math.nan)


class MOPO:
    """MOPO on one dataset, resumable between epochs.

    Args:
        config: every coefficient.
        transitions: the dataset.
        termination_fn: says which next states of the model end the task.
        environments: ``config.eval_n_episodes`` real environments for evaluation; none: no
            evaluation.
        seed: of every random stream.
        reference_scores: returns of a random policy and of an expert, for the normalised score.
        progress: told of what goes on.

    Attributes:
        epoch: policy-training epochs done.
        model_trained: whether ``train_model`` or ``use_model`` was called.

    Original: mopo/algorithms/mopo.py:MOPO
    """

    def __init__(
        self,
        config: MOPOConfig,
        transitions: Transitions,
        termination_fn: TerminationFn,
        *,
        environments: Sequence[gymnasium.Env[Any, Any]] = (),
        seed: int = 0,
        reference_scores: tuple[float, float] = UNKNOWN_SCORES,
        progress: Progress | None = None,
    ):
        self.config, self.seed = config, seed
        self.environments, self.reference_scores = environments, reference_scores
        self.progress = progress or NoProgress()
        self.environment_pool = pool_of(transitions, config.pool_max_size)
        obs_dim, act_dim = transitions.observations.shape[1], transitions.actions.shape[1]
        self.streams = random_streams(seed)
        seeds = self.streams.weight_seeds
        self.ensemble = GaussianEnsemble(obs_dim, act_dim, config.ensemble, seeds["ensemble"])
        self.sac = SAC(
            obs_dim,
            act_dim,
            config.sac,
            policy_seed=seeds["policy"],
            critics_seed=seeds["critics"],
        )
        self.model_pool = ReplayPool(config.model_pool_capacity, obs_dim, act_dim)
        self.model_environment = ModelEnvironment(
            self.ensemble,
            termination_fn,
            penalty_coeff=config.penalty_coeff,
            penalty_learned_var=config.penalty_learned_var,
            chunk_size=config.rollout_chunk_size,
        )
        self._deterministic_actions = deterministic_actions(
            self.sac.policy, max(len(environments), 1)
        )
        self.epoch = 0
        self.train_steps = 0
        self.model_trained = False
        self.model_metrics = {"model/val_loss": math.nan, "times/epoch_train_model": 0.0}

    def train_model(self, max_epochs: int | None = None) -> None:
        """Train the ensemble on the dataset; ``max_epochs`` None takes the configuration's.

        Original: mopo/algorithms/mopo.py:MOPO._train_model
        """
        started = time.monotonic()
        trainer = EnsembleTrainer(self.ensemble)
        result = trainer.train(
            self.environment_pool.stored(),
            self.streams.host,
            max_epochs=max_epochs,
            progress=self.progress,
        )
        self._accept_model(result.val_loss, time.monotonic() - started)

    def use_model(self, val_loss: float) -> None:
        """Go on with weights, scaler and elites that were put into ``ensemble`` from elsewhere.

        D-14: the original trains a loaded model for one more epoch, with another hold-out and
        scaler; here that is ``model_loaded_max_epochs``, 0 by default.

        Args:
            val_loss: what its training found.
        """
        if self.config.ensemble.model_loaded_max_epochs:
            self.train_model(self.config.ensemble.model_loaded_max_epochs)
        else:
            self._accept_model(val_loss, 0.0)

    def _accept_model(self, val_loss: float, seconds: float) -> None:
        self.model_metrics = {"model/val_loss": val_loss, "times/epoch_train_model": seconds}
        self.model_trained = True

    def train(self) -> Iterator[dict[str, float]]:
        """Train the model if need be, then the policy; yield one dict of metrics per epoch.

        Between two of them the object is at rest and can be saved (``arrays``, ``counters``).

        Raises:
            DivergenceError: if a loss becomes NaN or infinite.

        Original: mopo/algorithms/mopo.py:MOPO._train
        """
        if not self.model_trained:
            self.train_model()
        while self.epoch < self.config.n_epochs:
            self.progress.epoch_started(self.epoch, self.config.n_epochs)
            metrics = self._train_epoch()
            self.epoch += 1
            self.progress.epoch_finished(self.epoch - 1, metrics)
            yield metrics

    def _train_epoch(self) -> dict[str, float]:
        config, clock, started = self.config, Stopwatch(), time.monotonic()
        rollout_metrics = dict.fromkeys(ROLLOUT_KEYS, math.nan)
        for first in range(0, config.epoch_length, config.model_train_freq):
            last = min(first + config.model_train_freq, config.epoch_length)
            if config.real_ratio < 1.0:
                with clock.measure("times/epoch_rollout_model"):
                    rollout_metrics = self._roll_out_model()
            with clock.measure("times/train"):
                self._update_policy(first, last)
        with clock.measure("times/evaluation_paths"):
            evaluation = self._evaluate()
        diagnostics = self._diagnostics()
        refuse_divergence(diagnostics, self.epoch)
        # D-30: what the original logs and offline training leaves empty is not here.
        times = {**clock.seconds, "times/epoch": time.monotonic() - started}
        return {
            **diagnostics,
            **evaluation,
            **self.model_metrics,
            **rollout_metrics,
            **times,
            "sampler/pool-size": float(self.environment_pool.size),
            "epoch": float(self.epoch),
            "timestep": float(config.epoch_length),
            "timesteps_total": float((self.epoch + 1) * config.epoch_length),
            "train-steps": float(self.train_steps),
        }

    def _roll_out_model(self) -> dict[str, float]:
        """Fill the model pool with one round of rollouts; return its statistics.

        Original: mopo/algorithms/mopo.py:MOPO._rollout_model
        """
        config = self.config
        starts = rollout_starts(self.environment_pool, config.rollout_batch_size, self.streams.host)
        statistics = RolloutStatistics(config.rollout_batch_size, config.penalty_coeff)
        for step in branched_rollouts(
            self.model_environment,
            self._sample_actions,
            starts,
            config.rollout_length,
            self.streams.host,
            deterministic=config.ensemble.deterministic,
            progress=self.progress,
        ):
            self.model_pool.add(step.transitions)
            statistics.add(step)
        return statistics.metrics()

    def _sample_actions(self, observations: FloatArray) -> FloatArray:
        latents = self._device_normal((len(observations), self.sac.act_dim)).numpy()
        return self.sac.sample_actions(observations, latents, self.config.rollout_chunk_size)

    def _device_normal(self, shape: tuple[int, ...]) -> tf.Tensor:
        return self.streams.device.normal(shape, dtype=tf.float32)

    def _update_policy(self, first: int, last: int) -> None:
        """Take the SAC updates of timesteps ``first`` to ``last`` - 1 of this epoch.

        Original: softlearning/algorithms/rl_algorithm.py:RLAlgorithm._do_training_repeats
        """
        config = self.config
        due = [t for t in range(first, last) if t % config.train_every_n_steps == 0]
        # A move of the target critics depends on the timestep, not on the count of updates.
        tau = np.array(
            [
                config.sac.tau if t % config.sac.target_update_interval == 0 else 0.0
                for t in due
                for _ in range(config.n_train_repeat)
            ],
            np.float32,
        )
        for start in range(0, len(tau), config.sac.updates_per_call):
            block = tau[start : start + config.sac.updates_per_call]
            noise_shape = (len(block), config.sac.batch_size, self.sac.act_dim)
            noise, next_noise = self._device_normal(noise_shape), self._device_normal(noise_shape)
            self.sac.update_block(self._batches(len(block)), noise, next_noise, block)
            self.train_steps += len(block)
            self.progress.updates(start + len(block), len(tau))

    def _batches(self, count: int) -> Transitions:
        """Draw ``count`` stacked training batches."""
        return mixed_batches(
            self.environment_pool,
            self.model_pool if self.config.real_ratio < 1.0 else None,
            self.streams.host,
            count=count,
            batch_size=self.config.sac.batch_size,
            real_ratio=self.config.real_ratio,
        )

    def _diagnostics(self) -> dict[str, float]:
        """Describe critics and policy on a fresh training batch (Q-86).

        Original: softlearning/algorithms/rl_algorithm.py:RLAlgorithm._evaluation_batch
        """
        batch = Transitions(*(column[0] for column in self._batches(1)))
        shape = (self.config.sac.batch_size, self.sac.act_dim)
        return self.sac.diagnostics(batch, self._device_normal(shape), self._device_normal(shape))

    def _evaluate(self) -> dict[str, float]:
        """Run the evaluation episodes of this epoch; nan for everything without environments."""
        if not self.environments:
            return dict.fromkeys(EVALUATION_KEYS, math.nan)
        episodes = run_episodes(
            self._deterministic_actions if self.config.eval_deterministic else self._sample_actions,
            self.environments,
            evaluation_seeds(self.seed, self.epoch, len(self.environments)),
            max_path_length=self.config.max_path_length,
            on_step=self.progress.evaluation_step,
        )
        statistics = return_statistics(episodes)
        average = statistics["evaluation/return-average"]
        return {
            **statistics,
            "evaluation/normalized-score": normalized_score(average, *self.reference_scores),
            # viskit's first page shows this column; offline training has no returns of its own.
            "training/return-average": average,
        }

    def arrays(self) -> dict[str, np.ndarray]:
        """Return everything numeric that a resumed run needs, by name: a checkpoint's arrays.

        D-31: the original saves neither ensemble, model pool nor target critics (Q-84).

        Original: examples/development/main.py:ExperimentRunner.picklables
        """
        saved = {f"model/{k}": v.numpy() for k, v in self.ensemble.named_variables().items()}
        saved.update({f"sac/{k}": np.asarray(v) for k, v in self.sac.named_variables().items()})
        pools = {"environment_pool": self.environment_pool, "model_pool": self.model_pool}
        for pool_name, pool in pools.items():
            for field, column in pool.stored()._asdict().items():
                saved[f"{pool_name}/{field}"] = column
        saved["random/device"] = self.streams.device.state.numpy()
        saved["random/host"] = self.streams.host.get_state(legacy=False)["state"]["key"]
        return saved

    def counters(self) -> dict[str, Any]:
        """Return the plain numbers that belong to ``arrays``."""
        host = self.streams.host.get_state(legacy=False)
        return {
            "epoch": self.epoch,
            "train_steps": self.train_steps,
            "model_trained": self.model_trained,
            "model_metrics": self.model_metrics,
            "elites": self.ensemble.elites,
            "environment_pool_pointer": self.environment_pool.pointer,
            "model_pool_pointer": self.model_pool.pointer,
            "random_host": {
                "position": host["state"]["pos"],
                "has_gauss": host["has_gauss"],
                "gauss": host["gauss"],
            },
        }

    def restore(self, arrays: dict[str, np.ndarray], counters: dict[str, Any]) -> None:
        """Put back what ``arrays`` and ``counters`` gave.

        Raises:
            KeyError: if an array or counter is missing.
            ValueError: if one has another shape, e.g. because the configuration differs.
        """
        for prefix, variables in (
            ("model", self.ensemble.named_variables()),
            ("sac", self.sac.named_variables()),
        ):
            for name, variable in variables.items():
                variable.assign(arrays[f"{prefix}/{name}"])
        pools = {"environment_pool": self.environment_pool, "model_pool": self.model_pool}
        for name, pool in pools.items():
            stored = Transitions(*(arrays[f"{name}/{field}"] for field in Transitions._fields))
            pool.restore(stored, counters[f"{name}_pointer"])
        self.streams.device.state.assign(arrays["random/device"])
        host = counters["random_host"]
        self.streams.host.set_state(
            ("MT19937", arrays["random/host"], host["position"], host["has_gauss"], host["gauss"])
        )
        self.epoch, self.train_steps = counters["epoch"], counters["train_steps"]
        self.ensemble.elites = list(counters["elites"])
        self.model_metrics = dict(counters["model_metrics"])
        self.model_trained = counters["model_trained"]

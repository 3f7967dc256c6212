"""The base class of all offline methods: data, epochs, evaluation, resumption."""

import abc
import math
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, ClassVar, Protocol

import gymnasium
import keras
import numpy as np
import tensorflow as tf

from mopo_tf2.algorithms.epoch_metrics import EVALUATION_KEYS, Stopwatch, refuse_divergence
from mopo_tf2.config import LoopConfig
from mopo_tf2.data.batches import mixed_batches
from mopo_tf2.data.replay_pool import pool_of
from mopo_tf2.evaluation.episodes import evaluation_seeds, run_episodes
from mopo_tf2.evaluation.metrics import normalized_score, return_statistics
from mopo_tf2.networks.acting import ExportablePolicy
from mopo_tf2.progress import NoProgress, Progress
from mopo_tf2.seeding import random_streams, set_state, state_of
from mopo_tf2.types import FloatArray, PolicyFn, TerminationFn, Transitions

UNKNOWN_SCORES = (math.nan, math.nan)
_MODEL_TRAINING = "model_training"


class ModelTrainer(Protocol):
    """Trains a model; between two epochs its state can be saved and loaded."""

    def arrays(self) -> dict[str, np.ndarray]:
        """Return every array, beside the model's, that an unfinished training continues with."""

    def counters(self) -> dict[str, Any]:
        """Return the plain values that belong to ``arrays``; empty between two trainings."""

    def load(self, arrays: dict[str, np.ndarray], counters: dict[str, Any]) -> None:
        """Let the training continue what ``arrays`` and ``counters`` describe."""


class OfflineAlgorithm(abc.ABC):
    """A method on one dataset, resumable between epochs.

    Args:
        config: every coefficient.
        transitions: the dataset.
        termination_fn: decides which next states of a learned model end the task.
        environments: ``config.eval_n_episodes`` real environments for evaluation; without any,
            nothing is evaluated.
        seed: of every random stream.
        reference_scores: returns of a random policy and of an expert, for the normalised score.
        progress: receives progress callbacks.

    Attributes:
        epoch: number of policy-training epochs done.
        train_steps: number of gradient steps done on the policy.
        model_trained: whether all work before the first epoch is done.

    Original: softlearning/algorithms/rl_algorithm.py:RLAlgorithm
    """

    needs_model: ClassVar[bool] = False
    """Whether ``train_model`` or ``use_model`` must run before the first epoch."""

    def __init__(
        self,
        config: LoopConfig,
        transitions: Transitions,
        termination_fn: TerminationFn,
        *,
        environments: Sequence[gymnasium.Env[Any, Any]] = (),
        seed: int = 0,
        reference_scores: tuple[float, float] = UNKNOWN_SCORES,
        progress: Progress | None = None,
    ):
        self.config, self.seed, self.termination_fn = config, seed, termination_fn
        self.environments, self.reference_scores = environments, reference_scores
        self.progress = progress or NoProgress()
        self.environment_pool = pool_of(transitions, config.pool_max_size)
        self.obs_dim, self.act_dim = (
            transitions.observations.shape[1],
            transitions.actions.shape[1],
        )
        self.streams = random_streams(seed)
        self.epoch, self.train_steps = 0, 0
        self.model_trained = not self.needs_model
        self._trainer: ModelTrainer | None = None  # While the model is in training.
        self.model_metrics = {"model/val_loss": math.nan, "times/epoch_train_model": 0.0}

    @property
    @abc.abstractmethod
    def policy(self) -> ExportablePolicy:
        """The policy that is evaluated and exported."""

    @abc.abstractmethod
    def named_variables(self) -> dict[str, keras.Variable]:
        """Return every variable that training changes, by its name in checkpoints."""

    @abc.abstractmethod
    def _train_one_epoch(self, clock: Stopwatch) -> tuple[dict[str, Any], dict[str, float]]:
        """Train for one epoch.

        Args:
            clock: measures the parts of the epoch.

        Returns:
            Diagnostics, scalars that must be finite, and other metrics, which may be nan.
        """

    def train_model(
        self, max_epochs: int | None = None, *, after_epoch: Callable[[], None] = lambda: None
    ) -> None:
        """Do the work before the first epoch.

        Args:
            max_epochs: None takes the configuration's.
            after_epoch: called between two epochs of the model, when the object can be saved.
        """
        raise NotImplementedError(f"{type(self).__name__} trains no model.")

    def _make_trainer(self) -> ModelTrainer:
        """Return what trains the model."""
        raise NotImplementedError(f"{type(self).__name__} trains no model.")

    def use_model(self, val_loss: float) -> None:
        """Continue with a model that was loaded into this object; ``val_loss`` is its loss."""
        self._accept_model(val_loss, 0.0)

    def _accept_model(self, val_loss: float, seconds: float) -> None:
        self.model_metrics = {"model/val_loss": val_loss, "times/epoch_train_model": seconds}
        self.model_trained = True

    def train(self) -> Iterator[dict[str, float]]:
        """Train the model if necessary, then the policy; yield one dict of metrics per epoch.

        Between two epochs the object can be saved (``arrays``, ``counters``).

        Raises:
            DivergenceError: if a loss becomes NaN or infinite.

        Original: mopo/algorithms/mopo.py:MOPO._train
        """
        if not self.model_trained:
            self.train_model()
        while self.epoch < self.config.n_epochs:
            self.progress.epoch_started(self.epoch, self.config.n_epochs)
            metrics = self._run_epoch()
            self.epoch += 1
            self.progress.epoch_finished(self.epoch - 1, metrics)
            yield metrics

    def _run_epoch(self) -> dict[str, float]:
        clock, started = Stopwatch(), time.monotonic()
        diagnostics, others = self._train_one_epoch(clock)
        diagnostics = {name: float(value) for name, value in diagnostics.items()}
        refuse_divergence(diagnostics, self.epoch)
        with clock.measure("times/evaluation_paths"):
            evaluation = self._evaluate()
        # D-30: metrics of the original that are empty in offline training are left out.
        times = {**clock.seconds, "times/epoch": time.monotonic() - started}
        return {
            **diagnostics,
            **evaluation,
            **self.model_metrics,
            **others,
            **times,
            "sampler/pool-size": float(self.environment_pool.size),
            "epoch": float(self.epoch),
            "timestep": float(self.config.epoch_length),
            "timesteps_total": float((self.epoch + 1) * self.config.epoch_length),
            "train-steps": float(self.train_steps),
        }

    def _step_blocks(self, total: int, size: int) -> Iterator[tuple[int, int]]:
        """Cut ``total`` gradient steps into blocks of ``size``; yield each one's start and length.
        A block is counted and reported once it is done.
        """
        for first in range(0, total, size):
            count = min(size, total - first)
            yield first, count
            self.train_steps += count
            self.progress.updates(first + count, total)

    def _dataset_batches(self, count: int, batch_size: int) -> Transitions:
        """Draw ``count`` stacked batches from the dataset alone."""
        return mixed_batches(
            self.environment_pool,
            None,
            self.streams.host,
            count=count,
            batch_size=batch_size,
            real_ratio=1.0,
        )

    def _device_normal(self, shape: tuple[int, ...]) -> tf.Tensor:
        return self.streams.device.normal(shape, dtype=tf.float32)

    def _evaluation_policy(self) -> PolicyFn:
        """Return the policy for this epoch's episodes, compiled for one row per episode."""
        rows = max(len(self.environments) or self.config.eval_n_episodes, 1)
        if not self.config.eval_deterministic:
            return lambda observations: self._sample_actions(observations, rows)
        seed = np.random.SeedSequence([self.seed, self.epoch]).generate_state(1)[0]
        return self.policy.acting(rows, int(seed))

    def _sample_actions(self, observations: FloatArray, chunk_size: int) -> FloatArray:
        """Return actions of the stochastic policy, from the run's own stream of noise.

        Args:
            observations: [B, O].
            chunk_size: rows per compiled call.
        """
        raise NotImplementedError(f"{type(self).__name__} has no stochastic policy.")

    def _evaluate(self) -> dict[str, float]:
        """Run this epoch's evaluation episodes; every value is nan without environments."""
        if not self.environments:
            return dict.fromkeys(EVALUATION_KEYS, math.nan)
        episodes = run_episodes(
            self._evaluation_policy(),
            self.environments,
            evaluation_seeds(self.seed, self.epoch, len(self.environments)),
            max_path_length=self.config.max_path_length,
            on_step=self.progress.evaluation_step,
        )
        self.progress.distribution("evaluation/return", episodes.returns)
        statistics = return_statistics(episodes)
        average = statistics["evaluation/return-average"]
        return {
            **statistics,
            "evaluation/normalized-score": normalized_score(average, *self.reference_scores),
            # viskit's first page shows this column; offline training collects no returns.
            "training/return-average": average,
        }

    def arrays(self) -> dict[str, np.ndarray]:
        """Return every array that a resumed run needs beside its dataset, by name.

        The dataset never changes, so a checkpoint does not hold it: the caller gives the same one
        to the constructor.

        Original: examples/development/main.py:ExperimentRunner.picklables
        """
        saved = {name: np.asarray(v) for name, v in self.named_variables().items()}
        saved["random/device"] = self.streams.device.state.numpy()
        saved["random/host"], _ = state_of(self.streams.host)
        if self._trainer is not None:
            for name, array in self._trainer.arrays().items():
                saved[f"{_MODEL_TRAINING}/{name}"] = array
        return saved

    def counters(self) -> dict[str, Any]:
        """Return the plain values that belong to ``arrays``."""
        return {
            "epoch": self.epoch,
            "train_steps": self.train_steps,
            "model_trained": self.model_trained,
            "model_metrics": self.model_metrics,
            _MODEL_TRAINING: self._trainer.counters() if self._trainer is not None else {},
            "random_host": state_of(self.streams.host)[1],
        }

    def restore(self, arrays: dict[str, np.ndarray], counters: dict[str, Any]) -> None:
        """Restore what ``arrays`` and ``counters`` returned, in an object with the same dataset.

        Older checkpoints also hold the dataset, which is ignored.

        Raises:
            KeyError: if an array or counter is missing.
            ValueError: if an array has another shape, e.g. because the configuration differs.
            TypeError, AttributeError: if a counter is of another type.
        """
        for name, variable in self.named_variables().items():
            variable.assign(arrays[name])
        self.streams.device.state.assign(arrays["random/device"])
        set_state(self.streams.host, arrays["random/host"], counters["random_host"])
        self.epoch, self.train_steps = int(counters["epoch"]), int(counters["train_steps"])
        self.model_metrics = {k: float(v) for k, v in counters["model_metrics"].items()}
        self.model_trained = bool(counters["model_trained"])
        if counters.get(_MODEL_TRAINING):
            self._trainer, prefix = self._make_trainer(), f"{_MODEL_TRAINING}/"
            saved = {k.removeprefix(prefix): v for k, v in arrays.items() if k.startswith(prefix)}
            self._trainer.load(saved, counters[_MODEL_TRAINING])

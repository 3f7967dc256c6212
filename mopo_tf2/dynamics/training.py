"""Training of the ensemble: hold-out split, bootstraps, epochs, early stop, elites."""

import dataclasses
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from mopo_tf2.config import EnsembleConfig
from mopo_tf2.dynamics.ensemble import GaussianEnsemble
from mopo_tf2.dynamics.snapshots import Snapshots, select_elites
from mopo_tf2.errors import DivergenceError, InputError
from mopo_tf2.gradient_steps import (
    CompiledSteps,
    adam,
    load_optimizers,
    optimizer_arrays,
    tf_values,
)
from mopo_tf2.progress import NoProgress, Progress
from mopo_tf2.seeding import random_state_from, state_of
from mopo_tf2.types import Transitions

_EVALUATION_CHUNK = 4096


class HoldoutSplit(NamedTuple):
    """Rows for training and held-out rows; inputs [., O + A], targets [., 1 + O] float32."""

    inputs: np.ndarray
    targets: np.ndarray
    holdout_inputs: np.ndarray
    holdout_targets: np.ndarray


class TrainingResult(NamedTuple):
    """The result of training an ensemble.

    val_loss: mean hold-out MSE of the elites, snapshots restored, (reward units, O units)^2.
    holdout_losses: [E] float32, hold-out MSE of each member, snapshots restored.
    elites: members by hold-out loss, best first.
    epochs: number of epochs trained.
    seconds: spent on the epochs, those before an interruption included.
    """

    val_loss: float
    holdout_losses: np.ndarray
    elites: list[int]
    epochs: int
    seconds: float


def format_samples(transitions: Transitions) -> tuple[np.ndarray, np.ndarray]:
    """Return inputs [N, O + A] (s, a) and targets [N, 1 + O] (reward, s' - s), float32.

    Original: mopo/models/constructor.py:format_samples_for_training
    """
    deltas = transitions.next_observations - transitions.observations
    inputs = np.concatenate([transitions.observations, transitions.actions], axis=-1)
    return inputs, np.concatenate([transitions.rewards, deltas], axis=-1)


def holdout_rows(
    random_state: np.random.RandomState, rows: int, config: EnsembleConfig
) -> tuple[np.ndarray, np.ndarray]:
    """Return the held-out ones of ``rows`` indices and the others; see ``split_holdout``."""
    count = min(int(rows * config.model_holdout_ratio), config.model_max_holdout)
    permutation = random_state.permutation(rows)
    return permutation[:count], permutation[count:]


def split_holdout(
    random_state: np.random.RandomState,
    inputs: np.ndarray,
    targets: np.ndarray,
    config: EnsembleConfig,
) -> HoldoutSplit:
    """Hold out min(N * holdout ratio, cap) random rows (Q-06). Draws one permutation.

    Original: mopo/models/bnn.py:BNN.train
    """
    held, kept = holdout_rows(random_state, len(inputs), config)
    return HoldoutSplit(inputs[kept], targets[kept], inputs[held], targets[held])


def shuffle_rows(indices: np.ndarray, random_state: np.random.RandomState) -> np.ndarray:
    """Shuffle each row of [E, N] on its own, by sorting uniforms (Q-08).

    Original: mopo/models/bnn.py:BNN.train.shuffle_rows
    """
    order = np.argsort(random_state.uniform(size=indices.shape), axis=-1)
    return np.take_along_axis(indices, order, axis=-1)


@dataclasses.dataclass
class Schedule:
    """Where a training stands between two epochs.

    indices: [E, n] int32 or int64, the bootstraps in the order of the next epoch.
    epoch: number of epochs done.
    seconds: spent on them.
    split_state: of the random state before the split was drawn; see ``seeding.state_of``.
    """

    indices: np.ndarray
    snapshots: Snapshots
    epoch: int
    seconds: float
    split_state: tuple[np.ndarray, dict[str, Any]]


class EnsembleTrainer:
    """Adam on the ensemble's objective, several gradient steps per compiled call.

    Between two epochs a training can be saved (``arrays``, ``counters``), together with the
    ensemble's variables and the random state. ``train`` then continues it.

    Args:
        ensemble: trained in place.

    Original: mopo/models/bnn.py:BNN.finalize; mopo/models/bnn.py:BNN.train
    """

    def __init__(self, ensemble: GaussianEnsemble):
        self.ensemble = ensemble
        self.config = ensemble.config
        self.optimizer = adam(self.config.model_lr, ensemble.trainable_variables)
        self._steps = CompiledSteps(self._step)
        self._compiled_squared_error = tf.function(ensemble.squared_error, jit_compile=True)
        self._schedule: Schedule | None = None

    def gradients(self, inputs: tf.Tensor, targets: tf.Tensor) -> list[tf.Tensor | None]:
        """Gradients of the objective, one per trainable variable; None if it does not depend on it.

        Args:
            inputs: [E, B, O + A] float32.
            targets: [E, B, 1 + O] float32.
        """
        with tf.GradientTape() as tape:
            objective = self.ensemble.objective(inputs, targets)
        return tape.gradient(objective, tf_values(self.ensemble.trainable_variables))

    def _step(self, inputs: tf.Tensor, targets: tf.Tensor) -> None:
        gradients = self.gradients(inputs, targets)
        pairs = zip(gradients, self.ensemble.trainable_variables, strict=True)
        self.optimizer.apply_gradients([(g, v) for g, v in pairs if g is not None])

    def steps(self, inputs: np.ndarray, targets: np.ndarray) -> None:
        """Take one gradient step per leading row: K batches in one compiled call.

        Args:
            inputs: [K, E, B, O + A] float32.
            targets: [K, E, B, 1 + O] float32.
        """
        self._steps(inputs, targets)

    def holdout_losses(self, inputs: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """Mean squared error [E] float32 on rows [N, .] that all members share.

        In chunks, so that memory does not grow with the dataset where nothing is held out.
        """
        total = np.zeros(self.config.num_networks)
        for start in range(0, len(inputs), _EVALUATION_CHUNK):
            rows = slice(start, start + _EVALUATION_CHUNK)
            losses = self._compiled_squared_error(inputs[rows], targets[rows]).numpy()
            total += len(inputs[rows]) * losses.astype(np.float64)
        # Exact for a single chunk: float64 holds the product of a float32 and a row count.
        return (total / len(inputs)).astype(np.float32)

    def train(
        self,
        transitions: Transitions,
        random_state: np.random.RandomState,
        *,
        max_epochs: int | None = None,
        progress: Progress | None = None,
        after_epoch: Callable[[], None] = lambda: None,
    ) -> TrainingResult:
        """Train on ``transitions`` until no member improves; see ``train_on``."""
        return self.train_on(
            *format_samples(transitions),
            random_state,
            max_epochs=max_epochs,
            progress=progress,
            after_epoch=after_epoch,
        )

    def train_on(
        self,
        inputs: np.ndarray,
        targets: np.ndarray,
        random_state: np.random.RandomState,
        *,
        max_epochs: int | None = None,
        progress: Progress | None = None,
        after_epoch: Callable[[], None] = lambda: None,
    ) -> TrainingResult:
        """Train until early stopping, ``max_epochs`` or ``max_model_t``; choose the elites.

        Draws, in this order: a permutation [N], bootstraps [E, n], and uniforms [E, n] after each
        epoch. The first epoch runs in bootstrap order, and the last one too ends with a shuffle
        (Q-08, Q-16).

        Args:
            inputs: [N, O + A] float32.
            targets: [N, 1 + O] float32, (reward, delta observation).
            random_state: advanced as described.
            max_epochs: None takes ``config.model_max_epochs``.
            progress: receives progress callbacks.
            after_epoch: called between two epochs, when the training can be saved.

        Raises:
            InputError: if there are too few rows to train on, or to hold any out.
            DivergenceError: if a hold-out loss becomes NaN or infinite.

        Original: mopo/models/bnn.py:BNN.train
        """
        config, progress = self.config, progress or NoProgress()
        max_epochs = config.model_max_epochs if max_epochs is None else max_epochs
        split, schedule = self._start_or_continue(inputs, targets, random_state)
        while True:
            started = time.monotonic()
            self._train_epoch(split, schedule.indices, schedule.epoch, progress)
            schedule.indices = shuffle_rows(schedule.indices, random_state)
            stop = self._end_epoch(split, schedule.snapshots, schedule.epoch, max_epochs, progress)
            schedule.epoch += 1
            schedule.seconds += time.monotonic() - started
            late = config.max_model_t and schedule.seconds > config.max_model_t
            if stop or late or (max_epochs is not None and schedule.epoch >= max_epochs):
                break
            after_epoch()
        self._schedule = None
        return self._finish(split, schedule)

    def _start_or_continue(
        self, inputs: np.ndarray, targets: np.ndarray, random_state: np.random.RandomState
    ) -> tuple[HoldoutSplit, Schedule]:
        """Draw split and bootstraps, or only repeat the split of the training that was loaded."""
        config = self.config
        if self._schedule is not None:
            repeated = random_state_from(*self._schedule.split_state)
            return split_holdout(repeated, inputs, targets, config), self._schedule
        split_state = state_of(random_state)
        split = split_holdout(random_state, inputs, targets, config)
        if not len(split.inputs) or (config.model_holdout_ratio and not len(split.holdout_inputs)):
            raise InputError(
                f"{len(inputs)} rows are too few for model_holdout_ratio = "
                f"{config.model_holdout_ratio}: give more data or change the ratio."
            )
        self.ensemble.scaler.fit(split.inputs)
        rows = len(split.inputs)
        indices = random_state.randint(rows, size=[config.num_networks, rows])
        self._schedule = Schedule(indices, self._new_snapshots(), 0, 0.0, split_state)
        return split, self._schedule

    def _new_snapshots(self) -> Snapshots:
        patience = self.config.model_max_epochs_since_update
        return Snapshots(self.ensemble.member_variables, patience)

    def arrays(self) -> dict[str, np.ndarray]:
        """Return every array, beside the ensemble's, that an unfinished training continues with.

        Nothing before the first epoch's end and after the last one's.
        """
        if self._schedule is None:
            return {}
        return {
            "indices": self._schedule.indices,
            "split": self._schedule.split_state[0],
            **optimizer_arrays([self.optimizer]),
            **self._schedule.snapshots.arrays(),
        }

    def counters(self) -> dict[str, Any]:
        """Return the plain values that belong to ``arrays``."""
        if self._schedule is None:
            return {}
        return {
            "epoch": self._schedule.epoch,
            "epochs_since_update": self._schedule.snapshots.epochs_since_update,
            "seconds": self._schedule.seconds,
            "split": self._schedule.split_state[1],
        }

    def load(self, arrays: dict[str, np.ndarray], counters: dict[str, Any]) -> None:
        """Let ``train`` continue what ``arrays`` and ``counters`` describe."""
        load_optimizers([self.optimizer], arrays)
        snapshots = self._new_snapshots()
        snapshots.load(arrays, counters["epochs_since_update"])
        self._schedule = Schedule(
            arrays["indices"],
            snapshots,
            counters["epoch"],
            counters["seconds"],
            (arrays["split"], counters["split"]),
        )

    def _train_epoch(
        self, split: HoldoutSplit, indices: np.ndarray, epoch: int, progress: Progress
    ) -> None:
        """Take one pass over the bootstraps; the short last batch trains too (Q-16)."""
        batch_size = self.config.model_batch_size
        members, rows = indices.shape
        full, total = rows // batch_size, -(-rows // batch_size)
        for start in range(0, full, self.config.model_steps_per_call):
            count = min(self.config.model_steps_per_call, full - start)
            window = indices[:, start * batch_size : (start + count) * batch_size]
            chosen = window.reshape(members, count, batch_size).swapaxes(0, 1)
            self.steps(split.inputs[chosen], split.targets[chosen])
            progress.model_step(epoch, start + count, total)
        if full < total:
            chosen = indices[None, :, full * batch_size :]
            self.steps(split.inputs[chosen], split.targets[chosen])
            progress.model_step(epoch, total, total)

    def _end_epoch(
        self,
        split: HoldoutSplit,
        snapshots: Snapshots,
        epoch: int,
        max_epochs: int | None,
        progress: Progress,
    ) -> bool:
        """Evaluate, keep snapshots, report; return whether to stop early.

        D-12: the original also evaluates 1000 training rows, for display only.
        """
        if not len(split.holdout_inputs):
            return False
        losses = self.holdout_losses(split.holdout_inputs, split.holdout_targets)
        if not np.all(np.isfinite(losses)):
            # D-13: the original fails with a KeyError here.
            member = int(np.flatnonzero(~np.isfinite(losses))[0])
            raise DivergenceError(
                f"model training diverged: the hold-out loss of member {member} is "
                f"{losses[member]} after epoch {epoch}. Check the scale of the data or lower "
                "model_lr; this model was not kept."
            )
        stop = snapshots.update(epoch, losses)
        progress.model_epoch(
            epoch,
            losses,
            snapshots.epochs_since_update,
            self.config.model_max_epochs_since_update,
            max_epochs,
        )
        return stop

    def _finish(self, split: HoldoutSplit, schedule: Schedule) -> TrainingResult:
        """Restore the best weights and choose the elites by their hold-out losses."""
        if len(split.holdout_inputs):
            schedule.snapshots.restore()
            losses = self.holdout_losses(split.holdout_inputs, split.holdout_targets)
        else:
            # D-11: without held-out rows the last weights stay, and the members are ranked on the
            # training rows.
            losses = self.holdout_losses(split.inputs, split.targets)
        num_elites = self.config.num_elites
        self.ensemble.elites = select_elites(losses, num_elites)
        val_loss = float(np.sort(losses)[:num_elites].mean())
        elites = self.ensemble.elites
        return TrainingResult(val_loss, losses, elites, schedule.epoch, schedule.seconds)

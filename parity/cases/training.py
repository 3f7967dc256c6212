"""Whole trainings of the ensemble from a NumPy seed."""

from collections.abc import Iterator
from typing import Any

import keras
import numpy as np

from mopo_tf2.dynamics.ensemble import GaussianEnsemble
from mopo_tf2.dynamics.snapshots import INITIAL_BEST_LOSS, MIN_IMPROVEMENT, Snapshots
from mopo_tf2.dynamics.training import EnsembleTrainer, HoldoutSplit, Schedule, TrainingResult
from mopo_tf2.progress import NoProgress

from ..comparison import Comparison, Finding, NotCompared, compare, compare_values
from ..loading import (
    ENSEMBLE_ARRAYS,
    below,
    build_ensemble,
    compare_ensemble,
    load_ensemble,
    recorded_ensemble,
)
from ..recording import Recording
from ..registry import Case

ROUNDING_OF_IMPROVEMENT = 2e-5
"""Where an improvement is this close to the 1 % rule, rounding may decide."""


class _History(NoProgress):
    """Keeps what every epoch found."""

    def __init__(self) -> None:
        self.holdout_losses: list[np.ndarray] = []
        self.epochs_since_update: list[int] = []

    def model_epoch(
        self,
        epoch: int,
        holdout_losses: np.ndarray,
        epochs_since_update: int,
        max_epochs_since_update: int,
        max_epochs: int | None,
    ) -> None:
        """Take down the losses and the patience used."""
        self.holdout_losses.append(holdout_losses)
        self.epochs_since_update.append(epochs_since_update)


class _WatchedTrainer(EnsembleTrainer):
    """Keeps the split and the snapshots of its training."""

    split: HoldoutSplit
    snapshots: Snapshots

    def _finish(self, split: HoldoutSplit, schedule: Schedule) -> TrainingResult:
        self.split, self.snapshots = split, schedule.snapshots
        return super()._finish(split, schedule)


class _WatchedRandomState(np.random.RandomState):
    """Keeps the first permutation and the first integers that are drawn from it."""

    permuted: np.ndarray
    integers: np.ndarray

    def permutation(self, x: Any) -> Any:
        """Draw and keep a permutation."""
        drawn = super().permutation(x)
        self.__dict__.setdefault("permuted", drawn)
        return drawn

    def randint(self, *args: Any, **kwargs: Any) -> Any:
        """Draw and keep integers."""
        drawn = super().randint(*args, **kwargs)
        self.__dict__.setdefault("integers", drawn)
        return drawn


def _replay(recording: Recording) -> Iterator[Finding]:
    yield from _stop_rule(recording)
    initial = recorded_ensemble(recording, "initial")
    ensemble = build_ensemble(
        initial,
        num_networks=recording.integer("num_networks"),
        num_elites=recording.integer("num_elites"),
        hidden_dim=recording.integer("hidden_dim"),
        model_batch_size=recording.integer("batch_size"),
        model_holdout_ratio=recording.number("holdout_ratio"),
        model_max_epochs=recording.optional_integer("max_epochs"),
        model_max_epochs_since_update=recording.integer("max_epochs_since_update"),
    )
    yield from load_ensemble(ensemble, initial, "initial")
    trainer, history = _WatchedTrainer(ensemble), _History()
    random_state = _WatchedRandomState(recording.integer("numpy_seed"))
    result = trainer.train_on(
        recording["inputs"], recording["targets"], random_state, progress=history
    )
    yield from _draws(recording, random_state, trainer.split)
    yield from _outcome(recording, trainer, result, history)


def _stop_rule(recording: Recording) -> Iterator[Comparison]:
    """Feed the recorded hold-out losses to the port's own rule."""
    losses = recording["epoch_holdout_losses"]
    variable = keras.Variable(np.zeros((losses.shape[1], 1)), dtype="float32")
    snapshots = Snapshots([variable], recording.integer("max_epochs_since_update"))
    stops, since = [], []
    for epoch, epoch_losses in enumerate(losses):
        stops.append(snapshots.update(epoch, epoch_losses))
        since.append(snapshots.epochs_since_update)
    group = "stop rule on the recorded losses"
    yield compare(recording, "epochs_since_update", np.array(since), "exact", group)
    yield compare(recording, "snapshot_epochs", snapshots.epochs, "exact", group)
    yield compare(recording, "snapshot_losses", snapshots.losses, "exact", group)
    # A run that reached its last allowed epoch may have stopped for that reason.
    expected = [False] * (len(losses) - 1) + [len(losses) != recording.integer("max_epochs")]
    if stops[-1] and not expected[-1]:
        expected[-1] = since[-1] > recording.integer("max_epochs_since_update")
    name = "epoch_holdout_losses (epoch of the stop)"
    yield compare_values(np.array(expected), np.array(stops), "exact", group, name)


def _draws(
    recording: Recording, random_state: _WatchedRandomState, split: HoldoutSplit
) -> Iterator[Comparison]:
    group = "hold-out split and bootstraps"
    held = np.int64(len(split.holdout_inputs))
    yield compare(recording, "num_holdout", held, "exact", group)
    yield compare(recording, "permutation", random_state.permuted, "exact", group)
    yield compare(recording, "bootstrap_indices", random_state.integers, "exact", group)
    chosen = recording["permutation"][: recording.integer("num_holdout")]
    for name, ours in (("inputs", split.holdout_inputs), ("targets", split.holdout_targets)):
        label = f"{name}[permutation[:num_holdout]]"
        yield compare_values(recording[name][chosen], ours, "exact", group, label)


def _outcome(
    recording: Recording, trainer: _WatchedTrainer, result: TrainingResult, history: _History
) -> Iterator[Finding]:
    snapshots = trainer.snapshots
    since, recorded_since = history.epochs_since_update, recording["epochs_since_update"].tolist()
    allowed = _flips_allowed(recording)
    differs = snapshots.epochs != recording["snapshot_epochs"]
    excused = allowed & differs
    common = min(result.epochs, len(recorded_since))
    late = bool(allowed.any()) and result.epochs != len(recorded_since)
    if late:
        # What only the longer of the two trainings saw, it may have kept.
        last = np.maximum(snapshots.epochs, recording["snapshot_epochs"])
        excused |= differs & (last >= common)
    flip = bool(excused.any() or (allowed.any() and since != recorded_since))
    same = ~excused
    ours, theirs = np.array(history.holdout_losses), recording["epoch_holdout_losses"]
    yield compare_values(
        theirs[:common] if late else theirs,
        ours[:common] if late else ours,
        "trained_loss",
        "hold-out losses of every epoch",
        "epoch_holdout_losses",
    )
    group = "snapshots"
    yield compare(recording, "snapshot_epochs", snapshots.epochs, "exact", group, rows=same)
    yield compare(recording, "snapshot_losses", snapshots.losses, "trained_loss", group, rows=same)
    if flip:
        yield NotCompared(
            "flip",
            ("elites", "val_loss", "epochs_since_update"),
            f"the 1 % rule fell within rounding of its threshold (threshold_margin) for member "
            f"{', '.join(map(str, np.flatnonzero(allowed)))} and decided otherwise",
        )
    else:
        ours = np.array(since)
        yield compare(recording, "epochs_since_update", ours, "exact", "epochs and elites")
        yield compare(recording, "elites", np.array(result.elites), "exact", "epochs and elites")
        yield compare(recording, "val_loss", result.val_loss, "trained_loss", "val_loss")
    yield from _weights(recording, trainer.ensemble, same, late)


def _weights(
    recording: Recording, ensemble: GaussianEnsemble, same: np.ndarray, late: bool
) -> Iterator[Finding]:
    without = ("max_logvar", "min_logvar") if late else ()
    if late:
        names = tuple(f"final/{name}" for name in without)
        yield NotCompared("flip", (*names, "probe/var"), "training stopped in another epoch")
    group = "final weights"
    yield from compare_ensemble(
        recording, "final", ensemble, "trained", group, members=same, without=without
    )
    rows = recording["probe/mean"].shape[1]
    mean, variance = ensemble.predict(recording["inputs"][:rows])
    group = "predictions afterwards"
    yield compare(recording, "probe/mean", mean.numpy(), "trained_forward", group, rows=same)
    if not late:
        yield compare(recording, "probe/var", variance.numpy(), "trained_forward", group, rows=same)


def _flips_allowed(recording: Recording) -> np.ndarray:
    """Return [E] bool: members whose 1 % rule came within rounding of its threshold.

    None does unless the case itself says so (``threshold_margin``).
    """
    losses = recording["epoch_holdout_losses"].astype(np.float64)
    allowed = np.zeros(losses.shape[1], bool)
    if "threshold_margin" not in recording:
        return allowed
    if recording.number("threshold_margin") >= ROUNDING_OF_IMPROVEMENT:
        return allowed
    best = np.full(losses.shape[1], INITIAL_BEST_LOSS)
    for epoch_losses in losses:
        improvement = (best - epoch_losses) / best
        allowed |= np.abs(improvement - MIN_IMPROVEMENT) < ROUNDING_OF_IMPROVEMENT
        best = np.where(improvement > MIN_IMPROVEMENT, epoch_losses, best)
    return allowed


CASES = [
    Case(
        name=name,
        replay=_replay,
        inputs=(
            *below("initial", ENSEMBLE_ARRAYS),
            "inputs",
            "targets",
            "numpy_seed",
            "holdout_ratio",
            "num_networks",
            "num_elites",
            "hidden_dim",
            "batch_size",
            "max_epochs",
            "max_epochs_since_update",
            "threshold_margin",
        ),
        compared=(
            "final/*",
            "permutation",
            "num_holdout",
            "bootstrap_indices",
            "epoch_holdout_losses",
            "epochs_since_update",
            "snapshot_epochs",
            "snapshot_losses",
            "elites",
            "val_loss",
            "probe/*",
        ),
    )
    for name in ("bnn_train", "bnn_train_capped", "bnn_holdout_cap")
]

"""One whole epoch of MOPO, from the seed to the final weights of every network."""

from collections.abc import Iterator

import numpy as np
import tensorflow as tf

from mopo_tf2.algorithms.mopo import MOPO
from mopo_tf2.config import EnsembleConfig, MOPOConfig, SACConfig
from mopo_tf2.dynamics.termination import find_termination_fn

from ..comparison import Comparison, Finding, compare, compare_values
from ..loading import (
    ENSEMBLE_ARRAYS,
    SAC_ARRAYS,
    below,
    compare_ensemble,
    compare_sac,
    compare_transitions,
    hidden_sizes,
    load_ensemble,
    load_sac,
    recorded_ensemble,
    recorded_transitions,
)
from ..recording import Recording
from ..registry import Case, matches

DOMAIN = "hopper"
"""What the recorder ran; the case does not hold its name."""

DROPPED_METRICS = (
    "sampler/episodes",
    "sampler/last-path-return",
    "sampler/max-path-return",
    "sampler/total-samples",
    "times/*_hook",
)
"""Patterns of the original's metrics that the port does not have (Q-86)."""


class _ReplayedMOPO(MOPO):
    """MOPO that takes its actions in the model and its policy noise from the recording."""

    recording: Recording

    def replay(self, recording: Recording) -> None:
        """Start to answer from ``recording``."""
        self.recording = recording
        self.asked: list[np.ndarray] = []
        self.pool_sizes: list[int] = []
        self._blocks = {"actor_latents": 0, "critic_latents": 0}

    def _sample_actions(self, observations: np.ndarray, chunk_size: int) -> np.ndarray:
        self.asked.append(observations)
        return self.recording[f"rollout_actions/{len(self.asked) - 1}"]

    def _roll_out_model(self) -> dict[str, float]:
        metrics = super()._roll_out_model()
        self.pool_sizes.append(self.model_pool.size)
        return metrics

    def _device_normal(self, shape: tuple[int, ...]) -> tf.Tensor:
        if len(shape) == 2:  # The diagnostics' own noise, which nothing recorded depends on.
            return tf.zeros(shape)
        # Each block of updates asks for the policy's noise, then for the critics' target's.
        name = min(self._blocks, key=lambda latents: self._blocks[latents])
        start = self._blocks[name]
        self._blocks[name] += shape[0]
        return tf.constant(self.recording[name][start : start + shape[0]])


def _replay(recording: Recording) -> Iterator[Finding]:
    algorithm = _ReplayedMOPO(
        _config(recording),
        recorded_transitions(recording, "env_pool"),
        find_termination_fn(DOMAIN),
        seed=recording.integer("numpy_seed"),
    )
    arrays = recorded_ensemble(recording, "initial/model")
    yield from load_ensemble(algorithm.ensemble, arrays, "initial/model")
    # Before its first step the original copies the critics into the target critics, as ours is.
    load_sac(algorithm.sac, recording, "initial", targets="q")
    algorithm.replay(recording)
    metrics = next(algorithm.train())
    yield from _model(recording, algorithm, metrics)
    yield from _rollouts(recording, algorithm, metrics)
    yield from compare_sac(recording, "final", algorithm.sac, "sac_updates", "final weights")
    yield from _metrics(recording, metrics)


def _config(recording: Recording) -> MOPOConfig:
    return MOPOConfig(
        rollout_length=recording.integer("rollout_length"),
        penalty_coeff=recording.number("penalty_coeff"),
        rollout_batch_size=recording.integer("rollout_batch_size"),
        rollout_chunk_size=recording.integer("rollout_batch_size"),
        real_ratio=recording.number("real_ratio"),
        epoch_length=recording.integer("epoch_length"),
        n_epochs=1,
        model_train_freq=recording.integer("model_train_freq"),
        model_retain_epochs=recording.integer("model_retain_epochs"),
        eval_n_episodes=0,
        ensemble=EnsembleConfig(
            num_networks=recording.integer("num_networks"),
            num_elites=recording.integer("num_elites"),
            hidden_dim=recording.integer("hidden_dim"),
            model_batch_size=recording.integer("model_batch_size"),
            model_holdout_ratio=recording.number("holdout_ratio"),
            model_max_epochs=recording.optional_integer("model_max_epochs"),
            model_max_epochs_since_update=recording.integer("max_epochs_since_update"),
        ),
        sac=SACConfig(
            hidden_layer_sizes=hidden_sizes(recording),
            lr=recording.number("learning_rate"),
            batch_size=recording.integer("batch_size"),
            discount=recording.number("discount"),
            tau=recording.number("tau"),
            target_entropy=recording.number("target_entropy"),
        ),
    )


def _model(
    recording: Recording, algorithm: MOPO, metrics: dict[str, float]
) -> Iterator[Comparison]:
    elites = np.array(algorithm.ensemble.elites)
    yield compare(recording, "elites", elites, "exact", "elites")
    yield compare(recording, "val_loss", metrics["model/val_loss"], "trained_loss", "val_loss")
    yield from compare_ensemble(
        recording, "final/model", algorithm.ensemble, "adam_steps", "ensemble"
    )


def _rollouts(
    recording: Recording, algorithm: _ReplayedMOPO, metrics: dict[str, float]
) -> Iterator[Comparison]:
    group = "number and length of the rollouts"
    steps = np.int64(len(algorithm.asked))
    yield compare(recording, "num_rollout_steps", steps, "exact", group)
    length = metrics["model/mean_rollout_length"]
    yield compare(recording, "mean_rollout_length", length, "float64", group)
    for i, observations in enumerate(algorithm.asked):
        array = f"rollout_observations/{i}"
        yield compare(recording, array, observations, "pool", "states of the rollouts")
    group = "sizes of the model pool"
    capacity = np.int64(algorithm.model_pool.capacity)
    yield compare(recording, "model_pool_max_size", capacity, "exact", group)
    sizes = np.array(algorithm.pool_sizes)
    yield compare(recording, "model_pool_sizes", sizes, "exact", group)
    stored = algorithm.model_pool.stored()
    yield from compare_transitions(recording, "model_pool", stored, "pool", "model pool")


def _metrics(recording: Recording, metrics: dict[str, float]) -> Iterator[Finding]:
    recorded = [str(key) for key in recording["diagnostics_keys"]]
    dropped = [key for key in recorded if matches(key, DROPPED_METRICS)]
    kept = np.array([key for key in recorded if key not in dropped])
    ours = np.array([key if key in metrics else "(none)" for key in kept])
    note = f"{len(dropped)} dropped on purpose (Q-86)"
    yield compare_values(kept, ours, "exact", "names of metrics", "diagnostics_keys", note=note)


CASES = [
    Case(
        name="whole_epoch",
        replay=_replay,
        inputs=(
            *below("initial/model", ENSEMBLE_ARRAYS),
            "initial/policy/*",
            "initial/q[12]/*",
            "initial/log_alpha",
            "env_pool/*",
            "rollout_actions/*",
            "actor_latents",
            "critic_latents",
            "numpy_seed",
            "batch_size",
            "epoch_length",
            "model_train_freq",
            "model_batch_size",
            "model_max_epochs",
            "max_epochs_since_update",
            "holdout_ratio",
            "real_ratio",
            "rollout_batch_size",
            "rollout_length",
            "model_retain_epochs",
            "penalty_coeff",
            "target_entropy",
            "learning_rate",
            "discount",
            "tau",
            "hidden_layer_sizes",
            "hidden_dim",
            "num_networks",
            "num_elites",
        ),
        compared=(
            *below("final/model", ENSEMBLE_ARRAYS),
            *below("final", SAC_ARRAYS),
            "model_pool/*",
            "rollout_observations/*",
            "model_pool_sizes",
            "model_pool_max_size",
            "elites",
            "val_loss",
            "mean_rollout_length",
            "num_rollout_steps",
            "diagnostics_keys",
        ),
        not_compared={
            "initial/target_q[12]/*": "drawn by the original, then overwritten with the critics "
            "before the first step",
        },
    )
]

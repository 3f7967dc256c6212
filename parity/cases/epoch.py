"""The loop over epochs, from the seed to the final weights of every network."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import scipy.stats
import tensorflow as tf

from mopo_tf2.algorithms.mopo import MOPO
from mopo_tf2.algorithms.sac import SAC
from mopo_tf2.config import EnsembleConfig, MOPOConfig, SACConfig
from mopo_tf2.dynamics.termination import find_termination_fn
from mopo_tf2.types import Transitions

from ..comparison import Comparison, Finding, compare, compare_values, require, same_law
from ..loading import (
    ENSEMBLE_ARRAYS,
    SAC_ARRAYS,
    below,
    compare_ensemble,
    compare_sac,
    compare_sac_slots,
    compare_transitions,
    hidden_sizes,
    load_ensemble,
    load_sac,
    recorded_ensemble,
    recorded_layers,
    recorded_transitions,
)
from ..recording import Recording
from ..registry import Case, matches
from .evaluation import RecordedEpisode, compare_episodes

DOMAIN = "hopper"
"""What the recorder ran in ``whole_epoch``; that case does not hold its name."""

DROPPED_METRICS = (
    "evaluation/env_infos/*",
    "sampler/episodes",
    "sampler/last-path-return",
    "sampler/max-path-return",
    "sampler/total-samples",
    "times/*_hook",
)
"""Patterns of the original's metrics that the port does not have (Q-86)."""

METRIC_GROUPS = (
    ("metric", "metrics: critics and temperature", ("Q-*", "Q_loss", "alpha")),
    ("metric", "metrics: policy", ("policy/*",)),
    ("returns", "metrics: returns from recorded rewards", ("evaluation/return-*",)),
    ("trained_loss", "metrics: val_loss", ("model/val_loss",)),
    ("float64", "metrics: lengths and counts", ("*",)),
)
"""Rung, group and patterns; a metric belongs to the first that fits."""

LARGEST_ACTION = 1.0 - 1e-7
"""Recorded float32 actions reach 1, where atanh is infinite."""


class _ReplayedMOPO(MOPO):
    """MOPO that takes its actions in the model and its policy noise from the recording."""

    recording: Recording

    def replay(self, recording: Recording) -> None:
        """Start to answer from ``recording``."""
        self.recording = recording
        self.asked: list[np.ndarray] = []
        self.sampled: list[np.ndarray] = []
        self.pool_sizes: list[int] = []
        self.pool_pointers: list[int] = []
        self.described: list[Transitions] = []
        self._blocks = {"actor_latents": 0, "critic_latents": 0}
        if "n_epochs" in recording:
            self.environments = [
                RecordedEpisode(self, recording, number)
                for number in range(recording.integer("eval_n_episodes"))
            ]

    def _batches(self, count: int) -> Transitions:
        self._last_batches = super()._batches(count)
        return self._last_batches

    def _sample_actions(self, observations: np.ndarray, chunk_size: int) -> np.ndarray:
        """Sample with the latents that explain the recorded actions; return the recorded ones."""
        recorded = self.recording[f"rollout_actions/{len(self.asked)}"]
        self.asked.append(observations)
        shift, log_scale = self.sac.policy(observations.astype(np.float32))
        inside = np.clip(recorded.astype(np.float64), -LARGEST_ACTION, LARGEST_ACTION)
        latents = (np.arctanh(inside) - shift.numpy()) / np.exp(log_scale.numpy())
        self._next_latents = iter([latents])
        self.sampled.append(super()._sample_actions(observations, chunk_size))
        return recorded

    def _roll_out_model(self) -> dict[str, float]:
        metrics = super()._roll_out_model()
        self.pool_sizes.append(self.model_pool.size)
        self.pool_pointers.append(self.model_pool.pointer)
        return metrics

    def _diagnostics(self) -> dict[str, float]:
        prefix = f"epoch_{self.epoch}/diagnostics"
        # Nothing that whole_epoch holds depends on these.
        zeros = np.zeros((self.config.sac.batch_size, self.act_dim))
        self._next_latents = iter(
            self.recording.get(f"{prefix}/{name}", zeros)
            for name in ("policy_latents", "critic_latents")
        )
        metrics = super()._diagnostics()
        self.described.append(Transitions(*(column[0] for column in self._last_batches)))
        return metrics

    def _device_normal(self, shape: tuple[int, ...]) -> tf.Tensor:
        if len(shape) == 2:
            return tf.constant(next(self._next_latents), tf.float32)
        # Each block of updates asks for the policy's noise, then for the critics' target's.
        name = min(self._blocks, key=lambda latents: self._blocks[latents])
        start = self._blocks[name]
        self._blocks[name] += shape[0]
        return tf.constant(self.recording[name][start : start + shape[0]])


def _start(recording: Recording, domain: str) -> Iterator[Any]:
    """Yield what does not fit the recorded parameters; last the algorithm that holds them."""
    algorithm = _ReplayedMOPO(
        _config(recording),
        recorded_transitions(recording, "env_pool"),
        find_termination_fn(domain),
        seed=recording.integer("numpy_seed"),
    )
    arrays = recorded_ensemble(recording, "initial/model")
    yield from load_ensemble(algorithm.ensemble, arrays, "initial/model")
    yield from _initial_law(recording, algorithm.sac)
    # Before its first step the original copies the critics into the target critics, as ours is.
    load_sac(algorithm.sac, recording, "initial", targets="q")
    algorithm.replay(recording)
    yield algorithm


def _initial_law(recording: Recording, sac: SAC) -> Iterator[Comparison]:
    """Compare how policy and critics start, all kernels together, as shares of Glorot's bound."""
    theirs = [recorded_layers(recording, f"initial/{name}") for name in ("policy", "q1", "q2")]
    ours = [sac.policy.get_weights(), *(sac.critics.critic_weights(i) for i in range(2))]
    kernels, biases = [], []
    for networks in (theirs, ours):
        layers = [(kernel, bias) for arrays in networks for kernel, bias in _pairs(arrays)]
        bounds = [np.sqrt(6.0 / sum(kernel.shape)) for kernel, _ in layers]
        shares = zip(layers, bounds, strict=True)
        kernels.append(np.concatenate([kernel.ravel() / bound for (kernel, _), bound in shares]))
        biases.append(np.concatenate([bias for _, bias in layers]))
    group, array = "initial weights", "initial/*"
    yield compare_values(biases[0], biases[1], "exact", f"{group}: biases", array)
    p_value = scipy.stats.ks_2samp(*kernels).pvalue
    yield same_law(p_value, group, array, "Kolmogorov-Smirnov", kernels[0].size)
    largest = [float(np.abs(values).max()) for values in kernels]
    fault = f"{largest[0]:.4f} of Glorot's bound recorded, {largest[1]:.4f} in the port"
    inside = min(largest) > 0.99 and max(largest) < 1.0 + 1e-6
    yield require(inside, f"{group}: bound", array, fault, values=kernels[0].size)


def _pairs(layers: list[np.ndarray]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    return zip(layers[::2], layers[1::2], strict=True)


def _replay_one_epoch(recording: Recording) -> Iterator[Finding]:
    *findings, algorithm = _start(recording, DOMAIN)
    yield from findings
    metrics = next(algorithm.train())
    yield from _model(recording, algorithm, metrics)
    yield from _rollouts(recording, algorithm, metrics)
    yield from compare_sac(recording, "final", algorithm.sac, "sac_updates", "final weights")
    yield from _metric_names(recording, "diagnostics_keys", metrics)


def _replay_epochs(recording: Recording) -> Iterator[Finding]:
    domain = str(recording["domain"])
    *findings, algorithm = _start(recording, domain)
    yield from findings
    for metrics in algorithm.train():
        epoch = algorithm.epoch - 1
        prefix = f"epoch_{epoch}"
        if not epoch:
            yield from _model(recording, algorithm, metrics)
            yield from _metric_names(recording, "metrics_keys", metrics)
        yield from _pool(recording, algorithm, prefix)
        group = f"epoch {epoch}"
        yield from compare_sac(recording, f"{prefix}/sac", algorithm.sac, "sac_epochs", group)
        yield from compare_sac_slots(recording, f"{prefix}/slots", algorithm.sac, group)
        yield from compare_transitions(
            recording,
            f"{prefix}/diagnostics/batch",
            algorithm.described[epoch],
            "pool",
            "batches of the diagnostics",
        )
        yield from _metrics(recording, prefix, metrics)
        yield from compare_episodes(recording, prefix, domain, algorithm)
    yield from _rounds(recording, algorithm)


def _config(recording: Recording) -> MOPOConfig:
    return MOPOConfig(
        rollout_length=recording.integer("rollout_length"),
        penalty_coeff=recording.number("penalty_coeff"),
        rollout_batch_size=recording.integer("rollout_batch_size"),
        rollout_chunk_size=recording.integer("rollout_batch_size"),
        real_ratio=recording.number("real_ratio"),
        epoch_length=recording.integer("epoch_length"),
        n_epochs=_given(recording, "n_epochs", 1),
        model_train_freq=recording.integer("model_train_freq"),
        model_retain_epochs=recording.integer("model_retain_epochs"),
        eval_n_episodes=_given(recording, "eval_n_episodes", 0),
        max_path_length=_given(recording, "max_path_length", 1000),
        ensemble=EnsembleConfig(
            num_networks=recording.integer("num_networks"),
            num_elites=recording.integer("num_elites"),
            deterministic=bool(_given(recording, "deterministic", 0)),
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


def _given(recording: Recording, array: str, otherwise: int) -> int:
    return recording.integer(array) if array in recording else otherwise


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
    length = metrics["model/mean_rollout_length"]
    yield compare(recording, "mean_rollout_length", length, "float64", "length of the rollouts")
    yield from _rounds(recording, algorithm)
    stored = algorithm.model_pool.stored()
    yield from compare_transitions(recording, "model_pool", stored, "pool", "model pool")


def _rounds(recording: Recording, algorithm: _ReplayedMOPO) -> Iterator[Comparison]:
    """Compare what was asked of the policy in all rounds, and the pool after each."""
    group = "number of rollout steps"
    steps = np.int64(len(algorithm.asked))
    yield compare(recording, "num_rollout_steps", steps, "exact", group)
    for i, observations in enumerate(algorithm.asked):
        array = f"rollout_observations/{i}"
        yield compare(recording, array, observations, "pool", "states of the rollouts")
        theirs, ours = (_is_finer_than_float32(v) for v in (recording[array], observations))
        yield compare_values(theirs, ours, "exact", "states of the rollouts in float64", array)
        array = f"rollout_actions/{i}"
        yield compare(recording, array, algorithm.sampled[i], "forward", "actions of the rollouts")
    group = "sizes of the model pool"
    capacity = np.int64(algorithm.model_pool.capacity)
    yield compare(recording, "model_pool_max_size", capacity, "exact", group)
    sizes = np.array(algorithm.pool_sizes)
    yield compare(recording, "model_pool_sizes", sizes, "exact", group)
    if "model_pool_pointers" in recording:
        pointers = np.array(algorithm.pool_pointers)
        yield compare(recording, "model_pool_pointers", pointers, "exact", group)


def _is_finer_than_float32(values: np.ndarray) -> np.bool_:
    return np.any(values != values.astype(np.float32))


def _pool(recording: Recording, algorithm: MOPO, prefix: str) -> Iterator[Comparison]:
    """Compare the model pool row by row, in the order of the buffer."""
    stored = algorithm.model_pool.stored()
    yield from compare_transitions(recording, f"{prefix}/model_pool", stored, "pool", "model pool")


def _kept_metrics(recording: Recording, array: str) -> np.ndarray:
    """Return which of the recorded metrics the port has too, bool."""
    return np.array([not matches(str(key), DROPPED_METRICS) for key in recording[array]])


def _metric_names(recording: Recording, array: str, metrics: dict[str, float]) -> Iterator[Finding]:
    kept = _kept_metrics(recording, array)
    ours = np.array([key if key in metrics else "(none)" for key in recording[array]])
    note = f"{np.sum(~kept)} dropped on purpose (Q-86)"
    yield compare(recording, array, ours, "exact", "names of metrics", rows=kept, note=note)


def _metrics(recording: Recording, prefix: str, metrics: dict[str, float]) -> Iterator[Comparison]:
    """Compare the epoch's metrics by value, each with the tolerance of its kind."""
    keys = [str(key) for key in recording["metrics_keys"]]
    ours = np.array([metrics.get(key, np.nan) for key in keys])
    left = _kept_metrics(recording, "metrics_keys")
    for rung, group, patterns in METRIC_GROUPS:
        rows = left & np.array([matches(key, patterns) for key in keys])
        left = left & ~rows
        array = f"{prefix}/metrics/values"
        yield compare(recording, array, ours, rung, group, rows=rows)


_INPUTS = (
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
)
_COMPARED = (
    *below("final/model", ENSEMBLE_ARRAYS),
    "rollout_observations/*",
    "model_pool_sizes",
    "model_pool_max_size",
    "elites",
    "val_loss",
    "num_rollout_steps",
)
_NOT_COMPARED = {
    "initial/target_q[12]/*": "drawn by the original, then overwritten with the critics before the "
    "first step",
}

CASES = [
    Case(
        name="whole_epoch",
        replay=_replay_one_epoch,
        inputs=_INPUTS,
        compared=(
            *_COMPARED,
            *below("final", SAC_ARRAYS),
            "model_pool/*",
            "mean_rollout_length",
            "diagnostics_keys",
        ),
        not_compared=_NOT_COMPARED,
    ),
    *(
        Case(
            name=name,
            replay=_replay_epochs,
            inputs=(
                *_INPUTS,
                "domain",
                "deterministic",
                "n_epochs",
                "eval_n_episodes",
                "max_path_length",
                "epoch_*/diagnostics/*_latents",
                "epoch_*/evaluation/*/observations",
                "epoch_*/evaluation/*/rewards",
            ),
            compared=(
                *_COMPARED,
                *below("epoch_*/sac", SAC_ARRAYS),
                "epoch_*/slots/*",
                "epoch_*/model_pool/*",
                "epoch_*/diagnostics/batch/*",
                "epoch_*/metrics/values",
                "epoch_*/evaluation/*/actions",
                "epoch_*/evaluation/*/terminals",
                "metrics_keys",
                "model_pool_pointers",
            ),
            not_compared=_NOT_COMPARED,
        )
        for name in ("three_epochs", "two_epochs_hopper", "two_epochs_deterministic")
    ),
]

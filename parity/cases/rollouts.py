"""Penalised rollouts into the model pool, and the training batches that follow."""

from collections.abc import Iterator

import numpy as np

from mopo_tf2.config import MOPOConfig, SACConfig
from mopo_tf2.data.batches import mixed_batches, rollout_starts
from mopo_tf2.data.replay_pool import ReplayPool
from mopo_tf2.dynamics.model_env import ModelEnvironment
from mopo_tf2.dynamics.rollouts import branched_rollouts
from mopo_tf2.dynamics.termination import find_termination_fn
from mopo_tf2.types import Transitions

from ..comparison import Comparison, compare
from ..loading import (
    ENSEMBLE_ARRAYS,
    below,
    build_ensemble,
    compare_transitions,
    filled_pool,
    load_ensemble,
    recorded_ensemble,
    recorded_transitions,
)
from ..recording import Recording
from ..registry import Case


def _replay(recording: Recording) -> Iterator[Comparison]:
    config = MOPOConfig(
        rollout_length=recording.integer("rollout_length"),
        penalty_coeff=recording.number("penalty_coeff"),
        rollout_batch_size=recording.integer("rollout_batch_size"),
        real_ratio=recording.number("real_ratio"),
        epoch_length=recording.integer("epoch_length"),
        model_train_freq=recording.integer("model_train_freq"),
        model_retain_epochs=recording.integer("model_retain_epochs"),
        sac=SACConfig(batch_size=recording.integer("batch_size")),
    )
    for domain in recording.prefixes("elites"):
        transitions = recorded_transitions(recording, f"{domain}/env_pool")
        environment_pool = filled_pool(transitions, len(transitions.rewards))
        capacity = np.int64(config.model_pool_capacity)
        yield compare(recording, f"{domain}/model_pool_max_size", capacity, "exact", "capacity")
        model_pool = ReplayPool(
            int(capacity), transitions.observations.shape[1], transitions.actions.shape[1]
        )
        yield from _roll_out(recording, domain, config, environment_pool, model_pool)
        yield from _training_batch(recording, domain, config, environment_pool, model_pool)


def _roll_out(
    recording: Recording,
    domain: str,
    config: MOPOConfig,
    environment_pool: ReplayPool,
    model_pool: ReplayPool,
) -> Iterator[Comparison]:
    arrays = recorded_ensemble(recording, f"{domain}/params")
    ensemble = build_ensemble(
        arrays,
        num_networks=recording.integer("num_networks"),
        hidden_dim=recording.integer("hidden_dim"),
    )
    yield from load_ensemble(ensemble, arrays, f"{domain}/params")
    ensemble.elites = [int(member) for member in recording[f"{domain}/elites"]]
    model = ModelEnvironment(
        ensemble,
        find_termination_fn(domain),
        penalty_coeff=config.penalty_coeff,
        chunk_size=config.rollout_batch_size,
    )
    random_state = np.random.RandomState(recording.integer("rollout_numpy_seed"))
    starts = rollout_starts(environment_pool, config.rollout_batch_size, random_state)
    asked: list[int] = []

    def recorded_policy(observations: np.ndarray) -> np.ndarray:
        asked.append(len(observations))
        return recording[f"{domain}/actions/{len(asked) - 1}"]

    for step in branched_rollouts(
        model, recorded_policy, starts, config.rollout_length, random_state
    ):
        model_pool.add(step.transitions)
    group = "number and length of the rollouts"
    yield compare(recording, f"{domain}/num_actions", np.int64(len(asked)), "exact", group)
    length = sum(asked) / config.rollout_batch_size
    yield compare(recording, f"{domain}/mean_rollout_length", length, "float64", group)
    stored = model_pool.stored()
    yield from compare_transitions(recording, f"{domain}/model_pool", stored, "pool", "model pool")


def _training_batch(
    recording: Recording,
    domain: str,
    config: MOPOConfig,
    environment_pool: ReplayPool,
    model_pool: ReplayPool,
) -> Iterator[Comparison]:
    batches = mixed_batches(
        environment_pool,
        model_pool,
        np.random.RandomState(recording.integer("batch_numpy_seed")),
        count=1,
        batch_size=config.sac.batch_size,
        real_ratio=config.real_ratio,
    )
    batch = Transitions(*(column[0] for column in batches))
    prefix = f"{domain}/training_batch"
    yield from compare_transitions(recording, prefix, batch, "pool", "mixed training batch")


CASES = [
    Case(
        name="model_rollouts",
        replay=_replay,
        inputs=(
            *below("*/params", ENSEMBLE_ARRAYS),
            "*/env_pool/*",
            "*/elites",
            "*/actions/*",
            "rollout_numpy_seed",
            "batch_numpy_seed",
            "penalty_coeff",
            "rollout_length",
            "rollout_batch_size",
            "batch_size",
            "real_ratio",
            "hidden_dim",
            "num_networks",
            "epoch_length",
            "model_train_freq",
            "model_retain_epochs",
        ),
        compared=(
            "*/model_pool/*",
            "*/model_pool_max_size",
            "*/training_batch/*",
            "*/mean_rollout_length",
            "*/num_actions",
        ),
    )
]

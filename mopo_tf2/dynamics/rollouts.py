"""Branched rollouts of a policy inside the learned model."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from mopo_tf2.dynamics.model_env import ModelEnvironment
from mopo_tf2.progress import NoProgress, Progress
from mopo_tf2.types import PolicyFn, Transitions


class RolloutStep(NamedTuple):
    """One step of all running rollouts.

    transitions: B rows with penalised rewards; float64 where the model returns float64 (Q-23).
    penalties:   [B, 1] float32, u(s, a).
    raw_rewards: [B, 1] float64, before the penalty.
    """

    transitions: Transitions
    penalties: np.ndarray
    raw_rewards: np.ndarray


def branched_rollouts(
    environment: ModelEnvironment,
    policy: PolicyFn,
    observations: np.ndarray,
    rollout_length: int,
    random_state: np.random.RandomState,
    *,
    deterministic: bool = False,
    progress: Progress | None = None,
) -> Iterator[RolloutStep]:
    """Yield up to ``rollout_length`` steps of rollouts that start in ``observations``.

    Rows whose next state ends the task are dropped; iteration stops early once none is left.

    Args:
        environment: the model.
        policy: maps observations [B, O] to actions [B, A].
        observations: [B, O] float32, states of the dataset.
        rollout_length: h.
        random_state: draws model noise and members.
        deterministic: see ``ModelEnvironment.step``.
        progress: receives progress callbacks.

    Original: mopo/algorithms/mopo.py:MOPO._rollout_model
    """
    progress = progress or NoProgress()
    for taken in range(1, rollout_length + 1):
        actions = policy(observations)
        step = environment.step(observations, actions, random_state, deterministic=deterministic)
        transitions = Transitions(
            observations, actions, step.next_observations, step.rewards, step.terminals
        )
        yield RolloutStep(transitions, step.penalties, step.raw_rewards)
        progress.rollout_step(taken, rollout_length, len(observations))
        running = ~step.terminals[:, 0]
        if not running.any():
            return
        observations = step.next_observations[running]

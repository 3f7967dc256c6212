"""Whole paths of a policy inside the pessimistic model, all in lockstep."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from mopo_tf2.dynamics.pessimism import PessimisticModel
from mopo_tf2.progress import NoProgress, Progress

SampleFn = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""Observations [N, O] and standard normal latents [N, A] -> actions [N, A], not clipped."""


class Paths(NamedTuple):
    """N paths side by side, at most T steps long; what lies behind a path's end is 0.

    observations: [T, N, O] float32.
    actions:      [T, N, A] float32, as drawn, not clipped.
    rewards:      [T, N] float32.
    lengths:      [N] int64, at least 1.
    terminated:   [N] bool, nothing comes after the last step: halted, or the task ended.
    halted:       [N] bool, the last pair is unknown to the model.
    """

    observations: np.ndarray
    actions: np.ndarray
    rewards: np.ndarray
    lengths: np.ndarray
    terminated: np.ndarray
    halted: np.ndarray


def pessimistic_paths(
    model: PessimisticModel,
    sample: SampleFn,
    starts: np.ndarray,
    latents: np.ndarray,
    members: np.ndarray,
    progress: Progress | None = None,
) -> Paths:
    """Roll the policy out until each path halts, ends or has T steps.

    Args:
        model: the pessimistic MDP.
        sample: the policy.
        starts: [N, O] float32, first states.
        latents: [T, N, A] float32, standard normal, the policy's noise; T is the horizon.
        members: [N] int32, the ensemble member that each path follows (D-116: mjrl too rolls each
            path out in one member; the paper leaves open which).
        progress: told of each step.

    MOReL paper (Kidambi et al. 2020), algorithm 1: planning in the pessimistic MDP.
    """
    progress = progress or NoProgress()
    horizon, count, act_dim = latents.shape
    paths = Paths(
        np.zeros((horizon, *starts.shape), np.float32),
        np.zeros((horizon, count, act_dim), np.float32),
        np.zeros((horizon, count), np.float32),
        np.zeros(count, np.int64),
        np.zeros(count, bool),
        np.zeros(count, bool),
    )
    states, running = starts.astype(np.float32), np.arange(count)
    for t in range(horizon):
        actions = sample(states, latents[t])[running]
        step = model.step(states[running], actions, members[running])
        paths.observations[t, running] = states[running]
        paths.actions[t, running] = actions
        paths.rewards[t, running] = step.rewards
        paths.lengths[running] += 1
        paths.halted[running] = step.halted
        paths.terminated[running] = step.halted | step.terminals
        states[running] = step.next_observations
        progress.rollout_step(t + 1, horizon, len(running))
        running = running[~(step.halted | step.terminals)]
        if not len(running):
            break
    return paths

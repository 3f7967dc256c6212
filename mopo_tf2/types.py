"""The types that the parts of the library exchange: batches, policies, termination functions."""

from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

Array = Any
"""A NumPy array on the host or a TensorFlow tensor on the device; docstrings say which."""

FloatArray = npt.NDArray[np.floating[Any]]
BoolArray = npt.NDArray[np.bool_]


class Transitions(NamedTuple):
    """B transitions (s, a, s', r, d). Field names are the replay-pool keys of the original.

    observations:      [B, O] float32, simulator units (m, rad, m/s, rad/s), not normalised.
    actions:           [B, A] float32, in [-1, 1].
    next_observations: [B, O] float32, same units as ``observations``.
    rewards:           [B, 1] float32, reward per simulator step.
    terminals:         [B, 1] bool, True if the task ended; a time limit is not a terminal.

    Original: softlearning/replay_pools/simple_replay_pool.py:SimpleReplayPool.__init__
    """

    observations: Array
    actions: Array
    next_observations: Array
    rewards: Array
    terminals: Array


class PolicyFn(Protocol):
    """A function on the host from observations [B, O] to actions [B, A]."""

    def __call__(self, observations: FloatArray) -> FloatArray:
        """Return the actions [B, A], in [-1, 1]."""


class TerminationFn(Protocol):
    """Whether a transition ends the task: [B, O], [B, A], [B, O] -> bool [B, 1]."""

    def __call__(
        self, observations: FloatArray, actions: FloatArray, next_observations: FloatArray
    ) -> BoolArray:
        """Return [B, 1], True where the task ended."""

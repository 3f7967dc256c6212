"""Start states, lengths and discounted returns of the episodes in a dataset."""

import numpy as np
import numpy.typing as npt

from mopo_tf2.types import BoolArray, FloatArray, Transitions


def episode_starts(transitions: Transitions) -> BoolArray:
    """Return [B] bool: the rows that begin an episode.

    A row continues an episode if its observation is the next observation of the row before it, and
    that row is not terminal. In a table without an order almost every row begins an episode.

    Args:
        transitions: B rows in order of time.
    """
    led_here = (transitions.next_observations[:-1] == transitions.observations[1:]).all(axis=1)
    goes_on = led_here & ~np.asarray(transitions.terminals)[:-1, 0]
    return np.concatenate(([True], ~goes_on))


def rows_left(transitions: Transitions) -> npt.NDArray[np.int64]:
    """Return [B] int64: the rows from each row to the end of its episode, that row included.

    Args:
        transitions: B rows in order of time.
    """
    starts = episode_starts(transitions)
    first_rows = np.flatnonzero(starts)
    ends = np.append(first_rows[1:], len(starts))
    left: npt.NDArray[np.int64] = ends[np.cumsum(starts) - 1] - np.arange(len(starts))
    return left


def logged_returns(transitions: Transitions, discount: float) -> FloatArray:
    """Return the discounted return [n] of each episode in the dataset, as far as it was logged.

    Args:
        transitions: B rows in order of time.
        discount: gamma.
    """
    starts = episode_starts(transitions)
    first_rows = np.flatnonzero(starts)
    episode = np.cumsum(starts) - 1
    step = np.arange(len(starts)) - first_rows[episode]
    rewards = np.asarray(transitions.rewards, np.float64)[:, 0]
    returns: FloatArray = np.bincount(episode, weights=rewards * discount**step).astype(np.float64)
    return returns

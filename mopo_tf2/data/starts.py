"""Where the episodes of a dataset begin, and what they came to."""

import numpy as np

from mopo_tf2.types import BoolArray, FloatArray, Transitions


def episode_starts(transitions: Transitions) -> BoolArray:
    """Return [B] bool: the rows that begin an episode.

    A row goes on with an episode if it stands where the row before it led: its observation is that
    one's next observation, and that one was not terminal. So in a table whose rows are in no order
    (all but) every row begins one.

    Args:
        transitions: B rows in order of time.
    """
    led_here = (transitions.next_observations[:-1] == transitions.observations[1:]).all(axis=1)
    goes_on = led_here & ~np.asarray(transitions.terminals)[:-1, 0]
    return np.concatenate(([True], ~goes_on))


def logged_returns(transitions: Transitions, discount: float) -> FloatArray:
    """Return the discounted return of each episode of the dataset, as far as it was logged, [n].

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

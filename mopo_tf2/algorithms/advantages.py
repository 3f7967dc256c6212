"""Returns and advantages of many paths at once.

Paths lie side by side, [T, N]: row t of column n is step t of path n, and what lies behind a path's
end is 0.
"""

import numpy as np

_SMALLEST_STD = 1e-6


def path_mask(lengths: np.ndarray, horizon: int) -> np.ndarray:
    """Return [T, N] bool: which steps belong to their path, for lengths [N]."""
    mask: np.ndarray = np.arange(horizon)[:, None] < lengths
    return mask


def discounted_sums(values: np.ndarray, discount: float) -> np.ndarray:
    """Return ``sum_k discount^k values[t + k]`` for each t, [T, N] float64."""
    sums = np.zeros(values.shape, np.float64)
    following = np.zeros(values.shape[1:], np.float64)
    for t in range(len(values) - 1, -1, -1):
        following = values[t] + discount * following
        sums[t] = following
    return sums


def next_values(values: np.ndarray, lengths: np.ndarray, terminated: np.ndarray) -> np.ndarray:
    """Return V(s_{t+1}) of each step, [T, N].

    Behind the last step of a path lies 0 if the path is terminated. If it only ran out of horizon,
    the last value counts once more, as in mjrl.

    Args:
        values: [T, N], V(s_t).
        lengths: [N] int, steps of each path, at least 1.
        terminated: [N] bool.
    """
    following = np.concatenate([values[1:], np.zeros_like(values[:1])])
    paths = np.arange(len(lengths))
    last = values[lengths - 1, paths]
    following[lengths - 1, paths] = np.where(terminated, 0.0, last)
    return following


def generalised_advantages(
    rewards: np.ndarray,
    values: np.ndarray,
    lengths: np.ndarray,
    terminated: np.ndarray,
    *,
    discount: float,
    gae_lambda: float,
) -> np.ndarray:
    """Return A_t = sum_k (discount * lambda)^k delta_{t+k}, [T, N] float64, 0 behind the end.

    delta_t = r_t + discount * V(s_{t+1}) - V(s_t). Schulman et al. 2016, equation 16.

    Args:
        rewards: [T, N], 0 behind the end of a path.
        values: [T, N], V(s_t); what lies behind the end is ignored.
        lengths: [N] int, steps of each path, at least 1.
        terminated: [N] bool, nothing comes after the last step; see ``next_values``.
        discount: gamma.
        gae_lambda: lambda.
    """
    mask = path_mask(lengths, len(rewards))
    deltas = rewards + discount * next_values(values, lengths, terminated) - values
    return discounted_sums(np.where(mask, deltas, 0.0), discount * gae_lambda)


def normalised(advantages: np.ndarray) -> np.ndarray:
    """Return ``(advantages - mean) / (stddev + 1e-6)``, as in mjrl."""
    centred: np.ndarray = advantages - advantages.mean()
    return centred / (advantages.std() + _SMALLEST_STD)

"""Statistics of evaluation episodes, D4RL's normalised score, returns of logged episodes."""

from typing import Any

import numpy as np
import numpy.typing as npt

from mopo_tf2.data.catalog import EPISODE_STEPS
from mopo_tf2.evaluation.episodes import Episodes


def return_statistics(episodes: Episodes) -> dict[str, float]:
    """Mean, minimum, maximum and standard deviation (ddof 0) of returns and lengths.

    Args:
        episodes: at least one episode.

    Returns:
        The original's keys: ``evaluation/return-average``, ``-min``, ``-max``, ``-std`` (reward
        units) and ``evaluation/episode-length-avg``, ``-min``, ``-max``, ``-std`` (steps).

    Raises:
        ValueError: if there is no episode.

    Original: softlearning/algorithms/rl_algorithm.py:RLAlgorithm._evaluate_rollouts
    """
    if len(episodes.returns) == 0:
        raise ValueError("expected at least one episode, got none.")
    columns = {
        ("return", "average"): episodes.returns,
        ("episode-length", "avg"): episodes.lengths,
    }
    statistics = {}
    for (name, average), values in columns.items():
        statistics[f"evaluation/{name}-{average}"] = float(np.mean(values))
        statistics[f"evaluation/{name}-min"] = float(np.min(values))
        statistics[f"evaluation/{name}-max"] = float(np.max(values))
        statistics[f"evaluation/{name}-std"] = float(np.std(values))
    return statistics


def normalized_score(return_: float, ref_min: float, ref_max: float) -> float:
    """D4RL's score: 0 for the random policy's mean return, 100 for the expert's.

    Args:
        return_: mean return of the evaluated policy.
        ref_min: return of the random policy; nan if unknown.
        ref_max: return of the expert; nan if unknown.

    Returns:
        100 (return_ - ref_min) / (ref_max - ref_min), nan if either reference is unknown.

    Raises:
        ValueError: if the two references are equal.

    Original: d4rl/__init__.py:get_normalized_score
    """
    if ref_min == ref_max:
        raise ValueError(f"expected two different reference returns, got {ref_min} twice.")
    return 100.0 * (return_ - ref_min) / (ref_max - ref_min)


def episode_returns(
    rewards: npt.NDArray[Any],
    terminals: npt.NDArray[Any],
    timeouts: npt.NDArray[Any] | None = None,
    *,
    max_path_length: int = EPISODE_STEPS,
) -> npt.NDArray[np.float64]:
    """Return the sum of rewards of each whole episode of a log in order of time.

    Args:
        rewards: [N] or [N, 1].
        terminals: [N] or [N, 1] bool.
        timeouts: like ``terminals``; None: an episode ends after ``max_path_length`` steps.
        max_path_length: steps.

    Returns:
        [E] sums in the log's order. Rows after the last end are no whole episode and left out.
    """
    is_terminal = np.asarray(terminals).reshape(-1).astype(bool)
    if timeouts is not None:
        is_end = is_terminal | np.asarray(timeouts).reshape(-1).astype(bool)
    else:
        rows = np.arange(is_terminal.size)
        is_start = np.concatenate([[True], is_terminal[:-1]])
        step = rows - np.maximum.accumulate(np.where(is_start, rows, 0))
        is_end = is_terminal | (step % max_path_length == max_path_length - 1)
    sums = np.cumsum(np.asarray(rewards, dtype=np.float64).reshape(-1))
    return np.diff(sums[is_end], prepend=0.0)

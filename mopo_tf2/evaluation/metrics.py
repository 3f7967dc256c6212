"""Statistics of evaluation episodes and D4RL's normalised score."""

import numpy as np

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

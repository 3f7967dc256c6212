"""Statistics and scores with values computed by hand."""

import math

import numpy as np
import pytest

from mopo_tf2.evaluation.episodes import Episodes
from mopo_tf2.evaluation.metrics import episode_returns, normalized_score, return_statistics


def episodes(*returns):
    n = len(returns)
    return Episodes(np.array(returns), 10 * np.arange(1, n + 1), np.zeros(n, bool))


def test_statistics_are_those_of_the_population():
    assert return_statistics(episodes(1.0, 3.0)) == {
        "evaluation/return-average": 2.0,
        "evaluation/return-min": 1.0,
        "evaluation/return-max": 3.0,
        "evaluation/return-std": 1.0,
        "evaluation/episode-length-avg": 15.0,
        "evaluation/episode-length-min": 10.0,
        "evaluation/episode-length-max": 20.0,
        "evaluation/episode-length-std": 5.0,
    }


def test_no_episode_is_an_error():
    with pytest.raises(ValueError, match="at least one episode"):
        return_statistics(episodes())


def test_score_is_0_for_random_100_for_the_expert_and_linear():
    scores = [normalized_score(value, -20.0, 180.0) for value in (-20.0, 180.0, 80.0, 380.0)]
    assert scores == [0.0, 100.0, 50.0, 200.0]


def test_score_needs_two_different_references():
    assert math.isnan(normalized_score(5.0, math.nan, math.nan))
    with pytest.raises(ValueError, match="two different reference returns"):
        normalized_score(5.0, 1.0, 1.0)


def test_episodes_of_a_log_end_at_terminals_and_timeouts() -> None:
    # 1 + 2 = 3 (terminal), 3 + 4 = 7 (timeout), 5 is no whole episode.
    terminals, timeouts = np.array([0, 1, 0, 0, 0], bool), np.array([0, 0, 0, 1, 0], bool)
    assert episode_returns(np.arange(1.0, 6.0), terminals, timeouts).tolist() == [3.0, 7.0]


def test_episodes_of_a_log_without_timeouts_end_after_their_greatest_length() -> None:
    # A terminal after row 0 starts the count anew: rows 1 to 3, then 4 to 6.
    terminals = np.array([1, 0, 0, 0, 0, 0, 0, 0], bool)
    returns = episode_returns(np.arange(8.0), terminals, max_path_length=3)
    assert returns.tolist() == [0.0, 6.0, 15.0]


def test_returns_of_columns_of_shape_n_1_are_taken() -> None:
    assert episode_returns(np.ones((2, 1)), np.array([[False], [True]])).tolist() == [2.0]

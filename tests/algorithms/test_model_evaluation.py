"""Evaluation inside the learned model."""

import numpy as np
import pytest

from mopo_tf2.algorithms.model_evaluation import (
    MODEL_EVALUATION_KEYS,
    model_return_statistics,
    run_model_episodes,
)
from tests.countdown import Countdown, one


@pytest.fixture
def episodes():
    starts, seen = np.array([[2.0], [9.0], [1.0]], np.float32), []
    report, random_state = lambda *at: seen.append(at), np.random.RandomState(0)
    found = run_model_episodes(Countdown(), one, starts, 4, random_state, on_step=report)
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]
    return found


def test_episodes_run_until_the_end_or_the_horizon_and_keep_raw_and_penalised_returns(episodes):
    assert episodes.lengths.tolist() == [2, 4, 1]
    assert episodes.terminated.tolist() == [True, False, True]
    assert episodes.returns.tolist() == [20, 40, 10]
    assert episodes.penalized_returns.tolist() == [16, 32, 8]


def test_statistics_have_names_that_say_where_they_are_from(episodes):
    statistics = model_return_statistics(episodes)
    assert tuple(statistics) == MODEL_EVALUATION_KEYS
    assert not any(name.startswith("evaluation/") for name in statistics)
    assert statistics["model_evaluation/return-average"] == pytest.approx(70 / 3)
    assert statistics["model_evaluation/penalized-return-average"] == pytest.approx(56 / 3)
    assert statistics["model_evaluation/episode-length-max"] == 4
    assert statistics["model_evaluation/penalty-mean"] == 1


def test_mopo_without_environments_evaluates_in_its_model(tiny, eager):
    algorithm = tiny(eval_n_episodes=3, model_eval_horizon=4, n_epochs=1)
    (metrics,) = algorithm.train()
    assert np.isnan(metrics["evaluation/return-average"])
    assert metrics["model_evaluation/episode-length-avg"] == 4
    assert all(np.isfinite(metrics[name]) for name in MODEL_EVALUATION_KEYS)


def test_evaluation_in_the_model_draws_from_no_stream_of_the_run(tiny, eager):
    short = {"n_epochs": 2, "epoch_length": 2, "ensemble": {"model_max_epochs": 1}}
    with_evaluation = list(tiny(eval_n_episodes=3, model_eval_horizon=4, **short).train())
    without = list(tiny(eval_n_episodes=0, **short).train())
    for metrics, plain in zip(with_evaluation, without, strict=True):
        assert not any(name in plain for name in MODEL_EVALUATION_KEYS)
        assert metrics["Q_loss"] == plain["Q_loss"]

"""Branched rollouts in a model that counts, beside those that parity replays."""

import numpy as np

from mopo_tf2.dynamics.rollouts import branched_rollouts
from mopo_tf2.progress import NoProgress
from tests.countdown import Countdown, one


def roll(starts, length, policy=one, model=None, **options):
    observations = np.array(starts, np.float32)[:, None]
    model = model or Countdown()
    return list(
        branched_rollouts(model, policy, observations, length, np.random.RandomState(0), **options)
    )


def test_states_are_passed_on_in_double_precision():
    seen = []

    def policy(observations):
        seen.append(observations.dtype)
        return one(observations) / 3

    steps = roll([5], 3, policy)
    assert seen == [np.float32, np.float64, np.float64]
    final = steps[-1].transitions.next_observations
    assert final.dtype == np.float64


def test_rollouts_end_once_every_row_has_ended():
    assert len(roll([2, 1], 10)) == 2


def test_steps_are_deterministic_if_asked():
    model = Countdown()
    roll([5], 2, model=model, deterministic=True)
    assert model.deterministic == [True, True]


def test_progress_is_told_the_rows_of_each_step():
    class Log(NoProgress):
        def __init__(self):
            self.seen = []

        def rollout_step(self, done, total, states):
            self.seen.append((done, total, states))

    log = Log()
    roll([2, 9, 1], 3, progress=log)
    assert log.seen == [(1, 3, 3), (2, 3, 2), (3, 3, 1)]

"""A model with known steps, for tests of what rolls it out."""

import numpy as np

from mopo_tf2.dynamics.model_env import ModelStep


class Countdown:
    """The state goes down by the action and ends at 0; rewards are 10, penalised by 2."""

    def __init__(self):
        self.deterministic = []

    def step(self, observations, actions, random_state, *, deterministic=False):
        self.deterministic.append(deterministic)
        reached = observations.astype(np.float64) - actions
        rows = len(observations)
        raw, penalties = np.full((rows, 1), 10.0), np.ones((rows, 1), np.float32)
        means = np.zeros((rows, 2), np.float32)
        return ModelStep(
            reached, raw - 2 * penalties, reached[:, :1] <= 0, raw, penalties, means, means
        )


def one(observations):
    """A policy whose action is always 1."""
    return np.ones((len(observations), 1), np.float32)

"""Tasks so small that their best return is known, and data of known policies on them."""

import gymnasium
import numpy as np

from mopo_tf2.types import Transitions

HORIZON = 10


class Line(gymnasium.Env):
    """A point on a line is paid for being far out on its side: r = side * x, x += 0.1 a.

    Observation: (x, side), side -1 or 1 for the whole episode. The best policy is a = side,
    whose return is 0.1 (1 + ... + HORIZON) = 5.5.
    """

    observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (2,), np.float32)
    action_space = gymnasium.spaces.Box(-1.0, 1.0, (1,), np.float32)
    BEST_RETURN = 0.1 * HORIZON * (HORIZON + 1) / 2

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.x, self.side, self.steps = 0.0, float(self.np_random.choice([-1.0, 1.0])), 0
        return self._observation(), {}

    def _observation(self):
        return np.array([self.x, self.side], np.float32)

    def step(self, action):
        self.x += 0.1 * float(np.clip(action[0], -1.0, 1.0))
        self.steps += 1
        truncated = self.steps >= HORIZON
        return self._observation(), self.side * self.x, False, truncated, {}


def line_actions(direction, spread):
    """Return a policy that moves to its side (``direction`` 1) or away (-1) at speed 0.8 or so.

    It is a Gaussian of stddev ``spread`` squashed by tanh.
    """

    def act(observation, randoms):
        return np.tanh(direction * observation[1:] * np.arctanh(0.8) + randoms.normal(0, spread, 1))

    return act


def undecided_actions(spread):
    """Return a policy that moves to its side or away from it by the toss of a coin, every step.

    So that an observation does not tell which of the two moved there.
    """
    directions = {direction: line_actions(direction, spread) for direction in (-1, 1)}

    def act(observation, randoms):
        return directions[randoms.choice([-1, 1])](observation, randoms)

    return act


def rows_of(policy, episodes, seed):
    """Return the transitions of a policy on ``Line`` and its mean return."""
    task, randoms = Line(), np.random.RandomState(seed)
    rows, total = [], 0.0
    for episode in range(episodes):
        observation, _ = task.reset(seed=1000 * seed + episode)
        truncated = False
        while not truncated:
            action = policy(observation, randoms).astype(np.float32)
            following, reward, _, truncated, _ = task.step(action)
            rows.append((observation, action, following, [reward], [False]))
            observation, total = following, total + reward
    observations, actions, next_observations, rewards, terminals = zip(*rows, strict=True)
    transitions = Transitions(
        np.array(observations, np.float32),
        np.array(actions, np.float32),
        np.array(next_observations, np.float32),
        np.array(rewards, np.float32),
        np.array(terminals, bool),
    )
    return transitions, total / episodes

"""Lockstep episodes, in counters whose returns are known and in a real simulator."""

import gymnasium
import numpy as np
import pytest

from mopo_tf2.evaluation.environments import make_environment
from mopo_tf2.evaluation.episodes import evaluation_seeds, rescale_actions, run_episodes


class Counter(gymnasium.Env):
    """Ends after ``length`` steps; the reward is the action taken, the observation (seed, step)."""

    observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (2,), np.float64)

    def __init__(self, length, truncates=False, high=1.0):
        self.length, self.truncates = length, truncates
        self.action_space = gymnasium.spaces.Box(-1.0, high, (1,), np.float32)
        self.actions = []

    def reset(self, *, seed=None, options=None):
        self.first, self.count = float(seed or 0), 0
        return np.array([self.first, 0.0]), {}

    def step(self, action):
        self.count += 1
        self.actions.append(float(action[0]))
        over = self.count == self.length
        observation = np.array([self.first, self.count])
        return observation, float(action[0]), over and not self.truncates, over, {}


def half(observations):
    return np.full((len(observations), 1), 0.5, np.float32)


def test_returns_lengths_and_ends_are_those_of_each_environment():
    environments, reported = [Counter(4), Counter(100), Counter(2, truncates=True), Counter(10)], []
    episodes = run_episodes(
        half,
        environments,
        [1, 2, 3, 4],
        max_path_length=10,
        on_step=lambda *step: reported.append(step),
    )
    np.testing.assert_array_equal(episodes.returns, [2.0, 5.0, 1.0, 5.0])
    np.testing.assert_array_equal(episodes.lengths, [4, 10, 2, 10])
    # The last allowed step may terminate.
    np.testing.assert_array_equal(episodes.terminated, [True, False, False, True])
    assert reported == [(step, 10) for step in range(1, 11)]


class Rising(Counter):
    """Pays 2^24 in its first step and 1 in each further one."""

    def step(self, action):
        observation, _, *rest = super().step(action)
        return observation, 2.0**24 if self.count == 1 else 1.0, *rest


def test_returns_are_summed_in_double_precision():
    # In float32 each further 1 is lost.
    assert run_episodes(half, [Rising(4)], [0]).returns.tolist() == [2.0**24 + 3]


def test_policy_is_called_once_a_step_with_the_running_episodes_only():
    seen = []

    def policy(observations):
        assert observations.dtype == np.float32
        seen.append(observations.tolist())
        return half(observations)

    run_episodes(policy, [Counter(1), Counter(3)], [10, 20], max_path_length=5)
    assert seen == [[[10, 0], [20, 0]], [[20, 1]], [[20, 2]]]


def test_actions_are_rescaled_to_the_bounds_of_each_environment():
    environments = [Counter(1), Counter(1, high=3.0)]
    run_episodes(half, environments, [0, 0])
    assert [environment.actions for environment in environments] == [[0.5], [2.0]]


def test_rescaling_clips_and_keeps_the_ends():
    actions = np.array([[-1.0], [0.0], [1.0], [1.5], [-9.0]], np.float32)
    low, high = np.array([-2.0], np.float32), np.array([4.0], np.float32)
    scaled = rescale_actions(actions, low, high)
    assert scaled.dtype == np.float32
    np.testing.assert_array_equal(scaled, [[-2.0], [1.0], [4.0], [4.0], [-2.0]])


def test_rescaling_rounds_as_the_original_by_adding_one_first():
    tiny = np.array([1e-9], np.float32)
    one = np.ones(1, np.float32)
    assert rescale_actions(tiny, -one, one)[0] == 0.0


def test_an_episode_does_not_depend_on_its_companions():
    weights = np.random.RandomState(0).normal(size=(11, 3)).astype(np.float32)

    def policy(observations):
        # Row by row, so that not even rounding depends on the number of rows.
        return np.tanh(np.stack([row @ weights for row in observations]))

    seeds = [3, 4, 5]
    together = run_episodes(policy, [make_environment("hopper") for _ in seeds], seeds)
    alone = [run_episodes(policy, [make_environment("hopper")], [seed]) for seed in seeds]
    np.testing.assert_array_equal(together.returns, [one.returns[0] for one in alone])
    np.testing.assert_array_equal(together.lengths, [one.lengths[0] for one in alone])
    assert len(set(together.returns)) == 3


def test_seeds_are_a_function_of_run_and_epoch():
    assert evaluation_seeds(7, 3, 10)[:4] == evaluation_seeds(7, 3, 4)
    seeds = [
        seed for run in (0, 1) for epoch in (0, 1) for seed in evaluation_seeds(run, epoch, 10)
    ]
    assert len(set(seeds)) == 40
    assert all(0 <= seed < 2**32 for seed in seeds)


@pytest.mark.parametrize(
    ("width", "seeds", "message"),
    [
        (1, [0, 1], "as many seeds as environments, got 2 and 1"),
        (2, [0], r"actions \(1, 1\), got \(1, 2\)"),
    ],
)
def test_unequal_numbers_are_refused(width, seeds, message):
    with pytest.raises(ValueError, match=message):
        run_episodes(lambda observations: np.zeros((1, width)), [Counter(1)], seeds)


def test_actions_that_are_not_finite_stop_with_the_step():
    def diverges(observations):
        return np.where(observations[:, 1:] < 2, 0.0, np.nan)

    with pytest.raises(FloatingPointError, match="1 of 1 episodes at step 2"):
        run_episodes(diverges, [Counter(9)], [0])

"""Fitted-Q evaluation: against values in closed form."""

import dataclasses

import numpy as np
import pytest

from mopo_tf2.algorithms.fitted_q import fitted_q_evaluation
from mopo_tf2.configs.fitted_q import FittedQConfig
from mopo_tf2.data.starts import episode_starts
from mopo_tf2.errors import DivergenceError
from mopo_tf2.types import Transitions

STATES = 5
DISCOUNT = 0.9
CONFIG = FittedQConfig(
    steps=1500,
    discount=DISCOUNT,
    num_critics=3,
    hidden_layer_sizes=(32, 32),
    lr=3e-3,
    batch_size=64,
    tau=0.1,
)


def chain(*, ends=True):
    """Draw random transitions on a ring: a > 0 moves on, else stays; the reward is 1 + state.

    If it ``ends``, moving on from the last state is terminal.
    """
    random = np.random.RandomState(0)
    states = random.randint(0, STATES, 800)
    actions = random.uniform(-1, 1, (800, 1)).astype(np.float32)
    moves = actions[:, 0] > 0
    one_hot = np.eye(STATES, dtype=np.float32)
    return Transitions(
        one_hot[states],
        actions,
        one_hot[np.where(moves, (states + 1) % STATES, states)],
        (1.0 + states[:, None]).astype(np.float32),
        (moves & (states == STATES - 1))[:, None] & ends,
    )


def always(action):
    return lambda observations: np.full((len(observations), 1), action, np.float32)


def true_values(*, ends):
    """Solve the Bellman equation of the policy that always moves on."""
    after = np.roll(np.eye(STATES), 1, axis=1)
    if ends:
        after[-1] = 0.0
    return np.linalg.solve(np.eye(STATES) - DISCOUNT * after, 1.0 + np.arange(STATES))


@pytest.mark.parametrize("ends", [True, False], ids=["ends", "goes on for ever"])
def test_estimate_is_the_value_of_the_policy(ends):
    data = chain(ends=ends)
    starts = data.observations[episode_starts(data)]
    expected = (starts @ true_values(ends=ends)).mean()
    estimate = fitted_q_evaluation(data, always(0.5), CONFIG)
    assert estimate.mean == pytest.approx(expected, rel=0.03)
    assert estimate.values.min() <= estimate.mean <= estimate.values.max()
    assert estimate.history.shape == (10, 3)
    assert estimate.bellman_error < 0.5
    assert abs(estimate.drift) < 1.0


def test_same_seed_gives_the_same_estimate_and_another_seed_another(eager):
    config = dataclasses.replace(CONFIG, steps=10)
    first, again, other = (
        fitted_q_evaluation(chain(), always(0.5), config, seed=seed).values for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, again)
    assert (first != other).all()


def test_the_policy_is_asked_once_about_every_successor(eager):
    asked = []

    def policy(observations):
        asked.append(len(observations))
        return np.zeros((len(observations), 1), np.float32)

    data = chain()
    fitted_q_evaluation(data, policy, dataclasses.replace(CONFIG, steps=10))
    assert asked == [len(data.rewards), int(episode_starts(data).sum())]


def test_start_values_are_those_of_the_logged_episodes(eager):
    path = np.arange(4, dtype=np.float32)[:, None]
    data = Transitions(path, path * 0, path + 1, np.ones((4, 1), np.float32), path > 9)
    config = dataclasses.replace(CONFIG, steps=10)
    estimate = fitted_q_evaluation(data, always(0.0), config)
    assert estimate.starts == 1
    assert estimate.logged_return == pytest.approx(1 + 0.9 + 0.81 + 0.729)


def test_rewards_that_are_not_finite_end_in_an_error(eager):
    data = chain()
    rewards = data.rewards.copy()
    rewards[3] = np.nan
    with pytest.raises(DivergenceError, match="fitted-Q evaluation diverged"):
        fitted_q_evaluation(
            data._replace(rewards=rewards), always(0.5), dataclasses.replace(CONFIG, steps=20)
        )


def test_values_that_the_rewards_do_not_allow_end_in_an_error(eager):
    config = dataclasses.replace(CONFIG, steps=30, lr=1e4)
    with pytest.raises(DivergenceError, match="where the rewards of the data allow 0 to 50"):
        fitted_q_evaluation(chain(), always(0.5), config)

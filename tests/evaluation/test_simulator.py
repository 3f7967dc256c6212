"""The simulator as an oracle: what it would do in the state of an observation."""

import gymnasium
import numpy as np
import pytest

from mopo_tf2.errors import InputError
from mopo_tf2.evaluation.environments import make_environment
from mopo_tf2.evaluation.simulator import Simulator


@pytest.mark.parametrize("task", ["halfcheetah", "hopper", "walker2d", "ant"])
def test_next_observations_are_those_of_the_episode(task):
    environment = make_environment(task)
    environment.action_space.seed(0)
    observations, actions, following = [environment.reset(seed=1)[0]], [], []
    for _ in range(8):
        low, high = environment.action_space.low, environment.action_space.high
        actions.append(np.random.RandomState(len(actions)).uniform(-1, 1, low.shape))
        following.append(environment.step(low + (actions[-1] + 1) * 0.5 * (high - low))[0])
        observations.append(following[-1])
    simulator = Simulator(make_environment(task))
    got = simulator.next_observations(np.array(observations[:-1]), np.array(actions, np.float32))
    # Hopper and Walker2d show velocities up to 10 only: beyond, the state is not in what they show.
    whole = np.abs(observations[:-1]).max(axis=1) < (10.0 if task in ("hopper", "walker2d") else 99)
    assert whole.sum() >= 3
    np.testing.assert_allclose(got[whole], np.array(following)[whole], atol=1e-5)


def test_rows_do_not_depend_on_the_rows_before_them():
    randoms = np.random.RandomState(0)
    environment = make_environment("hopper")
    observations = environment.reset(seed=1)[0] + 0.01 * randoms.normal(size=(5, 11))
    actions = randoms.uniform(-1, 1, (5, 3)).astype(np.float32)
    simulator = Simulator(environment)
    whole = simulator.next_observations(observations, actions)
    alone = simulator.next_observations(observations[3:4], actions[3:4])
    np.testing.assert_allclose(alone[0], whole[3], atol=1e-6)


def test_a_task_without_mujoco_is_refused():
    with pytest.raises(InputError, match="stands on MuJoCo"):
        Simulator(gymnasium.make("Pendulum-v1"))


def test_observations_from_which_the_state_cannot_be_told_are_refused():
    environment = gymnasium.make("HalfCheetah-v5").unwrapped
    observe = environment._get_obs
    environment._get_obs = lambda: -observe()
    with pytest.raises(InputError, match="cannot tell the state"):
        Simulator(environment)

"""Our tasks against d4rl's own environments on mujoco-py and MuJoCo 2.1.0, step by step.

Runs in the virtual environment that build.py makes (make test-d4rl). Both sides are put into the
same state, with the solver's warm start zeroed, and given the same action.
"""

import warnings
from typing import NamedTuple

import numpy as np
import pytest

from mopo_tf2.evaluation.environments import make_environment
from mopo_tf2.evaluation.episodes import rescale_actions, run_episodes
from mopo_tf2.evaluation.gym_adapter import GymAdapter

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import d4rl.gym_mujoco  # noqa: F401 (registers the environments)
    import gym

# d4rl's Ant is gym's: its observations go on with contact forces, which the original's own Ant,
# ours, leaves out, and its reward has a contact cost.
TASKS = {
    "halfcheetah": "halfcheetah-medium-v0",
    "hopper": "hopper-medium-v0",
    "walker2d": "walker2d-medium-v0",
    "ant": "ant-medium-v1",
}
SINGLE_STEPS = 1000
OPEN_LOOP_STEPS = 50


class Steps(NamedTuple):
    observations: np.ndarray
    rewards: np.ndarray
    done: np.ndarray


class Theirs:
    """d4rl's environment as it registers it, without gym's wrappers around."""

    def __init__(self, task):
        spec = gym.envs.registry[TASKS[task]]
        module, name = spec.entry_point.split(":")
        made = getattr(__import__(module, fromlist=[name]), name)(**spec.kwargs)
        self.environment, self.simulator = made, made.wrapped_env
        self.obs_dim = make_environment(task).observation_space.shape[0]

    def reset(self, seed):
        self.simulator.reset(seed=seed)

    def set_state(self, qpos, qvel):
        self.simulator.set_state(qpos, qvel)
        self.simulator.sim.data.qacc_warmstart[:] = 0.0

    def state(self):
        data = self.simulator.sim.data
        return data.qpos.copy(), data.qvel.copy()

    def step(self, action):
        observation, reward, done, info = self.environment.step(action)
        return observation[: self.obs_dim], reward - info.get("reward_contact", 0.0), done


class Ours:
    """Our environment, with actions rescaled as in evaluation."""

    def __init__(self, task):
        self.environment = make_environment(task)
        self.environment.reset(seed=0)

    def set_state(self, qpos, qvel):
        self.environment.set_state(qpos, qvel)
        self.environment.data.qacc_warmstart[:] = 0.0

    def step(self, action):
        space = self.environment.action_space
        scaled = rescale_actions(action, space.low, space.high)
        observation, reward, done, truncated, _ = self.environment.step(scaled)
        assert not truncated
        return observation, reward, done


def stacked(steps):
    observations, rewards, done = zip(*steps, strict=True)
    return Steps(np.array(observations), np.array(rewards), np.array(done))


@pytest.fixture(scope="module", params=TASKS)
def task(request):
    return request.param


@pytest.fixture(scope="module")
def theirs(task):
    return Theirs(task)


@pytest.fixture(scope="module")
def single_steps(task, theirs):
    """Steps from the states of random episodes of d4rl's environment."""
    ours, random_state = Ours(task), np.random.RandomState(1)
    shape = ours.environment.action_space.shape
    both = ([], [])
    theirs.reset(seed=0)
    for count in range(SINGLE_STEPS):
        qpos, qvel = theirs.state()
        action = random_state.uniform(-1.0, 1.0, shape).astype(np.float32)
        for side, steps in zip((theirs, ours), both, strict=True):
            side.set_state(qpos, qvel)
            steps.append(side.step(action))
        if both[0][-1][2]:
            theirs.reset(seed=count)
    return stacked(both[0]), stacked(both[1])


@pytest.fixture(scope="module")
def open_loop(task, theirs):
    """A stretch in which each side goes on from its own state."""
    ours, random_state = Ours(task), np.random.RandomState(2)
    shape = (OPEN_LOOP_STEPS, *ours.environment.action_space.shape)
    actions = 0.3 * random_state.uniform(-1.0, 1.0, shape)
    theirs.reset(seed=3)
    state, both = theirs.state(), []
    for side in (theirs, ours):
        side.set_state(*state)
        both.append(stacked([side.step(action) for action in actions.astype(np.float32)]))
    return both


@pytest.mark.parametrize(
    ("stretch", "column", "limit"),
    [
        ("single_steps", "observations", 1e-9),
        ("single_steps", "rewards", 1e-7),
        ("open_loop", "observations", 1e-6),
        ("open_loop", "rewards", 1e-6),
    ],
)
def test_steps_agree(request, task, stretch, column, limit):
    theirs, ours = (getattr(steps, column) for steps in request.getfixturevalue(stretch))
    worst = np.abs(ours - theirs).max()
    print(f"{task}, {stretch}: {column} of {len(ours)} steps differ by at most {worst:.1e}")
    assert worst < limit


def test_single_steps_end_together(task, single_steps):
    theirs, ours = single_steps
    print(f"{task}: {theirs.done.sum()} terminal steps of {len(theirs.done)}")
    np.testing.assert_array_equal(ours.done, theirs.done)
    assert theirs.done.any() == (task != "halfcheetah")


def test_models_agree_in_masses_and_inertias(task, theirs):
    reference, model = theirs.simulator.sim.model, Ours(task).environment.model
    for name in ("body_mass", "body_inertia", "body_ipos", "jnt_range", "dof_damping"):
        expected = getattr(reference, name)
        np.testing.assert_allclose(getattr(model, name), expected, atol=1e-14, err_msg=name)


def test_resets_spread_alike(task, theirs):
    ours = Ours(task)
    reset_states = ([], [])
    for seed in range(200):
        theirs.reset(seed=seed)
        ours.environment.reset(seed=seed)
        reset_states[0].append(np.concatenate(theirs.state()))
        reset_states[1].append(ours.environment.state_vector())
    # Both draw from the same generator of NumPy, in the same order.
    np.testing.assert_allclose(reset_states[1], reset_states[0], rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", ["hopper", "walker2d"])
def test_adapted_d4rl_environment_runs_the_same_episodes(name):
    weights = np.random.RandomState(4).normal(size=(17, 6)).astype(np.float32)

    def policy(observations):
        chosen = weights[: observations.shape[1], : 3 if name == "hopper" else 6]
        return np.tanh(observations @ chosen)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        adapted = [GymAdapter(gym.make(TASKS[name])) for _ in range(3)]
        theirs = run_episodes(policy, adapted, [1, 2, 3])
    ours = run_episodes(policy, [make_environment(name) for _ in range(3)], [1, 2, 3])
    np.testing.assert_array_equal(ours.lengths, theirs.lengths)
    np.testing.assert_allclose(ours.returns, theirs.returns, rtol=1e-6)
    np.testing.assert_array_equal(ours.terminated, theirs.terminated)

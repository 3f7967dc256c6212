"""The paper's out-of-distribution tasks, recomputed from qpos, qvel and actions."""

import copy
from types import SimpleNamespace

import numpy as np
import pytest

from mopo_tf2.evaluation.environments import make_environment
from mopo_tf2.evaluation.ood_tasks import (
    RELABELLINGS,
    halfcheetah_capped_rewards,
    halfcheetah_jump_rewards,
)

PHYSICS = pytest.mark.parametrize("physics", ["d4rl", "gymnasium"])


def rollout(task, physics, steps=40):
    """Take random steps; what was seen in each, and how it moved by simulated second."""
    environment = make_environment(task, physics=physics)
    environment.reset(seed=3)
    random_state, data, rows = np.random.RandomState(0), environment.data, []
    for _ in range(steps):
        x, torso = data.qpos[0], data.body("torso").xpos.copy()
        action = random_state.uniform(-1, 1, environment.action_space.shape).astype(np.float32)
        observation, reward, terminated, _, _ = environment.step(action)
        row = SimpleNamespace(observation=observation, reward=reward, terminated=terminated)
        row.qpos, row.qvel = data.qpos.copy(), data.qvel.copy()
        row.torso = data.body("torso").xpos.copy()
        row.speed = (data.qpos[0] - x) / 0.05
        row.torso_velocity = (row.torso - torso) / 0.05
        row.square_norm = float(np.sum(action.astype(np.float64) ** 2))
        rows.append(row)
    return rows


def upset(task, **qpos):
    """A task with some of its initial positions changed, and its next step without an action."""
    environment = make_environment(task)
    environment.reset(seed=0)
    positions = environment.init_qpos.copy()
    for index, value in qpos.items():
        positions[int(index[1:])] = value
    environment.set_state(positions, environment.init_qvel)
    return environment.step(np.zeros(environment.action_space.shape, np.float32))


@pytest.mark.parametrize("task", ["halfcheetah-capped", "halfcheetah-jump"])
def test_halfcheetah_observes_positions_torso_height_and_velocities(task):
    for row in rollout(task, "d4rl", 10):
        expected = [*row.qpos[1:], row.torso[2], *row.qvel]
        np.testing.assert_array_equal(row.observation, expected)


@PHYSICS
@pytest.mark.parametrize(("task", "weight"), [("halfcheetah-capped", 0), ("halfcheetah-jump", 15)])
def test_halfcheetah_reward_is_that_of_speed_height_and_actions(task, weight, physics):
    for row in rollout(task, physics):
        height = weight * (row.torso[2] - 0.7)
        expected = min(row.speed, 3.0) - 0.1 * row.square_norm + height
        assert row.reward == pytest.approx(expected, abs=1e-6)


@PHYSICS
def test_initial_height_is_that_of_the_models_initial_pose(physics):
    environment = make_environment("halfcheetah-jump", physics=physics)
    environment.reset(seed=0)
    environment.set_state(environment.init_qpos, environment.init_qvel)
    assert environment.torso_height == pytest.approx(0.7, abs=1e-12)


def test_rewards_of_rows_that_random_steps_do_not_reach():
    rewards = halfcheetah_capped_rewards(np.array([-5.0, 2.9, 8.0]), np.zeros((3, 6), np.float32))
    np.testing.assert_allclose(rewards, [-5.0, 2.9, 3.0])
    actions = np.array([[1.0, 1.0], [0.0, 0.5]], np.float32)  # costs of each row alone: Q-30
    rewards = halfcheetah_jump_rewards(np.zeros(2), np.full(2, 0.7), actions)
    np.testing.assert_allclose(rewards, [-0.2, -0.025], rtol=1e-6)


def test_halfcheetah_never_terminates_upside_down():
    assert upset("halfcheetah-jump", q2=np.pi)[2:4] == (False, False)


@PHYSICS
@pytest.mark.parametrize(("task", "degrees"), [("ant-straight", 0.0), ("ant-angle", 30.0)])
def test_ant_reward_is_that_of_the_torsos_way_and_actions(task, degrees, physics):
    direction = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    for row in rollout(task, physics):
        expected = direction @ row.torso_velocity[:2] + 1.0 - 0.5 * row.square_norm
        assert row.reward == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize(
    ("height", "ends"), [(0.19, True), (0.21, False), (0.99, False), (1.2, True), (np.nan, True)]
)
def test_ant_ends_outside_its_healthy_heights(height, ends):
    environment = make_environment("ant-angle")
    environment.reset(seed=0)
    environment.data.qpos[2] = height
    assert environment.is_healthy is not ends


def test_ant_pays_its_survival_on_the_terminal_step_too():
    _, reward, terminated, _, _ = upset("ant-angle", q2=3.0)
    assert terminated
    assert reward == pytest.approx(1.0, abs=1e-6)


def test_ant_straight_is_the_ant_of_d4rl():
    for one, other in zip(rollout("ant-straight", "d4rl"), rollout("ant", "d4rl"), strict=True):
        np.testing.assert_array_equal(one.observation, other.observation)
        assert (one.reward, one.terminated) == (other.reward, other.terminated)


@pytest.mark.parametrize("task", RELABELLINGS)
def test_copies_are_of_the_same_task(task):
    environment = make_environment(task)
    action, seen = np.full(environment.action_space.shape, 0.5, np.float32), []
    for one in (environment, copy.deepcopy(environment)):
        one.reset(seed=1)
        observation, reward, *_ = one.step(action)
        seen.append((*observation, reward))
    assert seen[0] == seen[1]

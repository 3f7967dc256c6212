"""The paper's out-of-distribution tasks, recomputed from qpos, qvel and actions."""

import copy
from typing import Any

import numpy as np
import pytest

from mopo_tf2.evaluation.environments import environment_info, make_environment
from mopo_tf2.evaluation.ood_tasks import (
    RELABELLINGS,
    ant_rewards,
    halfcheetah_capped_rewards,
    halfcheetah_jump_rewards,
)

PHYSICS = ("d4rl", "gymnasium")


def rollout(task: str, physics: str, steps: int = 40) -> list[dict[str, Any]]:
    """Take random steps; return what was seen before and after each."""
    environment: Any = make_environment(task, physics=physics)
    observation, _ = environment.reset(seed=3)
    random_state = np.random.RandomState(0)
    rows = []
    for _ in range(steps):
        data = environment.data
        before = {
            "qpos": data.qpos.copy(),
            "torso": data.body("torso").xpos.copy(),
            "observation": observation,
        }
        action = random_state.uniform(-1, 1, environment.action_space.shape).astype(np.float32)
        observation, reward, terminated, truncated, info = environment.step(action)
        rows.append(
            {
                **before,
                "action": action,
                "reward": reward,
                "terminated": terminated,
                "truncated": truncated,
                "info": info,
                "next_observation": observation,
                "next_qpos": data.qpos.copy(),
                "next_qvel": data.qvel.copy(),
                "next_torso": data.body("torso").xpos.copy(),
                "dt": environment.dt,
            }
        )
    return rows


@pytest.mark.parametrize("physics", PHYSICS)
@pytest.mark.parametrize(
    ("task", "obs_dim", "act_dim"),
    [
        ("halfcheetah-capped", 18, 6),
        ("halfcheetah-jump", 18, 6),
        ("ant-straight", 27, 8),
        ("ant-angle", 27, 8),
    ],
)
def test_sizes_are_those_of_the_paper(task: str, obs_dim: int, act_dim: int, physics: str) -> None:
    environment = make_environment(task, physics=physics)
    info = environment_info(environment, task, physics=physics)
    assert (info.obs_dim, info.act_dim, info.physics) == (obs_dim, act_dim, physics)
    assert environment.reset(seed=0)[0].shape == (obs_dim,)


@pytest.mark.parametrize("task", ["halfcheetah-capped", "halfcheetah-jump"])
def test_halfcheetah_observes_positions_torso_height_and_velocities(task: str) -> None:
    for row in rollout(task, "d4rl", 10):
        expected = [*row["next_qpos"][1:], row["next_torso"][2], *row["next_qvel"]]
        np.testing.assert_array_equal(row["next_observation"], expected)


@pytest.mark.parametrize("physics", PHYSICS)
def test_capped_reward_is_that_of_positions_and_actions(physics: str) -> None:
    for row in rollout("halfcheetah-capped", physics):
        speed = (row["next_qpos"][0] - row["qpos"][0]) / 0.05
        cost = 0.1 * float(np.sum(row["action"].astype(np.float64) ** 2))
        assert row["reward"] == pytest.approx(min(speed, 3.0) - cost, abs=1e-6)


@pytest.mark.parametrize("physics", PHYSICS)
def test_jump_reward_adds_the_height_above_the_initial_pose(physics: str) -> None:
    for row in rollout("halfcheetah-jump", physics):
        speed = (row["next_qpos"][0] - row["qpos"][0]) / 0.05
        cost = 0.1 * float(np.sum(row["action"].astype(np.float64) ** 2))
        height = 15.0 * (row["next_torso"][2] - 0.7)
        assert row["reward"] == pytest.approx(min(speed, 3.0) - cost + height, abs=1e-6)


@pytest.mark.parametrize("physics", PHYSICS)
def test_initial_height_is_that_of_the_models_initial_pose(physics: str) -> None:
    environment: Any = make_environment("halfcheetah-jump", physics=physics)
    environment.reset(seed=0)
    environment.set_state(environment.init_qpos, environment.init_qvel)
    assert environment.torso_height == pytest.approx(0.7, abs=1e-12)


def test_speed_above_the_cap_is_paid_as_the_cap() -> None:
    actions = np.zeros((3, 6), np.float32)
    rewards = halfcheetah_capped_rewards(np.array([-5.0, 2.9, 8.0]), actions)
    np.testing.assert_allclose(rewards, [-5.0, 2.9, 3.0])


def test_costs_are_summed_for_each_row_alone() -> None:
    actions = np.array([[1.0, 1.0], [0.0, 0.5]], np.float32)
    rewards = halfcheetah_jump_rewards(np.zeros(2), np.full(2, 0.7), actions)
    np.testing.assert_allclose(rewards, [-0.2, -0.025], rtol=1e-6)


def test_halfcheetah_never_terminates_upside_down() -> None:
    environment: Any = make_environment("halfcheetah-jump")
    environment.reset(seed=0)
    qpos = environment.init_qpos.copy()
    qpos[2] = np.pi
    environment.set_state(qpos, environment.init_qvel)
    _, _, terminated, truncated, _ = environment.step(np.zeros(6, np.float32))
    assert (terminated, truncated) == (False, False)


@pytest.mark.parametrize("physics", PHYSICS)
@pytest.mark.parametrize(("task", "degrees"), [("ant-straight", 0.0), ("ant-angle", 30.0)])
def test_ant_reward_is_that_of_the_torsos_way_and_actions(
    task: str, degrees: float, physics: str
) -> None:
    angle = np.deg2rad(degrees)
    for row in rollout(task, physics):
        x_velocity, y_velocity = (row["next_torso"][:2] - row["torso"][:2]) / 0.05
        cost = 0.5 * float(np.sum(row["action"].astype(np.float64) ** 2))
        expected = np.cos(angle) * x_velocity + np.sin(angle) * y_velocity + 1.0 - cost
        assert row["reward"] == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize(
    ("height", "ends"), [(0.19, True), (0.21, False), (0.99, False), (1.2, True), (np.nan, True)]
)
def test_ant_ends_outside_its_healthy_heights(height: float, ends: bool) -> None:
    environment: Any = make_environment("ant-angle")
    environment.reset(seed=0)
    environment.data.qpos[2] = height
    assert environment.is_healthy is not ends


def test_ant_pays_its_survival_on_the_terminal_step_too() -> None:
    environment: Any = make_environment("ant-angle")
    environment.reset(seed=0)
    qpos = environment.init_qpos.copy()
    qpos[2] = 3.0
    environment.set_state(qpos, environment.init_qvel)
    _, reward, terminated, _, _ = environment.step(np.zeros(8, np.float32))
    assert terminated
    assert reward == pytest.approx(1.0, abs=1e-6)


def test_running_thirty_degrees_off_is_paid_in_full() -> None:
    velocity = 2.0
    x, y = velocity * np.cos(np.pi / 6), velocity * np.sin(np.pi / 6)
    actions = np.zeros((1, 8), np.float32)
    np.testing.assert_allclose(ant_rewards([x], [y], actions, 30.0), [3.0])


def test_ant_straight_is_the_ant_of_d4rl() -> None:
    ours, theirs = rollout("ant-straight", "d4rl"), rollout("ant", "d4rl")
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(one["next_observation"], other["next_observation"])
        assert (one["reward"], one["terminated"]) == (other["reward"], other["terminated"])


@pytest.mark.parametrize("task", RELABELLINGS)
def test_copies_are_of_the_same_task(task: str) -> None:
    environment: Any = make_environment(task)
    twin = copy.deepcopy(environment)
    action = np.full(environment.action_space.shape, 0.5, np.float32)
    seen = []
    for one in (environment, twin):
        one.reset(seed=1)
        observation, reward, *_ = one.step(action)
        seen.append((*observation, reward))
    assert seen[0] == seen[1]

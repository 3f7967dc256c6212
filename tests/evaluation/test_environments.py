"""Our tasks against steps recorded from gym v2 on MuJoCo 2.1.0."""

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mopo_tf2.errors import InputError
from mopo_tf2.evaluation.environments import environment_info, make_environment

RECORDING = Path(__file__).resolve().parents[2] / "parity/recordings/environment_steps.npz"
RECORDED_NAMES = {
    "halfcheetah": "halfcheetah",
    "hopper": "hopper",
    "walker2d": "walker2d",
    "ant": "antangle",
    "ant-straight": "antangle",
}


@pytest.fixture(params=RECORDED_NAMES)
def task(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.fixture
def recorded(task: str) -> dict[str, np.ndarray]:
    prefix = RECORDED_NAMES[task] + "/"
    with np.load(RECORDING) as file:
        return {key[len(prefix) :]: file[key] for key in file.files if key.startswith(prefix)}


@pytest.fixture
def environment(task: str) -> Iterator[Any]:
    made = make_environment(task)
    made.reset(seed=0)
    yield made
    made.close()


def set_state(environment: Any, qpos: np.ndarray, qvel: np.ndarray) -> None:
    environment.set_state(qpos, qvel)
    environment.data.qacc_warmstart[:] = 0.0


def single_steps(environment: Any, recorded: dict[str, np.ndarray]) -> list[tuple[Any, ...]]:
    steps = []
    for qpos, qvel, action in zip(
        recorded["qpos"], recorded["qvel"], recorded["action"], strict=True
    ):
        set_state(environment, qpos, qvel)
        steps.append(environment.step(action))
    return steps


def test_single_steps_have_the_recorded_observations(
    environment: Any, recorded: dict[str, np.ndarray]
) -> None:
    observations = [step[0] for step in single_steps(environment, recorded)]
    np.testing.assert_allclose(observations, recorded["next_obs"], rtol=0, atol=1e-9)


def test_single_steps_have_the_recorded_rewards_terminal_ones_included(
    environment: Any, recorded: dict[str, np.ndarray]
) -> None:
    rewards = [step[1] for step in single_steps(environment, recorded)]
    np.testing.assert_allclose(rewards, recorded["reward"], rtol=0, atol=1e-7)


def test_single_steps_terminate_where_recorded(
    environment: Any, recorded: dict[str, np.ndarray]
) -> None:
    terminated = [step[2] for step in single_steps(environment, recorded)]
    np.testing.assert_array_equal(terminated, recorded["done"])


def test_open_loop_stretch_follows_the_recorded_one_for_fifty_steps(
    environment: Any, recorded: dict[str, np.ndarray]
) -> None:
    set_state(environment, recorded["open_loop/qpos"], recorded["open_loop/qvel"])
    steps = [environment.step(action) for action in recorded["open_loop/actions"][:50]]
    observations, rewards = [step[0] for step in steps], [step[1] for step in steps]
    np.testing.assert_allclose(observations, recorded["open_loop/obs"][:50], rtol=0, atol=1e-6)
    np.testing.assert_allclose(rewards, recorded["open_loop/reward"][:50], rtol=0, atol=1e-6)


def test_time_between_steps_is_the_recorded_one(
    environment: Any, recorded: dict[str, np.ndarray]
) -> None:
    assert environment.dt == pytest.approx(
        recorded["model/timestep"] * recorded["model/frame_skip"]
    )


@pytest.mark.parametrize("name", ["hopper", "walker2d", "ant"])
def test_recording_holds_terminal_steps(name: str) -> None:
    with np.load(RECORDING) as file:
        assert file[f"{RECORDED_NAMES[name]}/done"].any()


@pytest.mark.parametrize(
    ("name", "position_noise", "normal_velocities"),
    [
        ("halfcheetah", 0.1, True),
        ("hopper", 0.005, False),
        ("walker2d", 0.005, False),
        ("ant", 0.1, True),
    ],
)
def test_resets_draw_the_noise_of_gym_v2(
    name: str, position_noise: float, normal_velocities: bool
) -> None:
    environment: Any = make_environment(name)
    environment.reset(seed=1)
    positions, velocities = [], []
    for _ in range(400):
        environment.reset()
        # Without an Ant's orientation, which is made a unit quaternion after the noise is added.
        noise = environment.data.qpos - environment.init_qpos
        positions.append(np.delete(noise, slice(3, 7)) if name == "ant" else noise)
        velocities.append(environment.data.qvel.copy())
    assert np.abs(positions).max() <= position_noise
    assert np.std(positions) == pytest.approx(position_noise / np.sqrt(3), rel=0.05)
    if normal_velocities:
        assert np.std(velocities) == pytest.approx(0.1, rel=0.05)
        assert np.abs(velocities).max() > 0.25
    else:
        assert np.abs(velocities).max() <= 0.005
        assert np.std(velocities) == pytest.approx(0.005 / np.sqrt(3), rel=0.05)


def test_ant_starts_with_a_unit_quaternion_as_under_old_mujoco() -> None:
    ant = make_environment("ant")
    for seed in range(5):
        observation, _ = ant.reset(seed=seed)
        assert np.linalg.norm(observation[1:5]) == pytest.approx(1.0, abs=1e-12)


def test_equal_seeds_give_equal_episodes_whatever_ran_before(environment: Any) -> None:
    actions = np.random.RandomState(0).uniform(-1, 1, (20, *environment.action_space.shape))

    def episode() -> list[np.ndarray]:
        first, _ = environment.reset(seed=5)
        return [first, *(environment.step(action)[0] for action in actions)]

    np.testing.assert_array_equal(episode(), episode())


def test_no_environment_truncates_by_itself() -> None:
    for physics in ("d4rl", "gymnasium"):
        environment = make_environment("halfcheetah", physics=physics)
        environment.reset(seed=0)
        action = np.zeros(6, np.float32)
        assert not any(environment.step(action)[3] for _ in range(1001)), physics


def test_copies_keep_the_old_masses(environment: Any) -> None:
    # Gymnasium copies and pickles an environment by making it anew from its arguments.
    twin = copy.deepcopy(environment)
    np.testing.assert_array_equal(twin.model.body_mass, environment.model.body_mass)


def test_gymnasium_physics_is_the_plain_v5_task() -> None:
    walker: Any = make_environment("walker2d", physics="gymnasium")
    assert type(walker).__module__ == "gymnasium.envs.mujoco.walker2d_v5"
    assert walker.fullpath.endswith("walker2d_v5.xml")
    assert walker.model.body_mass.sum() == pytest.approx(23.677, abs=2e-3)


def test_d4rl_physics_is_the_default() -> None:
    walker: Any = make_environment("walker2d")
    assert walker.model.body_mass.sum() == pytest.approx(22.698, abs=1e-3)


@pytest.mark.parametrize(
    ("name", "obs_dim", "act_dim"),
    [("halfcheetah", 17, 6), ("hopper", 11, 3), ("walker2d", 17, 6), ("ant", 27, 8)],
)
def test_info_records_sizes_bounds_and_physics(name: str, obs_dim: int, act_dim: int) -> None:
    info = environment_info(make_environment(name), name)
    assert (info.task, info.physics, info.obs_dim, info.act_dim) == (name, "d4rl", obs_dim, act_dim)
    assert (info.action_low, info.action_high) == ((-1.0,) * act_dim, (1.0,) * act_dim)
    assert info.mujoco_version.count(".") == 2


def test_unknown_task_is_an_error_that_names_the_nearest() -> None:
    with pytest.raises(InputError, match=r"no task 'HalfCheeta'.*Did you mean 'halfcheetah'"):
        make_environment("HalfCheeta")


def test_unknown_physics_is_an_error_that_names_the_two() -> None:
    with pytest.raises(InputError, match=r"no physics 'mujoco'.*d4rl, gymnasium"):
        make_environment("hopper", physics="mujoco")


def test_hopper_with_an_infinite_coordinate_is_not_healthy() -> None:
    hopper: Any = make_environment("hopper")
    hopper.reset(seed=0)
    assert hopper.is_healthy
    hopper.data.qpos[0] = np.inf
    assert not hopper.is_healthy

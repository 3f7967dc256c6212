"""Our tasks: resets, seeds, copies, physics. Steps are compared with gym v2's by parity."""

import copy

import numpy as np
import pytest

from mopo_tf2.errors import InputError
from mopo_tf2.evaluation.environments import environment_info, make_environment


@pytest.mark.parametrize(
    ("name", "position_noise", "normal_velocities"),
    [
        ("halfcheetah", 0.1, True),
        ("hopper", 0.005, False),
        ("walker2d", 0.005, False),
        ("ant", 0.1, True),
    ],
)
def test_resets_draw_the_noise_of_gym_v2(name, position_noise, normal_velocities):
    environment = make_environment(name)
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
    spread = 0.1 if normal_velocities else 0.005 / np.sqrt(3)
    assert np.std(velocities) == pytest.approx(spread, rel=0.05)
    assert (np.abs(velocities).max() > 2.5 * spread) == normal_velocities


def test_ant_starts_with_a_unit_quaternion_as_under_old_mujoco():
    ant = make_environment("ant")
    for seed in range(5):
        observation, _ = ant.reset(seed=seed)
        assert np.linalg.norm(observation[1:5]) == pytest.approx(1.0, abs=1e-12)


@pytest.mark.parametrize("name", ["halfcheetah", "hopper", "ant"])
def test_equal_seeds_give_equal_episodes_whatever_ran_before(name):
    environment = make_environment(name)
    actions = np.random.RandomState(0).uniform(-1, 1, (20, *environment.action_space.shape))

    def episode():
        first, _ = environment.reset(seed=5)
        return [first, *(environment.step(action)[0] for action in actions)]

    np.testing.assert_array_equal(episode(), episode())


@pytest.mark.parametrize("physics", ["d4rl", "gymnasium"])
def test_no_environment_truncates_by_itself(physics):
    environment = make_environment("halfcheetah", physics=physics)
    environment.reset(seed=0)
    action = np.zeros(6, np.float32)
    assert not any(environment.step(action)[3] for _ in range(1001))


def test_copies_keep_the_old_masses():
    # Gymnasium copies and pickles an environment by making it anew from its arguments.
    environment = make_environment("walker2d")
    twin = copy.deepcopy(environment)
    np.testing.assert_array_equal(twin.model.body_mass, environment.model.body_mass)


@pytest.mark.parametrize(
    ("options", "file", "mass"),
    [({}, "walker2d.xml", 22.698), ({"physics": "gymnasium"}, "walker2d_v5.xml", 23.677)],
)
def test_d4rl_physics_is_the_default_and_gymnasiums_is_the_plain_v5_task(options, file, mass):
    walker = make_environment("walker2d", **options)
    assert walker.fullpath.endswith(file)
    assert walker.model.body_mass.sum() == pytest.approx(mass, abs=2e-3)
    assert type(walker).__module__.startswith("gymnasium.") is bool(options)


@pytest.mark.parametrize(
    ("name", "obs_dim", "act_dim"),
    [
        ("halfcheetah", 17, 6),
        ("hopper", 11, 3),
        ("walker2d", 17, 6),
        ("ant", 27, 8),
        ("halfcheetah-capped", 18, 6),
        ("halfcheetah-jump", 18, 6),
        ("ant-straight", 27, 8),
        ("ant-angle", 27, 8),
    ],
)
@pytest.mark.parametrize("physics", ["d4rl", "gymnasium"])
def test_info_records_sizes_bounds_and_physics(name, obs_dim, act_dim, physics):
    environment = make_environment(name, physics=physics)
    info = environment_info(environment, name, physics=physics)
    if (name, physics) == ("ant", "gymnasium"):
        obs_dim = 105  # with contact forces
    sizes = (name, physics, obs_dim, act_dim)
    assert (info.task, info.physics, info.obs_dim, info.act_dim) == sizes
    assert (info.action_low, info.action_high) == ((-1.0,) * act_dim, (1.0,) * act_dim)
    assert info.mujoco_version.count(".") == 2
    assert environment.reset(seed=0)[0].shape == (obs_dim,)


@pytest.mark.parametrize(
    ("task", "physics", "message"),
    [
        ("HalfCheeta", "d4rl", r"no task 'HalfCheeta'.*Did you mean 'halfcheetah'"),
        ("hopper", "mujoco", r"no physics 'mujoco'.*d4rl, gymnasium"),
    ],
)
def test_unknown_task_or_physics_is_an_error_that_names_the_known(task, physics, message):
    with pytest.raises(InputError, match=message):
        make_environment(task, physics=physics)


def test_hopper_with_an_infinite_coordinate_is_not_healthy():
    hopper = make_environment("hopper")
    hopper.reset(seed=0)
    assert hopper.is_healthy
    hopper.data.qpos[0] = np.inf
    assert not hopper.is_healthy


# Gymnasium's own tasks.


@pytest.mark.filterwarnings("ignore:.*out of date:DeprecationWarning")
@pytest.mark.parametrize(
    ("task", "sizes"),
    [("Pendulum-v1", (3, 1)), ("Pendulum-v1(g=5.0)", (3, 1)), ("Hopper-v4", (11, 3))],
)
def test_gymnasiums_tasks_are_made_by_id_without_a_time_limit(task, sizes):
    environment = make_environment(task)
    info = environment_info(environment, task)
    assert (info.obs_dim, info.act_dim) == sizes
    assert (info.task, info.physics) == (task, "gymnasium")
    assert environment.unwrapped is environment
    assert getattr(environment, "g", 10.0) == (5.0 if "(" in task else 10.0)


@pytest.mark.parametrize(
    ("task", "words"),
    [
        ("Evil-v0", "not one of Gymnasium's own"),
        ("Hopper-v2", "not one of Gymnasium's own"),
        ("CartPole-v1", "a Box with one dimension as action space"),
        ("Pendulum-v1(g=)", "expected arguments as in"),
        ("Pendulum-v1(__import__('os').system('x'))", "expected arguments as in"),
        ("Pendulum-v1(g=open('x'))", "expected arguments as in"),
        ("Pendulum-v1(x=1)", "cannot be made"),
        ("Hopper-v5(xml_file='../x.xml')", "an argument xml_file that is not a number, a word"),
        (f"Pendulum-v1(g={'[' * 400 + ']' * 400})", "expected arguments as in"),
    ],
)
def test_other_ids_and_arguments_are_refused(task, words):
    with pytest.raises(InputError, match=words) as raised:
        make_environment(task)
    assert "\n" not in str(raised.value)

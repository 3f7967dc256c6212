"""The user's own environments, fit and unfit, named as module:function."""

import sys

import gymnasium
import numpy as np
import pytest

from mopo_tf2.errors import InputError
from mopo_tf2.evaluation.environments import environment_info, make_environment
from mopo_tf2.evaluation.gym_adapter import GymAdapter

MODULE = """
import gymnasium
import numpy as np
from gymnasium.spaces import Box, Discrete


class Point(gymnasium.Env):
    observation_space = Box(-np.inf, np.inf, (2,), np.float64)
    action_space = Box(-2.0, 4.0, (1,), np.float32)

    def __init__(self, render_mode=None):
        self.render_mode = render_mode

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return np.zeros(2), {}

    def step(self, action):
        return np.ones(2), 0.5, False, False, {}


class OldPoint:
    observation_space, action_space = Point.observation_space, Point.action_space

    def seed(self, seed): ...
    def reset(self): return np.zeros(2)
    def step(self, action): return np.ones(2), 0.5, False, {}


def point(): return Point()
def drawn(render_mode): return Point(render_mode)
def old_point(): return OldPoint()
def number(): return 7
def broken(): raise RuntimeError("no such\\nrobot")

def changed(**attributes):
    def make():
        env = Point()
        vars(env).update(attributes)
        return env
    return make

discrete = changed(action_space=Discrete(3))
image = changed(observation_space=Box(0, 255, (4, 4), np.uint8))
unbounded = changed(action_space=Box(-np.inf, np.inf, (1,), np.float32))
four_values = changed(step=lambda action: (np.ones(2), 0.5, False, {}))
wrong_shape = changed(step=lambda action: (np.ones(3), 0.5, False, False, {}))
no_seed = changed(reset=lambda: (np.zeros(2), {}))
"""


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    (tmp_path / "own_robots.py").write_text(MODULE)
    (tmp_path / "own_broken.py").write_text("1 / 0\n")
    (tmp_path / "own_needy.py").write_text("import no_such_simulator\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry != ""])
    for name in ("own_robots", "own_broken", "own_needy"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    return tmp_path


def test_function_in_the_current_folder_makes_the_environment():
    environment = make_environment("own_robots:point")
    info = environment_info(environment, "own_robots:point")
    assert (info.physics, info.obs_dim, info.act_dim) == ("own", 2, 1)
    assert (info.action_low, info.action_high) == ((-2.0,), (4.0,))


def test_render_mode_reaches_a_function_that_takes_it():
    assert make_environment("own_robots:drawn", render_mode="rgb_array").render_mode == "rgb_array"


def test_old_gym_environment_is_adapted():
    environment = make_environment("own_robots:old_point")
    assert isinstance(environment, gymnasium.Env)
    assert isinstance(environment, GymAdapter)
    environment.reset(seed=1)
    assert environment.step(np.zeros(1, np.float32))[1:4] == (0.5, False, False)


@pytest.mark.parametrize(
    ("task", "message"),
    [
        ("no_such_module:make", "no module 'no_such_module'"),
        ("own_robots.inner:make", "no module 'own_robots.inner'"),
        ("own_robots:make", "expected a function 'make'.*found none"),
        ("own_robots:np", "expected a function 'np'.*found a module"),
        ("own_robots:", "expected module:function"),
        (":make", "expected module:function"),
        ("own_broken:make", "importing 'own_broken' raised ZeroDivisionError"),
        ("own_needy:make", "importing 'own_needy' raised ModuleNotFoundError.*no_such_simulator"),
        ("own_robots:broken", "raised RuntimeError: no such robot"),
        ("own_robots:number", "expected a Gymnasium environment.*got int"),
        ("own_robots:discrete", "Box with one dimension as action space.*Discrete"),
        ("own_robots:image", "Box with one dimension as observation space"),
        ("own_robots:unbounded", "finite action bounds"),
        ("own_robots:four_values", "got 4 values"),
        ("own_robots:wrong_shape", r"step returned an observation of shape \(3,\)"),
        ("own_robots:no_seed", "one reset and step raised TypeError.*seed"),
    ],
)
def test_unfit_task_is_one_clear_line(task, message):
    with pytest.raises(InputError, match=message) as caught:
        make_environment(task)
    assert "\n" not in str(caught.value)
    assert task in str(caught.value)


def test_render_mode_that_the_function_cannot_take_is_an_error():
    with pytest.raises(InputError, match="give the function an argument render_mode"):
        make_environment("own_robots:point", render_mode="rgb_array")

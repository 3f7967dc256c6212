"""The tasks: four of gym v2, those of the paper, Gymnasium's own, and user-defined ones.

``physics="d4rl"`` has the dynamics and rewards of gym v2 on MuJoCo 2.1.0, with which D4RL's data
were collected. ``physics="gymnasium"`` is Gymnasium's v5 task (for the paper's tasks: its model and
masses, with the same observations and rewards). No environment made here has a time limit: the
caller ends episodes (Q-85).
"""

import dataclasses
import difflib
import importlib.metadata
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import gymnasium
import mujoco
import numpy as np
import numpy.typing as npt
from gymnasium.envs.mujoco import MujocoEnv
from gymnasium.envs.mujoco.ant_v5 import AntEnv
from gymnasium.envs.mujoco.half_cheetah_v5 import HalfCheetahEnv
from gymnasium.envs.mujoco.hopper_v5 import HopperEnv
from gymnasium.envs.mujoco.walker2d_v5 import Walker2dEnv

from mopo_tf2.configs.own import NO_ENVIRONMENT
from mopo_tf2.data import catalog
from mopo_tf2.data.minari import EnvironmentSpec
from mopo_tf2.errors import InputError
from mopo_tf2.evaluation.d4rl_physics import with_old_inertias
from mopo_tf2.evaluation.gymnasium_tasks import (
    gymnasium_task,
    is_gymnasium_task,
    make_gymnasium_task,
)
from mopo_tf2.evaluation.ood_tasks import (
    AntAngle,
    AntStraight,
    HalfCheetahCapped,
    HalfCheetahJump,
)
from mopo_tf2.evaluation.own_tasks import make_own_environment

PHYSICS = ("d4rl", "gymnasium")
"""The two kinds of physics of the built-in tasks."""


class _D4RLPhysics(MujocoEnv):
    """The differences of the D4RL tasks from Gymnasium's v5 class, which follows in the bases."""

    _ctrl_cost_weight: float

    def _initialize_simulation(self) -> tuple[mujoco.MjModel, mujoco.MjData]:
        # D-80: MuJoCo 2.1.0's masses and inertias, and from 3.5 on its contact margins.
        major, minor = (int(part) for part in mujoco.__version__.split(".")[:2])
        text = Path(self.fullpath).read_text(encoding="utf-8")
        xml = with_old_inertias(text, halve_margins=(major, minor) >= (3, 5))
        model = mujoco.MjModel.from_xml_string(xml)
        # As in the replaced method: the picture must fit into its buffer.
        model.vis.global_.offwidth = max(model.vis.global_.offwidth, self.width)
        model.vis.global_.offheight = max(model.vis.global_.offheight, self.height)
        return model, mujoco.MjData(model)

    def set_state(self, qpos: npt.NDArray[np.float64], qvel: npt.NDArray[np.float64]) -> None:
        """Set positions and velocities, orientations as unit quaternions.

        D-84: MuJoCo 2.1.0 normalised them in place, current versions do not; it affects the first
        observation of an Ant episode.
        """
        super().set_state(qpos, qvel)  # type: ignore[no-untyped-call]
        mujoco.mj_normalizeQuat(self.model, self.data.qpos)

    def control_cost(self, action: npt.NDArray[Any]) -> float:
        """Return the v5 cost in gym v2's arithmetic: the sum has the type of the action.

        D-81: under NumPy 2 the product with a float32 sum would be float32.
        """
        return float(self._ctrl_cost_weight) * float(np.square(action).sum())


class D4RLHalfCheetah(_D4RLPhysics, HalfCheetahEnv):
    """HalfCheetah-v2: observations [17], actions [6]; never terminates.

    Original: gym/envs/mujoco/half_cheetah.py:HalfCheetahEnv.step
    """


class D4RLHopper(_D4RLPhysics, HopperEnv):
    """Hopper-v2: observations [11], actions [3]; the bonus of 1 is paid on the terminal step too.

    Original: gym/envs/mujoco/hopper.py:HopperEnv.step
    """

    @property
    def healthy_reward(self) -> float:
        """Paid on every step (D-82: v5 withholds it on the terminal one)."""
        return float(self._healthy_reward)

    @property
    def is_healthy(self) -> bool:
        """Upright with a finite state, including the two coordinates that v5 does not test."""
        return bool(np.isfinite(self.state_vector()).all() and super().is_healthy)


class D4RLWalker2d(_D4RLPhysics, Walker2dEnv):
    """Walker2d-v2: observations [17], actions [6]; the bonus of 1 is paid on the terminal step too.

    Original: gym/envs/mujoco/walker2d.py:Walker2dEnv.step
    """

    @property
    def healthy_reward(self) -> float:
        """Paid on every step (D-82)."""
        return float(self._healthy_reward)


class D4RLAnt(_D4RLPhysics, AntEnv):
    """The original's own Ant: observations [27] without contact forces, actions [8].

    Reward: velocity along x - 0.5 |a|^2 + 1, on the terminal step too. Terminal outside
    0.2 <= z <= 1 or if not finite. D-85: without the original's contact cost, which is always 0
    under mujoco-py 2.

    Original: mopo/env/ant.py:AntEnv.step; mopo/env/ant.py:AntEnv._get_obs
    """

    stored_infos: ClassVar[tuple[str, ...]] = AntStraight.stored_infos

    @property
    def healthy_reward(self) -> float:
        """Paid on every step (D-82)."""
        return float(self._healthy_reward)


class D4RLHalfCheetahCapped(_D4RLPhysics, HalfCheetahCapped):
    """``HalfCheetahCapped`` with D4RL's physics."""


class D4RLHalfCheetahJump(_D4RLPhysics, HalfCheetahJump):
    """``HalfCheetahJump`` with D4RL's physics."""


class D4RLAntStraight(_D4RLPhysics, AntStraight):
    """``AntStraight`` with D4RL's physics: moves and rewards as ``D4RLAnt``."""


class D4RLAntAngle(_D4RLPhysics, AntAngle):
    """``AntAngle`` with D4RL's physics."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Task:
    """A built-in task; ``gymnasium`` is an id of Gymnasium or a class."""

    gymnasium: str | type[MujocoEnv]
    d4rl_class: type[_D4RLPhysics]
    arguments: dict[str, Any]


_TASKS = {
    "halfcheetah": _Task(
        gymnasium="HalfCheetah-v5",
        d4rl_class=D4RLHalfCheetah,
        arguments={"xml_file": "half_cheetah.xml"},
    ),
    "hopper": _Task(
        gymnasium="Hopper-v5", d4rl_class=D4RLHopper, arguments={"xml_file": "hopper.xml"}
    ),
    # Not walker2d_v5.xml, which has another foot friction.
    "walker2d": _Task(
        gymnasium="Walker2d-v5", d4rl_class=D4RLWalker2d, arguments={"xml_file": "walker2d.xml"}
    ),
    "ant": _Task(
        gymnasium="Ant-v5",
        d4rl_class=D4RLAnt,
        arguments={
            "xml_file": "ant.xml",
            "include_cfrc_ext_in_observation": False,
            "contact_cost_weight": 0.0,
        },
    ),
    "halfcheetah-capped": _Task(
        gymnasium=HalfCheetahCapped,
        d4rl_class=D4RLHalfCheetahCapped,
        arguments={"xml_file": "half_cheetah.xml"},
    ),
    "halfcheetah-jump": _Task(
        gymnasium=HalfCheetahJump,
        d4rl_class=D4RLHalfCheetahJump,
        arguments={"xml_file": "half_cheetah.xml"},
    ),
    "ant-straight": _Task(
        gymnasium=AntStraight,
        d4rl_class=D4RLAntStraight,
        arguments={"xml_file": "ant.xml", "include_cfrc_ext_in_observation": False},
    ),
    "ant-angle": _Task(
        gymnasium=AntAngle,
        d4rl_class=D4RLAntAngle,
        arguments={"xml_file": "ant.xml", "include_cfrc_ext_in_observation": False},
    ),
}

TASKS = tuple(_TASKS)
"""The names of the built-in tasks."""

_OF_GYM = {
    f"{name}-v{version}": name.lower()
    for name in ("HalfCheetah", "Hopper", "Walker2d")
    for version in (2, 3)
}
"""Ids of gym whose physics and rewards, without arguments, are "d4rl"."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class EnvironmentInfo:
    """The facts about its environment that a run records.

    Attributes:
        task: a name of ``TASKS``, Gymnasium's id, the user's ``module:function``, or "none".
        physics: "d4rl", "gymnasium", "own" for a user-defined task, or "none".
        obs_dim: size of an observation, O.
        act_dim: size of an action, A.
        action_low: [A] lower bounds of the simulator's actions.
        action_high: [A] upper bounds of the simulator's actions.
        gymnasium_version: version of Gymnasium.
        mujoco_version: version of the MuJoCo bindings.
    """

    task: str
    physics: str
    obs_dim: int
    act_dim: int
    action_low: tuple[float, ...]
    action_high: tuple[float, ...]
    gymnasium_version: str
    mujoco_version: str


def make_environment(
    task: str, *, physics: str = "d4rl", render_mode: str | None = None
) -> gymnasium.Env[Any, Any]:
    """Make a built-in task, one of Gymnasium's own, or a user-defined one.

    Args:
        task: a name of ``TASKS``; an id of ``make_gymnasium_task``; or ``module:function``: a
            function that returns a Gymnasium (or old gym) environment with flat Box spaces. Modules
            in the current folder are found.
        physics: "d4rl" or "gymnasium", of a built-in task; ignored for the others.
        render_mode: Gymnasium's; passed to a user-defined function that has this argument.

    Raises:
        InputError: if there is no such task or physics, or the user-defined task is invalid.

    Original: softlearning/environments/adapters/gym_adapter.py:GymAdapter.__init__
    """
    if ":" in task:
        return make_own_environment(task, render_mode=render_mode)
    if is_gymnasium_task(task):
        return make_gymnasium_task(task, render_mode=render_mode)
    if task not in _TASKS:
        near = difflib.get_close_matches(task.lower(), _TASKS, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise InputError(
            f"no task {task!r}: expected one of {', '.join(TASKS)}, an id of Gymnasium's as "
            f"Pendulum-v1, or your own as module:function.{hint}"
        )
    if physics not in PHYSICS:
        raise InputError(f"no physics {physics!r}: expected one of {', '.join(PHYSICS)}.")
    row = _TASKS[task]
    if physics == "d4rl":
        return row.d4rl_class(render_mode=render_mode, **row.arguments)
    if isinstance(row.gymnasium, str):
        return gymnasium.make(row.gymnasium, render_mode=render_mode).unwrapped
    return row.gymnasium(render_mode=render_mode, **row.arguments)


def task_of_data(spec: EnvironmentSpec) -> tuple[str, str]:
    """Return task and physics of the environment that a dataset names.

    Gym's v2 and v3 tasks and D4RL's ids have D4RL's physics; Gymnasium's v5 tasks are built in;
    every other one, v4 among them, is made by its id.

    Raises:
        InputError: if it is not one that ``make_environment`` makes.
    """
    d4rl = catalog.find(spec.id)
    if d4rl is not None:
        return d4rl.task, "d4rl"
    if spec.id in _OF_GYM and not spec.arguments and not spec.wrapped:
        return _OF_GYM[spec.id], "d4rl"
    task = gymnasium_task(spec)
    for name, row in _TASKS.items():
        if row.gymnasium == task:
            return name, "gymnasium"
    return task, "gymnasium"


def no_environment_info(
    obs_dim: int, act_dim: int, action_bounds: tuple[Sequence[float], Sequence[float]] | None = None
) -> EnvironmentInfo:
    """Describe a task without a simulator (D-144).

    Args:
        obs_dim: O.
        act_dim: A.
        action_bounds: low and high of the actions in the units of the data; None: -1 and 1.
    """
    low, high = action_bounds or ([-1.0] * act_dim, [1.0] * act_dim)
    return _info(NO_ENVIRONMENT, NO_ENVIRONMENT, obs_dim, low, high)


def environment_info(
    environment: gymnasium.Env[Any, Any], task: str, *, physics: str = "d4rl"
) -> EnvironmentInfo:
    """Describe an ``environment`` that ``make_environment(task, physics=physics)`` made."""
    space: Any = environment.action_space
    obs_dim = int(np.prod(environment.observation_space.shape or ()))
    physics = "own" if ":" in task else "gymnasium" if is_gymnasium_task(task) else physics
    return _info(task, physics, obs_dim, space.low, space.high)


def _info(
    task: str, physics: str, obs_dim: int, low: Sequence[float], high: Sequence[float]
) -> EnvironmentInfo:
    return EnvironmentInfo(
        task=task,
        physics=physics,
        obs_dim=obs_dim,
        act_dim=len(low),
        action_low=tuple(float(value) for value in low),
        action_high=tuple(float(value) for value in high),
        gymnasium_version=importlib.metadata.version("gymnasium"),
        mujoco_version=importlib.metadata.version("mujoco"),
    )

"""The paper's out-of-distribution tasks: reward formulas and Gymnasium classes.

Data are collected with one reward (halfcheetah-capped, ant-straight), policies are trained and
evaluated with another (halfcheetah-jump, ant-angle). The same formulas compute the rewards of
simulator steps and of the rows of a file. ``environments`` adds D4RL's physics to the classes.
"""

import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from gymnasium.envs.mujoco.ant_v5 import AntEnv
from gymnasium.envs.mujoco.half_cheetah_v5 import HalfCheetahEnv
from gymnasium.spaces import Box

Vector = npt.NDArray[np.float64]

SPEED_CAP = 3.0  # m/s
JUMP_WEIGHT = 15.0  # reward units per m
INITIAL_TORSO_HEIGHT = 0.7  # m, in the model's initial pose
ANGLE = 30.0  # degrees from the x axis


def halfcheetah_capped_rewards(x_velocity: Any, actions: npt.NDArray[Any]) -> Vector:
    """Return min(v_x, 3) - 0.1 |a|^2.

    Args:
        x_velocity: [...] float64, mean velocity of the step, m/s.
        actions: [..., A] float32, as the simulator takes them.

    Returns:
        [...] float64.
    """
    speed = np.asarray(np.minimum(x_velocity, SPEED_CAP), np.float64)
    return speed - 0.1 * _square_norm(actions)


def halfcheetah_jump_rewards(
    x_velocity: Any, torso_height: Any, actions: npt.NDArray[Any]
) -> Vector:
    """Return min(v_x, 3) - 0.1 |a|^2 + 15 (z - z_init), Q-30: per row.

    D-132: z_init is the height of the model's initial pose, not of the noisy reset, so that the
    reward is a function of the observation.

    Args:
        x_velocity: [...] float64, m/s.
        torso_height: [...] float64, z after the step, m.
        actions: [..., A] float32.

    Returns:
        [...] float64.
    """
    height = np.asarray(torso_height, np.float64) - INITIAL_TORSO_HEIGHT
    return halfcheetah_capped_rewards(x_velocity, actions) + JUMP_WEIGHT * height


def ant_rewards(
    x_velocity: Any, y_velocity: Any, actions: npt.NDArray[Any], angle: float = 0.0
) -> Vector:
    """Return v_x cos(angle) + v_y sin(angle) + 1 - 0.5 |a|^2.

    The 1 is paid on every step, the terminal one too (D-82).

    Args:
        x_velocity: [...] float64, mean velocity of the torso in the step, m/s.
        y_velocity: likewise.
        actions: [..., A] float32.
        angle: degrees.

    Returns:
        [...] float64.

    Original: mopo/env/ant.py:AntEnv.step
    """
    radian = math.radians(angle)
    forward = np.asarray(x_velocity, np.float64)
    if angle:
        forward = forward * math.cos(radian) + np.asarray(y_velocity) * math.sin(radian)
    return forward + 1.0 - 0.5 * _square_norm(actions)


def _square_norm(actions: npt.NDArray[Any]) -> Vector:
    # D-81: the sum in the type of the action, as in the tasks of D4RL.
    return np.asarray(np.square(actions).sum(axis=-1), np.float64)


Rewards = Callable[[Mapping[str, npt.NDArray[Any]]], Vector]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Relabelling:
    """Computation of a task's rewards from the columns of a file.

    Attributes:
        family: the tasks that have the same dynamics, observations and stored columns.
        needs: required columns besides ``actions``.
        rewards: from columns [N, ...] to rewards [N] float64.
    """

    family: tuple[str, ...]
    needs: tuple[str, ...]
    rewards: Rewards


_HALFCHEETAHS = ("halfcheetah-capped", "halfcheetah-jump")
_ANTS = ("ant-straight", "ant", "ant-angle")
_SPEED, _SIDE_SPEED, _HEIGHT = "infos/x_velocity", "infos/y_velocity", "infos/torso_height"


def _ant_relabelling(angle: float) -> Relabelling:
    return Relabelling(
        family=_ANTS,
        needs=(_SPEED, _SIDE_SPEED),
        rewards=lambda columns: ant_rewards(
            columns[_SPEED], columns[_SIDE_SPEED], columns["actions"], angle
        ),
    )


RELABELLINGS: dict[str, Relabelling] = {
    "halfcheetah-jump": Relabelling(
        family=_HALFCHEETAHS,
        needs=(_SPEED, _HEIGHT),
        rewards=lambda columns: halfcheetah_jump_rewards(
            columns[_SPEED], columns[_HEIGHT], columns["actions"]
        ),
    ),
    "halfcheetah-capped": Relabelling(
        family=_HALFCHEETAHS,
        needs=(_SPEED,),
        rewards=lambda columns: halfcheetah_capped_rewards(columns[_SPEED], columns["actions"]),
    ),
    "ant-angle": _ant_relabelling(ANGLE),
    "ant-straight": _ant_relabelling(0.0),
}
"""By task. D-134: the columns hold what the simulator measured in each step. The torso's velocity
and height are those of the last forward pass, which qpos does not determine."""


class HalfCheetahCapped(HalfCheetahEnv):
    """HalfCheetah rewarded for at most 3 m/s; it collects the data of halfcheetah-jump.

    Observations [18]: qpos[1:] [8], height of the torso, qvel [9]. The height is that of the last
    forward pass, as from the original's ``get_body_com``: one simulation step (0.01 s) before qpos,
    except in the first observation of an episode.
    """

    stored_infos: ClassVar[tuple[str, ...]] = ("x_velocity", "torso_height")

    # Positional arguments too: Gymnasium copies an environment by calling the class with them.
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        size = self.data.qpos.size + self.data.qvel.size  # the height in place of qpos[0]
        self.observation_space = Box(-np.inf, np.inf, (size,), np.float64)

    @property
    def torso_height(self) -> float:
        """Height of the torso, m."""
        return float(self.data.body("torso").xpos[2])

    def _get_obs(self) -> Vector:
        data = self.data
        return np.concatenate([data.qpos[1:], [self.torso_height], data.qvel])

    def _get_rew(
        self, x_velocity: float, action: npt.NDArray[Any]
    ) -> tuple[float, dict[str, float]]:
        reward = halfcheetah_capped_rewards(x_velocity, action)
        return float(reward), {"torso_height": self.torso_height}


class HalfCheetahJump(HalfCheetahCapped):
    """halfcheetah-jump: as ``HalfCheetahCapped``, with a reward for the height of the torso."""

    def _get_rew(
        self, x_velocity: float, action: npt.NDArray[Any]
    ) -> tuple[float, dict[str, float]]:
        reward = halfcheetah_jump_rewards(x_velocity, self.torso_height, action)
        return float(reward), {"torso_height": self.torso_height}


class AntStraight(AntEnv):
    """The original's Ant, rewarded for running along x; it collects the data of ant-angle.

    Observations [27], if created without contact forces. Terminal outside 0.2 <= z <= 1 or if not
    finite.

    Original: mopo/env/ant.py:AntEnv.step; mopo/env/ant.py:AntEnv._get_obs
    """

    stored_infos: ClassVar[tuple[str, ...]] = ("x_velocity", "y_velocity")
    angle: ClassVar[float] = 0.0

    def step(
        self, action: npt.NDArray[Any]
    ) -> tuple[Vector, np.float64, bool, bool, dict[str, np.float64]]:
        """Take one step; see the class."""
        torso = self.data.body("torso")
        before = torso.xpos[:2].copy()
        self.do_simulation(action, self.frame_skip)
        x_velocity, y_velocity = (torso.xpos[:2] - before) / self.dt
        reward = np.float64(ant_rewards(x_velocity, y_velocity, action, self.angle))
        info = {"x_velocity": x_velocity, "y_velocity": y_velocity}
        if self.render_mode == "human":
            self.render()  # type: ignore[no-untyped-call]
        observation: Vector = self._get_obs()  # type: ignore[no-untyped-call]
        return observation, reward, not self.is_healthy, False, info


class AntAngle(AntStraight):
    """ant-angle: as ``AntStraight``, rewarded for running 30 degrees off the x axis."""

    angle: ClassVar[float] = ANGLE

"""Steps of a MuJoCo task from states that are given as observations."""

from typing import Any

import gymnasium
import numpy as np
import numpy.typing as npt

from mopo_tf2.errors import InputError
from mopo_tf2.evaluation.episodes import rescale_actions
from mopo_tf2.types import FloatArray


class Simulator:
    """Predicts next states with the simulator itself.

    A state is rebuilt from its observation. An observation lacks only the root's position in the
    plane, which has no effect. Clipped velocities (Hopper and Walker2d, at +-10) stay clipped.

    Args:
        environment: a MuJoCo environment; its current episode is lost.

    Raises:
        InputError: if it is not one, or its observations are not positions and velocities.
    """

    def __init__(self, environment: gymnasium.Env[Any, Any]):
        unwrapped: Any = environment.unwrapped
        self._environment = unwrapped
        data = getattr(self._environment, "data", None)
        if not hasattr(data, "qpos") or not hasattr(self._environment, "set_state"):
            raise InputError(
                "expected a task that stands on MuJoCo, with set_state and data.qpos, got "
                f"{type(self._environment).__qualname__}."
            )
        self._nq, self._nv = self._environment.model.nq, self._environment.model.nv
        observation, _ = self._environment.reset(seed=0)
        self._left_out = self._nq + self._nv - len(observation)
        if not 0 <= self._left_out <= 2 or not np.allclose(
            self._set_state(observation), observation, atol=1e-6
        ):
            raise InputError(
                f"cannot tell the state of {type(self._environment).__qualname__} from its "
                "observation: expected qpos (without the root's place) and qvel."
            )

    def _set_state(self, observation: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        """Set the simulator to the state of ``observation`` [O]; return its observation."""
        kept = self._nq - self._left_out
        qpos = np.concatenate([np.zeros(self._left_out), observation[:kept]])
        self._environment.set_state(qpos, np.asarray(observation[kept:], np.float64))
        observed: npt.NDArray[np.float64] = self._environment._get_obs()
        return observed

    def next_observations(
        self, observations: FloatArray, actions: FloatArray
    ) -> npt.NDArray[np.float64]:
        """Return the simulator's next observations [B, O].

        Args:
            observations: [B, O], simulator units.
            actions: [B, A], in [-1, 1].
        """
        space = self._environment.action_space
        scaled = rescale_actions(np.asarray(actions, np.float32), space.low, space.high)
        reached = np.empty(observations.shape)
        for row, (observation, action) in enumerate(zip(observations, scaled, strict=True)):
            self._set_state(observation)
            reached[row] = self._environment.step(action)[0]
        return reached

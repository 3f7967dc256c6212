"""Recording of an environment's steps, in the columns of D4RL's files."""

from collections.abc import Callable, Mapping
from typing import Any

import gymnasium
import numpy as np
import numpy.typing as npt

from mopo_tf2.evaluation.episodes import rescale_actions
from mopo_tf2.types import FloatArray

Columns = dict[str, npt.NDArray[Any]]


class Recorder:
    """Steps one environment and records every step, in order of time.

    Columns: ``observations``, ``actions`` (in [-1, 1]), ``rewards``, ``next_observations``
    float32; ``terminals``, ``timeouts`` bool; for MuJoCo, ``infos/qpos`` and ``infos/qvel``
    float64, the state in which the action was taken; and ``infos/NAME`` float64 for each entry of
    the step's info that the environment lists in ``stored_infos``. An episode that
    reaches ``max_path_length`` ends with a timeout and no terminal.

    Args:
        environment: from ``make_environment``.
        rows: maximum number of rows.
        max_path_length: maximum length of an episode, in steps.
        reset_seed: maps an episode's number (from 0) to the seed of its reset; None: the
            environment's own random state.

    Attributes:
        size: number of recorded rows.
        returns: of the completed episodes.
        ends: number of rows at the end of each completed episode.

    Original: softlearning/samplers/simple_sampler.py:SimpleSampler.sample
    """

    def __init__(
        self,
        environment: gymnasium.Env[Any, Any],
        rows: int,
        *,
        max_path_length: int = 1000,
        reset_seed: Callable[[int], int | None],
    ):
        self.size = 0
        self.returns: list[float] = []
        self.ends: list[int] = []
        self._environment, self._reset_seed = environment, reset_seed
        self._max_path_length = max_path_length
        self._infos: tuple[str, ...] = getattr(environment.unwrapped, "stored_infos", ())
        self._space: Any = environment.action_space
        self._columns = self._empty_columns(rows)
        self._observation: npt.NDArray[Any] | None = None
        self._length, self._path_return = 0, 0.0

    @property
    def observation(self) -> FloatArray:
        """The current observation [O] float32; starts an episode if none is running."""
        if self._observation is None:
            seed = self._reset_seed(len(self.returns))
            self._observation, _ = self._environment.reset(seed=seed)
        return np.asarray(self._observation, np.float32)

    @property
    def between_episodes(self) -> bool:
        """Whether no episode is running; columns and returns then hold the whole state."""
        return self._observation is None

    def step(self, action: FloatArray) -> None:
        """Take ``action`` [A], in [-1, 1], and record the step."""
        observation, row = self.observation, self.size
        # Rounded as in the rescaling, so that with bounds of -1 and 1 the stored action equals the
        # action that was taken.
        action = (np.asarray(action, np.float32) + np.float32(1.0)) - np.float32(1.0)
        action = np.clip(action, -1.0, 1.0)
        data = simulator_data(self._environment)
        if data is not None:
            self._columns["infos/qpos"][row] = data.qpos
            self._columns["infos/qvel"][row] = data.qvel
        next_observation, reward, done, truncated, info = self._environment.step(
            rescale_actions(action, self._space.low, self._space.high)
        )
        self._length += 1
        self._path_return += float(reward)
        timeout = self._length == self._max_path_length or (bool(truncated) and not done)
        values = (observation, action, next_observation, reward, done and not timeout, timeout)
        for name, value in zip(_COLUMNS, values, strict=True):
            self._columns[name][row] = value
        for name in self._infos:
            self._columns[f"infos/{name}"][row] = info[name]
        self.size += 1
        self._observation = next_observation
        if done or timeout:
            self._end_episode()

    def _end_episode(self) -> None:
        self.returns.append(self._path_return)
        self.ends.append(self.size)
        self._observation = None
        self._length, self._path_return = 0, 0.0

    def columns(self, first: int = 0) -> Columns:
        """Return views of the rows from ``first`` on."""
        return {name: column[first : self.size] for name, column in self._columns.items()}

    def closed_columns(self) -> Columns:
        """Return all rows as for a file: the last row always ends an episode.

        Its successor is not in the file, so it is marked as a timeout unless it is terminal.
        """
        columns = self.columns()
        if self.size and not columns["terminals"][-1]:
            columns["timeouts"] = columns["timeouts"].copy()
            columns["timeouts"][-1] = True
        return columns

    def restore(
        self, columns: Mapping[str, npt.NDArray[Any]], returns: list[float], ends: list[int]
    ) -> None:
        """Restore the rows of a recorder that was between two episodes.

        Raises:
            KeyError: if a column is missing.
            ValueError: if one has another shape.
        """
        self.size = len(columns["rewards"])
        for name, column in self._columns.items():
            column[: self.size] = columns[name]
        self.returns, self.ends = list(returns), list(ends)
        self._observation = None
        self._length, self._path_return = 0, 0.0

    def _empty_columns(self, rows: int) -> Columns:
        obs_shape = self._environment.observation_space.shape or ()
        columns: Columns = {
            "observations": np.empty((rows, *obs_shape), np.float32),
            "actions": np.empty((rows, *self._space.shape), np.float32),
            "next_observations": np.empty((rows, *obs_shape), np.float32),
            "rewards": np.empty(rows, np.float32),
            "terminals": np.empty(rows, bool),
            "timeouts": np.empty(rows, bool),
        }
        data = simulator_data(self._environment)
        if data is not None:
            columns["infos/qpos"] = np.empty((rows, data.qpos.size))
            columns["infos/qvel"] = np.empty((rows, data.qvel.size))
        for name in self._infos:
            columns[f"infos/{name}"] = np.empty(rows)
        return columns


_COLUMNS = ("observations", "actions", "next_observations", "rewards", "terminals", "timeouts")


def simulator_data(environment: gymnasium.Env[Any, Any]) -> Any:
    """Return the state object of a MuJoCo environment; None for others."""
    data = getattr(environment.unwrapped, "data", None)
    return data if hasattr(data, "qpos") and hasattr(data, "qvel") else None

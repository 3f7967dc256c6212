"""Environments of the old ``gym`` behind Gymnasium's interface.

Nothing here imports ``gym``: an environment is recognised by its methods and spaces.
"""

from typing import Any

import gymnasium
import numpy as np
import numpy.typing as npt

from mopo_tf2.errors import InputError


def looks_like_gym(environment: object) -> bool:
    """Whether ``environment`` has the methods and spaces of a gym environment with Box spaces."""
    callables = all(callable(getattr(environment, name, None)) for name in ("reset", "step"))
    spaces = (getattr(environment, f"{kind}_space", None) for kind in ("observation", "action"))
    return callables and all(
        hasattr(space, "low") and hasattr(space, "high") and hasattr(space, "shape")
        for space in spaces
    )


class GymAdapter(gymnasium.Env[npt.NDArray[Any], npt.NDArray[Any]]):
    """A gym environment, of any version, as a Gymnasium environment.

    ``step`` may return (observation, reward, done, info) or Gymnasium's five values; with four,
    ``info["TimeLimit.truncated"]`` distinguishes a time limit from a terminal state. ``reset`` may
    return the observation alone or with an info. A seed is passed to the environment's ``seed``
    method if it has one (gym before 0.26), otherwise to ``reset``.

    Args:
        environment: the gym environment, with flat Box spaces (``low``, ``high``, ``shape``).
        render_mode: mode of ``render``; passed at every call to gym before 0.26.

    Raises:
        TypeError: if ``environment`` does not look like a gym environment with Box spaces.

    Original: softlearning/environments/adapters/gym_adapter.py:GymAdapter
    """

    metadata: dict[str, Any] = {"render_modes": ["human", "rgb_array"]}  # noqa: RUF012

    def __init__(self, environment: Any, render_mode: str | None = None) -> None:
        if not looks_like_gym(environment):
            raise TypeError(
                "expected a gym environment with Box spaces, "
                f"got {type(environment).__module__}.{type(environment).__qualname__}."
            )
        self.gym_environment = environment
        self.render_mode = render_mode
        self.observation_space = _box(environment.observation_space)
        self.action_space = _box(environment.action_space)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[npt.NDArray[Any], dict[str, Any]]:
        """Start an episode; ``options`` are ignored.

        Raises:
            InputError: if the environment cannot be seeded.
        """
        arguments: dict[str, Any] = {}
        if seed is not None:
            seed_method = getattr(self.gym_environment, "seed", None)
            if callable(seed_method):
                seed_method(seed)
            else:
                arguments["seed"] = seed
        try:
            result = self.gym_environment.reset(**arguments)
        except TypeError as error:
            if not arguments:
                raise
            raise InputError(
                f"{self.gym_environment!r} has no seed method and its reset takes no seed "
                f"({error}); give it one of the two."
            ) from error
        if isinstance(result, tuple):
            observation, info = result
            return np.asarray(observation), info
        return np.asarray(result), {}

    def step(
        self, action: npt.NDArray[Any]
    ) -> tuple[npt.NDArray[Any], float, bool, bool, dict[str, Any]]:
        """Take one step; see the class for what the gym environment may return.

        Raises:
            InputError: if it returned neither four nor five values.
        """
        result = self.gym_environment.step(action)
        if len(result) == 5:
            observation, reward, terminated, truncated, info = result
        elif len(result) == 4:
            observation, reward, done, info = result
            truncated = bool(info.get("TimeLimit.truncated", False))
            terminated = bool(done) and not truncated
        else:
            raise InputError(
                f"{self.gym_environment!r}: expected step to return 4 (gym) or 5 (Gymnasium) "
                f"values, got {len(result)}; adapt its step."
            )
        return np.asarray(observation), float(reward), bool(terminated), bool(truncated), info

    def render(self) -> Any:
        """Draw the environment in ``render_mode``."""
        if getattr(self.gym_environment, "render_mode", None) is not None:
            return self.gym_environment.render()
        return self.gym_environment.render(mode=self.render_mode)

    def close(self) -> None:
        """Close the gym environment."""
        self.gym_environment.close()


def _box(space: Any) -> gymnasium.spaces.Box:
    return gymnasium.spaces.Box(
        np.asarray(space.low), np.asarray(space.high), tuple(space.shape), space.dtype.type
    )

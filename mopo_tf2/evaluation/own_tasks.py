"""User-defined environments, named as ``module:function``."""

import inspect
from typing import Any

import gymnasium
import numpy as np

from mopo_tf2.errors import InputError
from mopo_tf2.evaluation.gym_adapter import GymAdapter, looks_like_gym
from mopo_tf2.own_functions import import_function, one_line


def make_own_environment(task: str, *, render_mode: str | None = None) -> gymnasium.Env[Any, Any]:
    """Call the user's function and check the environment by one reset and one step.

    Args:
        task: ``module:function``.
        render_mode: given to the function if it has an argument of this name.

    Raises:
        InputError: if the function cannot be imported or raises, does not return an environment,
            its spaces are not flat boxes with finite action bounds, or its observations differ.
    """
    function = import_function(task, "task")
    arguments: dict[str, Any] = {}
    if render_mode is not None:
        if "render_mode" not in inspect.signature(function).parameters:
            raise InputError(
                f"task {task!r} cannot be drawn: give the function an argument render_mode and "
                "pass it on to the environment."
            )
        arguments["render_mode"] = render_mode
    try:
        environment = function(**arguments)
    except Exception as error:  # whatever the user's function raises
        raise InputError(f"task {task!r}: the function raised {one_line(error)}") from error
    if not isinstance(environment, gymnasium.Env):
        if not looks_like_gym(environment):
            raise InputError(
                f"task {task!r}: expected a Gymnasium environment (or an old gym one with Box "
                f"spaces), got {type(environment).__qualname__}."
            )
        environment = GymAdapter(environment, render_mode)
    checked: gymnasium.Env[Any, Any] = environment
    require_flat_boxes(task, checked)
    _check_step(task, checked)
    return checked


def require_flat_boxes(task: str, environment: gymnasium.Env[Any, Any]) -> None:
    """Refuse an environment without flat boxes, or with infinite action bounds.

    Raises:
        InputError: if it is one; it names the space.
    """
    for kind in ("observation", "action"):
        space = getattr(environment, f"{kind}_space", None)
        if not isinstance(space, gymnasium.spaces.Box) or len(space.shape) != 1:
            raise InputError(
                f"task {task!r}: expected a Box with one dimension as {kind} space, got {space}; "
                "flatten it (gymnasium.wrappers.FlattenObservation) or choose another task."
            )
    low, high = environment.action_space.low, environment.action_space.high  # type: ignore[attr-defined]
    if not (np.isfinite(low).all() and np.isfinite(high).all() and (low < high).all()):
        raise InputError(
            f"task {task!r}: expected finite action bounds, low below high, got {low} to {high}; "
            "actions in [-1, 1] are rescaled to them."
        )


def _check_step(task: str, environment: gymnasium.Env[Any, Any]) -> None:
    low, high = environment.action_space.low, environment.action_space.high  # type: ignore[attr-defined]
    try:
        first = environment.reset(seed=0)
        result = environment.step(((low + high) / 2.0).astype(np.float32))
    except InputError:
        raise
    except Exception as error:  # whatever the user's environment raises
        raise InputError(f"task {task!r}: one reset and step raised {one_line(error)}") from error
    if not isinstance(first, tuple) or len(first) != 2:
        raise InputError(f"task {task!r}: expected reset to return (observation, info).")
    if not isinstance(result, tuple) or len(result) != 5:
        raise InputError(
            f"task {task!r}: expected step to return (observation, reward, terminated, truncated, "
            f"info), got {len(result)} values."
        )
    shape = environment.observation_space.shape
    for name, observation in (("reset", first[0]), ("step", result[0])):
        if np.shape(observation) != shape:
            raise InputError(
                f"task {task!r}: {name} returned an observation of shape {np.shape(observation)}, "
                f"but the observation space says {shape}."
            )

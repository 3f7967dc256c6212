"""Gymnasium's own tasks by id: ``Pendulum-v1``, ``Hopper-v5(reset_noise_scale=0.1)``.

A dataset may name one, so only what comes with Gymnasium is made, from plain arguments.
"""

import ast
import math
import re
from collections.abc import Mapping
from typing import Any

import gymnasium

from mopo_tf2.data.minari import EnvironmentSpec
from mopo_tf2.errors import InputError, printable
from mopo_tf2.evaluation.own_tasks import require_flat_boxes
from mopo_tf2.own_functions import one_line

_TASK = re.compile(r"([\w./-]+-v\d+)(?:\((.{0,1000})\))?")
_WORD = re.compile(r"[A-Za-z0-9_-][\w.-]{0,99}")
_OF_PICTURES = frozenset(
    ["render_mode", "width", "height", "camera_id", "camera_name", "default_camera_config"]
)


def is_gymnasium_task(task: str) -> bool:
    """Whether ``task`` has the form of a Gymnasium id, with or without arguments."""
    return _TASK.fullmatch(task) is not None


def robot_of(task: str) -> str:
    """Return what an id is a version of: "hopper" for ``Hopper-v4``; other names as they are."""
    return task.partition("(")[0].rpartition("-v")[0].lower() if is_gymnasium_task(task) else task


def gymnasium_task(spec: EnvironmentSpec) -> str:
    """Return the name by which ``make_gymnasium_task`` makes what a dataset names.

    Arguments that only concern pictures, and those that are the id's own, are left out.

    Raises:
        InputError: if it is not one of Gymnasium's own, or has wrappers or arguments that are not
            numbers, words or lists of these.
    """
    registered = _registered(spec.id)
    if spec.wrapped:
        raise InputError(f"{spec.id} is changed by wrappers, which no dataset may choose.")
    changed = {
        name: value
        for name, value in spec.arguments.items()
        if name not in _OF_PICTURES
        and not (name in registered.kwargs and registered.kwargs[name] == value)
    }
    _require_plain(spec.id, changed)
    words = ", ".join(f"{name}={value!r}" for name, value in sorted(changed.items()))
    return f"{spec.id}({words})" if words else spec.id


def make_gymnasium_task(task: str, *, render_mode: str | None = None) -> gymnasium.Env[Any, Any]:
    """Make one of Gymnasium's own tasks, without its time limit.

    Args:
        task: an id, maybe with arguments: ``Hopper-v5(reset_noise_scale=0.1)``.
        render_mode: Gymnasium's.

    Raises:
        InputError: if there is no such task, it cannot be made, or its spaces are not flat boxes
            with finite action bounds.
    """
    match = _TASK.fullmatch(task)
    if match is None:
        raise InputError(f"{printable(task)} is not an id of Gymnasium, as Pendulum-v1 is.")
    name, text = match.groups()
    try:
        call: Any = ast.parse(f"f({text or ''})", mode="eval").body
        arguments = {word.arg: ast.literal_eval(word.value) for word in call.keywords}
        if call.args or None in arguments:
            raise ValueError("expected NAME=VALUE")
    except (SyntaxError, ValueError, AttributeError, RecursionError, MemoryError) as error:
        raise InputError(
            f"{printable(task)}: expected arguments as in Hopper-v5(reset_noise_scale=0.1), got "
            f"{printable(text)}."
        ) from error
    _registered(name)
    _require_plain(name, arguments)
    try:
        made = gymnasium.make(
            name, render_mode=render_mode, disable_env_checker=True, **arguments
        ).unwrapped
    except Exception as error:  # a missing simulator, or arguments that it does not know
        raise InputError(f"{task} cannot be made: {one_line(error)}") from error
    require_flat_boxes(task, made)
    return made


def _registered(name: str) -> Any:
    """Return Gymnasium's own entry of an id; a package may register others in its place."""
    spec = gymnasium.registry.get(name)
    point = spec.entry_point if spec else None
    if spec is None or not isinstance(point, str) or not point.startswith("gymnasium.envs."):
        raise InputError(f"{name} is not one of Gymnasium's own environments.")
    return spec


def _require_plain(name: str, arguments: Mapping[str, Any]) -> None:
    for argument, value in arguments.items():
        if not (str(argument).isidentifier() and _is_plain(value)):
            raise InputError(
                f"{name} has an argument {printable(str(argument))[:60]} that is not a number, a "
                "word or a list of these."
            )


def _is_plain(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return len(value) <= 100 and all(
            not isinstance(v, list | tuple) and _is_plain(v) for v in value
        )
    if isinstance(value, str):  # Not a path: no file is read because a dataset names it.
        return _WORD.fullmatch(value) is not None
    if isinstance(value, float):
        return math.isfinite(value)
    return value is None or isinstance(value, bool | int)

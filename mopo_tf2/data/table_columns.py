"""The meaning of a table's columns, from their names or from a file beside the table (D-140).

The names, in the order in which the columns stand:

    observations        obs_NAME or observation_NAME
    actions             action_NAME, or action alone
    rewards             reward
    terminals           terminal
    episode             episode (any text: the successor of a row is the next one of its episode)
    next_observations   next_obs_NAME or next_observation_NAME, one for each observation

FILE.columns.json beside the table overrides the names of the columns that it lists:
``{"observations": ["heart_rate", "map"], "actions": ["pump_level"], "rewards": "reward",
"terminals": "died", "episode": "patient_id", "next_observations": null, "action_low": [0],
"action_high": [9]}``. ``null`` means that there is no such column.
"""

import dataclasses
import difflib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mopo_tf2.errors import InputError
from mopo_tf2.types import FloatArray

_MANY = {
    "observations": ("obs_", "observation_"),
    "actions": ("action_",),
    "next_observations": ("next_obs_", "next_observation_"),
}
_ONE = {
    "rewards": ("reward", "rewards"),
    "terminals": ("terminal", "terminals"),
    "episode": ("episode",),
}
_OPTIONAL = ("terminals", "episode", "next_observations")
_BOUNDS = ("action_low", "action_high")
_KEYS = (*_MANY, *_ONE, *_BOUNDS)
_SLACK = 1e-6


@dataclasses.dataclass(frozen=True, kw_only=True)
class TableColumns:
    """The names of a table's columns, by their meaning.

    observations:      O names.
    actions:           A names.
    rewards:           one name.
    terminals:         one name; None: no row is terminal.
    episode:           one name; None: every row holds its successor.
    next_observations: O names in the order of ``observations``; None: the next row's.
    """

    observations: tuple[str, ...]
    actions: tuple[str, ...]
    rewards: str
    terminals: str | None
    episode: str | None
    next_observations: tuple[str, ...] | None


@dataclasses.dataclass(frozen=True)
class ActionBounds:
    """The range of each action in the table's units, which is mapped to [-1, 1].

    low:  A numbers.
    high: A numbers, each above that of ``low``.
    """

    low: tuple[float, ...]
    high: tuple[float, ...]

    def to_unit(self, actions: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        """Map ``actions`` [B, A] linearly, those outside the bounds too."""
        low, high = np.asarray(self.low), np.asarray(self.high)
        scaled: npt.NDArray[np.float64] = (
            2.0 * (np.asarray(actions, np.float64) - low) / (high - low) - 1.0
        )
        return scaled

    def scale(self, actions: npt.NDArray[Any], *, source: str) -> FloatArray:
        """Map ``actions`` [B, A] from [``low``, ``high``] to [-1, 1].

        Raises:
            InputError: if the number of actions differs, or one lies outside the bounds.
        """
        low, high = np.asarray(self.low), np.asarray(self.high)
        if actions.shape[1] != len(low):
            raise InputError(
                f"{source} has {actions.shape[1]} actions, {columns_file(Path(source))} gives "
                f"bounds for {len(low)}."
            )
        scaled = self.to_unit(actions)
        if not (np.abs(scaled) <= 1.0 + _SLACK).all():
            action = int(np.flatnonzero((np.abs(scaled) > 1.0 + _SLACK).any(axis=0))[0])
            column = actions[:, action]
            raise InputError(
                f"{source}: action {action} ranges from {column.min():g} to {column.max():g}, "
                f"outside [{low[action]:g}, {high[action]:g}] of action_low and action_high: "
                f"widen them in {columns_file(Path(source))}."
            )
        clipped: FloatArray = np.clip(scaled, -1.0, 1.0).astype(np.float32)
        return clipped


def columns_file(path: Path) -> Path:
    """Return the path of the columns file beside the table ``path``."""
    return path.with_name(f"{path.name}.columns.json")


def read_columns_file(path: Path) -> dict[str, Any]:
    """Return the entries of the columns file beside the table ``path``; empty without one.

    Raises:
        InputError: if it is not a JSON object, or has an unknown key or an invalid value.
    """
    file = columns_file(path)
    try:
        entries = json.loads(file.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise InputError(f"{file} cannot be read as JSON: {error}.") from error
    if not isinstance(entries, dict):
        raise InputError(f"{file} must hold an object with some of {', '.join(_KEYS)}.")
    for key, value in entries.items():
        if key not in _KEYS:
            near = difflib.get_close_matches(key, _KEYS, n=1, cutoff=0.5)
            hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(_KEYS)}."
            raise InputError(f"{file}: unknown key {key!r}; {hint}")
        if (
            key in _MANY
            and not _is_list_of(value, str)
            and not (value is None and key in _OPTIONAL)
        ):
            raise InputError(f"{file}: {key} must be a list of column names, got {value!r}.")
        if key in _ONE and not isinstance(value, str) and not (value is None and key in _OPTIONAL):
            raise InputError(f"{file}: {key} must be a column name, got {value!r}.")
        if key in _BOUNDS and not _is_list_of(value, (int, float)):
            raise InputError(
                f"{file}: {key} must be a list of numbers, one an action, got {value!r}."
            )
    return entries


def action_bounds(entries: Mapping[str, Any], path: Path) -> ActionBounds | None:
    """Return the action bounds in the columns file of ``path``; None if there are none.

    Raises:
        InputError: if only one of the two is given, or a low is not below its high.
    """
    given = [key for key in _BOUNDS if key in entries]
    if not given:
        return None
    file = columns_file(path)
    if len(given) == 1:
        raise InputError(f"{file} gives {given[0]} alone: give action_low and action_high.")
    low, high = (tuple(float(value) for value in entries[key]) for key in _BOUNDS)
    if len(low) != len(high):
        raise InputError(f"{file}: action_low has {len(low)} numbers, action_high has {len(high)}.")
    for action, (lowest, highest) in enumerate(zip(low, high, strict=True)):
        if not (np.isfinite([lowest, highest]).all() and lowest < highest):
            raise InputError(
                f"{file}: action_low {lowest:g} of action {action} must lie below its "
                f"action_high {highest:g}."
            )
    return ActionBounds(low, high)


def require_unit_actions(actions: npt.NDArray[Any], *, source: str) -> None:
    """Refuse actions [B, A] outside [-1, 1], the range of the policy.

    Raises:
        InputError: with the range of the data as the text for the columns file.
    """
    if (np.abs(actions) <= 1.0 + _SLACK).all():
        return
    low, high = actions.min(axis=0), actions.max(axis=0)
    # A constant action has no range; any that holds it will do.
    high = np.where(low < high, high, low + 1.0)
    text = json.dumps(
        {
            "action_low": [float(f"{v:g}") for v in low],
            "action_high": [float(f"{v:g}") for v in high],
        }
    )
    raise InputError(
        f"{source} has actions outside [-1, 1], where the policy acts: put {text} (here the range "
        f"of the data; your device's is better) into {columns_file(Path(source))}."
    )


def find_columns(header: Sequence[str], entries: Mapping[str, Any], source: str) -> TableColumns:
    """Return the meaning of the columns in ``header``.

    Args:
        header: names, in the order of the file.
        entries: of the columns file, see ``read_columns_file``.
        source: what messages call the table.

    Raises:
        InputError: if a column is missing, or nothing determines the successor of a row.
    """
    found: dict[str, Any] = {}
    for key, prefixes in _MANY.items():
        named = [name for name in header if name.startswith(prefixes)]
        found[key] = entries.get(key, named)
    if "actions" not in entries and not found["actions"] and "action" in header:
        found["actions"] = ["action"]
    for key, names in _ONE.items():
        found[key] = (
            entries[key] if key in entries else next((n for n in names if n in header), None)
        )
    _require_all(found, header, entries, source)
    found["next_observations"] = _successors(found, entries, source)
    if found["next_observations"] is None and found["episode"] is None:
        raise InputError(
            f"{source} does not say what follows a row: add a column episode (rows of one episode "
            "in order of time; the same value everywhere if the file is one episode), or the "
            f"columns next_obs_NAME; {columns_file(Path(source))} can name others."
        )
    successors = found["next_observations"]
    return TableColumns(
        observations=tuple(found["observations"]),
        actions=tuple(found["actions"]),
        rewards=found["rewards"],
        terminals=found["terminals"],
        episode=found["episode"],
        next_observations=None if successors is None else tuple(successors),
    )


def _require_all(
    found: Mapping[str, Any], header: Sequence[str], entries: Mapping[str, Any], source: str
) -> None:
    """Refuse a table that lacks a column."""
    file = columns_file(Path(source))
    expected = {
        "observations": "obs_NAME, one for each quantity",
        "actions": "action_NAME",
        "rewards": "reward",
    }
    for key, names in expected.items():
        if not found[key]:
            raise InputError(
                f"{source} has no column of {key}: expected {names}, found {', '.join(header)}; "
                f"rename it, or name it in {file}."
            )
    if found["terminals"] is None and "terminals" not in entries:
        raise InputError(
            f"{source} has no column terminal (1 where a task ended for good, else 0), found "
            f'{", ".join(header)}; name it in {file}, or write there "terminals": null if '
            "nothing ever ends."
        )
    for key, names in found.items():
        for name in names if isinstance(names, list) else [names]:
            if name is not None and name not in header:
                raise InputError(
                    f"{source} has no column {name!r}, which {file} names for {key}: its columns "
                    f"are {', '.join(header)}."
                )


def _successors(
    found: Mapping[str, Any], entries: Mapping[str, Any], source: str
) -> list[str] | None:
    """Return the columns of next_observations in the order of the observations, if any."""
    names: list[str] | None = found["next_observations"]
    observations: list[str] = found["observations"]
    if not names:
        return None
    if "next_observations" not in entries:
        by_suffix = {_suffix(name, _MANY["next_observations"]): name for name in names}
        wanted = [_suffix(name, _MANY["observations"]) for name in observations]
        if sorted(by_suffix) != sorted(wanted):
            raise InputError(
                f"{source}: the columns {', '.join(names)} do not match {', '.join(observations)}: "
                "expected next_obs_NAME for each obs_NAME."
            )
        return [by_suffix[suffix] for suffix in wanted]
    if len(names) != len(observations):
        raise InputError(
            f"{columns_file(Path(source))} names {len(names)} next_observations for "
            f"{len(observations)} observations."
        )
    return names


def _suffix(name: str, prefixes: tuple[str, ...]) -> str:
    for prefix in prefixes:
        if name.startswith(prefix):
            return name.removeprefix(prefix)
    return name


def _is_list_of(value: Any, kind: type | tuple[type, ...]) -> bool:
    return (
        isinstance(value, list)
        and bool(value)
        and all(isinstance(item, kind) and not isinstance(item, bool) for item in value)
    )

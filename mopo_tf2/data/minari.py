"""Minari datasets, read with the optional package minari (D-67).

What a dataset says about its environment is read as text. Minari itself would make that
environment, whose code a dataset may name, to learn of missing spaces.
"""

import dataclasses
import json
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mopo_tf2.data.hdf5 import require_closed_file
from mopo_tf2.data.sources import describe
from mopo_tf2.data.table_columns import ActionBounds
from mopo_tf2.errors import InputError, printable
from mopo_tf2.own_functions import one_line
from mopo_tf2.types import Transitions

PREFIX = "minari:"
_TASK = re.compile(r"mujoco/([a-z0-9]+)/")
_LONGEST_ID = 200


@dataclasses.dataclass(frozen=True)
class EnvironmentSpec:
    """The environment that a dataset names, as Gymnasium's specification of it says.

    id:                Gymnasium's, such as ``Hopper-v5``.
    arguments:         of its constructor.
    max_episode_steps: the longest episode, if there is a limit.
    wrapped:           whether wrappers change it, which the id and the arguments do not tell.
    """

    id: str
    arguments: Mapping[str, Any]
    max_episode_steps: int | None
    wrapped: bool


def read_minari(
    dataset_id: str, *, allow_download: bool = True
) -> tuple[Transitions, Path, ActionBounds | None]:
    """Read a Minari dataset of vectors of numbers.

    Episodes hold their own last observation, so every row is kept with its true successor; a
    truncation is not a terminal.

    Args:
        dataset_id: Minari's id without a prefix, such as ``mujoco/halfcheetah/medium-v0``. It is
            looked up in ``$MINARI_DATASETS_PATH`` or Minari's default folder.
        allow_download: let Minari download it if it is missing.

    Returns:
        The transitions in the order of the episodes; the folder of the data; and the finite bounds
        of the dataset's action space, from which actions are mapped to [-1, 1], None if they are
        -1 and 1 already or infinite.

    Raises:
        InputError: if the package is missing, if the dataset is missing, damaged or cannot be
            downloaded, or if its observations or actions are not vectors of numbers.
    """
    folder = _folder_of(dataset_id, allow_download)
    metadata = _metadata(dataset_id, folder)
    bounds = _action_bounds(_box(metadata, "action", dataset_id))
    _box(metadata, "observation", dataset_id)
    import minari

    try:
        for file in folder.rglob("*.hdf5"):
            require_closed_file(file)
        dataset = minari.load_dataset(dataset_id, download=False)
        episodes = [_episode(episode, dataset_id) for episode in dataset.iterate_episodes()]
    except InputError:
        raise
    except Exception as error:
        raise _unreadable(dataset_id, error) from error
    if not episodes:
        raise InputError(f"{PREFIX}{dataset_id} is empty: it has no episodes.")
    transitions = Transitions(*(np.concatenate(column) for column in zip(*episodes, strict=True)))
    if bounds is not None:
        actions = bounds.to_unit(transitions.actions).astype(np.float32)
        transitions = transitions._replace(actions=actions)
    return transitions, folder, bounds


def read_environment(dataset_id: str, *, allow_download: bool = True) -> EnvironmentSpec | None:
    """Return the environment in which a dataset's policies are to be evaluated, None if unnamed.

    That is the dataset's evaluation environment, or else the one that it was collected in. Nothing
    that the dataset names is imported.

    Raises:
        InputError: as ``read_minari``, or if the specification is invalid.
    """
    metadata = _metadata(dataset_id, _folder_of(dataset_id, allow_download))
    text = metadata.get("eval_env_spec") or metadata.get("env_spec")
    if text is None:
        return None
    try:
        spec = json.loads(text)
        steps, name, arguments = spec.get("max_episode_steps"), spec["id"], spec.get("kwargs", {})
        if not (isinstance(name, str) and 0 < len(name) <= _LONGEST_ID):
            raise TypeError(f"its id is {describe(name)}")
        if not isinstance(arguments, dict) or isinstance(steps, bool):
            raise TypeError("expected kwargs and a number of steps")
        return EnvironmentSpec(
            id=printable(name),
            arguments=arguments,
            max_episode_steps=None if steps is None else int(steps),
            wrapped=bool(spec.get("additional_wrappers")),
        )
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise InputError(
            f"{PREFIX}{dataset_id}: its specification of an environment cannot be read "
            f"({one_line(error)})."
        ) from error


def task_of(dataset_id: str) -> str | None:
    """Return the task that a Minari id names (``mujoco/hopper/medium-v0``: hopper), or None."""
    match = _TASK.match(dataset_id)
    return match.group(1) if match else None


def _folder_of(dataset_id: str, allow_download: bool) -> Path:
    """Return the folder ``data`` of a dataset, which is downloaded if need be."""
    try:
        import minari
        from minari.storage.datasets_root_dir import get_dataset_path
    except ImportError as error:
        raise InputError(
            f"reading {PREFIX}{dataset_id} needs the optional package minari: "
            f"pip install 'mopo-tf2[minari]' ({error})."
        ) from error
    try:
        root = Path(get_dataset_path(dataset_id))
        folder, existed = root / "data", root.exists()
        if folder.exists():
            return folder
        if not allow_download:
            raise InputError(
                f"there is no Minari dataset {dataset_id} in {root}; "
                f"run 'minari download {dataset_id}'."
            )
    except (OSError, ValueError) as error:
        raise _unreadable(dataset_id, error) from error
    try:
        minari.download_dataset(dataset_id)
    except BaseException as error:
        if not existed:  # Minari would take half of a dataset for the whole.
            shutil.rmtree(root, ignore_errors=True)
        if not isinstance(error, Exception):
            raise
        # Minari raises ValueError, OSError, ImportError, KeyError and its remotes' own errors.
        raise _unreadable(dataset_id, error) from error
    return folder


def _unreadable(dataset_id: str, error: Exception) -> InputError:
    return InputError(
        f"the Minari dataset {dataset_id} cannot be had or read ({one_line(error)}); "
        f"try 'minari download {dataset_id}' on a machine with a network."
    )


def _metadata(dataset_id: str, folder: Path) -> Mapping[str, Any]:
    """Return what a dataset says about itself."""
    try:
        metadata = json.loads((folder / "metadata.json").read_text(encoding="utf-8"))
        if not isinstance(metadata, dict):
            raise TypeError("metadata.json is not an object")
    except (OSError, ValueError, TypeError, RecursionError) as error:
        raise _unreadable(dataset_id, error) from error
    return metadata


def _box(metadata: Mapping[str, Any], kind: str, dataset_id: str) -> Mapping[str, Any]:
    """Return the entries of a space, which must be a Box of vectors."""
    text = metadata.get(f"{kind}_space")
    if not isinstance(text, str):
        raise InputError(
            f"{PREFIX}{dataset_id} does not say what its {kind} space is; write it into the "
            "dataset's metadata.json with Minari (its environment is not made to find out)."
        )
    try:
        space = json.loads(text)
        low, high = (np.asarray(space[name], np.float64) for name in ("low", "high"))
        if space["type"] == "Box" and low.shape == high.shape == (*space["shape"],) == (len(low),):
            return {"low": low, "high": high}
    except (ValueError, TypeError, KeyError, RecursionError):
        pass
    raise InputError(
        f"{PREFIX}{dataset_id}: {kind}s must be vectors of numbers (a Box [size]), got "
        f"{printable(text[:60])}."
    )


def _action_bounds(space: Mapping[str, Any]) -> ActionBounds | None:
    low, high = space["low"], space["high"]
    usual = (low == -1.0).all() and (high == 1.0).all()
    if usual or not (np.isfinite(low).all() and np.isfinite(high).all() and (low < high).all()):
        return None
    return ActionBounds(tuple(low.tolist()), tuple(high.tolist()))


def _episode(episode: Any, dataset_id: str) -> Transitions:
    observations = _vectors(episode.observations, "observations", episode.id, dataset_id)
    actions = _vectors(episode.actions, "actions", episode.id, dataset_id)
    steps = len(actions)
    if len(observations) != steps + 1 or len(episode.rewards) != steps:
        raise InputError(
            f"{PREFIX}{dataset_id}: episode {episode.id} must have one more observation than "
            f"actions, got {len(observations)} and {steps} ({len(episode.rewards)} rewards)."
        )
    return Transitions(
        observations=observations[:-1],
        actions=actions,
        next_observations=observations[1:],
        rewards=np.asarray(episode.rewards, dtype=np.float32).reshape(steps, 1),
        terminals=np.asarray(episode.terminations, dtype=np.bool_).reshape(steps, 1),
    )


def _vectors(values: Any, name: str, episode: int, dataset_id: str) -> npt.NDArray[np.float32]:
    if not isinstance(values, np.ndarray) or values.ndim != 2 or values.dtype.kind not in "biuf":
        raise InputError(
            f"{PREFIX}{dataset_id}: {name} of episode {episode} must be vectors of numbers "
            f"[N, size], got {describe(values)}."
        )
    return values.astype(np.float32, copy=False)

"""Minari datasets, read with the optional package minari (D-67)."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mopo_tf2.data.hdf5 import require_closed_file
from mopo_tf2.data.sources import describe
from mopo_tf2.errors import InputError
from mopo_tf2.own_functions import one_line
from mopo_tf2.types import Transitions

PREFIX = "minari:"
_TASK = re.compile(r"mujoco/([a-z0-9]+)/")


def read_minari(dataset_id: str, *, allow_download: bool = True) -> tuple[Transitions, Path]:
    """Read a Minari dataset of vectors of numbers.

    Episodes hold their own last observation, so every row is kept with its true successor; a
    truncation is not a terminal.

    Args:
        dataset_id: Minari's id without a prefix, such as ``mujoco/halfcheetah/medium-v0``. It is
            looked up in ``$MINARI_DATASETS_PATH`` or Minari's default folder.
        allow_download: let Minari download it if it is missing.

    Returns:
        The transitions in the order of the episodes, and the folder of the data.

    Raises:
        InputError: if the package is missing, if the dataset is missing, damaged or cannot be
            downloaded, or if its observations or actions are not vectors of numbers.
    """
    try:
        import minari
        from minari.storage.datasets_root_dir import get_dataset_path
    except ImportError as error:
        raise InputError(
            f"reading {PREFIX}{dataset_id} needs the optional package minari: "
            f"pip install 'mopo-tf2[minari]' ({error})."
        ) from error
    try:
        folder = Path(get_dataset_path(dataset_id)) / "data"
        if not folder.exists() and not allow_download:
            raise InputError(
                f"there is no Minari dataset {dataset_id} in {folder.parent}; "
                f"run 'minari download {dataset_id}'."
            )
        dataset = minari.load_dataset(dataset_id, download=allow_download)
        for file in folder.rglob("*.hdf5"):
            require_closed_file(file)
        episodes = [_episode(episode, dataset_id) for episode in dataset.iterate_episodes()]
    except InputError:
        raise
    except Exception as error:
        # Minari raises ValueError, OSError, ImportError, KeyError and its remotes' own errors.
        raise InputError(
            f"the Minari dataset {dataset_id} cannot be had or read ({one_line(error)}); "
            f"try 'minari download {dataset_id}' on a machine with a network."
        ) from error
    if not episodes:
        raise InputError(f"{PREFIX}{dataset_id} is empty: it has no episodes.")
    columns = (np.concatenate(column) for column in zip(*episodes, strict=True))
    return Transitions(*columns), folder


def task_of(dataset_id: str) -> str | None:
    """Return the task that a Minari id names (``mujoco/hopper/medium-v0``: hopper), or None."""
    match = _TASK.match(dataset_id)
    return match.group(1) if match else None


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

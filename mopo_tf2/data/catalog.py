"""The named datasets: D4RL's Gym-MuJoCo ids and the dataset that ships with the project."""

import dataclasses
import difflib
import functools
import json
import math
from pathlib import Path

from mopo_tf2.errors import InputError

_INFOS_FILE = Path(__file__).with_name("d4rl_infos.json")

SHIPPED_ID = "halfcheetah-sac-replay-v0"
"""Replay buffer of the first 101 episodes of the original's own SAC, in D4RL's format."""

EPISODE_STEPS = 1000
"""Steps of a whole episode of D4RL's tasks, to which its reference scores belong."""

PHYSICS = "d4rl"
"""Name of the physics to which they belong."""


@dataclasses.dataclass(frozen=True)
class DatasetInfo:
    """A named dataset.

    dataset_id:    D4RL's id, such as ``hopper-medium-replay-v0``.
    task:          the simulated robot: ``halfcheetah``, ``hopper``, ``walker2d`` or ``ant``.
    file_name:     the name under which D4RL (or this project) stores the file.
    address:       where D4RL publishes the file; None for the one that ships with the project.
    ref_min_score: return of a random policy, reward units per episode.
    ref_max_score: return of an expert policy, same units.
    """

    dataset_id: str
    task: str
    file_name: str
    address: str | None
    ref_min_score: float
    ref_max_score: float

    @property
    def ships(self) -> bool:
        """Whether the file is part of this project and needs no download."""
        return self.address is None


@functools.cache
def datasets() -> dict[str, DatasetInfo]:
    """Return every named dataset by its id.

    Original: d4rl/infos.py
    """
    entries = json.loads(_INFOS_FILE.read_text(encoding="utf-8"))["datasets"]
    infos = {
        dataset_id: DatasetInfo(dataset_id=dataset_id, task=dataset_id.split("-")[0], **entry)
        for dataset_id, entry in entries.items()
    }
    halfcheetah = infos["halfcheetah-medium-replay-v0"]
    infos[SHIPPED_ID] = dataclasses.replace(
        halfcheetah, dataset_id=SHIPPED_ID, file_name=f"{SHIPPED_ID}.hdf5", address=None
    )
    return infos


def find(dataset_id: str) -> DatasetInfo | None:
    """Return the entry of ``dataset_id``, or None if it is unknown.

    Q-63: the original asks for ``TASK-mixed-v0``, which D4RL renamed ``TASK-medium-replay-v0``.
    """
    return datasets().get(dataset_id.replace("-mixed-v", "-medium-replay-v"))


def find_by_file_name(file_name: str) -> DatasetInfo | None:
    """Return the dataset that is stored under exactly this file name, or None."""
    return next((info for info in datasets().values() if info.file_name == file_name), None)


def nearest(name: str, count: int = 3) -> list[str]:
    """Return at most ``count`` known ids that look like ``name``, the closest first."""
    aliased = name.lower().replace("_", "-").replace("mixed", "medium-replay")
    return difflib.get_close_matches(aliased, datasets(), n=count, cutoff=0.6)


def reference_scores(name: str) -> tuple[float, float]:
    """Return D4RL's (ref_min_score, ref_max_score) of a dataset id or of a task.

    Args:
        name: a dataset id (``hopper-medium-v2``) or a task (``hopper``). D4RL gives all datasets
            of a task the same two scores.

    Returns:
        Returns of a random and of an expert policy, reward units per episode.

    Raises:
        InputError: if ``name`` is neither.

    Original: d4rl/infos.py; d4rl/__init__.py:get_normalized_score
    """
    info = find(name)
    if info is None:
        info = next((known for known in datasets().values() if known.task == name), None)
    if info is None:
        raise InputError(
            f"no reference scores are known for {name!r}: expected a D4RL id or one of the tasks "
            f"{', '.join(sorted({known.task for known in datasets().values()}))}."
        )
    return info.ref_min_score, info.ref_max_score


def scores_of_task(task: str, max_path_length: int, physics: str = PHYSICS) -> tuple[float, float]:
    """Return the reference scores of a task, nan if ``why_no_score`` gives a reason."""
    if why_no_score(task, max_path_length, physics):
        return math.nan, math.nan
    return reference_scores(task)


def why_no_score(task: str, max_path_length: int, physics: str = PHYSICS) -> str:
    """Return why D4RL's reference scores do not apply, "" if they do."""
    if all(info.task != task for info in datasets().values()):
        return f"D4RL has no reference returns for {task}"
    if physics != PHYSICS:
        return f"D4RL's scores belong to its own physics, not to {physics}"
    if max_path_length != EPISODE_STEPS:
        return f"D4RL's scores belong to episodes of {EPISODE_STEPS} steps, not {max_path_length}"
    return ""

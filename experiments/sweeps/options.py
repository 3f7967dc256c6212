"""The options of a sweep that are more than a word: datasets by task, and grids."""

import difflib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from mopo_tf2.data import catalog, minari
from mopo_tf2.errors import InputError

GRIDS = {"shipped": {"rollout_length": ("1", "5"), "penalty_coeff": ("0.5", "1", "2", "5")}}
"""Named grids; the values that the original's configurations choose from."""


def parse_datasets(texts: Sequence[str], tasks: Sequence[str]) -> dict[str, str]:
    """Return the dataset of each task that is given one: an id, or an absolute path.

    Raises:
        InputError: if a task is not in the sweep, or has two.
    """
    by_task: dict[str, str] = {}
    common: list[str] = []
    for text in texts:
        task, separator, dataset = text.partition("=")
        if not separator or (task not in tasks and Path(text).exists()):
            common.append(text)
        elif task not in tasks:
            nearest = difflib.get_close_matches(task, tasks, n=1, cutoff=0.3) or list(tasks)
            raise InputError(
                f"--dataset {text}: {task} is not a task of this sweep; did you mean {nearest[0]}?"
            )
        elif task in by_task or not dataset:
            raise InputError(f"--dataset {text}: give each task one dataset.")
        else:
            by_task[task] = dataset
    if len(common) > 1:
        raise InputError(
            f"--dataset {common[1]}: {common[0]} is for all tasks already; write TASK=PATH."
        )
    chosen = {**dict.fromkeys(tasks, common[0]), **by_task} if common else by_task
    return {task: absolute_dataset(dataset) for task, dataset in chosen.items()}


def parse_grid(texts: Sequence[str], settings: Mapping[str, str]) -> dict[str, list[str]]:
    """Return the values of each field of a grid.

    Values are separated by commas; where a value has commas itself, by semicolons.

    Raises:
        InputError: if one is no ``KEY=V1,V2`` nor a named grid, or a field is given twice.
    """
    grid: dict[str, list[str]] = {}
    for text in texts:
        key, separator, values = text.partition("=")
        if separator:
            split = values.split(";" if ";" in values else ",")
            axes = {key.strip(): [value.strip() for value in split if value.strip()]}
        elif text in GRIDS:
            axes = {name: list(values) for name, values in GRIDS[text].items()}
        else:
            raise InputError(
                f"--grid expects KEY=V1,V2 or the name {' or '.join(GRIDS)}, got '{text}'."
            )
        for name, choices in axes.items():
            if not name or not choices:
                raise InputError(f"--grid expects KEY=V1,V2, got '{text}'.")
            if name in grid or name in settings:
                raise InputError(f"--grid {text}: {name} is set twice; give each field once.")
            require_distinct(choices, f"--grid {name} gives")
            grid[name] = choices
    return grid


def absolute_dataset(dataset: str) -> str:
    """Return an id as it is and a path as an absolute one: a trial runs in another folder."""
    if catalog.find(dataset) is not None or dataset.startswith(minari.PREFIX):
        return dataset
    return os.path.abspath(Path(dataset).expanduser())


def require_distinct(names: Sequence[str], what: str) -> None:
    """Refuse a list with something twice; ``what`` begins the message."""
    for name in names:
        if names.count(name) > 1:
            raise InputError(f"{what} {name} twice; give each once.")

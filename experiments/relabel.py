"""``mopo-tf2 relabel`` and ``join``: datasets made of datasets."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .dataset_files import (
    check_new_file,
    new_dataset_file,
    read_columns,
    write_columns,
)
from .tables.batch_returns import episode_returns
from mopo_tf2.errors import InputError
from mopo_tf2.evaluation.ood_tasks import RELABELLINGS
from mopo_tf2.evaluation.recording import Columns


def relabel(path: Path, task: str, out: Path) -> str:
    """Write the rows of ``path`` with the rewards of ``task``; return a summary as text.

    Args:
        path: a file that ``collect`` wrote in a task of the same kind.
        task: a name of ``mopo_tf2.evaluation.ood_tasks.RELABELLINGS``.
        out: HDF5 file to write.

    Raises:
        InputError: if the file is of another kind of task or lacks a column, or ``out`` exists.

    Original: mopo/static/halfcheetah.py:StaticFns.recompute_reward_fn
    """
    if task not in RELABELLINGS:
        raise InputError(
            f"no rewards are known for --task {task}: give one of {', '.join(RELABELLINGS)}."
        )
    rule = RELABELLINGS[task]
    check_new_file(out)
    columns, attributes = read_columns(path)
    source = str(attributes.get("task", "an unnamed task"))
    if "task" in attributes and source not in rule.family:
        raise InputError(
            f"{path} is data of {source}: {task} needs data of {' or '.join(rule.family)}."
        )
    missing = [name for name in rule.needs if name not in columns]
    if missing:
        raise InputError(
            f"{path} has no column {', '.join(missing)}, from which the rewards of {task} follow: "
            f"collect it with mopo-tf2 collect {rule.family[0]}."
        )
    rewards = rule.rewards(columns).astype(columns["rewards"].dtype)
    relabelled = {**columns, "rewards": rewards.reshape(columns["rewards"].shape)}
    with new_dataset_file(out) as temporary:
        write_columns(
            temporary, relabelled, {**attributes, "task": task, "relabelled_from": source}
        )
    return (
        f"{source} -> {task}: {len(rewards):,} transitions -> {out}\n"
        f"before: {_returns_text(columns)}\nafter:  {_returns_text(relabelled)}"
    )


def join(paths: Sequence[Path], out: Path) -> str:
    """Write the rows of ``paths``, one file after the other; return a summary as text.

    The last row of each file ends an episode: unless it is terminal it is marked as a timeout.
    Columns that not every file has are left out.

    Args:
        paths: at least two files of one task.
        out: HDF5 file to write.

    Raises:
        InputError: if the files are of different tasks, physics or sizes, or ``out`` exists.
    """
    if len(paths) < 2:
        raise InputError(f"expected at least two files to join, got {len(paths)}.")
    check_new_file(out)
    read = [read_columns(path) for path in paths]
    parts, attributes = [columns for columns, _ in read], [found for _, found in read]
    kept = [name for name in parts[0] if all(name in part for part in parts)]
    for path, part, found in zip(paths, parts, attributes, strict=True):
        _refuse_unlike(path, part, found, paths[0], parts[0], attributes[0], kept)
    closed = [_closed(part) for part in parts]
    joined = {name: np.concatenate([part[name] for part in closed]) for name in kept}
    common = {
        name: value
        for name, value in attributes[0].items()
        if all(name in found and found[name] == value for found in attributes)
    }
    with new_dataset_file(out) as temporary:
        names = ", ".join(path.name for path in paths)
        write_columns(temporary, joined, {**common, "joined": names})
    left_out = sorted({name for part in parts for name in part} - set(kept))
    lines = [
        f"{path.name}: {len(part['rewards']):,} transitions, {_returns_text(part)}"
        for path, part in zip((*paths, out), (*closed, joined), strict=True)
    ]
    if left_out:
        lines.append(f"left out, as not every file has them: {', '.join(left_out)}")
    return "\n".join([*lines, f"-> {out}"])


def _refuse_unlike(
    path: Path,
    columns: Columns,
    attributes: dict[str, Any],
    first_path: Path,
    first_columns: Columns,
    first_attributes: dict[str, Any],
    names: Sequence[str],
) -> None:
    """Refuse to join a file to the first one if they are not of one kind."""
    for name in ("task", "physics"):
        ours, theirs = attributes.get(name), first_attributes.get(name)
        if ours is not None and theirs is not None and ours != theirs:
            raise InputError(
                f"{path} has {name} {ours}, {first_path} has {theirs}: only data of one task and "
                "physics can be joined."
            )
    for name in names:
        ours, theirs = columns[name].shape[1:], first_columns[name].shape[1:]
        if ours != theirs:
            raise InputError(
                f"{name} of {path} has rows of shape {ours}, of {first_path} {theirs}: expected "
                "files of one task."
            )


def _closed(columns: Columns) -> Columns:
    """Return the columns with an end of the episode at the last row."""
    if not len(columns["rewards"]) or columns["terminals"].reshape(-1)[-1]:
        return columns
    timeouts = columns["timeouts"].copy()
    timeouts[-1] = True
    return {**columns, "timeouts": timeouts}


def _returns_text(columns: Columns) -> str:
    returns = episode_returns(columns["rewards"], columns["terminals"], columns["timeouts"])
    if not returns.size:
        return "no whole episode"
    return (
        f"{returns.size} episodes, batch mean {returns.mean():.1f}, batch max {returns.max():.1f}"
    )

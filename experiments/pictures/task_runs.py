"""The runs of each task, and one style for each configuration over all tasks."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from ..pictures.curve_groups import MEAN_WIDTH, STYLES, CurveGroup, spread_handles
from ..pictures.curve_panels import SCORE_KEY
from ..pictures.pages import printable
from ..records.record_groups import RecordGroup, group_records
from ..records.run_records import RunRecord, State
from ..records.run_scores import evaluations

HOLDOUT_FILE = "model_holdout.csv"
MARKERS = ("o", "s", "^", "D", "v", "P", "*")
# With more configurations in a panel, thin lines would hide the means.
_MAX_GROUPS_WITH_SEEDS = 2
_MAX_TITLE = 34

Styles = Mapping[str, tuple[str, Any, str | None]]
"""(colour, dashes, marker) by label of a configuration."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class TaskRuns:
    """The runs on one dataset in one task with one physics: a panel of the curves.

    Attributes:
        title: the dataset, and the physics if it is not D4RL's.
        dataset_id: D4RL's id of the dataset, None for other data.
        groups: one a configuration, at least one.
    """

    title: str
    dataset_id: str | None
    groups: Sequence[RecordGroup]

    @property
    def records(self) -> list[RunRecord]:
        """The runs of all configurations."""
        return [record for group in self.groups for record in group.records]

    @property
    def has_seeds_apart(self) -> bool:
        """Whether the panel has room for a line a seed."""
        return len(self.groups) <= _MAX_GROUPS_WITH_SEEDS


def by_task(records: Sequence[RunRecord]) -> list[TaskRuns]:
    """Group ``records`` by task, dataset and physics, and within these by configuration.

    Records that do not say what they are (empty folders) are in none.
    """
    panels: dict[tuple[str, str, str], list[RecordGroup]] = {}
    for group in group_records(records):
        first = group.first
        panels.setdefault((first.task, group.dataset_label, first.physics), []).append(group)
    datasets = [(dataset, physics) for _, dataset, physics in panels]
    return [
        TaskRuns(
            title=_title(task, dataset, physics, is_shared=datasets.count((dataset, physics)) > 1),
            dataset_id=groups[0].first.dataset_id,
            groups=groups,
        )
        for (task, dataset, physics), groups in panels.items()
    ]


def _title(task: str, dataset: str, physics: str, *, is_shared: bool) -> str:
    name = printable(dataset)
    if len(name) > _MAX_TITLE:
        half = _MAX_TITLE // 2 - 1
        name = f"{name[:half]}…{name[-half:]}"
    notes = [printable(task)] if is_shared else []
    notes += [f"{physics} physics"] if physics == "gymnasium" else []
    return f"{name} ({', '.join(notes)})" if notes else name


def styles_of(tasks: Sequence[TaskRuns]) -> Styles:
    """Return one style a configuration, so that it looks alike in all tasks and on all pages.

    Several configurations have markers too: with dashes and colours they stay apart in a
    black-and-white print.
    """
    labels = dict.fromkeys(group.label for task in tasks for group in task.groups)
    return {
        label: (*STYLES[i % len(STYLES)], MARKERS[i % len(MARKERS)] if len(labels) > 1 else None)
        for i, label in enumerate(labels)
    }


def task_curves(task: TaskRuns, styles: Styles) -> list[CurveGroup]:
    """Return the curve of each configuration."""
    return [
        CurveGroup(group.label, [record.run for record in group.records], *styles[group.label])
        for group in task.groups
    ]


def configuration_handles(tasks: Sequence[TaskRuns], styles: Styles) -> list[Line2D | Patch]:
    """Return the legend: a line a configuration, then what thin lines and bands are."""
    curves = {curve.label: curve for task in tasks for curve in task_curves(task, styles)}
    has_spread = any(len(group.records) > 1 for task in tasks for group in task.groups)
    mean = "mean over the seeds that reached the epoch" if has_spread else "one run"
    handles: list[Line2D | Patch] = [
        Line2D(
            [],
            [],
            color=curve.color,
            linestyle=curve.dashes,
            marker=curve.marker,
            markersize=4.0,
            linewidth=MEAN_WIDTH,
            label=mean if len(styles) == 1 else label or "as shipped",
        )
        for label, curve in curves.items()
    ]
    if has_spread:
        handles += spread_handles(with_seeds=any(task.has_seeds_apart for task in tasks))
    return handles


def column_table(records: Sequence[RunRecord], key: str) -> pd.DataFrame:
    """Return [epochs, runs] of ``key``, nan where a run has no finite value.

    The normalised score of the original's runs is computed from the return, as in the tables.
    """
    columns = [
        pd.Series(evaluations(r, "score") if key == SCORE_KEY else r.values(key), dtype=float)
        for r in records
    ]
    table = pd.concat(columns, axis=1).replace([np.inf, -np.inf], np.nan)
    return table.dropna(how="all").sort_index()


def holdout_table(records: Sequence[RunRecord]) -> pd.DataFrame:
    """Return [epochs of model training, networks of all runs] hold-out losses.

    Runs without a readable file of them (ensembles that were taken from elsewhere) are left out.
    """
    tables = [table for record in records if (table := _holdout(record.folder)) is not None]
    if not tables:
        return pd.DataFrame(dtype=float)
    joined = pd.concat(tables, axis=1).replace([np.inf, -np.inf], np.nan)
    return joined.dropna(how="all").sort_index()


def _holdout(folder: Path) -> pd.DataFrame | None:
    try:
        table = pd.read_csv(folder / HOLDOUT_FILE)
    except (OSError, ValueError):
        return None  # Not there, or damaged: the other diagnostics can still be drawn.
    if "epoch" not in table:
        return None
    table = table.set_index("epoch")
    # A run that is being written may end in half a row.
    table.index = pd.to_numeric(table.index, errors="coerce")
    table = table[table.index.notna()]
    return table.apply(pd.to_numeric, errors="coerce") if len(table) else None


def seeds_note(task: TaskRuns) -> str:
    """E.g. "3 seeds", "3 seeds, 1 not finished", "8 configurations, 2 to 3 seeds each"."""
    counts = sorted({len(group.records) for group in task.groups})
    many = f"{counts[0]} to {counts[-1]}" if len(counts) > 1 else f"{counts[0]}"
    noun = "seed" if counts == [1] else "seeds"
    if len(task.groups) > 1:
        note = f"{len(task.groups)} configurations, {many} {noun} each"
    else:
        note = f"{many} {noun}"
    open_runs = sum(record.state is not State.FINISHED for record in task.records)
    return f"{note}, {open_runs} not finished" if open_runs else note


def known_columns(records: Sequence[RunRecord]) -> list[str]:
    """Return every column of the runs' progress.csv, in the order in which they appear."""
    return list(dict.fromkeys(str(c) for r in records for c in r.run.progress.columns))


def pages_of(tasks: Sequence[TaskRuns], size: int) -> list[Sequence[TaskRuns]]:
    """Cut ``tasks``, at least one, into pages of at most ``size``, as even as they come."""
    count = math.ceil(len(tasks) / size)
    length = math.ceil(len(tasks) / count)
    return [tasks[start : start + length] for start in range(0, len(tasks), length)]

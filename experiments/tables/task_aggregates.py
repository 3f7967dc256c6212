"""Statistics over the tasks of a table."""

import math
from collections.abc import Sequence

import numpy as np

from ..records.run_scores import STATISTICS
from ..records.statistics import (
    Interval,
    interquartile_mean,
    stratified_bootstrap_interval,
)
from ..tables.table_parts import AggregateRow, Row, TaskAggregate

BOOTSTRAP_SEED = 0


def aggregates(rows: Sequence[Row]) -> list[AggregateRow]:
    """Return a row for each kind of data and each label, over the tasks that have them."""
    groups: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        groups.setdefault((row.family, row.label), []).append(row)
    return [
        AggregateRow(
            family=family,
            label=label,
            cells={name: _aggregate(alike, name) for name in STATISTICS},
            is_original=any(row.is_original for row in alike),
            has_unfinished=any(row.has_unfinished for row in alike),
            notes=_notes_on_tasks(alike),
        )
        for (family, label), alike in groups.items()
        if any(row.counted for row in alike)
    ]


def _aggregate(rows: Sequence[Row], name: str) -> TaskAggregate:
    present = [row for row in rows if math.isfinite(row.cells[name].mean)]
    published = [row.published.value if row.published else math.nan for row in present]
    nothing = Interval(math.nan, math.nan)
    if not present:
        return TaskAggregate(
            mean=math.nan,
            iqm=math.nan,
            interval=nothing,
            published=math.nan,
            tasks=0,
            of_tasks=len(rows),
        )
    scores = [np.array(row.cells[name].scores) for row in present]
    return TaskAggregate(
        mean=float(np.mean([row.cells[name].mean for row in present])),
        iqm=interquartile_mean(np.concatenate(scores)),
        interval=stratified_bootstrap_interval(scores, np.random.RandomState(BOOTSTRAP_SEED)),
        published=float(np.mean(published)),
        tasks=len(present),
        of_tasks=len(rows),
    )


def _notes_on_tasks(rows: Sequence[Row]) -> tuple[str, ...]:
    notes = []
    counts = [len(row.counted) for row in rows if row.counted]
    if len(set(counts)) > 1:
        notes.append(f"tasks weigh by their number of seeds ({min(counts)} to {max(counts)})")
    if counts and min(counts) < 2:
        notes.append("a task with one seed has no spread: no interval")
    if any(row.has_unfinished for row in rows):
        notes.append("unfinished runs are averaged in")
    return tuple(notes)

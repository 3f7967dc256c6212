"""The paper's tables from run folders, beside the published numbers."""

import dataclasses
import math
from collections.abc import Sequence
from collections.abc import Set as AbstractSet

from ..records.record_groups import RecordGroup, canonical_config, group_records
from ..records.run_records import RunRecord, State
from ..records.run_scores import (
    METRIC_NAMES,
    STATISTICS,
    Metric,
    are_without_simulator,
    run_scores,
)
from ..records.statistics import RESAMPLES, mean_std
from ..tables.comparability import compare_with_published
from ..tables.published import OWN_METHOD, PublishedTable, read_published
from ..tables.table_parts import Cell, NotCounted, Row, Table
from ..tables.task_aggregates import BOOTSTRAP_SEED, aggregates


def make_table(
    records: Sequence[RunRecord],
    paper: str = "mopo-table1",
    *,
    metric: Metric | None = None,
    include_unfinished: bool = False,
) -> Table:
    """Make the table of some runs.

    Args:
        records: of ``run_records.read_records``.
        paper: see ``published.read_published``.
        metric: normalised score or a return; None: that of the paper's table, else the score, or
            the return in the learned model if no run has another.
            Published numbers of another metric are not shown.
        include_unfinished: average unfinished and failed runs of at least one epoch too; their
            last epoch is not the last that was asked for. Such rows are marked.

    Raises:
        InputError: if there is no such published table.
    """
    published = read_published(paper)
    if metric is None and are_without_simulator(records):
        metric, published = "model-return", None
    metric = metric or (published.metric if published else "score")
    mismatch = ""
    if published and published.metric != metric:
        mismatch = f"{published.name} has another metric ({published.metric}) and is not shown."
        published = None
    groups = group_records(records)
    everywhere = {record.seed for group in groups for record in group.records}
    rows, left_out = [], []
    for group in groups:
        counted, others = _counted(group, include_unfinished)
        left_out += others
        rows.append(_row(group, counted, len(others), metric, published))
        missing = _missing_seeds(group, everywhere)
        if missing:
            notes = (*rows[-1].notes, f"no run of seed {missing}, which other rows have")
            rows[-1] = dataclasses.replace(rows[-1], notes=notes)
    in_group = {record.folder for group in groups for record in group.records}
    left_out += [
        NotCounted(record=record, reason=record.note or "does not say what it is")
        for record in records
        if record.folder not in in_group
    ]
    keys = {row.published_key for row in rows}
    shown = [entry for entry in (published.entries if published else ()) if entry.key in keys]
    return Table(
        metric=metric,
        paper=published.name if published else None,
        caption=(*_caption(metric, published, include_unfinished), *filter(None, [mismatch])),
        rows=tuple(rows),
        aggregates=tuple(aggregates(rows)) if metric == "score" else (),
        published=tuple(shown),
        not_counted=tuple(left_out),
    )


def _counted(
    group: RecordGroup, include_unfinished: bool
) -> tuple[list[RunRecord], list[NotCounted]]:
    """Part a group's runs into those that are averaged and those that are not."""
    counted: list[RunRecord] = []
    left_out: list[NotCounted] = []
    # Finished runs first: of two runs with one seed, a finished one counts.
    for record in sorted(group.records, key=lambda record: record.state != State.FINISHED):
        same_seed = [run for run in counted if run.seed is not None and run.seed == record.seed]
        if not record.epochs_done or (record.state != State.FINISHED and not include_unfinished):
            left_out.append(NotCounted(record=record, reason=record.note))
        elif same_seed:
            reason = f"seed {record.seed} is counted once, as {same_seed[0].name}"
            left_out.append(NotCounted(record=record, reason=reason))
        else:
            counted.append(record)
    order = list(group.records)
    return sorted(counted, key=order.index), left_out


def _row(
    group: RecordGroup,
    counted: Sequence[RunRecord],
    left_out: int,
    metric: Metric,
    published: PublishedTable | None,
) -> Row:
    scores = [run_scores(record, metric) for record in counted]
    notes = [
        f"{_run_name(record)}: {remark}"
        for record, score in zip(counted, scores, strict=True)
        for remark in score.remarks
    ]
    cells = {name: _cell([score.values[name] for score in scores]) for name in STATISTICS}
    comparison = compare_with_published(group.first, published)
    return Row(
        dataset=_dataset_text(group),
        task=group.first.task,
        configuration=_configuration_text(group),
        label=group.label,
        family=_family(group.first),
        is_original=group.first.is_original,
        counted=tuple(counted),
        left_out=left_out,
        cells=cells,
        published=comparison.published,
        published_key=comparison.key,
        batch=comparison.batch,
        notes=(*_notes_on_runs(counted), *notes, *comparison.notes),
    )


def _cell(scores: Sequence[float]) -> Cell:
    if not scores or not all(map(math.isfinite, scores)):
        return Cell(mean=math.nan, std=math.nan, scores=tuple(scores))
    mean, std = mean_std(scores)
    return Cell(mean=mean, std=std, scores=tuple(scores))


def _notes_on_runs(counted: Sequence[RunRecord]) -> list[str]:
    notes = [
        f"{_run_name(record)} is {record.state} ({epochs_text(record)} epochs) and averaged in"
        for record in counted
        if record.state != State.FINISHED
    ]
    if len({record.epochs_done for record in counted}) > 1:
        lengths = ", ".join(f"{_run_name(run)} {run.epochs_done}" for run in counted)
        notes.append(f"runs of unequal length, each at its own last epoch: {lengths}")
    if len(counted) > 1 and any(record.seed is None for record in counted):
        notes.append("runs without a recorded seed are taken for different samples")
    return notes


def epochs_text(record: RunRecord) -> str:
    """Return "16 of 45", the epochs done and asked for."""
    return f"{record.epochs_done} of {record.epochs_asked or 'an unknown number of'}"


def _run_name(record: RunRecord) -> str:
    return record.name if record.seed is None else f"seed {record.seed}"


def _dataset_text(group: RecordGroup) -> str:
    first = group.first
    if first.dataset_id or not first.dataset_sha256:
        return group.dataset_label
    return f"{first.dataset} (sha256 {first.dataset_sha256[:8]})"


def _configuration_text(group: RecordGroup) -> str:
    parts = [canonical_config(group.first.config)]
    parts += [group.label] if group.label else []
    if group.first.physics not in ("d4rl", "unknown"):
        parts.append(f"physics {group.first.physics}")
    return ", ".join(parts)


def _family(record: RunRecord) -> str:
    physics = "" if record.physics in ("d4rl", "unknown") else f", physics {record.physics}"
    version = (record.dataset_id or "").rpartition("-")[2]
    is_d4rl = version in ("v0", "v1", "v2") and "sac-replay" not in (record.dataset_id or "")
    return (f"D4RL {version}" if is_d4rl else "other data") + physics


def _missing_seeds(group: RecordGroup, everywhere: AbstractSet[int | None]) -> str:
    own = {record.seed for record in group.records}
    return ", ".join(str(seed) for seed in sorted(everywhere - own - {None}))  # type: ignore[type-var]


def _caption(
    metric: Metric, published: PublishedTable | None, include_unfinished: bool
) -> tuple[str, ...]:
    sentences = [
        f"{METRIC_NAMES[metric][0].upper()}{METRIC_NAMES[metric][1:]}: mean ± standard deviation "
        "over seeds (of the population, ddof 0; none for a single seed).",
        *(f"{name}: {meaning}." for name, meaning in STATISTICS.items()),
        "Seeds and epochs are those behind the cells. "
        + (
            "Unfinished runs are averaged in and marked with *."
            if include_unfinished
            else "Unfinished, failed and empty runs are not averaged; they are listed below."
        ),
    ]
    if metric == "score":
        sentences.append(
            "IQM: interquartile mean of the runs of all tasks, with a 95 % interval of the "
            f"stratified bootstrap (strata: tasks; {RESAMPLES} resamples, seed {BOOTSTRAP_SEED}; "
            "Agarwal et al. 2021)."
        )
    if published:
        sentences.append(
            f"Published: the row's method as {published.name} prints it ({OWN_METHOD} where the "
            "row names none), for the same data only."
        )
    return tuple(sentences)

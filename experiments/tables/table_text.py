"""A table's cells as text, for readers; ``table_formats`` writes them as Markdown or LaTeX."""

import dataclasses
import math
from collections.abc import Sequence

from ..records.run_records import RunRecord
from ..records.run_scores import STATISTICS
from ..tables.published import Published
from ..tables.table_parts import AggregateRow, Cell, NotCounted, Row, Table

NOT_AVAILABLE = "n/a"
UNFINISHED_MARK = "*"


@dataclasses.dataclass(frozen=True)
class Section:
    """One block of a table.

    title:  a short line.
    header: the columns' names.
    rows:   as many cells each as the header has.
    notes:  (number, text) of the notes that the rows refer to; sentences for all without number.
    """

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[tuple[str, str], ...] = ()


def sections(table: Table) -> list[Section]:
    """Return the blocks of a table: rows, over tasks, published numbers, runs not counted."""
    blocks = [_main(table)]
    if table.aggregates:
        blocks.append(_over_tasks(table))
    if table.published:
        blocks.append(_published(table))
    if table.not_counted:
        blocks.append(_not_counted(table.not_counted))
    return blocks


def number(value: float) -> str:
    """Return a number as the paper prints it, with one digit after the point."""
    return f"{value:.1f}" if math.isfinite(value) else NOT_AVAILABLE


def with_spread(mean: float, std: float) -> str:
    """Return "12.3 ± 4.5", or "12.3" if there is no deviation."""
    return f"{number(mean)} ± {number(std)}" if math.isfinite(mean + std) else number(mean)


class _Notes:
    """Numbers notes in the order of their first use."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    def refer(self, texts: Sequence[str]) -> str:
        numbers = [self._numbers.setdefault(text, len(self._numbers) + 1) for text in texts]
        return ", ".join(str(number) for number in sorted(set(numbers)))

    def all(self) -> tuple[tuple[str, str], ...]:
        return tuple((str(number), f"{text}.") for text, number in self._numbers.items())


def _main(table: Table) -> Section:
    notes = _Notes()
    has_batch = any(row.batch is not None for row in table.rows)
    header = [
        *("Dataset", "Configuration"),
        *(("Batch mean", "Batch max") if has_batch else ()),
        *STATISTICS,
        *(("Published",) if table.paper else ()),
        *("Seeds", "Epochs", "Notes"),
    ]
    rows = []
    for row in table.rows:
        cells = [row.dataset, row.configuration]
        if has_batch:
            cells += [number(value) for value in row.batch or (math.nan, math.nan)]
        cells += [_cell_text(row, row.cells[name]) for name in STATISTICS]
        cells += [_published_text(row.published)] if table.paper else []
        cells += [seeds_text(row), epochs_range(row.counted), notes.refer(row.notes)]
        rows.append(tuple(cells))
    return Section("Runs", tuple(header), tuple(rows), notes.all())


def _cell_text(row: Row, cell: Cell) -> str:
    mark = UNFINISHED_MARK if row.has_unfinished and math.isfinite(cell.mean) else ""
    return with_spread(cell.mean, cell.std) + mark


def _published_text(entry: Published | None) -> str:
    return f"{with_spread(entry.value, entry.std)} ({entry.source})" if entry else ""


def seeds_text(row: Row) -> str:
    """Return "2 of 3 (0, 1)": how many runs count, of how many, and their seeds."""
    count = len(row.counted)
    total = f" of {count + row.left_out}" if row.left_out else ""
    seeds = ", ".join("?" if run.seed is None else str(run.seed) for run in row.counted)
    return f"{count}{total} ({seeds})" if seeds else f"{count}{total}"


def epochs_range(records: Sequence[RunRecord]) -> str:
    """Return "45", or "16 to 45" if the runs differ; "" without runs."""
    done = sorted({record.epochs_done for record in records})
    return " to ".join(str(epochs) for epochs in dict.fromkeys([*done[:1], *done[-1:]]))


def _over_tasks(table: Table) -> Section:
    notes = _Notes()
    header = [
        *("Data", "Configuration", "Statistic", "Tasks", "Mean over tasks", "IQM", "95 % interval"),
        *(("Published mean",) if table.paper else ()),
        "Notes",
    ]
    rows = []
    for aggregate in table.aggregates:
        for name in STATISTICS:
            cells = _aggregate_cells(aggregate, name, table.paper is not None)
            rows.append((*cells, notes.refer(aggregate.notes)))
    return Section("Over tasks", tuple(header), tuple(rows), notes.all())


def _aggregate_cells(aggregate: AggregateRow, name: str, has_paper: bool) -> list[str]:
    cell = aggregate.cells[name]
    low, high = cell.interval
    tasks = str(cell.tasks) if cell.tasks == cell.of_tasks else f"{cell.tasks} of {cell.of_tasks}"
    return [
        aggregate.family,
        aggregate.label,
        name,
        tasks,
        number(cell.mean),
        number(cell.iqm),
        f"[{number(low)}, {number(high)}]" if math.isfinite(low + high) else NOT_AVAILABLE,
        *([number(cell.published) if math.isfinite(cell.published) else ""] if has_paper else []),
    ]


def _published(table: Table) -> Section:
    """One row a dataset or task, one column a method, as the paper has them."""
    entries = table.published
    methods = list(dict.fromkeys(entry.method for entry in entries))
    keys = list(dict.fromkeys(entry.key for entry in entries))
    has_batch = any(math.isfinite(entry.batch_mean) for entry in entries)
    rows = []
    for key in keys:
        own = {entry.method: entry for entry in entries if entry.key == key}
        first = next(iter(own.values()))
        batch = (number(first.batch_mean), number(first.batch_max)) if has_batch else ()
        values = [
            with_spread(own[method].value, own[method].std) if method in own else ""
            for method in methods
        ]
        rows.append((key, *batch, *values))
    sources = []
    for method in methods:
        printed = dict.fromkeys(entry.source for entry in entries if entry.method == method)
        sources.append(("", f"{method}: {'; '.join(printed)}."))
    title = f"Published numbers ({table.paper})"
    header = ("Data", *(("Batch mean", "Batch max") if has_batch else ()), *methods)
    return Section(title, header, tuple(rows), tuple(sources))


def _not_counted(left_out: Sequence[NotCounted]) -> Section:
    rows = tuple(
        (
            item.record.name,
            item.record.dataset_id or item.record.dataset,
            "?" if item.record.seed is None else str(item.record.seed),
            str(item.record.state),
            f"{item.record.epochs_done} of {item.record.epochs_asked or '?'}",
            item.reason,
        )
        for item in left_out
    )
    header = ("Folder", "Dataset", "Seed", "State", "Epochs", "Note")
    return Section("Runs that are not averaged", header, rows)

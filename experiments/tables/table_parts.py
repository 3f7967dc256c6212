"""What a table consists of, before it is written in some format."""

import dataclasses
from collections.abc import Mapping

from ..records.run_records import RunRecord, State
from ..records.run_scores import Metric
from ..records.statistics import Interval
from ..tables.batch_returns import BatchReturns
from ..tables.published import Published


@dataclasses.dataclass(frozen=True, kw_only=True)
class Cell:
    """One statistic of one row.

    mean, std: over seeds; nan if one of the seeds has none. std is nan for a single seed too.
    scores:    of each run that counts, in the order of ``Row.counted``; nan where it has none.
    """

    mean: float
    std: float
    scores: tuple[float, ...]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Row:
    """One configuration on one dataset.

    Attributes:
        dataset: id, or name and hash of other data.
        task: the environment.
        configuration: its name and what sets it apart from other rows.
        label: the latter alone, by which rows of different tasks belong together.
        family: the kind of data over which tasks are taken together: "D4RL v0", ...
        is_original: whether the TF1 program made the runs.
        counted: the runs behind the cells.
        left_out: the number of runs that are not.
        cells: by name of ``STATISTICS``.
        published: the number beside it, None if there is none for these data.
        published_key: the dataset or task whose numbers, of all methods, are shown below the
            table; None if there are none.
        batch: returns of the dataset's episodes; None if the table does not show them.
        notes: what a reader must know of this row.
    """

    dataset: str
    task: str
    configuration: str
    label: str
    family: str
    is_original: bool
    counted: tuple[RunRecord, ...]
    left_out: int
    cells: Mapping[str, Cell]
    published: Published | None
    published_key: str | None
    batch: BatchReturns | None
    notes: tuple[str, ...]

    @property
    def has_unfinished(self) -> bool:
        """Whether a run that is not finished is averaged in."""
        return any(record.state != State.FINISHED for record in self.counted)


@dataclasses.dataclass(frozen=True, kw_only=True)
class TaskAggregate:
    """One statistic over tasks.

    mean: of the tasks' means, so that every task weighs the same.
    iqm, interval: see ``statistics.interquartile_mean`` and ``stratified_bootstrap_interval``.
    published: mean of the numbers published for the same tasks; nan unless all have one.
    tasks, of_tasks: how many tasks have the statistic, and how many there are.
    """

    mean: float
    iqm: float
    interval: Interval
    published: float
    tasks: int
    of_tasks: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class AggregateRow:
    """Statistics over all rows of one family of data and one label; cells by ``STATISTICS``.

    ``is_original`` and ``has_unfinished`` as in ``Row``.
    """

    family: str
    label: str
    cells: Mapping[str, TaskAggregate]
    is_original: bool
    has_unfinished: bool
    notes: tuple[str, ...]


@dataclasses.dataclass(frozen=True, kw_only=True)
class NotCounted:
    """A run that stands behind no cell, and why."""

    record: RunRecord
    reason: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class Table:
    """A table, to be written by ``table_formats.render``.

    Attributes:
        metric: of all cells.
        paper: name of the published table, None if none was asked for.
        caption: sentences that say what the numbers are.
        rows: by task, dataset and configuration.
        aggregates: empty for raw returns, whose scales differ from task to task.
        published: every published number, all methods, of the rows' datasets or tasks.
        not_counted: the runs that are not averaged.
    """

    metric: Metric
    paper: str | None
    caption: tuple[str, ...]
    rows: tuple[Row, ...]
    aggregates: tuple[AggregateRow, ...]
    published: tuple[Published, ...]
    not_counted: tuple[NotCounted, ...]

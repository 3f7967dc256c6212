"""Penalty, rollouts and model by task: one row of small panels a dataset."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import FigureBase
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from ..pictures.curve_groups import CurveGroup
from ..pictures.curve_panels import draw_group, prepare_axes
from ..pictures.pages import Page, add_legend, legend_columns
from ..pictures.task_figures import LEGEND_FONT, WIDTH
from ..pictures.task_runs import (
    Styles,
    TaskRuns,
    column_table,
    configuration_handles,
    holdout_table,
    pages_of,
    styles_of,
    task_curves,
)
from ..records.run_records import RunRecord

_ROW_HEIGHT = 1.55
_EDGE_HEIGHT = 1.25
_ROWS_A_PAGE = 6

Table = Callable[[Sequence[RunRecord]], pd.DataFrame]


@dataclass(frozen=True)
class _Column:
    """A column of panels: where its numbers are from, its title and its x axis."""

    title: str
    table: Table
    x_label: str = "epoch"
    is_log: bool = False


def _column(key: str, title: str) -> _Column:
    return _Column(title, lambda records: column_table(records, key))


_COLUMNS = (
    _column("model/penalty-mean", "Penalty, mean\n(reward per step)"),
    _column("model/penalty-max", "Penalty, maximum\n(reward per step)"),
    _column("model/penalty-reward-share", "Penalty as share\nof the reward"),
    _column("model/mean_rollout_length", "Rollout length, mean\n(model steps)"),
    _Column("Hold-out loss\n(MSE, all networks)", holdout_table, "epoch of model", is_log=True),
)


def diagnostics_pages(tasks: Sequence[TaskRuns]) -> list[Page]:
    """Return the diagnostics of ``tasks``, at most six rows a page; none if no run has any.

    Columns: mean, maximum and share of the penalty, mean length of the model's rollouts, hold-out
    losses of the ensemble (mean and range over the networks of all seeds, by epoch of model
    training, on a logarithmic axis). A column without any value is left out.
    """
    records = [record for task in tasks for record in task.records]
    columns = [column for column in _COLUMNS if not column.table(records).empty]
    if not columns:
        return []
    styles = styles_of(tasks)
    pages = pages_of(tasks, _ROWS_A_PAGE)
    return [
        _page(page, columns, styles, "" if len(pages) == 1 else f" ({number} of {len(pages)})")
        for number, page in enumerate(pages, start=1)
    ]


def _page(
    tasks: Sequence[TaskRuns], columns: Sequence[_Column], styles: Styles, suffix: str
) -> Page:
    handles = configuration_handles(tasks, styles)

    def draw(figure: FigureBase) -> None:
        grid = figure.add_gridspec(len(tasks), len(columns))
        for row, task in enumerate(tasks):
            for position, column in enumerate(columns):
                axes = figure.add_subplot(grid[row, position])
                _draw(axes, task, task_curves(task, styles), column)
                if row == 0:
                    axes.set_title(column.title, fontsize=8.5, loc="left")
                if row == len(tasks) - 1:
                    axes.set_xlabel(column.x_label, fontsize=8)
                if position == 0:
                    axes.set_ylabel(_row_label(task.title), fontsize=8)
        add_legend(figure, handles, fontsize=LEGEND_FONT)

    name = f"Penalty, rollouts and model by task{suffix}"
    lines = math.ceil(len(handles) / legend_columns(handles))
    height = _ROW_HEIGHT * len(tasks) + _EDGE_HEIGHT + 0.17 * lines
    return Page(name, (WIDTH, height), draw)


def _draw(axes: Axes, task: TaskRuns, curves: Sequence[CurveGroup], column: _Column) -> None:
    prepare_axes(axes)
    axes.tick_params(labelsize=7.5)
    is_empty = True
    for order, (group, curve) in enumerate(zip(task.groups, curves, strict=True)):
        table = column.table(group.records)
        is_empty &= table.empty
        # One line a network would fill the panel.
        with_seeds = task.has_seeds_apart and not column.is_log
        draw_group(axes, curve, table, order=order, with_seeds=with_seeds)
    if is_empty:
        axes.text(0.5, 0.5, "none", transform=axes.transAxes, ha="center", color="0.25", fontsize=8)
        axes.set_xticks([])
        axes.set_yticks([])
    elif column.is_log:
        _use_log_axis(axes)


def _use_log_axis(axes: Axes) -> None:
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0), numticks=7))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())


def _row_label(title: str) -> str:
    """Break a long name in two at the hyphen nearest to its middle."""
    if len(title) <= 18:
        return title
    breaks = [i + 1 for i, letter in enumerate(title) if letter in "-_ /"]
    if not breaks:
        return title
    middle = min(breaks, key=lambda i: abs(i - len(title) / 2))
    return f"{title[:middle]}\n{title[middle:]}"

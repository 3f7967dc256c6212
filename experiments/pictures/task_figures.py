"""Learning curves by task: one panel a dataset, with the published score where it is comparable."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import FigureBase
from matplotlib.lines import Line2D

from ..pictures.curve_groups import CurveGroup
from ..pictures.curve_panels import (
    MODEL_RETURN_LABEL,
    RETURN_KEY,
    SCORE_KEY,
    SCORE_LABEL,
    draw_group,
    prepare_axes,
)
from ..pictures.pages import Page, add_legend, legend_columns
from ..pictures.task_runs import (
    Styles,
    TaskRuns,
    column_table,
    configuration_handles,
    known_columns,
    pages_of,
    seeds_note,
    styles_of,
    task_curves,
)
from ..records.run_records import RunRecord, State
from ..tables.comparability import compare_with_published
from ..tables.published import Published, PublishedTable
from mopo_tf2.configs.own import MODEL_RETURN_KEY
from mopo_tf2.errors import InputError

WIDTH = 9.0
LEGEND_FONT = 8.5
_ROW_HEIGHT = 2.45
_LEGEND_HEIGHT = 0.7
_PANELS_A_PAGE = 12
_PUBLISHED_DASHES = (0, (1, 1.5))
_END_MARK: Mapping[str, Any] = {"marker": "x", "markersize": 5.5, "markeredgewidth": 1.3}


@dataclasses.dataclass(frozen=True)
class _Panel:
    """The runs of a task, the column that is drawn, and the published number of these data."""

    task: TaskRuns
    key: str
    published: Published | None


def curve_pages(
    tasks: Sequence[TaskRuns],
    *,
    key: str | None = None,
    published: PublishedTable | None = None,
) -> list[Page]:
    """Return the learning curves of ``tasks``, at most twelve panels a page.

    A panel shows the mean over the seeds that reached an epoch, the band from their minimum to
    their maximum, and a cross where a run ended that is not finished.

    Args:
        tasks: at least one.
        key: column of progress.csv; None for the normalised score, and the return in a task that
            has none.
        published: numbers to draw as lines, in the panels of normalised scores whose runs are
            on the dataset of the same id, in its task and on its physics.

    Raises:
        InputError: if no run has a finite value of ``key``.
    """
    if key is not None:
        _check_key([record for task in tasks for record in task.records], key)
    styles = styles_of(tasks)
    pages = pages_of(tasks, _PANELS_A_PAGE)
    return [
        _page(
            [_panel(task, key or _best_key(task), published) for task in page],
            styles,
            "" if len(pages) == 1 else f" ({number} of {len(pages)})",
        )
        for number, page in enumerate(pages, start=1)
    ]


def _panel(task: TaskRuns, key: str, published: PublishedTable | None) -> _Panel:
    entry = None
    if key == SCORE_KEY and published is not None and published.metric == "score":
        entry = compare_with_published(task.groups[0].first, published).published
    return _Panel(task, key, entry)


def _best_key(task: TaskRuns) -> str:
    for key in (SCORE_KEY, RETURN_KEY, MODEL_RETURN_KEY):
        if not column_table(task.records, key).empty:
            return key
    return RETURN_KEY


def _check_key(records: Sequence[RunRecord], key: str) -> None:
    if column_table(records, key).empty:
        known = known_columns(records)
        if key not in known:
            raise InputError(f"No run has a column {key!r}; known: {', '.join(known[:60])}.")
        raise InputError(f"No run has a finite value of {key!r}: nothing to draw.")


def _page(panels: Sequence[_Panel], styles: Styles, suffix: str) -> Page:
    columns = len(panels) if len(panels) <= 3 else 2 if len(panels) == 4 else 3
    rows = math.ceil(len(panels) / columns)
    handles = configuration_handles([panel.task for panel in panels], styles)
    handles += _mark_handles(panels)
    has_one_key = len({panel.key for panel in panels}) == 1

    def draw(figure: FigureBase) -> None:
        for position, panel in enumerate(panels):
            # Down the columns: the datasets of one task, which follow each other, share one.
            row, column = position % rows, position // rows
            axes = figure.add_subplot(rows, columns, 1 + row * columns + column)
            _draw_panel(axes, panel, task_curves(panel.task, styles))
            if column == 0 or not has_one_key:
                axes.set_ylabel(_key_label(panel.key), fontsize="small")
            if row == rows - 1 or position == len(panels) - 1:
                axes.set_xlabel("epoch of policy training", fontsize="small")
        add_legend(figure, handles, fontsize=LEGEND_FONT)

    # A few wide panels need more height than many small ones.
    height = _ROW_HEIGHT * rows * (1.4 if columns < 3 else 1.0)
    height += _LEGEND_HEIGHT + 0.17 * math.ceil(len(handles) / legend_columns(handles))
    return Page(f"Learning curves by task{suffix}", (WIDTH, height), draw)


def _key_label(key: str) -> str:
    labels = {
        SCORE_KEY: SCORE_LABEL,
        RETURN_KEY: "evaluation return",
        MODEL_RETURN_KEY: MODEL_RETURN_LABEL,
    }
    return labels.get(key, key)


def _draw_panel(axes: Axes, panel: _Panel, curves: Sequence[CurveGroup]) -> None:
    task = panel.task
    prepare_axes(axes)
    axes.set_title(task.title, loc="left", fontsize="medium", pad=16)
    axes.text(0.0, 1.02, seeds_note(task), transform=axes.transAxes, fontsize=7.5, color="0.25")
    axes.tick_params(labelsize="small")
    is_empty = True
    for order, (group, curve) in enumerate(zip(task.groups, curves, strict=True)):
        table = column_table(group.records, panel.key)
        is_empty &= table.empty
        draw_group(axes, curve, table, order=order, with_seeds=task.has_seeds_apart)
        for x, y in _ends(group.records, panel.key, on_mean=not task.has_seeds_apart):
            axes.plot([x], [y], color=curve.color, linestyle="none", zorder=30, **_END_MARK)
    if is_empty:
        axes.text(0.5, 0.5, "no epoch to draw", transform=axes.transAxes, ha="center", color="0.25")
        axes.set_yticks([])
        axes.set_xticks([])
    if panel.published is not None:
        _draw_published(axes, panel.published, is_alone=is_empty)


def _ends(records: Sequence[RunRecord], key: str, *, on_mean: bool) -> list[tuple[float, float]]:
    """Return (epoch, value) at which each run ends that is not finished.

    The value is the run's own, or that of the mean if the runs' own lines are not drawn.
    """
    table = column_table(records, key)
    means = table.mean(axis=1)
    ends = []
    for position, record in enumerate(records):
        own = table.iloc[:, position].dropna()
        if record.state is not State.FINISHED and len(own):
            epoch = own.index[-1]
            ends.append((float(epoch), float(means[epoch] if on_mean else own.iloc[-1])))
    return ends


def _draw_published(axes: Axes, published: Published, *, is_alone: bool) -> None:
    score = published.value
    axes.axhline(score, color="black", linestyle=_PUBLISHED_DASHES, linewidth=1.2, zorder=2)
    low, high = axes.get_ylim()
    margin = 0.06 * (max(high, score) - min(low, score))
    axes.set_ylim(min(low, score - margin), max(high, score + margin))
    if is_alone:
        axes.set_yticks([score])
    # Beside the panel, where no curve can run through it.
    axes.annotate(
        f"{published.method}\n{score:.1f}",
        (1.0, score),
        xycoords=("axes fraction", "data"),
        xytext=(3, 0),
        textcoords="offset points",
        va="center",
        fontsize=7.5,
        linespacing=1.05,
    )


def _mark_handles(panels: Sequence[_Panel]) -> list[Line2D]:
    handles = []
    sources = dict.fromkeys(panel.published.source for panel in panels if panel.published)
    if sources:
        label = f"published for the same dataset id: {', '.join(sources)}"
        handles.append(
            Line2D([], [], color="black", linestyle=_PUBLISHED_DASHES, linewidth=1.2, label=label)
        )
    records = [record for panel in panels for record in panel.task.records]
    if any(record.state is not State.FINISHED and record.epochs_done for record in records):
        label = "end of a run that is not finished"
        handles.append(Line2D([], [], color="grey", linestyle="none", label=label, **_END_MARK))
    return handles

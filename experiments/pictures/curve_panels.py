"""One panel of curves: means, single seeds, bands, and the axis of the normalised score."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from ..pictures.curve_groups import MEAN_WIDTH, SEED_WIDTH, CurveGroup
from mopo_tf2.configs.own import IN_THE_MODEL

RETURN_KEY = "evaluation/return-average"
SCORE_KEY = "evaluation/normalized-score"
SCORE_LABEL = "D4RL-normalised score"
MODEL_RETURN_LABEL = f"return {IN_THE_MODEL}"


def draw_curves(
    axes: Axes, groups: Sequence[CurveGroup], key: str, *, with_seeds: bool = True
) -> None:
    """Draw ``key`` by epoch: thick means, thin single seeds, bands from minimum to maximum.

    Args:
        axes: to draw on.
        groups: in the order of drawing; those without a finite value are left out.
        key: column of progress.csv.
        with_seeds: whether to draw the single seeds.
    """
    prepare_axes(axes)
    for order, group in enumerate(groups):
        draw_group(axes, group, group.table(key), order=order, with_seeds=with_seeds)


def prepare_axes(axes: Axes) -> None:
    """Give ``axes`` a faint grid, whole epochs, and no frame at the top and at the right."""
    axes.grid(alpha=0.25, linewidth=0.6)
    axes.xaxis.set_major_locator(
        MaxNLocator(nbins="auto", steps=[1, 2, 5, 10], integer=True, min_n_ticks=1)
    )
    axes.spines[["top", "right"]].set_visible(False)


def draw_group(
    axes: Axes, group: CurveGroup, table: pd.DataFrame, *, order: int, with_seeds: bool = True
) -> None:
    """Draw the columns of ``table``, [steps, samples], in the style of ``group``.

    ``order`` counts the groups of the panel; it staggers their markers and stacks their lines.
    """
    if table.empty:
        return
    style: dict[str, Any] = {"color": group.color, "linestyle": group.dashes, "zorder": 3 + order}
    if len(table) == 1:
        # One epoch alone draws no line: mark it.
        style["marker"] = group.marker or "o"
    elif group.marker is not None:
        style |= {
            "marker": group.marker,
            "markersize": 4.0,
            "markevery": (0.04 + 0.03 * order, 0.24),
        }
    axes.plot(table.index, table.mean(axis=1), linewidth=MEAN_WIDTH, **style)
    if table.shape[1] > 1:
        if with_seeds:
            values = table.to_numpy()
            axes.plot(table.index, values, color=group.color, linewidth=SEED_WIDTH, alpha=0.6)
        low, high = table.min(axis=1), table.max(axis=1)
        axes.fill_between(table.index, low, high, color=group.color, alpha=0.15, linewidth=0)


def score_axis(groups: Sequence[CurveGroup]) -> tuple[float, float] | None:
    """The map return -> normalised score as (slope, offset), if one serves every run."""
    tables = []
    for group in groups:
        for run in group.runs:
            pair = pd.concat([run.series(RETURN_KEY), run.series(SCORE_KEY)], axis=1).dropna()
            if pair.empty and not group.is_reference:
                return None
            tables.append(pair.to_numpy())
    points = np.concatenate(tables)
    if len(points) < 2 or np.ptp(points[:, 0]) == 0 or np.ptp(points[:, 1]) == 0:
        return None
    slope, offset = np.polyfit(points[:, 0], points[:, 1], 1)
    error = np.abs(slope * points[:, 0] + offset - points[:, 1]).max()
    if slope <= 0 or error > 1e-3 * np.ptp(points[:, 1]):
        return None
    return float(slope), float(offset)


def add_score_axis(axes: Axes, slope: float, offset: float) -> None:
    """Add a second y axis on the right: score = slope * return + offset."""

    def to_score(returns: Any) -> Any:
        return slope * returns + offset

    def to_return(scores: Any) -> Any:
        return (scores - offset) / slope

    axes.secondary_yaxis("right", functions=(to_score, to_return)).set_ylabel(SCORE_LABEL)

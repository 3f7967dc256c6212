"""Learning curves of runs as one static picture."""

import dataclasses
import itertools
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from experiments.files import ensure_writable_folder, replacing
from experiments.logging import read_progress
from experiments.run_groups import (
    Run,
    by_configuration,
    configuration_name,
    group_labels,
    parameter,
    read_run,
)
from mopo_tf2.errors import InputError

RETURN_KEY = "evaluation/return-average"
SCORE_KEY = "evaluation/normalized-score"
SCORE_LABEL = "D4RL-normalised score"
SUFFIXES = (".png", ".pdf", ".svg")

# Distinct in colour (Okabe and Ito), in grey and in dash, so that a black-and-white print reads.
STYLES: tuple[tuple[str, Any], ...] = (
    ("#0072B2", "-"),
    ("#D55E00", (0, (6, 2))),
    ("#009E73", (0, (3, 1, 1, 1))),
    ("#CC79A7", (0, (8, 2, 2, 2))),
    ("#56B4E9", (0, (4, 1))),
    ("#E69F00", (0, (5, 1, 1, 1, 1, 1))),
)
REFERENCE_DASHES: tuple[Any, ...] = ((0, (1, 1)), (0, (1, 2.5)), (0, (4, 1.5, 1, 1.5)))

# Key of progress.csv, title and unit of the smaller panels.
PANELS = (
    ("Q-avg", "Q value, mean over a batch", "discounted return"),
    ("Q_loss", "Critic loss", "return squared"),
    ("alpha", "Temperature alpha", "reward per nat"),
    ("model/penalty-mean", "Model penalty, mean over rollouts", "reward per step"),
    ("model/penalty-max", "Model penalty, maximum", "reward per step"),
    ("model/penalty-reward-share", "Model penalty as share of the reward", "ratio"),
)
HOLDOUT_PANEL = ("model/val_loss", "Ensemble hold-out MSE", "mean squared error")


@dataclasses.dataclass(frozen=True)
class _Group:
    """Runs of one configuration, or one reference curve, drawn alike."""

    label: str
    runs: Sequence[Run]
    color: str
    dashes: Any
    is_reference: bool = False

    def table(self, key: str) -> pd.DataFrame:
        """[epochs, runs] of ``key``; nan where a run has no value."""
        columns = [run.series(key) for run in self.runs]
        return pd.concat(columns, axis=1).sort_index()


def plot_learning_curves(
    runs: Sequence[Path],
    out: Path,
    *,
    key: str = RETURN_KEY,
    reference: Sequence[tuple[str, Path]] | None = None,
) -> Path:
    """Draw the learning curves of ``runs`` into one picture.

    Runs whose ``params.json`` agree apart from the seed form a group: a thick line is the mean
    over the seeds that reached the epoch (the legend says how many), a band their minimum and
    maximum, thin lines the single seeds. Panels: ``key``, with the normalised score as a second
    axis; Q values, critic loss, temperature; the penalty statistics, or the hold-out loss of the
    ensemble if there are none.

    Args:
        runs: run folders.
        out: the picture; PNG, PDF or SVG by its suffix. Written atomically.
        key: column of progress.csv for the large panel.
        reference: (label, progress.csv) of curves to compare with, drawn in black.

    Returns:
        ``out``.

    Raises:
        InputError: if there is no run, a run cannot be read or lacks ``key``, or ``out`` has
            another suffix or cannot be written.
    """
    out = Path(out)
    if out.suffix.lower() not in SUFFIXES:
        raise InputError(f"Expected a picture ending in {', '.join(SUFFIXES)}, got {out}.")
    if not runs:
        raise InputError("Expected at least one run folder to plot, got none.")
    # A folder given twice is one sample all the same.
    folders = list({Path(folder).resolve(): Path(folder) for folder in runs}.values())
    groups = _groups([read_run(folder) for folder in folders])
    for number, (label, path) in enumerate(reference or ()):
        run = Run(label, {}, read_progress(path))
        dashes = REFERENCE_DASHES[number % len(REFERENCE_DASHES)]
        groups.append(_Group(label, [run], "black", dashes, is_reference=True))
    _check_key(groups, key)
    ensure_writable_folder(out.parent)
    figure = _figure(groups, key)
    with replacing(out) as temporary:
        figure.savefig(temporary, dpi=150)
    return out


def _check_key(groups: Sequence[_Group], key: str) -> None:
    for group in groups:
        for run in group.runs:
            if key not in run.progress:
                known = ", ".join(map(str, run.progress.columns[:60]))
                raise InputError(f"Run {run.name} has no column {key!r}; it has: {known}.")
            if not len(run.series(key)):
                raise InputError(f"Run {run.name} has no finite value of {key!r}: nothing to draw.")


def _groups(runs: Sequence[Run]) -> list[_Group]:
    members = by_configuration(runs)
    styles = itertools.cycle(STYLES)
    return [
        _Group(label, group, color, dashes)
        for label, group, (color, dashes) in zip(
            group_labels(members), members, styles, strict=False
        )
    ]


def _figure(groups: Sequence[_Group], key: str) -> Figure:
    panels = [panel for panel in PANELS if panel[0] != key and _drawn(groups, panel[0])]
    has_penalty = any(name.startswith("model/penalty") for name, _, _ in panels)
    if not has_penalty and _drawn(groups, HOLDOUT_PANEL[0]):
        panels.append(HOLDOUT_PANEL)
    score = _score_axis(groups) if key == RETURN_KEY else None
    if key != SCORE_KEY and score is None and _drawn(groups, SCORE_KEY):
        panels.insert(0, (SCORE_KEY, SCORE_LABEL, "score"))
    columns = max(1, len(panels)) if len(panels) <= 4 else 3
    rows = math.ceil(len(panels) / columns)
    figure = Figure(figsize=(11.0, 4.6 + 2.5 * rows), layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.add_gridspec(rows + 1, columns, height_ratios=[1.9] + [1.0] * rows)

    main = figure.add_subplot(grid[0, :])
    is_return = key == RETURN_KEY
    _panel(main, groups, key)
    main.set_title(_common_name(groups) + ("Evaluation return" if is_return else key), loc="left")
    main.set_xlabel(_epoch_label(groups))
    main.set_ylabel("return (sum of rewards of an episode)" if is_return else key)
    if score is not None:
        _add_score_axis(main, *score)
    for number, (name, title, unit) in enumerate(panels):
        axes = figure.add_subplot(grid[1 + number // columns, number % columns])
        _panel(axes, groups, name)
        axes.set_title(title, loc="left", fontsize="medium")
        axes.set_xlabel("epoch", fontsize="small")
        axes.set_ylabel(unit, fontsize="small")
    figure.legend(handles=_legend(groups), loc="outside lower center", ncols=2, frameon=False)
    return figure


def _common_name(groups: Sequence[_Group]) -> str:
    """Return "name: " if all runs have one configuration name and no label says it, else ""."""
    names = {configuration_name(run) for group in groups for run in group.runs if run.params}
    name = names.pop() if len(names) == 1 else None
    if name is None or any(group.label == name for group in groups):
        return ""
    return f"{name}: "


def _drawn(groups: Sequence[_Group], key: str) -> bool:
    return any(len(run.series(key)) for group in groups for run in group.runs)


def _panel(axes: Axes, groups: Sequence[_Group], key: str) -> None:
    axes.grid(alpha=0.25, linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)
    for order, group in enumerate(groups):
        table = group.table(key)
        if table.empty:
            continue
        style = {"color": group.color, "linestyle": group.dashes, "zorder": 3 + order}
        # One epoch alone draws no line: mark it.
        marker = "o" if len(table) == 1 else None
        axes.plot(table.index, table.mean(axis=1), linewidth=1.9, marker=marker, **style)
        if len(group.runs) > 1:
            axes.plot(table.index, table.to_numpy(), color=group.color, linewidth=0.6, alpha=0.6)
            low, high = table.min(axis=1), table.max(axis=1)
            axes.fill_between(table.index, low, high, color=group.color, alpha=0.15, linewidth=0)


def _legend(groups: Sequence[_Group]) -> list[Line2D | Patch]:
    handles: list[Line2D | Patch] = [
        Line2D([], [], color=g.color, linestyle=g.dashes, linewidth=1.9, label=_legend_label(g))
        for g in groups
    ]
    if any(len(group.runs) > 1 for group in groups):
        handles.append(Line2D([], [], color="grey", linewidth=0.6, label="single seeds"))
        handles.append(
            Patch(color="grey", alpha=0.25, label="band: minimum to maximum of the seeds")
        )
    return handles


def _legend_label(group: _Group) -> str:
    """E.g. "hopper_mixed: mean of 3 seeds, of 2 after epoch 40"."""
    if group.is_reference:
        return group.label
    seeds = [parameter(run.params, "seed") for run in group.runs]
    total = len(group.runs)
    if total == 1:
        return f"{group.label}: 1 run" + ("" if seeds[0] is None else f", seed {seeds[0]}")
    # Two runs of one seed are not two samples; then do not call them seeds.
    noun = "seeds" if len(set(seeds)) == total and None not in seeds else "runs"
    parts = [f"{group.label}: mean of {total} {noun}"]
    lasts = sorted(float(run.progress["epoch"].max()) for run in group.runs)
    for last in sorted(set(lasts))[:-1]:
        parts.append(f"of {sum(x > last for x in lasts)} after epoch {last:g}")
    return ", ".join(parts)


def _epoch_label(groups: Sequence[_Group]) -> str:
    lengths = set()
    for group in groups:
        for run in group.runs:
            done = run.series("train-steps")
            lengths.update((done / (done.index.to_numpy() + 1)).round(6))
    if len(lengths) == 1 and (length := lengths.pop()).is_integer():
        return f"epoch of policy training (from 0; {length:,.0f} updates each)"
    return "epoch of policy training (from 0)"


def _score_axis(groups: Sequence[_Group]) -> tuple[float, float] | None:
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


def _add_score_axis(axes: Axes, slope: float, offset: float) -> None:
    def to_score(returns: Any) -> Any:
        return slope * returns + offset

    def to_return(scores: Any) -> Any:
        return (scores - offset) / slope

    axes.secondary_yaxis("right", functions=(to_score, to_return)).set_ylabel(SCORE_LABEL)

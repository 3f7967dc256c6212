"""Learning curves of a few runs as one static picture: the return large, its causes below."""

import math
from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure

from ..files import ensure_writable_folder
from ..logging import read_progress
from ..pictures.curve_groups import (
    REFERENCE_DASHES,
    CurveGroup,
    curve_groups,
    epoch_label,
    has_values,
    legend_handles,
)
from ..pictures.curve_panels import (
    MODEL_RETURN_LABEL,
    RETURN_KEY,
    SCORE_KEY,
    SCORE_LABEL,
    add_score_axis,
    draw_curves,
    score_axis,
)
from ..pictures.pages import add_legend, check_suffix, new_figure, plain_text, save_figure
from ..records.run_groups import Run, configuration_name, read_run
from mopo_tf2.configs.own import IN_THE_MODEL, MODEL_RETURN_KEY
from mopo_tf2.errors import InputError

# Key of progress.csv, title and unit of the smaller panels.
PANELS = (
    ("Q-avg", "Q value, mean over a batch", "discounted return"),
    ("Q_loss", "Critic loss", "return squared"),
    ("alpha", "Temperature alpha", "reward per nat"),
    ("model/penalty-mean", "Model penalty, mean over rollouts", "reward per step"),
    ("model/penalty-max", "Model penalty, maximum", "reward per step"),
    ("model/penalty-reward-share", "Model penalty as share of the reward", "ratio"),
)
_NAMES = {
    RETURN_KEY: ("Evaluation return", "return (sum of rewards of an episode)"),
    MODEL_RETURN_KEY: (f"Return {IN_THE_MODEL}", MODEL_RETURN_LABEL),
}
"""Title and label of the axis of the large panel, by key."""
HOLDOUT_PANEL = ("model/val_loss", "Ensemble hold-out MSE", "mean squared error")


def plot_learning_curves(
    runs: Sequence[Path],
    out: Path,
    *,
    key: str | None = None,
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
        key: column of progress.csv for the large panel; None: the return, or, of runs without a
            simulator, the return in the learned model.
        reference: (label, progress.csv) of curves to compare with, drawn in black.

    Returns:
        ``out``.

    Raises:
        InputError: if there is no run, a run cannot be read or lacks ``key``, or ``out`` has
            another suffix or cannot be written.
    """
    out = check_suffix(out)
    if not runs:
        raise InputError("Expected at least one run folder to plot, got none.")
    # A folder given twice is one sample all the same.
    folders = list({Path(folder).resolve(): Path(folder) for folder in runs}.values())
    groups = curve_groups([read_run(folder) for folder in folders])
    for number, (label, path) in enumerate(reference or ()):
        run = Run(label, {}, read_progress(path))
        dashes = REFERENCE_DASHES[number % len(REFERENCE_DASHES)]
        groups.append(CurveGroup(label, [run], "black", dashes, is_reference=True))
    key = key or _default_key(groups)
    _check_key(groups, key)
    ensure_writable_folder(out.parent)
    with plain_text():
        save_figure(learning_curves_figure(groups, key), out)
    return out


def _default_key(groups: Sequence[CurveGroup]) -> str:
    in_the_model = not has_values(groups, RETURN_KEY) and has_values(groups, MODEL_RETURN_KEY)
    return MODEL_RETURN_KEY if in_the_model else RETURN_KEY


def _check_key(groups: Sequence[CurveGroup], key: str) -> None:
    for group in groups:
        for run in group.runs:
            if key not in run.progress:
                known = ", ".join(map(str, run.progress.columns[:60]))
                raise InputError(f"Run {run.name} has no column {key!r}; it has: {known}.")
            if not len(run.series(key)):
                raise InputError(f"Run {run.name} has no finite value of {key!r}: nothing to draw.")


def learning_curves_figure(groups: Sequence[CurveGroup], key: str) -> Figure:
    """Return the figure of ``plot_learning_curves``."""
    panels = [panel for panel in PANELS if panel[0] != key and has_values(groups, panel[0])]
    has_penalty = any(name.startswith("model/penalty") for name, _, _ in panels)
    if not has_penalty and has_values(groups, HOLDOUT_PANEL[0]):
        panels.append(HOLDOUT_PANEL)
    score = score_axis(groups) if key == RETURN_KEY else None
    if key != SCORE_KEY and score is None and has_values(groups, SCORE_KEY):
        panels.insert(0, (SCORE_KEY, SCORE_LABEL, "score"))
    columns = max(1, len(panels)) if len(panels) <= 4 else 3
    rows = math.ceil(len(panels) / columns)
    figure = new_figure(11.0, 4.6 + 2.5 * rows)
    grid = figure.add_gridspec(rows + 1, columns, height_ratios=[1.9] + [1.0] * rows)

    main = figure.add_subplot(grid[0, :])
    title, label = _NAMES.get(key, (key, key))
    draw_curves(main, groups, key)
    main.set_title(_common_name(groups) + title, loc="left")
    main.set_xlabel(epoch_label(groups))
    main.set_ylabel(label)
    if score is not None:
        add_score_axis(main, *score)
    for number, (name, title, unit) in enumerate(panels):
        axes = figure.add_subplot(grid[1 + number // columns, number % columns])
        draw_curves(axes, groups, name)
        axes.set_title(title, loc="left", fontsize="medium")
        axes.set_xlabel("epoch", fontsize="small")
        axes.set_ylabel(unit, fontsize="small")
    add_legend(figure, legend_handles(groups))
    return figure


def _common_name(groups: Sequence[CurveGroup]) -> str:
    """Return "name: " if all runs have one configuration name and no label says it, else ""."""
    names = {configuration_name(run) for group in groups for run in group.runs if run.params}
    name = names.pop() if len(names) == 1 else None
    if name is None or any(group.label == name for group in groups):
        return ""
    return f"{name}: "

"""What is said and drawn of a comparison of learning curves."""

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from mopo_tf2.errors import InputError
from mopo_tf2.files import replacing

from .curve_files import RETURN, TRACES, Curve, read_curve, read_references
from .curves import LAST_TWENTY, Comparison, compare

# Told apart by dashes and markers, so that a print in black and white reads.
_DASHES: tuple[Any, ...] = (
    (0, (5, 2)),
    (0, (1, 1.2)),
    (0, (6, 1.5, 1, 1.5)),
    (0, (3, 1, 1, 1, 1, 1)),
)
_COLORS = ("#D55E00", "#0072B2", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7F3C8D", "#8C6D31")
_MARKERS = "so^vDPX"


def parity_curves(reference: Path, runs: Sequence[Path], out: Path) -> str:
    """Compare run folders with the original's, draw the picture ``out``.

    Args:
        reference: a run folder of the original, or a folder of several.
        runs: run folders of the port, of different seeds.
        out: the picture, a PNG; written whole or not at all.

    Returns:
        The report as text.

    Raises:
        InputError: if a folder is invalid, two runs have one seed, their configurations differ, or
            the picture cannot be written.
    """
    if out.suffix.lower() != ".png":
        raise InputError(f"expected a picture ending in .png, got {out}.")
    folders = list({path.resolve(): path for path in runs}.values())
    comparison = compare(read_references(reference), [read_curve(folder) for folder in folders])
    draw(comparison, out)
    return f"{report(comparison)}\npicture -> {out}"


def report(comparison: Comparison) -> str:
    """Return tables, and what they carry, as text."""
    lines = [_what_is_compared(comparison), ""]
    lines += _return_table(comparison)
    lines += ["", *_trace_table(comparison)]
    if comparison.holdout:
        lines += ["", *_holdout_table(comparison)]
    return "\n".join([*lines, "", *_summary(comparison)])


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")


def _what_is_compared(comparison: Comparison) -> str:
    runs, epochs = comparison.runs, comparison.epochs
    lengths = {len(curve.progress) for curve in (*comparison.references, *runs)}
    text = (
        f"{_count(len(runs), 'seed')} of the port against "
        f"{_count(len(comparison.references), 'seed')} of the original, epochs 0 to {epochs - 1}"
    )
    if len(lengths) > 1:
        text += " (what all have; longer curves are cut)"
    return text + "."


def _return_table(comparison: Comparison) -> list[str]:
    names = [_label(run) for run in comparison.runs]
    width = max(10, *(len(name) for name in names))
    heads = ["original", *names, "mean", "95 % interval", "share"]
    widths = [10, *[width] * len(names), 10, 22, 7]
    lines = [f"{'return':22}" + "".join(f" {h:>{w}}" for h, w in zip(heads, widths, strict=True))]
    for row in comparison.rows.values():
        interval = "one seed: none"
        if row.interval is not None:
            interval = f"{row.interval[0]:.1f} to {row.interval[1]:.1f}"
        share = f"{row.share:.0%}" if math.isfinite(row.share) else "-"
        values = [np.mean(row.references), *row.runs, np.mean(row.runs)]
        cells = [*(f"{value:.1f}" for value in values), interval, share]
        lines.append(
            f"{row.name:22}" + "".join(f" {c:>{w}}" for c, w in zip(cells, widths, strict=True))
        )
    return lines


def _trace_table(comparison: Comparison) -> list[str]:
    """Q-avg, Q_loss and alpha at five epochs, the original's and the runs' mean and range."""
    epochs = sorted({round(x) for x in np.linspace(0, comparison.epochs - 1, 5)})
    lines = [f"{'trace':8} {'epoch':>6} {'original':>12} {'port':>12}  lowest to highest run"]
    for key in TRACES:
        theirs = np.mean([r.series(key, comparison.epochs) for r in comparison.references], axis=0)
        ours = np.array([run.series(key, comparison.epochs) for run in comparison.runs])
        for epoch in epochs:
            column = ours[:, epoch]
            spread = f"{column.min():.4g} to {column.max():.4g}" if len(column) > 1 else ""
            lines.append(
                f"{key:8} {epoch:6d} {theirs[epoch]:12.4g} {column.mean():12.4g}  {spread}".rstrip()
            )
    return lines


def _holdout_table(comparison: Comparison) -> list[str]:
    lines = ["hold-out loss of the ensemble, the run's median network against the original's:"]
    lines += [
        f"  {row.run}: within the spread of the original's networks in {row.inside} of "
        f"{row.epochs} epochs; ratio of medians {row.last_ratio:.3f} in epoch {row.epochs - 1}, "
        f"farthest from 1 in epoch {row.worst_epoch} ({row.worst_ratio:.3f})"
        for row in comparison.holdout
    ]
    return lines


def _summary(comparison: Comparison) -> list[str]:
    lines = []
    row, window = comparison.rows[LAST_TWENTY], min(20, comparison.epochs)
    ours, theirs = np.mean(row.runs), np.mean(row.references)
    text = f"Mean return of the last {window} epochs: {ours:.0f}, the original's {theirs:.0f}"
    if math.isnan(row.share):
        lines.append(f"{text}. The original's is not positive, so no share can be formed.")
    else:
        lines.append(f"{text}: {row.share:.0%} of it.")
    if window < 20:
        lines.append(f"Only {comparison.epochs} common epochs: too early to judge by.")
    return lines + _caveats(comparison)


def _caveats(comparison: Comparison) -> list[str]:
    """Say how much the numbers of seeds carry."""
    lines = []
    if len(comparison.references) == 1:
        lines.append(
            "The original has one seed: one sample, whose own scatter over seeds is unknown. The "
            "shares carry it in full; no interval includes it. python -m parity.populations "
            "compares many seeds of both."
        )
    window = min(20, comparison.epochs)
    returns = comparison.references[0].series(RETURN, comparison.epochs)[-window:]
    lines.append(
        f"Epochs scatter: over the last {window} the original's returns have a standard deviation "
        f"of {np.std(returns):.0f} around their mean of {np.mean(returns):.0f}."
    )
    seeds = len(comparison.runs)
    if seeds == 1:
        lines.append("One seed of the port is one sample: there is no interval over seeds.")
    elif seeds < 5:
        lines.append(
            f"A bootstrap of {seeds} seeds cannot reach beyond their lowest and highest: the "
            "intervals are too narrow."
        )
    return lines


def _label(curve: Curve) -> str:
    return curve.name if curve.seed is None else f"seed {curve.seed}"


def draw(comparison: Comparison, out: Path) -> None:
    """Draw returns, traces and hold-out losses of all curves into the PNG ``out``.

    Raises:
        InputError: if it cannot be written.
    """
    figure = Figure(figsize=(10.0, 9.0), layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.add_gridspec(3, 2, height_ratios=[1.5, 1.0, 1.0])
    main = figure.add_subplot(grid[0, :])
    _curves(main, comparison, RETURN)
    window = min(20, comparison.epochs)
    main.axvspan(comparison.epochs - window, comparison.epochs - 1, color="0.92", zorder=0)
    main.set_title(f"Evaluation return; grey: the last {window} common epochs", loc="left")
    main.set_ylabel("return")
    main.set_xlabel("epoch of policy training")
    panels = {"Q-avg": "Q value, batch mean", "Q_loss": "Critic loss", "alpha": "Temperature alpha"}
    for number, (key, title) in enumerate(panels.items()):
        axes = figure.add_subplot(grid[1 + number // 2, number % 2])
        _curves(axes, comparison, key)
        axes.set_title(title, loc="left", fontsize="medium")
        axes.set_xlabel("epoch", fontsize="small")
        if key != "Q-avg":
            _log_scale(axes)
    axes = figure.add_subplot(grid[2, 1])
    _holdout(axes, comparison)
    handles, labels = main.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4, frameon=False)
    _save(out, lambda path: figure.savefig(path, dpi=130, format="png"))


def _style(number: int) -> dict[str, Any]:
    return {
        "color": _COLORS[number % len(_COLORS)],
        "linestyle": _DASHES[number % len(_DASHES)],
        "marker": _MARKERS[number % len(_MARKERS)],
        "markersize": 4.5,
        "markerfacecolor": "white",
        "linewidth": 1.5,
    }


def _curves(axes: Axes, comparison: Comparison, key: str) -> None:
    """Draw ``key`` of all curves: the original solid black, runs dashed with markers."""
    _frame(axes)
    for number, reference in enumerate(comparison.references):
        values = reference.progress[key]
        label = f"original, {_label(reference)}"
        axes.plot(values.index, values, color="black", linewidth=2.2 - 0.6 * number, label=label)
    for number, run in enumerate(comparison.runs):
        values = run.progress[key].iloc[: 2 * comparison.epochs]
        every = max(1, len(values) // 10)
        axes.plot(
            values.index, values, label=f"port, {_label(run)}", markevery=every, **_style(number)
        )


def _holdout(axes: Axes, comparison: Comparison) -> None:
    _frame(axes)
    axes.set_title(
        "Ensemble hold-out MSE: band and black,\noriginal's networks and their median",
        loc="left",
        fontsize="medium",
    )
    axes.set_xlabel("epoch of model training", fontsize="small")
    for reference in comparison.references:
        if reference.holdout is not None:
            table = reference.holdout
            axes.fill_between(table.index, table.min(axis=1), table.max(axis=1), color="0.75")
            axes.plot(table.index, table.median(axis=1), color="black", linewidth=1.8)
    for number, run in enumerate(comparison.runs):
        if run.holdout is not None:
            median = run.holdout.median(axis=1)
            every = max(1, len(median) // 8)
            axes.plot(median.index, median, markevery=every, **_style(number))
    _log_scale(axes)


def _log_scale(axes: Axes) -> None:
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter(FuncFormatter(_plain_number))
    axes.yaxis.set_minor_formatter(FuncFormatter(_plain_number))


def _plain_number(value: float, _: Any) -> str:
    """Return 0.02 rather than 2e-02, and nothing for the ticks between 1, 2, 3, 5."""
    digit = round(value / 10 ** math.floor(math.log10(value)))
    return f"{value:g}" if digit in (1, 2, 3, 5) else ""


def _frame(axes: Axes) -> None:
    axes.grid(alpha=0.25, linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)


def _save(out: Path, save: Callable[[Path], None]) -> None:
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with replacing(out) as temporary:
            save(temporary)
    except OSError as error:
        raise InputError(f"cannot write {out}: {error.strerror}.") from error

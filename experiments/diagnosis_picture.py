"""The picture of a diagnosis: six panels, and below them what to change."""

import textwrap
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator

from mopo_tf2.configs.methods import TITLES
from mopo_tf2.files import replacing

from .evaluation import Numbers
from .plots import RC, STYLES

_BLUE, _ORANGE, _GREEN = (STYLES[name][0] for name in ("mopo", "mbpo", "sac"))
_THIN: dict[str, Any] = {"color": "grey", "linewidth": 0.6, "alpha": 0.6}
_LETTERS = 165  # Of a line below the panels.
_RC = {**RC, "legend.handlelength": 2.0, "legend.fontsize": 7.5}


def draw_diagnosis(numbers: Numbers, out: Path) -> None:
    """Draw a result of ``diagnosis.diagnose_run`` to the PNG ``out``, atomically."""
    advice = textwrap.fill(numbers["advice"], _LETTERS)
    height = 7.4 + 0.17 * (advice.count("\n") + 1)
    with matplotlib.rc_context(_RC):
        figure = Figure(figsize=(11.0, height), layout="constrained")
        panels = figure.subplots(2, 3)
        title = f"{numbers['run']}: {TITLES[numbers['method']]}, epoch {numbers['epoch']}"
        figure.suptitle(f"{title}; checked on {numbers['rows']:,} rows {numbers['source']}")
        figure.supxlabel(advice, fontsize=9.0, x=0.01, ha="left", parse_math=False)
        drawers = (_coverage, _transforms, _open_loop, _penalty, _policy, _reward)
        for draw, axes in zip(drawers, panels.flat, strict=True):
            draw(axes, numbers)
        with replacing(out) as temporary:
            canvas: Any = FigureCanvasAgg(figure)
            canvas.print_png(temporary)


def _coverage(axes: Axes, numbers: Numbers) -> None:
    found = numbers["calibration"]
    levels, shares = found["levels"], found["coverage"]
    axes.axline((0, 0), slope=1, color="black", linewidth=0.8, linestyle=":", label="right")
    axes.plot(levels, shares[:, 1:], marker=".", **_THIN)
    mean = np.nanmean(shares[:, 1:], axis=1)
    axes.plot(levels, mean, color=_BLUE, marker="o", label="mean of the observations")
    axes.plot(levels, shares[:, 0], color=_ORANGE, marker="s", label="reward")
    axes.set(title="Real values in predicted intervals", xlim=(0.4, 1.0), ylim=(0.0, 1.02))
    axes.set(xlabel="probability of the interval", ylabel="share of real values inside")
    axes.legend(loc="lower right")


def _transforms(axes: Axes, numbers: Numbers) -> None:
    counts = np.asarray(numbers["calibration"]["pit_histogram"], float)
    bins = counts.shape[1]
    shares = counts / counts.sum(axis=1, keepdims=True) * bins
    edges = np.linspace(0.0, 1.0, bins + 1)
    axes.stairs(shares[1:].mean(axis=0), edges, fill=True, alpha=0.3, color=_BLUE)
    for one in shares[1:]:
        axes.stairs(one, edges, **_THIN)
    axes.stairs(shares[0], edges, color=_ORANGE, linewidth=1.5)
    spread = 2.0 * np.sqrt((bins - 1) / numbers["rows"])
    axes.axhspan(1.0 - spread, 1.0 + spread, color="black", alpha=0.08)
    axes.axhline(1.0, color="black", linewidth=0.8, linestyle=":")
    axes.set(title="PIT: flat is right", xlabel="predicted probability below the real value")
    axes.set(ylabel="density", ylim=(0.0, None))


def _open_loop(axes: Axes, numbers: Numbers) -> None:
    found = numbers["open_loop"]
    at = np.arange(1, len(found["covered"]) + 1)
    axes.plot(at, found["error_by_column"][0], **_THIN)
    axes.plot(at, found["error"][0], color=_BLUE, label="error, median")
    axes.plot(at, found["error"][1], color=_BLUE, linestyle="--", label="error, 90 %")
    axes.plot(at, found["covered"], color=_GREEN, marker=".", label="within samples")
    axes.axhline(0.9, color=_GREEN, linewidth=0.8, linestyle=":")
    _mark_h(axes, numbers)
    axes.set(title="Open loop along real actions", ylabel="std of the data; share")
    axes.set_ylim(0.0, 1.25 * max(1.0, float(np.max(found["error"]))))
    axes.legend(loc="upper left", ncols=2)


def _penalty(axes: Axes, numbers: Numbers) -> None:
    found = numbers["penalty"]
    penalties, errors = found["points"][:, :2_000]
    positive = bool((errors > 0).all() and (penalties > 0).all())
    axes.plot(penalties, errors, ".", color=_BLUE, markersize=2.0, alpha=0.5)
    axes.axline((1e-9, 1e-9), (1.0, 1.0), color="black", linewidth=0.8, linestyle=":")
    if positive:
        axes.set(xscale="log", yscale="log")
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0), numticks=6))
            axis.set_major_formatter("{x:g}")
        axes.minorticks_off()
    low, high = penalties.min(), penalties.max()
    axes.set_xlim(low * 0.9, high * 1.1 + 1e-9)
    axes.set_ylim(max(np.quantile(errors, 0.002), 1e-9) * 0.8, errors.max() * 1.25)
    interval = found["correlation"]
    title = "Penalty and error: rho {value:.2f} [{low:.2f}, {high:.2f}]".format(**interval)
    by = "by the simulator" if found["by"] == "simulator" else "on the checked rows"
    axes.set(title=title, xlabel="penalty u", ylabel=f"true error |mean s' - s'|, {by}")


def _policy(axes: Axes, numbers: Numbers) -> None:
    found = numbers["policy"]
    axes.set_title("The policy's rollouts: how far out?")
    if found is None:
        _say_untrained(axes)
        return
    at = np.arange(1, len(found["outside"]) + 1)
    highest = float(np.max([found["outside"], found["pairs_outside"]]))
    axes.plot(at, found["outside"], color=_BLUE, marker="o", label="states outside")
    axes.plot(at, found["pairs_outside"], color=_GREEN, linestyle="--", label="(s, a) outside")
    axes.set(ylabel="share", ylim=(0.0, max(0.1, 1.25 * highest)))
    if "true_error" in found and numbers["penalty"]["error_on_data"]:
        other = axes.twinx()
        growth = found["true_error"][0] / numbers["penalty"]["error_on_data"]
        other.plot(at, growth, color=_ORANGE, marker="s")
        other.set_ylabel("true error / error on the data", color=_ORANGE)
        other.set_ylim(bottom=0.0)
        other.grid(visible=False)
    _mark_h(axes, numbers)
    axes.legend(loc="upper left")


def _reward(axes: Axes, numbers: Numbers) -> None:
    found, h = numbers["policy"], numbers["rollout_length"]
    axes.set_title("Where the reward comes from")
    if found is None:
        _say_untrained(axes)
        return
    at = np.arange(1, len(found["reward"]) + 1)
    axes.bar(at, found["reward"], color=_BLUE, label="reward")
    axes.bar(at, -found["penalty"], color=_ORANGE, label="penalty")
    axes.axhline(0.0, color="black", linewidth=0.8)
    _mark_h(axes, numbers)
    parts = found["parts"]
    said = f"{h} steps: reward {parts['real']:.3g}, penalty {parts['penalty']:.3g}"
    said += f", value beyond {parts['beyond']:.3g}"
    axes.annotate(said, (0, 1), (0, 4), "axes fraction", "offset points", fontsize=7.5)
    axes.set_title("Where the reward comes from", pad=15)
    axes.set_ylabel("reward per step")
    axes.margins(y=0.2)
    axes.legend(loc="upper left", ncols=2)


def _mark_h(axes: Axes, numbers: Numbers) -> None:
    axes.axvline(numbers["rollout_length"], color="black", linewidth=0.8, linestyle="--")
    axes.set_xlabel("step (dashed: h)")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))


def _say_untrained(axes: Axes) -> None:
    axes.text(0.5, 0.5, "not trained yet", transform=axes.transAxes, ha="center", va="center")
    axes.set(xticks=[], yticks=[])

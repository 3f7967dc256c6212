"""Learning curves and diagnostics of runs as pictures."""

import contextlib
import math
import textwrap
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_pdf import PdfPages
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, MaxNLocator

from mopo_tf2.configs.methods import TITLES
from mopo_tf2.data.catalog import reference_scores
from mopo_tf2.errors import InputError
from mopo_tf2.files import ensure_writable_folder, replacing

from . import results
from .published import Published, PublishedTable, compare, read_published
from .run_folder import UNKNOWN, State, read_progress

BANDS = {
    "minmax": "minimum to maximum of the seeds",
    "std": "mean ± standard deviation of the seeds",
    "se": "mean ± standard error over the seeds",
    "ci": "95 % bootstrap confidence interval of the mean over the seeds",
}
STYLES: Mapping[str, tuple[str, Any]] = {
    "mopo": ("#0072B2", "-"),
    "mbpo": ("#D55E00", (0, (6, 2))),
    "sac": ("#009E73", (0, (3, 1, 1, 1))),
    "bc": ("#CC79A7", (0, (1.3, 1.1))),
    "bcq": ("#E69F00", (0, (9, 2, 2, 2))),
    "morel": ("#56B4E9", (0, (5, 1, 1, 1, 1, 1))),
    "mopo-disagreement": ("#882255", (0, (3, 3))),
    "mopo-one-network": ("#B8A600", (0, (6, 1, 6, 1, 1, 1))),
    "mopo-true-penalty": ("#7F7F7F", (0, (9, 1.5, 1, 1.5, 1, 1.5))),
    "original": ("#000000", (0, (14, 3))),
    "other": ("#555555", (0, (2, 2))),
}
"""Colour and dashes of each method in every picture: Okabe and Ito's colours as far as they go,
dashes that differ in black and white. Further settings of a method have markers and own dashes."""
_FURTHER = (*zip("os^DvPX<>*", ((4, 1), (8, 3), (2, 1), (12, 2), (1, 2)) * 2, strict=True),)
_MEAN: dict[str, Any] = {"linewidth": 1.9, "markersize": 4.5}
_SEED: dict[str, Any] = {"linewidth": 0.6, "alpha": 0.6}
_PUBLISHED: dict[str, Any] = {"linestyle": (0, (1, 1.5)), "linewidth": 1.2}
_END: dict[str, Any] = {"linestyle": "none", "marker": "x", "markersize": 5.5, "zorder": 30}
RC: Any = {
    "text.parse_math": False,  # Dollar signs in names of files are no formulas.
    "legend.frameon": False,
    "legend.handlelength": 4.5,  # Two periods of the longest dashes.
    **{"font.size": 9.0, "axes.titlesize": 10.0, "axes.titlelocation": "left", "figure.dpi": 150},
    **{"axes.labelsize": 7.5, "xtick.labelsize": 7.5, "ytick.labelsize": 7.5, "axes.grid": True},
    **{"axes.spines.top": False, "axes.spines.right": False, "grid.alpha": 0.25},
}
SCORE, RETURN, MODEL_RETURN = results.COLUMNS.values()
_HOLDOUT, _HOLDOUT_MOREL = "hold-out", "hold-out of MOReL"
_QUANTITIES = {
    SCORE: ("normalized score", "D4RL-normalized score"),
    RETURN: ("evaluation return", "return (sum of rewards)"),
    MODEL_RETURN: (results.METRICS["model-return"], "return in the model"),
    "Q-avg": ("Q value, mean over a batch", "discounted return"),
    "Q_loss": ("Critic loss", "return squared"),
    "alpha": ("Temperature alpha", "reward per nat"),
    "policy/mse": ("Error of the cloned actions", "MSE"),
    "model/penalty-mean": ("Penalty, mean", "reward per step"),
    "model/penalty-max": ("Penalty, max.", "reward per step"),
    "model/penalty-reward-share": ("Penalty / reward", "ratio of means"),
    "model/mean_rollout_length": ("Rollout length", "model steps"),
    "model/halted-share": ("Rollouts halted", "share"),
    _HOLDOUT: ("Hold-out loss", "networks' MSE"),
    # Of standardised outputs: not to be compared with the one above.
    _HOLDOUT_MOREL: ("Hold-out, MOReL", "standardised MSE"),
}
"""Title and unit of what is drawn: columns of progress.csv, and hold-out losses."""
_BELOW, _DIAGNOSTICS = [*_QUANTITIES][3:], [*_QUANTITIES][7:]
_LOG = {"Q_loss", "model/mean_rollout_length", _HOLDOUT, _HOLDOUT_MOREL}


class Look(NamedTuple):
    """How curves are drawn."""

    smooth: int = 1  # Epochs of each run's running mean: the current one and those before it.
    band: str = "minmax"  # Of ``BANDS``; see ``results.spread``.
    title: str | None = None  # Above the picture.
    size: tuple[float, float] | None = None  # Inches, of each page of a PDF; None: as needed.


class Curve(NamedTuple):
    """Runs that are one line: label, a key of ``STYLES``, rows of ``results.load``, style."""

    label: str
    method: str
    rows: pd.DataFrame
    style: dict[str, Any]

    @property
    def runs(self) -> pd.DataFrame:
        """The last row of each run that has an epoch."""
        return results.runs_of(self.rows[self.rows["epoch"].notna()])

    def table(self, key: str, smooth: int = 1) -> pd.DataFrame:
        """Return [epochs from 1, runs] of a column, or [model epochs from 1, networks] losses."""
        table = pd.DataFrame()
        if key in (_HOLDOUT, _HOLDOUT_MOREL):
            smooth, is_morel = 1, self.method == "morel"
            for folder in self.runs["folder"].dropna() if is_morel == (key != _HOLDOUT) else ():
                with contextlib.suppress(InputError):  # Damaged: the others can still be drawn.
                    table = pd.concat([table, folder.holdout().set_index("epoch")], axis=1)
        elif key in self.rows:
            rows = self.rows[[*dict.fromkeys(("epoch", "run", key))]].dropna(subset="epoch")
            table = rows.pivot(index="epoch", columns="run", values=key)
        table = table.apply(pd.to_numeric, errors="coerce").astype(float)
        table = table.where(np.isfinite(table)).dropna(how="all").sort_index()
        if smooth > 1:  # A run does not go on after its last epoch.
            table = table.rolling(smooth, min_periods=1).mean().where(table.notna())
        return table.set_axis(table.index + 1.0)


class Panel(NamedTuple):
    """The runs on one dataset in one task with one physics, a curve a configuration."""

    dataset: str
    task: str
    about: str
    curves: list[Curve]

    def has(self, key: str) -> bool:
        """Whether any run has a finite value of a quantity."""
        return any(not curve.table(key).empty for curve in self.curves)

    def cell(self, keys: Sequence[str], table: PublishedTable | None) -> "Cell":
        """Return the cell of the first quantity that any run has, with published numbers."""
        key = next((key for key in keys if self.has(key)), keys[0])
        unfinished = sum((curve.runs["state"] != State.FINISHED).sum() for curve in self.curves)
        notes = [self.about, _samples(self.curves), f"{unfinished} unfinished" * bool(unfinished)]
        wanted = table if table and key == results.COLUMNS[table.metric] else None
        facts = [curve.rows["folder"].iloc[0].facts() for curve in self.curves if wanted]
        numbers = [*filter(None, dict.fromkeys(compare(one, wanted).published for one in facts))]
        said = ", ".join(f"{number.method} {number.value:g}" for number in numbers)
        notes += [f"published {said}"] * bool(said)
        unit = _QUANTITIES.get(key, (key, key))[1]
        return Cell(self, key, self.dataset, unit, "; ".join(filter(None, notes)), numbers)


class Cell(NamedTuple):
    """What one pair of axes shows: whose curves, of what, and the texts around them."""

    panel: Panel
    key: str
    title: str
    y_label: str
    note: str = ""
    published: Sequence[Published] = ()


class Page(NamedTuple):
    """A large cell or none, rows of small ones (height in inches), and one legend below."""

    cells: Sequence[Cell]
    columns: int
    height: float
    main: Cell | None = None


def plot(
    folders: Sequence[Path],
    out: Path,
    *,
    key: str | None = None,
    reference: Sequence[tuple[str, Path]] = (),
    paper: str = "none",
    look: Look | None = None,
) -> Path:
    """Draw the runs in ``folders``, or below, to ``out``, atomically; return ``out``.

    Runs on one dataset share a large panel of returns, with Q values, losses and penalties below.
    Else each dataset has a panel of scores, then a row of diagnostics: pages of a PDF.

    Args:
        folders: run folders, or folders with runs at any depth.
        out: the picture; its suffix is .png, .pdf or .svg.
        key: column of progress.csv; None for the return on one dataset, the score on several.
        reference: (label, progress.csv) of curves to draw beside runs on one dataset.
        paper: published scores to draw as lines, see ``published.read_published``.
        look: see ``Look``.

    Raises:
        InputError: if there is no run, a file or a column is invalid, references are given for
            several datasets, or ``out`` cannot be written.
    """
    file_format = out.suffix.lower().removeprefix(".")
    if file_format not in ("png", "pdf", "svg"):
        raise InputError(f"expected a picture ending in .png, .pdf or .svg, got {out}.")
    table, panels = read_published(paper), panels_of(results.load(folders))
    if reference and len(panels) > 1:
        raise InputError("--reference goes with runs of one task on one dataset: name these.")
    if key and not any(panel.has(key) for panel in panels):
        known = sorted({str(name) for p in panels for c in p.curves for name in c.rows})
        raise InputError(f"no run has a finite value of {key!r}; columns: {', '.join(known)}.")
    if len(panels) > 1:
        pages = [*curve_pages(panels, table, key), *diagnostics_pages(panels)]
    else:
        panel = panels[0]
        main = panel.cell([key] if key else [RETURN, MODEL_RETURN, SCORE], table)
        main = main._replace(title=f"{panel.dataset}: {_QUANTITIES.get(main.key, [main.key])[0]}")
        small = [name for name in _BELOW if name != main.key and panel.has(name)]
        pages = [Page([Cell(panel, name, *_QUANTITIES[name]) for name in small], 3, 2.4, main)]
    for number, (label, path) in enumerate(reference):
        style = {"color": "black", "linestyle": (0, (1, 1 + number)), **_MEAN}
        rows = read_progress(path).assign(run=label, state=State.FINISHED, folder=None)
        panels[0].curves.append(Curve(label, "reference", rows, style))
    ensure_writable_folder(out.parent)
    with replacing(out) as temporary:
        save(pages, temporary, file_format, look or Look())
    return out


def panels_of(frame: pd.DataFrame) -> list[Panel]:
    """Return a panel for each task, dataset and physics of a frame of ``results.load``.

    Raises:
        InputError: if no run has an epoch or says what it is.
    """
    # An empty folder that does not say what it was meant for has nothing to draw.
    frame = frame[frame["described"] | frame["epoch"].notna()]
    if frame.empty:
        raise InputError("no run has an epoch or says what it is: nothing to draw.")
    frame = frame.assign(**{SCORE: results.evaluations(frame, "score")})
    settings = frame.groupby(["program", "method"])["setting"]
    frame["number"] = settings.transform(lambda texts: pd.factorize(texts)[0])
    panels = []
    for (task, dataset, physics), rows in frame.groupby(["task", "dataset", "physics"]):
        curves = []
        for _, its in rows.groupby("group", sort=False):
            one = its.iloc[0]
            name = "original" if one["program"] == "original" else one["method"]
            name = name if one["described"] and name in STYLES else "other"
            style = {**dict(zip(("color", "linestyle"), STYLES[name], strict=True)), **_MEAN}
            if one["number"]:
                marker, dashes = _FURTHER[(one["number"] - 1) % len(_FURTHER)]
                style |= {"marker": marker, "linestyle": (0, dashes)}
            curves.append(Curve(one["label"], name, its, style))
        curves.sort(key=lambda curve: [*STYLES].index(curve.method))
        about = [task] * (task != UNKNOWN)
        about += [f"{physics} physics"] * (physics in ("d4rl", "gymnasium"))
        panels.append(Panel(dataset, task, ", ".join(about), curves))
    return panels


def curve_pages(panels: list[Panel], table: Any, key: str | None = None) -> list[Page]:
    """Return pages of at most twelve panels of the score, or the return where there is none."""
    keys = [key] if key else [SCORE, RETURN, MODEL_RETURN]
    cells = [panel.cell(keys, table) for panel in panels]
    columns = min(math.ceil(math.sqrt(len(cells))), 4)
    pages = [cells[start : start + 12] for start in range(0, len(cells), 12)]
    return [Page(page, columns, 4.8 - 0.55 * columns) for page in pages]


def diagnostics_pages(panels: Sequence[Panel]) -> list[Page]:
    """Return pages of at most six rows, one a panel: penalty, rollouts, hold-out losses.

    A quantity that no run has is left out.
    """
    keys = [key for key in _DIAGNOSTICS if any(panel.has(key) for panel in panels)]
    titles = {key: "{}\n({})".format(*_QUANTITIES[key]) for key in keys}
    pages = []
    for start in range(0, len(panels) if keys else 0, 6):
        cells = [
            Cell(panel, key, titles[key] * (not row), panel.dataset * (key == keys[0]))
            for row, panel in enumerate(panels[start : start + 6])
            for key in keys
        ]
        pages.append(Page(cells, len(keys), 1.7))
    return pages


def save(pages: Sequence[Page], out: Any, file_format: str, look: Look) -> None:
    """Draw ``pages`` to a path or binary file: as pages of a PDF, else one below the other."""
    with matplotlib.rc_context(RC), warnings.catch_warnings():
        # Letters that the font lacks are empty boxes.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        if file_format == "pdf":
            with PdfPages(out) as file:
                for page in pages:
                    file.savefig(_figure([page], look))
        elif file_format == "png":  # Drawn once, where savefig draws twice.
            canvas: Any = FigureCanvasAgg(_figure(pages, look))
            canvas.print_png(out)
        else:
            _figure(pages, look).savefig(out, format=file_format)


def _figure(pages: Sequence[Page], look: Look) -> Figure:
    """Return pages one below the other, each with its legend."""
    width = look.size[0] if look.size else 11.0
    legends = [_legend(page, look, letters=width * 6.5 - 9) for page in pages]
    heights = []
    for page, handles in zip(pages, legends, strict=True):
        lines = sum(1 + str(handle.get_label()).count("\n") for handle in handles) / 2 + 1
        rows = math.ceil(len(page.cells) / page.columns)
        heights.append(0.3 + page.height * rows + 0.19 * lines + (4.2 if page.main else 0.0))
    figure = Figure(figsize=look.size or (width, sum(heights)), layout="constrained")
    parts = figure.subfigures(len(pages), 1, height_ratios=heights, squeeze=False)[:, 0]
    for page, part, handles in zip(pages, parts, legends, strict=True):
        first = 2 * page.columns if page.main else 0  # The large one takes two rows.
        grid = math.ceil((first + len(page.cells)) / page.columns), page.columns
        if page.main:
            axes = part.add_subplot(*grid, (1, first))
            _draw_cell(axes, page.main, look, width * 9.5)
            if page.main.key == RETURN and page.main.panel.has(SCORE):
                low, high = reference_scores(page.main.panel.task)
                span = (high - low) / 100
                both = np.poly1d([1 / span, -low / span]), np.poly1d([span, low])
                axes.secondary_yaxis("right", functions=both).set_ylabel(_QUANTITIES[SCORE][1])
        for number, cell in enumerate(page.cells, start=first + 1):
            _draw_cell(part.add_subplot(*grid, number), cell, look, width * 9.5 / page.columns)
        part.legend(handles=handles, loc="outside lower center", ncols=2)
    if look.title:
        figure.suptitle(_wrapped(look.title, width * 8))
    return figure


def _draw_cell(axes: Axes, cell: Cell, look: Look, letters: float) -> None:
    """Draw curves and published numbers on axes that are ``letters`` wide."""
    note = _wrapped(cell.note, letters * 1.35)
    pad = 5 + 10 * (note.count("\n") + 1) * bool(note)
    axes.set_title(_wrapped(cell.title, letters), pad=pad)
    axes.annotate(note, (0, 1), (0, 4), "axes fraction", "offset points", fontsize=7.5)
    axes.set_ylabel(_wrapped(cell.y_label, 20))
    is_model = cell.key in (_HOLDOUT, _HOLDOUT_MOREL)
    band = "minmax" if is_model else look.band
    thin = len(cell.panel.curves) <= 2 and not is_model
    for order, curve in enumerate(cell.panel.curves):
        table = curve.table(cell.key, look.smooth)
        if not table.empty:
            _draw_curve(axes, curve, table, order, band, thin)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=6, steps=[1, 2, 5, 10], integer=True))
    axes.set_xlim(left=0.5)
    low, high = axes.dataLim.intervaly
    if low > high:
        axes.text(0.5, 0.5, "no values", transform=axes.transAxes, ha="center", va="center")
        axes.set(xticks=[], yticks=[])
    elif cell.key in _LOG and 0 < 10 * low < high:
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0), numticks=6))
        axes.yaxis.set_major_formatter("{x:g}")
        axes.minorticks_off()
    names = {title.lower(): name for name, title in TITLES.items()}
    for number in cell.published:
        color, _ = STYLES[names.get(number.method.lower(), "other")]
        axes.axhline(number.value, color=color, **_PUBLISHED)
    smoothed = f" (running mean over {look.smooth} epochs)" if look.smooth > 1 else ""
    axes.set_xlabel("epoch of model training" if is_model else f"epoch{smoothed}")


def _draw_curve(axes: Axes, curve: Curve, table: Any, order: int, band: str, thin: bool) -> None:
    """Draw mean, seeds and band of [epochs, runs]; a cross where an unfinished run ends."""
    means, color = table.mean(axis=1), curve.style["color"]
    style = {**curve.style, "zorder": 3 + order, "markevery": (0.04 + 0.03 * order, 0.24)}
    if len(table) == 1:  # One epoch alone draws no line.
        style |= {"marker": curve.style.get("marker", "o"), "markevery": None}
    axes.plot(table.index, means, **style)
    if table.shape[1] > 1:
        if thin:
            axes.plot(table.index, table.to_numpy(), color=color, **_SEED)
        axes.fill_between(table.index, *results.spread(table, band), color=color, alpha=0.15, lw=0)
    for run in curve.runs["run"][curve.runs["state"] != State.FINISHED]:
        own = table.get(run, means[:0]).dropna()[-1:]
        axes.plot(own.index, own if thin else means[own.index], color=color, **_END)


def _legend(page: Page, look: Look, letters: float) -> list[Line2D]:
    """Return a line a configuration, then what thin lines, bands and marks are."""
    cells = [*filter(None, [page.main]), *page.cells]
    panels = list({id(cell.panel): cell.panel for cell in cells}.values())
    every = [curve for panel in panels for curve in panel.curves]
    lines: list[tuple[str, dict[str, Any]]] = []
    for label in dict.fromkeys(curve.label for curve in every):
        its = [curve for curve in every if curve.label == label]
        samples = "" if its[0].method == "reference" else f": {_samples(its)}"
        lines.append((f"{label}{samples}", its[0].style))
    if any(len(curve.runs) > 1 for curve in every):
        if any(len(panel.curves) <= 2 for panel in panels):
            lines.append(("single seeds", {"color": "grey", **_SEED}))
        lines.append((f"band: {BANDS[look.band]}", {"color": "grey", "alpha": 0.3, "lw": 8}))
    if sources := dict.fromkeys(n.source for cell in cells for n in cell.published):
        text = f"published for the same data: {', '.join(sources)}"
        lines.append((text, {"color": "black", **_PUBLISHED}))
    if any((curve.runs["state"] != State.FINISHED).any() for curve in every):
        lines.append(("end of an unfinished run", {"color": "grey", **_END}))
    # A legend leaves out labels that start with an underscore.
    return [Line2D([], [], **style, label=_wrapped(f" {text}", letters)) for text, style in lines]


def _samples(curves: Sequence[Curve]) -> str:
    """Return "mean of 3 seeds, of 2 after epoch 40" of one curve, "mean of 2 to 3 seeds" else."""
    runs = [curve.runs for curve in curves]
    counts = sorted({len(one) for one in runs})
    # Two runs of one seed are not two samples.
    noun = "seed" if all(one["seed"].is_unique for one in runs) else "run"
    many = " to ".join(map(str, dict.fromkeys((counts[0], counts[-1]))))
    if counts[-1] < 2:
        return f"{many} {noun}"
    lasts = runs[0]["epoch"] + 1 if len(runs) == 1 else []
    after = [f", of {(lasts > end).sum()} after epoch {end:g}" for end in sorted({*lasts})[:-1]]
    return f"mean of {many} {noun}s{''.join(after)}"


def _wrapped(text: str, letters: float) -> str:
    lines = results.printable(text).split("\n")
    return "\n".join(textwrap.fill(line, max(int(letters), 8)) for line in lines)

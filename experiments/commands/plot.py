"""``mopo-tf2 plot`` and ``report``."""

import argparse
from pathlib import Path
from typing import Any

from mopo_tf2.errors import InputError

from . import PAPERS, add_command


def add_parsers(commands: Any) -> None:
    """Add the commands to the parser."""
    parser = add_command(
        commands,
        "plot",
        plot,
        "draw learning curves, mean and spread over seeds",
        description="Runs on one dataset: the return, with Q values, losses and penalty below. "
        "Folders of runs (a sweep), or runs on several datasets: one panel each with the published "
        "score, then penalty, rollouts and hold-out losses; a PDF has them on pages of their own.",
    )
    add = parser.add_argument
    add("runs", type=Path, nargs="+", metavar="DIR", help="run folders, or folders of runs")
    add("--out", type=Path, help="picture to write (curves.png, or curves.FORMAT)")
    add("--format", choices=("png", "pdf", "svg"), help="of the picture (by --out's suffix)")
    add("--key", metavar="COLUMN", help="column of progress.csv (the return; of several the score)")
    add(
        "--reference",
        nargs="*",
        default=[],
        metavar="LABEL=CSV",
        help="progress.csv files drawn beside runs on one dataset",
    )
    add("--paper", default="mopo-table1", metavar=PAPERS, help="published scores (mopo-table1)")
    add("--smooth", type=int, default=1, metavar="N", help="running mean over N epochs (1)")
    add(
        "--band",
        choices=("minmax", "std", "se", "ci"),
        default="minmax",
        help="around the mean of the seeds: minimum to maximum, standard deviation, standard "
        "error, or 95 %% bootstrap confidence interval of the mean (minmax)",
    )
    add("--title", help="of the picture")
    add("--size", metavar="WIDTHxHEIGHT", help="of the picture, or of each page, in inches")
    parser = add_command(
        commands,
        "report",
        report,
        "write one page with table, curves, configuration, versions and data of some runs",
        description="A self-contained HTML page for a paper's appendix: table, learning curves, "
        "diagnostics, configuration, data with their hashes, physics, versions, every run. It "
        "needs no network; a browser prints it to PDF.",
    )
    add = parser.add_argument
    add("runs", type=Path, nargs="+", metavar="DIR", help="folders of runs, or run folders")
    add("--out", type=Path, default=Path("report.html"), help="the page (report.html)")
    add("--paper", default="mopo-table1", metavar=PAPERS, help="published numbers (mopo-table1)")
    add(
        "--include-unfinished",
        action="store_true",
        help="average unfinished and failed runs too, marked with *",
    )
    add("--title", help="of the page (made of the folders' names)")


def plot(options: argparse.Namespace) -> int:
    """Draw learning curves."""
    references = []
    for reference in options.reference:
        label, separator, path = reference.partition("=")
        if not separator:
            raise InputError(f"--reference expects LABEL=CSV, got '{reference}'.")
        references.append((label, Path(path)))
    if options.smooth < 1:
        raise InputError(f"--smooth expects a number of epochs, got {options.smooth}.")
    out = options.out or Path(f"curves.{options.format or 'png'}")
    if options.format and out.suffix.lower() != f".{options.format}":
        raise InputError(f"--format {options.format} and --out {out} contradict each other.")
    size = _size(options.size)
    from ..plots import Look, plot

    look = Look(options.smooth, options.band, options.title, size)
    print(
        plot(
            options.runs,
            out,
            key=options.key,
            reference=references,
            paper=options.paper,
            look=look,
        ),
        flush=True,
    )
    return 0


def _size(text: str | None) -> tuple[float, float] | None:
    if text is None:
        return None
    try:
        width, height = (float(part) for part in text.lower().split("x"))
    except ValueError:
        width = height = 0.0
    if not (1.0 <= width <= 100.0 and 1.0 <= height <= 100.0):
        raise InputError(f"--size expects WIDTHxHEIGHT in inches, from 1 to 100, got '{text}'.")
    return width, height


def report(options: argparse.Namespace) -> int:
    """Write a report."""
    from ..report import write_report

    made = write_report(
        options.runs,
        options.out,
        paper=options.paper,
        include_unfinished=options.include_unfinished,
        title=options.title,
    )
    print(made, flush=True)
    return 0

"""``mopo-tf2 plot``, ``report`` and ``view``."""

import argparse
from pathlib import Path
from typing import Any

from mopo_tf2.errors import InputError

_PAPER = "mopo-table1|mopo-table2|FILE.csv|none"


def add_plot(commands: Any) -> None:
    """Add ``plot`` to the subparsers of the command line."""
    parser = commands.add_parser(
        "plot",
        help="draw learning curves, mean and spread over seeds",
        description="Run folders of one task: the return, with Q values, losses and penalty "
        "below. Folders of runs (a sweep), or runs of several tasks: one panel a task with the "
        "published score, then penalty, rollouts and hold-out loss of each; a PDF has them on "
        "pages of their own.",
    )
    add = parser.add_argument
    add("runs", type=Path, nargs="+", metavar="DIR", help="run folders, or folders of runs")
    add("--out", type=Path, default=Path("curves.png"), help="PNG, PDF or SVG (curves.png)")
    add(
        "--key",
        help="column of progress.csv (evaluation/return-average; by task "
        "evaluation/normalized-score)",
    )
    add(
        "--reference",
        nargs="*",
        default=[],
        metavar="LABEL=CSV",
        help="progress.csv files drawn beside runs of one task",
    )
    add(
        "--paper",
        default="mopo-table1",
        metavar=_PAPER,
        help="published scores to draw by task (mopo-table1)",
    )
    parser.set_defaults(command=plot)


def plot(options: argparse.Namespace) -> int:
    """Draw learning curves."""
    from .pictures.plot_folders import plot_folders

    references = []
    for reference in options.reference:
        label, separator, path = reference.partition("=")
        if not separator:
            raise InputError(f"--reference expects LABEL=CSV, got '{reference}'.")
        references.append((label, Path(path)))
    made = plot_folders(
        options.runs, options.out, key=options.key, reference=references, paper=options.paper
    )
    print(made, flush=True)
    return 0


def add_report(commands: Any) -> None:
    """Add ``report`` to the subparsers of the command line."""
    parser = commands.add_parser(
        "report",
        help="write one page with table, curves, configuration, versions and data of some runs",
        description="A self-contained HTML page for a paper's appendix: table, learning curves, "
        "diagnostics, configuration, data with their hashes, physics, versions, every run. It "
        "needs no network; a browser prints it to PDF.",
    )
    add = parser.add_argument
    add("runs", type=Path, nargs="+", metavar="DIR", help="folders of runs, or run folders")
    add("--out", type=Path, default=Path("report.html"), help="the page (report.html)")
    add("--paper", default="mopo-table1", metavar=_PAPER, help="published numbers (mopo-table1)")
    add(
        "--include-unfinished",
        action="store_true",
        help="average unfinished and failed runs too, marked with *",
    )
    add("--title", help="of the page (made of the folders' names)")
    parser.set_defaults(command=report)


def report(options: argparse.Namespace) -> int:
    """Write a report."""
    from .report.page import write_report

    made = write_report(
        options.runs,
        options.out,
        paper=options.paper,
        include_unfinished=options.include_unfinished,
        title=options.title,
    )
    print(made, flush=True)
    return 0


def add_view(commands: Any) -> None:
    """Add ``view`` to the subparsers of the command line."""
    parser = commands.add_parser(
        "view",
        help="look at runs in a browser: viskit or TensorBoard, for this machine only",
        description="Starts viskit, if it is installed, on the loopback interface and with its "
        "evaluation of expressions out of requests switched off; or TensorBoard. Ctrl-C ends it.",
    )
    add = parser.add_argument
    add("folder", type=Path, metavar="DIR", help="a folder of runs, or a run folder")
    add("--port", type=int, help="(viskit 5000, TensorBoard 6006)")
    add("--viewer", choices=("viskit", "tensorboard"), default="viskit", help="(viskit)")
    parser.set_defaults(command=view)


def view(options: argparse.Namespace) -> int:
    """Serve runs to a browser."""
    from .view import view_runs

    return view_runs(options.folder, viewer=options.viewer, port=options.port)

"""``mopo-tf2 plot`` and ``mopo-tf2 report``: learning curves as a picture, everything on a page."""

import argparse
from pathlib import Path
from typing import Any

from mopo_tf2.errors import InputError

from . import add_command, add_runs, whole

_EPILOG = """examples:
  mopo-tf2 plot runs/halfcheetah_mixed --smooth 10
  mopo-tf2 plot runs --band ci --out curves.pdf
  mopo-tf2 plot runs/hopper_medium --key Q-avg --reference TF1=original/progress.csv

A method has the same colour and dashes in every picture; markers tell its settings apart.
"""


def add_parsers(commands: Any) -> None:
    """Add ``plot`` and ``report`` to the parser."""
    add = add_command(commands, plot, epilog=_EPILOG).add_argument
    add_runs(add)
    add("--out", type=Path, metavar="FILE", help="picture (default curves.png)")
    add("--format", choices=("png", "pdf", "svg"), help="default: by the suffix of --out")
    help = "column of progress.csv (default: the return; of several datasets the score)"
    add("--key", metavar="COLUMN", help=help)
    add("--smooth", type=whole(1), default=1, metavar="N", help="running mean over N epochs")
    help = """around the mean over seeds: minimum to maximum (default), standard deviation,
        standard error, or 95 %% bootstrap confidence interval of the mean"""
    add("--band", choices=("minmax", "std", "se", "ci"), default="minmax", help=help)
    add("--title", metavar="TEXT", help="above the picture")
    add("--size", type=_size, metavar="WIDTHxHEIGHT", help="inches; of each page of a PDF")
    several: Any = {"nargs": "+", "action": "extend", "default": [], "metavar": "LABEL=CSV"}
    help = "progress.csv files to draw beside runs on one dataset"
    add("--reference", type=_reference, help=help, **several)

    add = add_command(commands, report).add_argument
    add_runs(add)
    add("--out", type=Path, default=Path("report.html"), help="page (default report.html)")
    add("--include-unfinished", action="store_true", help="average unfinished and failed runs too")
    add("--title", metavar="TEXT", help="of the page (default: the names of the folders)")


def plot(options: argparse.Namespace) -> int:
    """Draw learning curves, mean and spread over seeds.

    Runs of one task on one dataset: the return, with Q values, losses and penalties below. Several:
    a panel each with the published score, then penalty, rollouts and hold-out losses of each; a PDF
    has these on pages of their own.
    """
    from ..plots import Look
    from ..plots import plot as draw

    suffix = f".{options.format or 'png'}"
    out: Path = options.out or Path(f"curves{suffix}")
    if options.format and out.suffix.lower() != suffix:
        raise InputError(f"--format {options.format} and --out {out} differ: end it in {suffix}.")
    look = Look(options.smooth, options.band, options.title, options.size)
    how = {"key": options.key, "reference": options.reference, "paper": options.paper}
    print(draw(options.runs, out, look=look, **how), flush=True)
    return 0


def report(options: argparse.Namespace) -> int:
    """Write one page with table, curves, configuration, versions and data of some runs.

    A self-contained HTML page: table, learning curves, diagnostics, configuration, data with their
    hashes, physics, versions, every run. It needs no network; a browser prints it to PDF.
    """
    from ..report import write_report

    how = {"paper": options.paper, "include_unfinished": options.include_unfinished}
    print(write_report(options.runs, options.out, title=options.title, **how), flush=True)
    return 0


def _size(text: str) -> tuple[float, float]:
    try:
        width, height = (float(part) for part in text.lower().split("x"))
    except ValueError:
        width = height = 0.0
    if not (1.0 <= width <= 200.0 and 1.0 <= height <= 200.0):
        raise argparse.ArgumentTypeError(f"expected inches as in 8x5 (1 to 200), got '{text}'")
    return width, height


def _reference(text: str) -> tuple[str, Path]:
    label, separator, path = text.partition("=")
    if not (label and separator and path):
        raise argparse.ArgumentTypeError(f"expected LABEL=CSV, got '{text}'")
    return label, Path(path)

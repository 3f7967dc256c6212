"""``mopo-tf2 table``, ``plot`` and ``report``: what is made of the results of runs."""

import argparse
from pathlib import Path
from typing import Any

from mopo_tf2.config_fields import require

from . import add_command, add_runs, whole

_EPILOG = """examples:
  mopo-tf2 plot runs/halfcheetah_mixed --smooth 10
  mopo-tf2 plot runs --band ci --out curves.pdf
  mopo-tf2 plot runs/hopper_medium --key Q-avg --reference TF1=original/progress.csv

A method has the same colour and dashes in every picture; markers tell its settings apart.
"""


def add_parsers(commands: Any) -> None:
    """Add the commands to the parser."""
    parser = add_command(commands, table)
    add = parser.add_argument
    add_runs(add)
    form = parser.add_mutually_exclusive_group().add_argument
    help = "(by --out's suffix .md, .csv, .tex, .json; else markdown)"
    form("--format", choices=("markdown", "csv", "latex", "json"), help=help)
    form("--json", dest="format", action="store_const", const="json", help="the same as a format")
    add("--out", type=Path, metavar="FILE", help="write there instead of to the screen")
    help = "normalized score, raw return, or return in the learned model (that of --paper; "
    help += "without one the score; of runs without a simulator the last)"
    add("--metric", choices=("score", "return", "model-return"), help=help)
    help = "average unfinished and failed runs too, marked with *"
    add("--include-unfinished", action="store_true", help=help)

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


def table(options: argparse.Namespace) -> int:
    """Make the paper's tables from runs, beside the published numbers.

    Mean and standard deviation over seeds of each dataset and configuration: at the last epoch,
    over the last ten, at the best; and over tasks. Only finished runs are averaged. A published
    number stands beside runs on the same data only.
    """
    from mopo_tf2.files import ensure_writable_folder, write_bytes

    from ..results import load
    from ..tables import SUFFIXES, make_table, render

    out, form = options.out, options.format
    if out is not None:
        place = f"--out expects a file, but {out} is a folder: give a name in it."
        require(not out.is_dir(), place)
        form = form or SUFFIXES.get(out.suffix.lower())
        require(
            form is not None, f"--out {out}: end it in {', '.join(SUFFIXES)}, or give --format."
        )
    made = make_table(load(options.runs), options.paper, options.metric, options.include_unfinished)
    text = render(made, form or "markdown")
    if out is None:
        print(text, end="", flush=True)
        return 0
    ensure_writable_folder(out.parent)
    write_bytes(out, text.encode())
    print(out, flush=True)
    return 0


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
    fits = not options.format or out.suffix.lower() == suffix
    require(fits, f"--format {options.format} and --out {out} differ: end it in {suffix}.")
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

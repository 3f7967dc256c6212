"""``mopo-tf2 table``."""

import argparse
from pathlib import Path
from typing import Any

from mopo_tf2.errors import InputError

from . import PAPERS, add_command

_FORMATS = ("markdown", "csv", "latex", "json")
_METRICS = ("score", "return", "model-return")


def add_parsers(commands: Any) -> None:
    """Add the command to the parser."""
    parser = add_command(
        commands,
        "table",
        table,
        "make the paper's tables from runs, beside the published numbers",
        description="Mean and standard deviation over seeds of each dataset and configuration: at "
        "the last epoch, over the last ten, at the best; and over tasks. Only finished runs are "
        "averaged. A published number stands beside runs on the same data only.",
    )
    add = parser.add_argument
    add("runs", type=Path, nargs="+", metavar="DIR", help="folders with runs in them, or runs")
    help = "published numbers (mopo-table1); a file has the columns dataset or task, method, "
    help += "score or return, source"
    add("--paper", default="mopo-table1", metavar=PAPERS, help=help)
    form = parser.add_mutually_exclusive_group()
    help = "(by --out's suffix .md, .csv, .tex, .json; else markdown)"
    form.add_argument("--format", choices=_FORMATS, help=help)
    help = "short for --format json"
    form.add_argument("--json", dest="format", action="store_const", const="json", help=help)
    add("--out", type=Path, metavar="FILE", help="write there instead of to the screen")
    help = "normalized score, raw return, or return in the learned model (that of --paper; "
    help += "without one the score; of runs without a simulator the last)"
    add("--metric", choices=_METRICS, help=help)
    help = "average unfinished and failed runs too, marked with *"
    add("--include-unfinished", action="store_true", help=help)


def table(options: argparse.Namespace) -> int:
    """Make a table and print or write it."""
    from mopo_tf2.files import ensure_writable_folder, write_bytes

    from ..results import load
    from ..tables import SUFFIXES, make_table, render

    out: Path | None = options.out
    if out is not None and out.is_dir():
        raise InputError(f"--out expects a file, but {out} is a folder: give a name in it.")
    form = options.format or SUFFIXES.get(".md" if out is None else out.suffix.lower())
    if form is None:
        raise InputError(f"--out {out}: end it in {', '.join(SUFFIXES)}, or give --format.")
    runs = load(options.runs)
    made = make_table(runs, options.paper, options.metric, options.include_unfinished)
    text = render(made, form)
    if out is None:
        print(text, end="", flush=True)
        return 0
    ensure_writable_folder(out.parent)
    write_bytes(out, text.encode())
    print(out, flush=True)
    return 0

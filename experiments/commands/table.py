"""``mopo-tf2 table``."""

import argparse
from pathlib import Path
from typing import Any

from mopo_tf2.config_fields import require

from . import add_command, add_runs


def add_parsers(commands: Any) -> None:
    """Add the command to the parser."""
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

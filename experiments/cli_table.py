"""``mopo-tf2 table``."""

import argparse
from pathlib import Path
from typing import Any

from mopo_tf2.errors import InputError

_FORMATS = ("markdown", "csv", "latex")


def add_table(commands: Any) -> None:
    """Add the command to the subparsers of the command line."""
    parser = commands.add_parser(
        "table",
        help="make the paper's tables from runs, beside the published numbers",
        description="Mean and standard deviation over seeds of each dataset and configuration: at "
        "the last epoch, over the last ten, at the best; and over tasks. Only finished runs are "
        "averaged. A published number stands beside runs on the same data only.",
    )
    add = parser.add_argument
    add("runs", type=Path, nargs="+", metavar="DIR", help="folders with runs in them, or runs")
    add(
        "--paper",
        default="mopo-table1",
        metavar="mopo-table1|mopo-table2|FILE.csv|none",
        help="published numbers (mopo-table1); a file has the columns dataset or task, method, "
        "score or return, source",
    )
    add("--format", choices=_FORMATS, help="(by --out's suffix .md, .csv, .tex; else markdown)")
    add("--out", type=Path, metavar="FILE", help="write there instead of to the screen")
    add(
        "--metric",
        choices=("score", "return", "model-return"),
        help="normalised score, raw return, or return in the learned model (that of --paper; "
        "without one the score; of runs without a simulator the last)",
    )
    add(
        "--include-unfinished",
        action="store_true",
        help="average unfinished and failed runs too, marked with *",
    )
    parser.set_defaults(command=table)


def table(options: argparse.Namespace) -> int:
    """Make a table and print or write it."""
    from .files import ensure_writable_folder, write_bytes
    from .records.run_records import read_records
    from .tables.paper_table import make_table
    from .tables.table_formats import SUFFIXES, render

    out: Path | None = options.out
    if out is not None and out.is_dir():
        raise InputError(f"--out expects a file, but {out} is a folder: give a name in it.")
    suffix = out.suffix.lower() if out is not None else ".md"
    output_format = options.format or SUFFIXES.get(suffix)
    if output_format is None:
        raise InputError(
            f"--out {out} does not tell the format: end it in {', '.join(SUFFIXES)}, or give "
            "--format."
        )
    made = make_table(
        read_records(options.runs),
        options.paper,
        metric=options.metric,
        include_unfinished=options.include_unfinished,
    )
    text = render(made, output_format)
    if out is None:
        print(text, end="", flush=True)
        return 0
    ensure_writable_folder(out.parent)
    write_bytes(out, text.encode())
    print(out, flush=True)
    return 0

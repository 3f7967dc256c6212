"""The report as a table for people and as JSON for programs."""

import dataclasses
import json
import math
from pathlib import Path
from typing import Any, TextIO

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from mopo_tf2.errors import InputError
from mopo_tf2.files import write_bytes

from .runner import CaseResult, Report, Row

_PLAIN_WIDTH = 200
"""Columns of the table where no terminal says how wide it is."""


def print_report(report: Report, file: TextIO) -> None:
    """Print every row, what is not compared, and the verdict; plain unless on a terminal."""
    console = Console(file=file, highlight=False, soft_wrap=False)
    if not console.is_terminal:
        console = Console(file=file, highlight=False, width=_PLAIN_WIDTH, color_system=None)
    console.print(_comparisons(report, console.is_terminal))
    if any(result.not_compared for result in report.results):
        console.print(_not_compared(report, console.is_terminal))
    console.print(_verdict(report))


def _new_table(title: str, on_terminal: bool) -> Table:
    style = box.SIMPLE_HEAD if on_terminal else None
    return Table(title=title, title_justify="left", box=style, pad_edge=False)


def _comparisons(report: Report, on_terminal: bool) -> Table:
    table = _new_table(f"Port against {report.recordings}", on_terminal)
    for heading in ("case", "quantity"):
        table.add_column(heading, overflow="fold")
    for heading in ("values", "abs", "rel", "of limit"):
        table.add_column(heading, justify="right", no_wrap=True)
    for heading in ("rung", "limit"):
        table.add_column(heading, overflow="fold")
    table.add_column("", no_wrap=True)
    table.add_column("worst at / note", overflow="fold")
    for result in report.results:
        if not result.rows:
            table.add_row(result.name, "nothing: see below", *[""] * 8)
        for i, row in enumerate(result.rows):
            name = f"{result.name} ({result.seconds:.1f} s)" if i == 0 else ""
            table.add_row(Text(name), *_cells(row))
    return table


def _cells(row: Row) -> list[Text]:
    result = Text("pass", style="green") if row.passed else Text("MISS", style="bold red")
    where = row.where if row.share_of_limit > 0.0 else ""
    remark = "; ".join(text for text in (where, row.note) if text)
    return [
        Text(row.group),
        Text(str(row.values)),
        Text(_number(row.worst_absolute)),
        Text(_number(row.worst_relative)),
        Text(_number(row.share_of_limit, "{:.2g}")),
        Text(row.rung),
        Text(row.limit),
        result,
        Text(remark),
    ]


def _number(value: float, form: str = "{:.1e}") -> str:
    if math.isnan(value):
        return "-"
    return "0" if value == 0.0 else form.format(value)


def _not_compared(report: Report, on_terminal: bool) -> Table:
    table = _new_table("Not compared", on_terminal)
    for heading in ("case", "arrays", "number", "reason"):
        table.add_column(heading, overflow="fold")
    for result in report.results:
        for skipped in result.not_compared:
            cells = (result.name, skipped.arrays, str(skipped.count), skipped.reason)
            table.add_row(*(Text(cell) for cell in cells))
    return table


def _verdict(report: Report) -> Text:
    passed = sum(result.passed for result in report.results)
    values = sum(row.values for result in report.results for row in result.rows)
    counts = f"{passed} of {len(report.results)} cases passed, {values:,} values compared"
    text = f"{counts}, {report.seconds:.0f} s"
    if not report.results:
        return Text(f"MISS: no case was run; {text}", style="bold red")
    if report.passed:
        return Text(f"pass: {text}", style="green")
    places = "; ".join(f"{name}: {row.group} ({row.where})" for name, row in report.misses[:5])
    more = f"; and {len(report.misses) - 5} more" if len(report.misses) > 5 else ""
    return Text(f"MISS: {text}. Out of tolerance: {places}{more}", style="bold red")


def write_json(report: Report, path: Path) -> None:
    """Write the report to ``path``, whole or not at all; numbers that are not finite are null.

    Raises:
        InputError: if it cannot be written.
    """
    content = {
        "recordings": report.recordings,
        "passed": report.passed,
        "seconds": round(report.seconds, 3),
        "cases": [_case(result) for result in report.results],
    }
    text = json.dumps(_finite(content), indent=1, allow_nan=False) + "\n"
    try:
        write_bytes(path, text.encode())
    except OSError as error:
        raise InputError(f"--json {path} cannot be written: {error.strerror}.") from error


def _case(result: CaseResult) -> dict[str, Any]:
    return {
        "name": result.name,
        "about": result.about,
        "passed": result.passed,
        "seconds": round(result.seconds, 3),
        "rows": [dataclasses.asdict(row) for row in result.rows],
        "not_compared": [dataclasses.asdict(skipped) for skipped in result.not_compared],
    }


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value

"""What a run folder must be like for viskit to show it rightly; found by trying viskit."""

import csv
import json
import math
from pathlib import Path
from typing import Any

from .logging import PROGRESS_FILE

FIRST_PAGE_KEY = "training/return-average"
"""The column that viskit's first page draws; without it, the alphabetically first."""


def viskit_faults(folder: Path) -> list[str]:
    """Return what viskit would misread in a run folder, one sentence each; empty if nothing.

    Every row must have all cells (an empty one counts as 0.0) and the column of the first page;
    the parameters must be flat and must not be inf (an error), nan or null (no group to select).

    Args:
        folder: a run folder with a progress.csv and a variant.json or params.json.
    """
    return _progress_faults(folder / PROGRESS_FILE) + _parameter_faults(folder)


def _progress_faults(path: Path) -> list[str]:
    try:
        with path.open(newline="", encoding="utf-8", errors="replace") as file:
            rows = list(csv.reader(file))
    except OSError as error:
        return [f"{path.name} cannot be read ({error.strerror})."]
    if len(rows) < 2:
        return [f"{path.name} has no row yet."]
    header, *body = rows
    faults = []
    if FIRST_PAGE_KEY not in header:
        faults.append(f"{path.name} has no column {FIRST_PAGE_KEY}, which the first page draws.")
    for number, row in enumerate(body, start=2):
        if len(row) != len(header):
            faults.append(f"{path.name}, line {number}: {len(row)} cells, not {len(header)}.")
        empty = [name for name, cell in zip(header, row, strict=False) if not cell.strip()]
        if empty:
            faults.append(f"{path.name}, line {number}: {empty[0]} is empty, which reads as 0.0.")
        if len(faults) > 3:
            break
    return faults


def _parameter_faults(folder: Path) -> list[str]:
    # viskit's own order.
    names = [name for name in ("variant.json", "params.json") if (folder / name).is_file()]
    if not names:
        return ["it has neither variant.json nor params.json, so nothing to group by."]
    try:
        parameters = json.loads((folder / names[0]).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        return [f"{names[0]} cannot be read as JSON ({error})."]
    if not isinstance(parameters, dict):
        return [f"{names[0]} is not a JSON object."]
    return [
        f"{names[0]}: {name} is {fault}."
        for name, value in parameters.items()
        if (fault := _value_fault(value)) is not None
    ]


def _value_fault(value: Any) -> str | None:
    if value is None:
        return "null"
    if isinstance(value, (list, dict)):
        return f"no single value but a {'list' if isinstance(value, list) else 'nested object'}"
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return None

"""Published numbers: the files in ``experiments/paper`` and files of the same form."""

import csv
import dataclasses
import difflib
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..records.run_scores import Metric
from mopo_tf2.data import catalog
from mopo_tf2.errors import InputError

PAPER_FOLDER = Path(__file__).parents[1] / "paper"
NO_PAPER = "none"
OWN_METHOD = "MOPO"
_VALUE_COLUMNS: Mapping[str, Metric] = {"score": "score", "return": "return"}
_KEY_COLUMNS = ("dataset", "task")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Published:
    """One published number.

    Attributes:
        key: the dataset's id (halfcheetah-medium-v0), or the task's name (halfcheetah-jump).
        method: MOPO, BEAR, ...
        value: mean over seeds, in the table's metric.
        std: nan if none was published.
        source: where it is printed.
        batch_mean: mean return of the dataset's episodes; nan if not published.
        batch_max: their highest return, likewise.
    """

    key: str
    method: str
    value: float
    std: float
    source: str
    batch_mean: float
    batch_max: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class PublishedTable:
    """The numbers of one file.

    Attributes:
        name: mopo-table1, or the file's name.
        metric: of all its numbers.
        by_task: whether ``key`` names tasks whose dataset has no id, so that only the batch's
            returns can tell whether data are the same.
        physics: of the published evaluations; None if the file does not say.
        entries: in the file's order.
    """

    name: str
    metric: Metric
    by_task: bool
    physics: str | None
    entries: tuple[Published, ...]

    def of(self, key: str) -> list[Published]:
        """Return the numbers of one dataset or task, all methods."""
        return [entry for entry in self.entries if same_key(entry.key, key)]

    def own(self, key: str, method: str = OWN_METHOD) -> Published | None:
        """Return the number of ``method``; for MOPO the only one there is, if it has none."""
        entries = self.of(key)
        found = next((entry for entry in entries if entry.method == method), None)
        if found is None and method == OWN_METHOD and len(entries) == 1:
            return entries[0]
        return found


def same_key(one: str, other: str) -> bool:
    """Whether two names are of one dataset or task: halfcheetah_jump, halfcheetah-jump."""
    return _canonical(one) == _canonical(other)


def _canonical(name: str) -> str:
    known = catalog.find(name)
    return known.dataset_id if known else name.lower().replace("_", "-")


def published_names() -> list[str]:
    """Return the names of the tables that ship: mopo-table1, ..."""
    return sorted(path.stem.replace("_", "-") for path in PAPER_FOLDER.glob("*.csv"))


def read_published(name: str) -> PublishedTable | None:
    """Read a table that ships, or a file.

    Args:
        name: of ``published_names``, the path of a .csv file with the columns dataset or task,
            method, score or return, source, and, if need be, std, batch_mean and batch_max; or
            "none".

    Raises:
        InputError: if there is no such table or file, or its columns or numbers are unfit.
    """
    if name == NO_PAPER:
        return None
    if name in published_names():
        return _read(PAPER_FOLDER / f"{name.replace('-', '_')}.csv", name, physics="d4rl")
    path = Path(name)
    if path.suffix.lower() == ".csv" or path.is_file():
        return _read(path, path.name, physics=None)
    choices = [*published_names(), NO_PAPER]
    near = difflib.get_close_matches(name.lower().replace("_", "-"), choices, n=1, cutoff=0.4)
    hint = f"did you mean {near[0]}?" if near else "give one of them."
    raise InputError(
        f"no published table {name!r}; there are {', '.join(choices)}, or a FILE.csv: {hint}"
    )


def _read(path: Path, name: str, *, physics: str | None) -> PublishedTable:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            rows = list(reader)
            columns = list(reader.fieldnames or [])
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise InputError(f"the table {path} cannot be read: {reason}.") from error
    key = next((column for column in _KEY_COLUMNS if column in columns), None)
    value = next((column for column in _VALUE_COLUMNS if column in columns), None)
    missing = [column for column in ("method", "source") if column not in columns]
    if key is None or value is None or missing:
        raise InputError(
            f"{path}: expected the columns dataset or task, method, score or return, source, got "
            f"{', '.join(columns) or 'nothing'}."
        )
    if not rows:
        raise InputError(f"{path} has a header but no row.")
    entries = tuple(
        _entry(row, key, value, f"{path}, line {number}") for number, row in enumerate(rows, 2)
    )
    return PublishedTable(
        name=name,
        metric=_VALUE_COLUMNS[value],
        by_task=key == "task",
        physics=physics,
        entries=entries,
    )


def _entry(row: Mapping[str, Any], key: str, value: str, where: str) -> Published:
    if not row[key] or not row["method"] or None in row.values() or None in row:
        raise InputError(f"{where}: expected {key}, method and one cell for each column.")
    number = _number(row.get(value), value, where)
    if math.isnan(number):
        raise InputError(f"{where}: expected a number as {value}, got nothing.")
    return Published(
        key=row[key].strip(),
        method=row["method"].strip(),
        value=number,
        std=_number(row.get("std"), "std", where),
        source=row["source"].strip(),
        batch_mean=_number(row.get("batch_mean"), "batch_mean", where),
        batch_max=_number(row.get("batch_max"), "batch_max", where),
    )


def _number(text: str | None, name: str, where: str) -> float:
    if text is None or not text.strip():
        return math.nan
    try:
        return float(text)
    except ValueError as error:
        raise InputError(f"{where}: expected a number as {name}, got {text!r}.") from error

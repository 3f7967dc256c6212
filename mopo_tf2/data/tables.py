"""Transitions from a CSV file with named columns (D-140)."""

import contextlib
import csv
import dataclasses
import gzip
import itertools
import math
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TextIO

import numpy as np
import numpy.typing as npt

from mopo_tf2.data.table_columns import (
    ActionBounds,
    TableColumns,
    action_bounds,
    columns_file,
    find_columns,
    read_columns_file,
    require_unit_actions,
)
from mopo_tf2.errors import InputError
from mopo_tf2.types import BoolArray, Transitions

SUFFIXES = (".csv", ".csv.gz")
_ROWS_AT_A_TIME = 20_000
_FLAGS = {"0": 0.0, "1": 1.0, "false": 0.0, "true": 1.0, "0.0": 0.0, "1.0": 1.0}
_LARGEST = float(np.finfo(np.float32).max)

Row = list[str]


@dataclasses.dataclass(frozen=True)
class Table:
    """The content of a CSV file.

    transitions:   B rows, float32 and bool; the rows of an episode stand together, in the file's
                   order; actions in [-1, 1].
    columns:       the meaning of the columns.
    action_bounds: the range that was mapped to [-1, 1]; None: not scaled.
    rows_in_file:  data rows of the file; the last of an episode has no successor and is left out.
    """

    transitions: Transitions
    columns: TableColumns
    action_bounds: ActionBounds | None
    rows_in_file: int


def is_table(path: Path) -> bool:
    """Whether ``path`` has the suffix of a CSV file."""
    return path.name.lower().endswith(SUFFIXES)


def read_csv(path: str | Path, *, terminal_rows: bool = True) -> Table:
    """Read a table of transitions; see ``table_columns`` for the names of its columns.

    With an episode column, the successor of a row is the next row of the same episode. The last row
    of an episode has none and is left out. If it is terminal, it is kept with its own observation
    as its successor, which the critics do not use.

    Args:
        path: .csv or .csv.gz, UTF-8 (with a byte order mark or not), separated by commas, decimal
            points, any line ends. Blank lines are skipped.
        terminal_rows: keep terminal rows without a successor; False leaves them out, so that the
            model does not learn from a successor that was never observed.

    Raises:
        InputError: if the file cannot be read, a column is missing, a line has the wrong number of
            values, or a value is not a finite number (names the line).
    """
    path = Path(path)
    entries = read_columns_file(path)
    bounds = action_bounds(entries, path)
    with _opened(path) as file:
        reader = csv.reader(file)
        header = _header(reader, str(path))
        columns = find_columns(header, entries, str(path))
        numbers, flags, episodes = _read_rows(reader, header, columns, str(path))
    transitions = _paired(columns, numbers, flags, episodes, terminal_rows, str(path))
    if bounds is None:
        require_unit_actions(transitions.actions, source=str(path))
    else:
        scaled = bounds.scale(transitions.actions, source=str(path))
        transitions = transitions._replace(actions=scaled)
    return Table(transitions, columns, bounds, len(flags))


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[TextIO]:
    """Open a table; turn errors of reading into InputErrors."""
    opened = gzip.open if path.name.lower().endswith(".gz") else open
    try:
        # "-sig": spreadsheets put a byte order mark before the first name.
        with opened(path, "rt", encoding="utf-8-sig", newline="") as file:
            yield file
    except FileNotFoundError as error:
        raise InputError(f"there is no file {path}.") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not UTF-8 text: {error.reason}; save it as UTF-8.") from error
    except csv.Error as error:
        raise InputError(f"{path} is no CSV file: {error}.") from error
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{path} cannot be read: {error}.") from error


def _header(reader: Iterator[Row], source: str) -> list[str]:
    header = [name.strip() for name in next((row for row in reader if row), [])]
    if not header:
        raise InputError(f"{source} is empty: expected a line of column names, then rows.")
    if len(header) == 1 and any(separator in header[0] for separator in ";\t"):
        raise InputError(f"{source} must be separated by commas (decimal point, not comma).")
    if all(_is_number(name) for name in header):
        raise InputError(
            f"{source} has no header: its first line must name the columns, got "
            f"{', '.join(header[:5])}."
        )
    twice = sorted({name for name in header if name and header.count(name) > 1})
    if twice:
        raise InputError(f"{source} has two columns named {twice[0]!r}.")
    return header


def _read_rows(
    reader: Any, header: list[str], columns: TableColumns, source: str
) -> tuple[dict[str, npt.NDArray[np.float32]], BoolArray, npt.NDArray[np.int64]]:
    """Read the rows: number columns [N] by name, terminals [N], episode numbers [N]."""
    names = [*columns.observations, *columns.actions, columns.rewards]
    names += columns.next_observations or ()
    at = {name: header.index(name) for name in dict.fromkeys(names)}
    parts: dict[str, list[npt.NDArray[np.float32]]] = {name: [] for name in at}
    flags: list[float] = []
    episodes: list[int] = []
    known_episodes: dict[str, int] = {}
    while True:
        lines, rows = _next_rows(reader, len(header), source)
        if not rows:
            break
        cells = list(zip(*rows, strict=True))
        for name, index in at.items():
            parts[name].append(_numbers(cells[index], lines, name, source))
        if columns.terminals is None:
            flags += [0.0] * len(rows)
        else:
            flags += _flags(
                cells[header.index(columns.terminals)], lines, columns.terminals, source
            )
        if columns.episode is not None:
            labels = cells[header.index(columns.episode)]
            episodes += [known_episodes.setdefault(label, len(known_episodes)) for label in labels]
    if not flags:
        raise InputError(f"{source} has column names but no rows.")
    values = {name: np.concatenate(chunks) for name, chunks in parts.items()}
    return values, np.array(flags) == 1.0, np.array(episodes, np.int64)


def _next_rows(reader: Any, width: int, source: str) -> tuple[list[int], list[Row]]:
    """Return the next rows and the numbers of the lines on which they end."""
    lines, rows = [], []
    for row in itertools.islice((row for row in reader if row), _ROWS_AT_A_TIME):
        if len(row) != width:
            raise InputError(
                f"{source}, line {reader.line_num}: {len(row)} values for {width} columns."
            )
        lines.append(reader.line_num)
        rows.append(row)
    return lines, rows


def _numbers(
    cells: Sequence[str], lines: Sequence[int], name: str, source: str
) -> npt.NDArray[np.float32]:
    try:
        values = np.array(list(map(float, cells)))
    except ValueError:
        values = np.array([math.nan])
    if (np.abs(values) <= _LARGEST).all():
        return values.astype(np.float32)
    complaints = ((line, _why_invalid(cell)) for cell, line in zip(cells, lines, strict=True))
    line, what = next((line, what) for line, what in complaints if what is not None)
    raise InputError(f"{source}, line {line}: {name} {what}; correct the line or remove it.")


def _why_invalid(cell: str) -> str | None:
    """Return why ``cell`` is not a finite float32; None if it is one."""
    if not cell.strip():
        return "is empty"
    if not _is_number(cell):
        return f"must be a number, got {cell!r}"
    if math.isnan(float(cell)):
        return "is NaN"
    return None if abs(float(cell)) <= _LARGEST else f"is too large or infinite ({cell})"


def _flags(cells: Sequence[str], lines: Sequence[int], name: str, source: str) -> list[float]:
    try:
        return [_FLAGS[cell.strip().lower()] for cell in cells]
    except KeyError:
        bad = [cell.strip().lower() in _FLAGS for cell in cells].index(False)
        raise InputError(
            f"{source}, line {lines[bad]}: {name} must be 0 or 1 (or true, false), got "
            f"{cells[bad]!r}."
        ) from None


def _paired(
    columns: TableColumns,
    numbers: dict[str, npt.NDArray[np.float32]],
    flags: BoolArray,
    episodes: npt.NDArray[np.int64],
    terminal_rows: bool,
    source: str,
) -> Transitions:
    """Add the successor of each row; sort the rows by episode."""

    def matrix(names: Sequence[str]) -> npt.NDArray[np.float32]:
        return np.stack([numbers[name] for name in names], axis=1)

    order = np.argsort(episodes, kind="stable") if columns.episode else np.arange(len(flags))
    observations, terminals = matrix(columns.observations)[order], flags[order]
    if columns.next_observations is not None:
        successors = matrix(columns.next_observations)[order]
        kept = np.ones(len(order), np.bool_)
    else:
        follows = np.append(episodes[order][1:] == episodes[order][:-1], False)
        _refuse_rows_after_an_end(follows & terminals, source, columns)
        successors = np.where(follows[:, None], np.roll(observations, -1, axis=0), observations)
        kept = follows | (terminals if terminal_rows else False)
    if not kept.any():
        raise InputError(
            f"{source} gives no transitions: no row of {len(order)} has a successor in the same "
            f"{columns.episode}; name another column of episodes in {columns_file(Path(source))}."
        )
    return Transitions(
        observations=observations[kept],
        actions=matrix(columns.actions)[order][kept],
        next_observations=successors[kept],
        rewards=numbers[columns.rewards][order][kept, None],
        terminals=terminals[kept, None],
    )


def _refuse_rows_after_an_end(broken: BoolArray, source: str, columns: TableColumns) -> None:
    if broken.any():
        raise InputError(
            f"{source}: {np.count_nonzero(broken)} rows are terminal and yet followed by another "
            f"of the same {columns.episode}: give what comes after an end a new "
            f"{columns.episode}, or leave it out."
        )


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True

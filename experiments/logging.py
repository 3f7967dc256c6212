"""The records of a run: config.json, params.json, variant.json, progress.csv, TensorBoard events.

The folder is one that viskit reads. Its rules, found by trying it: an empty cell of progress.csv
counts as 0.0 while ``nan`` is nan; ``inf`` in variant.json breaks it; nested parameters and lists
are not comparable. Hence the flat, finite parameters and the rows that are always full.
"""

import csv
import io
import json
import math
import numbers
import os
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import pandas as pd

from .event_files import EventWriter
from .files import ensure_writable_folder, write_bytes, write_json
from mopo_tf2.errors import InputError

PROGRESS_FILE = "progress.csv"
TENSORBOARD_FOLDER = "tensorboard"


class RunLogger:
    """Writes the records of one run into its folder.

    Continuing a run: call ``truncate_progress`` first, then make a ``RunLogger`` on the same
    folder; its rows are appended under the header that is there.

    Args:
        folder: the run folder, made if need be.
        tensorboard: whether to write TensorBoard events too, into ``folder/tensorboard``.

    Raises:
        InputError: if ``folder`` cannot be made or written in.
    """

    def __init__(self, folder: Path, *, tensorboard: bool = True) -> None:
        self._folder = ensure_writable_folder(folder)
        self._events = EventWriter(self._folder / TENSORBOARD_FOLDER) if tensorboard else None
        self._columns: list[str] | None = None
        self._last_epoch = -math.inf

    def write_configuration(self, config: Mapping[str, Any], params: Mapping[str, Any]) -> None:
        """Write ``config.json``, ``params.json`` and ``variant.json``, each atomically.

        Args:
            config: all that is needed to continue the run, nested as it likes: ``config.json``.
            params: what tells this run from others, ``seed`` among them; flattened by
                ``flat_params`` into ``params.json`` and ``variant.json``, which are equal.

        Raises:
            ValueError: if ``config`` holds inf or nan, or two of ``params`` have one flat name.
            TypeError: if one of them holds something that JSON does not have.
        """
        flat = flat_params(params)
        write_json(self._folder / "params.json", flat)
        write_json(self._folder / "variant.json", flat)
        # Last, so that a folder with a config.json has all three.
        write_json(self._folder / "config.json", config)

    def write(self, metrics: Mapping[str, float]) -> None:
        """Append one row to progress.csv and to the TensorBoard events; both are on disk after.

        The first row sets the columns. Floats are written with every digit, so that equal
        numbers give equal bytes; nan as ``nan``; True and False as 1 and 0, which viskit can read.

        Args:
            metrics: one number a key; ``epoch`` must be among them and grow from row to row.

        Raises:
            ValueError: if the keys differ from those of the first row, or the epoch does not grow.
            TypeError: if a value is not a number.
        """
        if "epoch" not in metrics:
            raise ValueError(f"a row needs the key 'epoch', got {sorted(metrics)}.")
        cells = {key: _cell(key, value) for key, value in metrics.items()}
        path = self._folder / PROGRESS_FILE
        if self._columns is None:
            self._continue_from(path)
        header = b""
        if self._columns is None:
            self._columns = list(cells)
            header = _line(self._columns)
        _check_keys(self._columns, cells)
        epoch = float(metrics["epoch"])
        if not epoch > self._last_epoch:
            raise ValueError(
                f"the row of epoch {epoch:g} comes after that of epoch {self._last_epoch:g}; "
                "to continue a run call truncate_progress() first."
            )
        # Header and first row in one write: a file with a header only is never left behind.
        with path.open("ab") as file:
            file.write(header + _line([cells[key] for key in self._columns]))
            file.flush()
            os.fsync(file.fileno())
        self._last_epoch = epoch
        if self._events is not None:
            self._events.write(metrics, int(epoch))

    def close(self) -> None:
        """Close the TensorBoard events. A second call does nothing."""
        if self._events is not None:
            self._events.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _continue_from(self, path: Path) -> None:
        """Take the columns and the last epoch of a progress.csv that is there."""
        if not path.exists() or path.stat().st_size == 0:
            return
        columns, rows, half = _parse(path)
        if half:
            raise ValueError(f"{path} ends in half a row: call truncate_progress() first.")
        self._columns = columns
        if rows:
            self._last_epoch = rows[-1][0]


def truncate_progress(folder: Path, last_epoch: int) -> int:
    """Cut ``folder/progress.csv`` back to the rows with ``epoch`` <= ``last_epoch``, atomically.

    For continuing a run from a checkpoint taken after ``last_epoch`` (-1: before the first). Kept
    rows keep their bytes; a last line without its line end (the process was killed as it wrote) is
    dropped; a file of which no row is left is removed. TensorBoard events are not rewritten:
    the next ``RunLogger`` opens a new event file which begins with a session-start mark, at
    which TensorBoard drops the older events from that epoch on.

    Returns:
        The number of rows kept; fewer than ``last_epoch + 1`` if rows have been lost.

    Raises:
        InputError: if the file is there but is not a progress.csv.
    """
    path = Path(folder) / PROGRESS_FILE
    if not path.exists():
        return 0
    if path.stat().st_size == 0:  # Killed between making the file and writing to it.
        path.unlink()
        return 0
    columns, rows, half = _parse(path)
    kept = [line for epoch, line in rows if epoch <= last_epoch]
    if not kept:
        path.unlink()
    elif half or len(kept) < len(rows):
        write_bytes(path, _line(columns) + b"".join(kept))
    return len(kept)


def read_progress(path: Path) -> pd.DataFrame:
    """Read a progress.csv, of this project, of Ray Tune or of the original.

    A last line without its line end is taken for a row in writing and left out, so the file of a
    run that goes on can be read.

    Args:
        path: the file, or the run folder that holds it.

    Returns:
        One row an epoch, the columns in the file's order.

    Raises:
        InputError: if it is missing, empty, or not a progress.csv.
    """
    path = Path(path)
    if path.is_dir():
        path = path / PROGRESS_FILE
    if not path.is_file():
        raise InputError(f"Expected a run with a {PROGRESS_FILE}, but there is no {path}.")
    columns, rows, _ = _parse(path)
    if not rows:
        raise InputError(f"{path} holds no whole row: expected a header and one row an epoch.")
    data = _line(columns) + b"".join(line for _, line in rows)
    return pd.read_csv(io.BytesIO(data))


def flat_params(params: Mapping[str, Any]) -> dict[str, str | int | float | bool]:
    """Flatten nested parameters into the scalars that viskit groups runs by.

    ``{"a": {"b": None}, "c": [256, 256]}`` becomes ``{"a.b": "none", "c": "[256, 256]"}``;
    inf and nan become the strings "inf", "-inf" and "nan".

    Raises:
        ValueError: if two parameters come to have one name.
        TypeError: if a value is no number, string, path, sequence, mapping or None.
    """
    flat: dict[str, str | int | float | bool] = {}
    for key, value in params.items():
        if isinstance(value, Mapping) and value:
            items = {f"{key}.{name}": item for name, item in flat_params(value).items()}
        else:
            items = {str(key): _flat_value(value)}
        for name, item in items.items():
            if name in flat:
                raise ValueError(f"two parameters have the flat name {name!r}.")
            flat[name] = item
    return flat


def _flat_value(value: Any) -> str | int | float | bool:
    if isinstance(value, (np.generic, np.ndarray)):
        value = value.tolist()
    if value is None:
        return "none"
    if isinstance(value, float):
        return value if math.isfinite(value) else repr(value)
    if isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, os.PathLike):
        return str(os.fspath(value))
    if isinstance(value, (list, tuple, Mapping)):
        return json.dumps(value, default=_flat_value)
    raise TypeError(f"a parameter cannot be of type {type(value).__name__}: {value!r}")


def _cell(key: str, value: Any) -> str:
    if isinstance(value, (bool, np.bool_)):
        return str(int(value))
    if isinstance(value, numbers.Integral):
        return str(int(value))
    if value is None or isinstance(value, (str, bytes)):
        raise TypeError(f"metric {key!r} must be a number, got {value!r}.")
    try:
        return repr(float(value))
    except (TypeError, ValueError) as error:
        raise TypeError(f"metric {key!r} must be a number, got {value!r}.") from error


def _check_keys(columns: list[str], cells: Mapping[str, str]) -> None:
    new = [key for key in cells if key not in columns]
    missing = [key for key in columns if key not in cells]
    if new or missing:
        raise ValueError(
            f"every row must have the keys of the first; new: {new}, missing: {missing}."
        )


def _line(cells: list[str]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(cells)
    return text.getvalue().encode()


def _parse(path: Path) -> tuple[list[str], list[tuple[float, bytes]], bool]:
    """Return the columns, (epoch, line) of each whole row, and whether half a row follows."""
    data = path.read_bytes()
    if not data.strip():
        raise InputError(f"{path} is empty: expected a header and one row an epoch.")
    lines = data.splitlines(keepends=True)
    half = not lines[-1].endswith(b"\n")
    if half and len(lines) > 1:
        lines = lines[:-1]
    columns = _cells(lines[0])
    if "epoch" not in columns:
        if half and len(lines) == 1:
            return columns, [], True
        raise InputError(
            f"{path} is not a progress.csv: expected a header with the column 'epoch', "
            f"got {', '.join(columns[:4])[:60]!r}."
        )
    rows = []
    for number, line in enumerate(lines[1:], start=2):
        if not line.strip():
            continue
        cells = _cells(line)
        if len(cells) != len(columns):
            raise InputError(
                f"{path}, line {number}: expected {len(columns)} cells, got {len(cells)}."
            )
        text = cells[columns.index("epoch")]
        try:
            epoch = float(text)
        except ValueError as error:
            raise InputError(
                f"{path}, line {number}: expected an epoch number, got {text[:20]!r}."
            ) from error
        rows.append((epoch, line))
    return columns, rows, half


def _cells(line: bytes) -> list[str]:
    return next(csv.reader([line.decode(errors="replace")]), [])

"""What the folder of a trial tells: its state, and how far its run has come."""

import csv
import dataclasses
import json
import math
from pathlib import Path
from typing import Literal

from ..files import write_json
from mopo_tf2.checkpoints import checkpoints

STATUS_FILE = "status.json"
LOG_FILE = "trial.log"
_MODEL_FILE = Path("model", "model.npz")  # of experiments.exports, which loads TensorFlow
_RETURN = "evaluation/return-average"
_TAIL_BYTES = 1 << 16

State = Literal["pending", "running", "finished", "failed"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Status:
    """How a trial stands.

    Attributes:
        state: see ``State``; a run that was killed stays "running" until someone notes it.
        attempts: how often it was begun or continued.
        error: one line, of a failed one.
    """

    state: State = "pending"
    attempts: int = 0
    error: str | None = None


def read_status(folder: Path) -> Status:
    """Return the status of a trial; pending if there is none yet."""
    try:
        values = json.loads((folder / STATUS_FILE).read_text(encoding="utf-8"))
        return Status(**{key: values[key] for key in ("state", "attempts", "error")})
    except (OSError, ValueError, KeyError, TypeError):
        return Status()


def write_status(folder: Path, status: Status) -> None:
    """Write ``status.json`` into a folder that exists, atomically."""
    write_json(folder / STATUS_FILE, dataclasses.asdict(status))


def last_row(folder: Path) -> tuple[int, float]:
    """Return the epochs done and the last evaluation's mean return, from ``progress.csv``.

    Reads the file's two ends only: a table of many long runs is drawn every second.

    Returns:
        (0, nan) if there is no whole row yet.
    """
    try:
        with (folder / "progress.csv").open("rb") as file:
            header = file.readline()
            size = file.seek(0, 2)
            file.seek(max(len(header), size - _TAIL_BYTES))
            tail = file.read()
    except OSError:
        return 0, math.nan
    lines = tail[: tail.rfind(b"\n") + 1].splitlines()
    if not lines:
        return 0, math.nan
    columns, cells = (next(csv.reader([line.decode()]), []) for line in (header, lines[-1]))
    row = dict(zip(columns, cells, strict=False))
    try:
        return int(float(row["epoch"])) + 1, float(row.get(_RETURN, "nan"))
    except (KeyError, ValueError):
        return 0, math.nan


def is_finished(folder: Path, n_epochs: int, *, model_only: bool) -> bool:
    """Whether nothing is left to do in the folder of a trial.

    The last checkpoint is written after the last row: both must be there.
    """
    if not (folder / "config.json").is_file():
        return False
    if model_only:
        return (folder / _MODEL_FILE).is_file()
    found = checkpoints(folder / "checkpoints")
    last = int(found[-1].stem.removeprefix("epoch_")) if found else 0
    return min(last, last_row(folder)[0]) >= n_epochs


def last_log_line(folder: Path) -> str | None:
    """Return the last line that a trial printed, or None."""
    try:
        with (folder / LOG_FILE).open("rb") as file:
            file.seek(max(0, file.seek(0, 2) - _TAIL_BYTES))
            lines = file.read().decode(errors="replace").split("\n")
    except OSError:
        return None
    return next((line.strip() for line in reversed(lines) if line.strip()), None)

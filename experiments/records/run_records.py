"""All runs under a folder: what each one is, on which data, and how far it got.

Tables, pictures and the report read runs through this module, so that they agree on which runs
count, which are samples of one configuration, and which are unfinished.
"""

import dataclasses
import enum
import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ..logging import PROGRESS_FILE, flat_params, read_progress
from ..records.run_groups import Run, parameter
from ..records.run_identity import run_identity
from mopo_tf2.errors import InputError

# Any one of these makes a folder a run.
RUN_FILES = ("config.json", PROGRESS_FILE, "params.json", "status.json")
_SEED_FOLDER = re.compile(r"(?:^|[-_,:=])seed[-_:=]?(\d+)")


class State(enum.StrEnum):
    """How a run stands.

    FINISHED: its last epoch is the last one that was asked for.
    UNFINISHED: it has fewer epochs; it is running, or was interrupted, or killed.
    FAILED: the sweep gave it up, or its files are damaged.
    EMPTY: not one whole epoch is recorded.
    """

    FINISHED = "finished"
    UNFINISHED = "unfinished"
    FAILED = "failed"
    EMPTY = "empty"


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunRecord:
    """One run folder.

    Attributes:
        folder: where it is.
        name: its path below the folder that was searched, with "/".
        state: see ``State``.
        note: why it failed or what is odd about it, one sentence without its full stop, or "".
        method: what trained it, by its name of ``--algorithm``.
        config: name of its configuration (halfcheetah_mixed); "unknown" if nothing says it.
        task: the environment (halfcheetah, or module:function); "unknown" likewise.
        dataset: the dataset's id or file name as the run recorded it; "unknown" likewise.
        dataset_source: what the user named as the dataset: an id or a path.
        dataset_id: the known id (halfcheetah-medium-replay-v0) that ``dataset`` is or whose file
            name it has; None for other data.
        dataset_sha256: hash of the dataset's bytes; None if the run recorded none.
        physics: "d4rl" or "gymnasium"; "unknown" if not recorded.
        seed: None if nothing says it.
        epochs_done: whole epochs in progress.csv, counted by its last epoch.
        epochs_asked: None if nothing says it.
        is_original: whether the TF1 program wrote the folder.
        run: flat parameters and progress.csv; no rows if the run is empty or unreadable.
        config_json: the content of config.json, empty if there is none.
    """

    folder: Path
    name: str
    state: State
    note: str
    method: str
    config: str
    task: str
    dataset: str
    dataset_source: str
    dataset_id: str | None
    dataset_sha256: str | None
    physics: str
    seed: int | None
    epochs_done: int
    epochs_asked: int | None
    is_original: bool
    run: Run = dataclasses.field(repr=False)
    config_json: Mapping[str, Any] = dataclasses.field(repr=False)

    def values(self, column: str) -> np.ndarray:
        """Return [epochs_done] float64 of a column, nan where it has no number.

        ``Run.series`` leaves such epochs out; here they stay, so that position i is epoch i.
        """
        progress = self.run.progress
        if column not in progress or not self.epochs_done:
            return np.full(self.epochs_done, math.nan)
        numbers = pd.to_numeric(progress[column], errors="coerce").to_numpy(float)
        series = pd.Series(numbers, index=progress["epoch"].to_numpy(int))
        # Ray Tune repeats epochs in the file of a restored trial; the last one counts.
        series = series[~series.index.duplicated(keep="last")]
        return np.asarray(series.reindex(range(self.epochs_done)).to_numpy(float))


def read_records(roots: Path | Sequence[Path]) -> list[RunRecord]:
    """Read every run in ``roots`` and below, in the order of their paths.

    Raises:
        InputError: if a root is no folder, or none of them holds a run.
    """
    folders = [roots] if isinstance(roots, str | Path) else list(roots)
    records: dict[Path, RunRecord] = {}
    for root in map(Path, folders):
        if not root.is_dir():
            what = "is a file" if root.exists() else "does not exist"
            raise InputError(f"expected a folder with runs, but {root} {what}.")
        try:
            for folder in find_run_folders(root):
                records.setdefault(folder.resolve(), read_record(folder, root))
        except OSError as error:
            raise InputError(
                f"{error.filename or root} cannot be read: {error.strerror}."
            ) from error
    if not any(_is_run(record.folder) for record in records.values()):
        raise InputError(
            f"no run in {', '.join(map(str, folders))} or below: expected folders with "
            f"{' or '.join(RUN_FILES[:2])}, as mopo-tf2 train and sweep write them."
        )
    shared = {_shared_ensemble(record) for record in records.values()}
    return [
        record
        for folder, record in records.items()
        if folder not in shared or record.state != State.EMPTY
    ]


def _shared_ensemble(record: RunRecord) -> Path | None:
    """Return the folder of the ensemble that a run took instead of training one.

    Such a folder may be the work of train-model, which is no run without an epoch.
    """
    model = record.config_json.get("model")
    return Path(model).resolve() if isinstance(model, str) else None


def find_run_folders(root: Path) -> list[Path]:
    """Return the run folders in ``root`` and below, and the empty folders, sorted by path.

    Folders within a run and those whose name starts with a dot are not searched.
    """
    return sorted(_walk(Path(root), frozenset()), key=_natural_order)


def _walk(folder: Path, above: frozenset[Path]) -> Iterator[Path]:
    resolved = folder.resolve()
    if resolved in above:  # A link that leads back up.
        return
    if _is_run(folder):
        yield folder
        return
    entries = [entry for entry in folder.iterdir() if not entry.name.startswith(".")]
    if not entries:
        yield folder
    for entry in entries:
        if entry.is_dir():
            yield from _walk(entry, above | {resolved})


def _is_run(folder: Path) -> bool:
    return any((folder / name).is_file() for name in RUN_FILES)


def _natural_order(path: Path) -> list[tuple[int, str]]:
    """Sort seed_10 after seed_9."""
    parts = re.split(r"(\d+)", str(path))
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts]


def read_record(folder: Path, root: Path | None = None) -> RunRecord:
    """Read one run folder, whatever its state; what is damaged makes it a failed run.

    Args:
        folder: to read.
        root: the folder that the record's name is relative to; None: its parent.
    """
    folder = Path(folder)
    problems: list[str] = []
    config = _read_object(folder / "config.json", problems)
    nested = _read_object(folder / "params.json", problems)
    # The same parameters, if somebody deleted the file that viskit reads.
    nested = nested or {key: value for key, value in config.items() if key != "recorded"}
    status = _read_object(folder / "status.json", problems)
    progress, has_rows = _read_rows(folder, problems)
    try:
        params = flat_params(nested)
    except (ValueError, TypeError) as error:
        params = {}
        problems.append(f"params.json: {error}")
    done = int(progress["epoch"].max()) + 1 if has_rows else 0
    asked = _epochs_asked(config, params)
    name = folder.resolve().name
    base = Path(root).resolve() if root is not None else folder.resolve().parent
    return RunRecord(
        folder=folder,
        name=_relative(folder.resolve(), base) or name,
        state=_state(done, asked, status, problems),
        note=_note(folder, done, status, problems),
        epochs_done=done,
        epochs_asked=asked,
        seed=_seed(config, params, name),
        run=Run(name, params, progress),
        config_json=config,
        **run_identity(config, params),
    )


def _relative(folder: Path, base: Path) -> str:
    return folder.relative_to(base).as_posix().removeprefix(".") if base in folder.parents else ""


def _read_object(path: Path, problems: list[str]) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        problems.append(f"{path.name} cannot be read: {error}")
        return {}
    if not isinstance(content, dict):
        problems.append(f"{path.name} is no JSON object")
        return {}
    return content


def _read_rows(folder: Path, problems: list[str]) -> tuple[pd.DataFrame, bool]:
    """Return progress.csv and whether it has a row; damage is added to ``problems``."""
    nothing = pd.DataFrame({"epoch": []})
    path = folder / PROGRESS_FILE
    try:
        # No epoch yet is no damage: the file is made with the first row, maybe half written.
        if not path.is_file() or path.read_bytes().count(b"\n") < 2:
            return nothing, False
        progress = read_progress(path)
        epochs = pd.to_numeric(progress["epoch"], errors="coerce").to_numpy(float)
    except (InputError, OSError, ValueError) as error:
        problems.append(str(error).rstrip("."))
        return nothing, False
    if not np.all(np.isfinite(epochs) & (epochs >= 0) & (epochs == np.floor(epochs))):
        problems.append(f"{path} has an epoch that is no whole number")
        return nothing, False
    return progress, True


def _state(done: int, asked: int | None, status: Mapping[str, Any], problems: list[str]) -> State:
    if problems:
        return State.FAILED
    if asked is not None and done >= asked > 0:
        return State.FINISHED
    if status.get("state") == "failed":
        return State.FAILED
    return State.UNFINISHED if done else State.EMPTY


def _note(folder: Path, done: int, status: Mapping[str, Any], problems: list[str]) -> str:
    notes = list(problems)
    if status.get("state") == "failed":
        error = " ".join(str(status.get("error") or "no reason recorded").split()).rstrip(".")
        notes.append(f"the sweep gave it up: {error[:200]}")
    elif status.get("state") in ("pending", "running"):
        notes.append(f"{status['state']} says the sweep")
    if not done and not problems:
        if not _is_run(folder):
            notes.append("empty folder")
        elif (folder / "model").is_dir():
            notes.append("holds an ensemble, but no epoch of policy training")
        else:
            notes.append("no whole epoch is recorded")
    return "; ".join(notes)


def _epochs_asked(config: Mapping[str, Any], params: Mapping[str, Any]) -> int | None:
    algorithm = config.get("algorithm")
    asked = algorithm.get("n_epochs") if isinstance(algorithm, dict) else None
    if asked is None:
        asked = parameter(params, "n_epochs")
    return int(asked) if isinstance(asked, int | float) and math.isfinite(asked) else None


def _seed(config: Mapping[str, Any], params: Mapping[str, Any], name: str) -> int | None:
    seed = config.get("seed", parameter(params, "seed"))
    if isinstance(seed, int):
        return seed
    found = _SEED_FOLDER.search(name)
    return int(found[1]) if found else None

"""``RunFolder``: the only reader and writer of a run's files.

The folder is one that viskit reads. viskit takes an empty cell of progress.csv for 0.0, fails on
``inf`` in variant.json, and cannot compare nested parameters or lists. Hence rows that are always
full, and parameters that are flat and finite.
"""

import contextlib
import csv
import dataclasses
import enum
import io
import json
import math
import os
import re
import socket
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import filelock
import numpy as np

from mopo_tf2 import checkpoints, config_fields
from mopo_tf2.config_fields import require
from mopo_tf2.configs.methods import DEFAULT_METHOD
from mopo_tf2.data import catalog
from mopo_tf2.errors import InputError, printable
from mopo_tf2.files import ensure_writable_folder, remove_leftovers, write_bytes, write_json

from .run_spec import RunSpec, read_spec, spec_to_dict

if TYPE_CHECKING:
    import pandas as pd

    from mopo_tf2.algorithms.offline import OfflineAlgorithm
    from mopo_tf2.dynamics.ensemble import GaussianEnsemble
    from mopo_tf2.networks.acting import ExportablePolicy

Checkpoint = tuple[dict[str, np.ndarray], dict[str, Any]]
"""Arrays by name, and counters or other metadata."""
CONFIG, PARAMS, VARIANT = "config.json", "params.json", "variant.json"
PROGRESS, _HOLDOUT, _STATUS = "progress.csv", "model_holdout.csv", "status.json"
_LOGGERS = "loggers.json"
POLICY, MODEL = Path("policy", "policy.npz"), Path("model", "model.npz")
_CHECKPOINTS = "checkpoints"
_METADATA: dict[str, Any] = {
    **{"obs_dim": int, "act_dim": int, "max_path_length": int},
    **{"environment": str, "physics": str},
    **{"ensemble": dict, "elites": list, "val_loss": (float, int, type(None))},
}
"""Types of what policies and models say of themselves."""
_LEASE_SECONDS, _MOST_EPOCHS = 30.0, 2**31
_TAIL_BYTES = 1 << 16
UNKNOWN = "unknown"
RETURN = "evaluation/return-average"
VISKIT_RETURN = "training/return-average"
"""viskit's first page draws this column; it repeats ``RETURN``, as nothing is rolled out offline
but the evaluation episodes."""


class State(enum.StrEnum):
    """How a run stands."""

    FINISHED = "finished"  # Its last epoch is the last one that was asked for.
    UNFINISHED = "unfinished"  # It is running, was interrupted, or was killed.
    FAILED = "failed"  # The sweep gave it up, or its files are damaged.
    EMPTY = "empty"  # It has no complete epoch.


@dataclasses.dataclass(frozen=True, kw_only=True)
class Status:
    """How a trial of a sweep stands: what only the sweep knows."""

    # A killed run stays "running" until someone notes it.
    state: Literal["pending", "running", "finished", "failed"] = "pending"
    attempts: int = 0  # How often it was started or continued.
    error: str | None = None  # One line, of a failed one.


@dataclasses.dataclass(frozen=True, kw_only=True)
class Facts:
    """What a run is and how far it got, as its folder tells, whatever its age and program."""

    program: str  # "mopo_tf2", or "original" for the TF1 program.
    method: str
    config: str  # Name of its configuration (halfcheetah_mixed).
    task: str  # The environment (halfcheetah, or module:function).
    dataset: str  # The known id that the data are or whose file name they have, else their name.
    dataset_name: str  # The id or file name that the run recorded.
    dataset_source: str  # What the user named: an id or a path.
    sha256: str | None  # Of the dataset's bytes.
    physics: str  # "d4rl", "gymnasium" or "none".
    horizon: int | None  # Longest evaluation episode, steps.
    seed: int | None
    model_from: str | None  # The run whose ensemble it used.
    epochs_done: int
    epochs_asked: int | None
    state: State
    note: str  # Why it failed or what is odd about it, without a full stop; "" for nothing.
    described: bool  # Its files say what it is: not so in an empty folder, nor if damaged.
    params: Mapping[str, Any]  # Every coefficient by its flat name.
    recorded: Mapping[str, Any]  # About itself: dataset, environment, versions.


class RunFolder:
    """The files of one run, in the folder ``path``, which need not exist."""

    def __init__(self, path: Path):
        self.path = Path(path)
        self._columns: list[str] | None = None

    def __str__(self) -> str:
        return str(self.path)

    # What the run is.

    @property
    def is_run(self) -> bool:
        """Whether the folder holds a run that can be resumed or evaluated."""
        return (self.path / CONFIG).is_file()

    @property
    def spec(self) -> RunSpec:
        """What the run computes; InputError if config.json is missing or invalid."""
        require(self.is_run, f"{self.path} holds no run: expected {self.path / CONFIG}.")
        return read_spec(self.path / CONFIG)

    @property
    def recorded(self) -> dict[str, Any]:
        """What the run recorded about itself: dataset, environment, versions."""
        recorded = _read_object(self.path / CONFIG, []).get("recorded")
        parts = recorded.items() if isinstance(recorded, dict) else ()
        return {name: part for name, part in parts if isinstance(part, dict)}

    def write_spec(self, spec: RunSpec, recorded: Mapping[str, Any] | None = None) -> None:
        """Write what the run is, atomically; again whenever it changes (more epochs).

        ``recorded`` is what it was made with; None keeps what is there. InputError if the folder
        cannot be made or written in.
        """
        recorded = self.recorded if recorded is None else recorded
        ensure_writable_folder(self.path)
        params = flat_params(
            {
                "config": spec.name,
                "dataset": recorded.get("dataset", {}).get("name", spec.dataset),
                "task": spec.environment,
                "termination": spec.termination,
                "physics": spec.physics,
                "seed": spec.seed,
                "method": spec.method,
                "model_from": spec.model,
                **config_fields.flatten(spec.algorithm),
            }
        )
        write_json(self.path / PARAMS, params)
        write_json(self.path / VARIANT, params)
        # Last, so that a folder with a config.json has all three.
        write_json(self.path / CONFIG, {**spec_to_dict(spec), "recorded": recorded})

    def facts(self) -> Facts:
        """Return what the run is and how far it got; a damaged run is a failed one."""
        problems: list[str] = []
        config = _read_object(self.path / CONFIG, problems)
        nested = config.get("algorithm") if config else _read_object(self.path / PARAMS, problems)
        try:
            params = flat_params(nested or {})
        except (ValueError, TypeError, AttributeError) as error:
            params = {}
            problems.append(f"its parameters are not flat numbers and words: {error}")
        original = not config and "algorithm_params.type" in params
        identity = _original_identity(params) if original else _identity(config, params, problems)
        described = bool(config or params) and not problems
        status = _read_object(self.path / _STATUS, problems)
        done = 0
        try:
            # No epoch yet is no damage: the file is made with the first row, maybe half written.
            if len(_whole_lines(self.path / PROGRESS)) > 1:
                done = int(self.progress()["epoch"].max()) + 1
        except InputError as damage:
            problems.append(str(damage).rstrip("."))
        asked = identity["epochs_asked"]
        finished = asked is not None and done >= asked > 0
        state = State.UNFINISHED if done else State.EMPTY
        notes = list(problems)
        if status.get("state") == "failed":
            reason = " ".join(str(status.get("error") or "no reason recorded").split()).rstrip(".")
            notes.append(f"the sweep gave up: {reason[:200]}")
            state = State.FAILED
        elif status.get("state") in ("pending", "running"):
            notes.append(f"{status['state']} according to the sweep")
        if not done and not problems:
            some = "it holds an ensemble, but no epoch of policy training"
            notes.append(some if self.has_model else "no complete epoch is recorded")
        return Facts(
            **identity,
            epochs_done=done,
            state=State.FAILED if problems else State.FINISHED if finished else state,
            note="; ".join(notes),
            described=described,
            params=params,
            recorded=self.recorded,
        )

    def holds_something(self) -> bool:
        """Whether any file of a run is here."""
        files = (CONFIG, PROGRESS, PARAMS, _STATUS)
        return any((self.path / name).is_file() for name in files)

    @contextlib.contextmanager
    def lock(self, patience: float = 0.0) -> Iterator[None]:
        """Hold the folder for writing while the block runs; see ``held``.

        What a killed process left half written goes.
        """
        with held(self.path / "run.lock", patience):
            for file in (Path(CONFIG), Path(_CHECKPOINTS, "any"), POLICY, MODEL):
                remove_leftovers((self.path / file).parent)
            yield

    # Progress.

    def write_row(self, metrics: Mapping[str, float]) -> None:
        """Append one row to progress.csv; it is on disk after.

        The first row sets the columns, "epoch" among them; ValueError if ``metrics`` has other
        names. Floats are written with every digit, nan as ``nan``.
        """
        path = self.path / PROGRESS
        header = ""
        if self._columns is None:
            lines = _whole_lines(path)
            self._columns = _cells(lines[0]) if lines else list(metrics)
            header = "" if lines else ",".join(self._columns) + "\n"
        if changed := sorted(set(self._columns) ^ set(metrics)):
            raise ValueError(f"every row must have the names of the first; changed: {changed}.")
        row = ",".join(repr(float(metrics[name])) for name in self._columns)
        # Header and first row in one write: a file with a header only is never left behind.
        with path.open("a") as file:
            file.write(f"{header}{row}\n")
            file.flush()
            os.fsync(file.fileno())

    def truncate(self, last_epoch: int) -> int:
        """Cut progress.csv back to the epochs up to ``last_epoch``; return how many rows are left.

        For continuing from a checkpoint. A half-written last row goes too.
        """
        path = self.path / PROGRESS
        lines = _whole_lines(path)
        kept = [line for line in lines[1:] if _epoch_of(lines[0], line) <= last_epoch]
        if kept:
            write_bytes(path, b"".join([lines[0], *kept]))
        else:
            path.unlink(missing_ok=True)
        self._columns = None
        return len(kept)

    def progress(self) -> "pd.DataFrame":
        """Return progress.csv, one row an epoch; see ``read_progress``."""
        return read_progress(self.path / PROGRESS)

    def holdout(self) -> "pd.DataFrame":
        """Return the ensemble's hold-out losses: "epoch", and V0, V1, ... by member; may be empty.

        InputError if the file is not such a table.
        """
        import pandas as pd

        path = self.path / _HOLDOUT
        return read_progress(path) if path.is_file() else pd.DataFrame({"epoch": []})

    def write_holdout(self, epoch: int, losses: np.ndarray) -> None:
        """Add the hold-out losses [E] of one epoch of ensemble training.

        Rows of this epoch and later ones go: they are of a session that was cut off.
        """
        path = self.path / _HOLDOUT
        names = ",".join(["epoch", *(f"V{i}" for i in range(len(losses)))])
        header, *rows = _whole_lines(path) or [names.encode() + b"\n"]
        kept = [row for row in rows if _epoch_of(header, row) < epoch]
        new = ",".join(map(str, [epoch, *map(float, losses)])).encode() + b"\n"
        write_bytes(path, b"".join([header, *kept, new]))

    def last_row(self) -> tuple[int, float]:
        """Return the epochs done and the last mean return, from the two ends of progress.csv.

        A table of many long runs is drawn every second; (0, nan) before the first epoch.
        """
        try:
            with (self.path / PROGRESS).open("rb") as file:
                header = file.readline()
                file.seek(max(len(header), file.seek(0, 2) - _TAIL_BYTES))
                tail = file.read()
            last = tail[: tail.rfind(b"\n") + 1].splitlines()[-1]
            row = dict(zip(_cells(header), _cells(last), strict=True))
            return int(float(row["epoch"])) + 1, float(row.get(RETURN, "nan"))
        except (OSError, KeyError, ValueError, IndexError):
            return 0, math.nan

    # What sinks other than progress.csv keep here.

    @property
    def params(self) -> dict[str, Any]:
        """What the run is, by flat names, as ``write_spec`` wrote it."""
        return _read_object(self.path / PARAMS, [])

    def logger_state(self, name: str) -> dict[str, Any]:
        """Return what a sink remembers of itself; see ``loggers``. Empty if that is nothing."""
        state = _read_object(self.path / _LOGGERS, []).get(name)
        return state if isinstance(state, dict) else {}

    def write_logger_state(self, name: str, state: Mapping[str, Any]) -> None:
        """Keep what a sink remembers, atomically."""
        write_json(self.path / _LOGGERS, {**_read_object(self.path / _LOGGERS, []), name: state})

    # Sweeps.

    @property
    def status(self) -> Status:
        """How the sweep left the trial; pending if nothing says it."""
        try:
            values = _read_object(self.path / _STATUS, [])
            return Status(**{key: values[key] for key in ("state", "attempts", "error")})
        except (KeyError, TypeError):
            return Status()

    def write_status(self, status: Status) -> None:
        """Write how the trial stands, atomically."""
        self.path.mkdir(parents=True, exist_ok=True)
        write_json(self.path / _STATUS, dataclasses.asdict(status))

    @property
    def log(self) -> Path:
        """Where a trial's process writes what it prints."""
        return self.path / "trial.log"

    def is_finished(self, n_epochs: int, *, model_only: bool = False) -> bool:
        """Whether nothing is left to do: the last row and the last checkpoint are both there."""
        if not self.is_run:
            return False
        if model_only:
            return self.has_model
        found = checkpoints.checkpoints(self.path / _CHECKPOINTS)
        last = int(found[-1].stem.removeprefix("epoch_")) if found else 0
        return min(last, self.last_row()[0]) >= n_epochs

    # Checkpoints, policy, model.

    def save_checkpoint(self, algorithm: "OfflineAlgorithm") -> None:
        """Write everything that a resumed run needs, and the present policy.

        Original: mopo/algorithms/mopo.py:MOPO._log_policy
        """
        arrays, counters, spec = algorithm.arrays(), algorithm.counters(), self.spec
        checkpoints.save_checkpoint(self.path / _CHECKPOINTS, algorithm.epoch, arrays, counters)
        about = {name: getattr(spec, name) for name in ("method", "environment", "physics", "seed")}
        about |= {"max_path_length": spec.algorithm.max_path_length, "epoch": algorithm.epoch}
        self.write_policy(algorithm.policy, about)

    @property
    def has_checkpoint(self) -> bool:
        """Whether there is something to resume from."""
        return bool(checkpoints.checkpoints(self.path / _CHECKPOINTS))

    def load_checkpoint(self) -> Checkpoint | None:
        """Return the last readable checkpoint that progress.csv has the rows of, or None.

        InputError if there are checkpoints and none is of this kind.
        """
        return checkpoints.load_checkpoint(self.path / _CHECKPOINTS, self.last_row()[0])

    def write_policy(self, policy: "ExportablePolicy", metadata: Mapping[str, Any]) -> None:
        """Write a policy with ``metadata`` beside its own; see ``load_policy``."""
        arrays, description = policy.exported()
        metadata = {**description, "kind": policy.kind, **metadata}
        checkpoints.save_arrays(self.path / POLICY, arrays, metadata)

    @property
    def has_policy(self) -> bool:
        """Whether a policy is here."""
        return (self.path / POLICY).is_file()

    def policy_metadata(self) -> dict[str, Any]:
        """Return the metadata of ``load_policy`` and raise as it does; needs no TensorFlow."""
        needed = {"obs_dim", "act_dim", "environment", "physics", "max_path_length"}
        return self._load(POLICY, "policy", needed)[1]

    def load_policy(self) -> "tuple[ExportablePolicy, dict[str, Any]]":
        """Return the policy and its metadata: environment, physics, max_path_length, epoch, seed.

        InputError if there is none, or it is damaged.
        """
        arrays, metadata = self._load(POLICY, "policy", set())
        # Late: what the file lacks is said before TensorFlow is loaded.
        from mopo_tf2.algorithms.registry import POLICIES

        try:
            # Files of the first version name no kind.
            policy = POLICIES[metadata.get("kind", "gaussian")].from_exported(arrays, metadata)
        except (KeyError, ValueError, TypeError) as error:
            raise InputError(f"{self.path / POLICY} does not hold a policy: {error}.") from error
        return policy, metadata

    def save_model(self, ensemble: "GaussianEnsemble", val_loss: float) -> None:
        """Write the trained ensemble: weights, scaler, bounds, elites.

        Original: mopo/algorithms/mopo.py:MOPO._log_model
        """
        spec = self.spec
        metadata = {
            "obs_dim": ensemble.obs_dim,
            "act_dim": ensemble.act_dim,
            "ensemble": config_fields.to_dict(ensemble.config),
            "elites": ensemble.elites,
            "val_loss": val_loss if math.isfinite(val_loss) else None,
            "dataset": spec.dataset,
            "seed": spec.seed,
        }
        arrays = {name: variable.numpy() for name, variable in ensemble.named_variables().items()}
        self.write_model(arrays, metadata)

    def write_model(self, arrays: Mapping[str, np.ndarray], metadata: Mapping[str, Any]) -> None:
        """Write an ensemble's arrays and metadata; see ``save_model``."""
        checkpoints.save_arrays(self.path / MODEL, arrays, metadata)

    @property
    def has_model(self) -> bool:
        """Whether a trained ensemble is here."""
        return (self.path / MODEL).is_file()

    def load_model(self) -> Checkpoint:
        """Return the ensemble's arrays and metadata; InputError as ``load_policy``."""
        return self._load(MODEL, "model", {"obs_dim", "act_dim", "ensemble", "elites", "val_loss"})

    def _load(self, file: Path, what: str, needed: set[str]) -> Checkpoint:
        path = self.path / file
        require(self.path.is_dir(), f"expected a run folder {self.path}, found none.")
        require(path.is_file(), f"{self.path} holds no {what} yet: expected {path}.")
        arrays, metadata = checkpoints.load_arrays(path)
        for name in sorted(needed):
            value, kinds = metadata.get(name), _METADATA[name]
            require(
                isinstance(value, kinds) and not isinstance(value, bool),
                f"{path} does not hold a {what}: {name} is {value!r}.",
            )
        return arrays, metadata


@contextlib.contextmanager
def held(lock: Path, patience: float = 0.0) -> Iterator[None]:
    """Hold a folder while the block runs, by the file ``lock`` in it; it is made if need be.

    A holder that died is replaced: one of this machine at once, one of another machine after its
    lease of half a minute has run out. InputError if another process still holds it after
    ``patience`` seconds, or the folder cannot be made or written in.
    """
    ensure_writable_folder(lock.parent)
    lease = filelock.SoftFileLease(lock, lease_duration=_LEASE_SECONDS)
    with contextlib.suppress(OSError):
        # Only its renewals tell whether a holder on another machine lives, so those are watched.
        holder, silent = lease.owner, time.time() - lock.stat().st_mtime
        if holder and holder.hostname != socket.gethostname() and silent > _LEASE_SECONDS / 2:
            patience = max(patience, _LEASE_SECONDS + 5.0)
    try:
        lease.acquire(timeout=patience)
    except filelock.Timeout:
        holder = lease.owner
        who = f" ({holder.pid} on {holder.hostname})" if holder else ""
        advice = "wait for it to end, or choose another --out."
        raise InputError(f"{lock.parent} is in use by another process{who}: {advice}") from None
    try:
        yield
    finally:
        lease.release()


def put_model(folder: RunFolder, ensemble: "GaussianEnsemble") -> float:
    """Put the model of a run into ``ensemble``; return its hold-out loss, nan if unknown.

    InputError if there is none, it is damaged, or its sizes are others.
    """
    arrays, metadata = folder.load_model()
    found = (metadata["obs_dim"], metadata["act_dim"])
    require(
        found == (ensemble.obs_dim, ensemble.act_dim),
        f"the model of {folder} has {found[0]} observation and {found[1]} action dimensions, "
        f"the task has {ensemble.obs_dim} and {ensemble.act_dim}.",
    )
    try:
        for name, variable in ensemble.named_variables().items():
            variable.assign(arrays[name])
        ensemble.elites = [int(member) for member in metadata["elites"]]
        # a model imported from the original has no hold-out loss.
        return math.nan if metadata["val_loss"] is None else float(metadata["val_loss"])
    except (KeyError, ValueError, TypeError) as error:
        raise InputError(f"the model of {folder} is damaged: {error}.") from error


def find_runs(root: Path) -> list[RunFolder]:
    """Return the run folders in ``root`` and below, and the empty folders, in natural order.

    Folders inside a run and those whose names start with a dot are not searched. InputError if
    ``root`` is not a readable folder.
    """
    what = "is a file" if root.exists() else "does not exist"
    require(root.is_dir(), f"expected a folder with runs, but {root} {what}.")
    try:
        found = list(_walk(root, frozenset()))
    except OSError as error:
        raise InputError(f"{error.filename or root} cannot be read: {error.strerror}.") from error
    return sorted(found, key=lambda run: _natural(str(run.path)))


def _walk(folder: Path, above: frozenset[Path]) -> Iterator[RunFolder]:
    resolved = folder.resolve()
    if resolved in above:  # A link that leads back up.
        return
    entries = [entry for entry in folder.iterdir() if not entry.name.startswith(".")]
    if RunFolder(folder).holds_something() or not entries:
        yield RunFolder(folder)
        return
    for entry in entries:
        if entry.is_dir():
            yield from _walk(entry, above | {resolved})


def _natural(text: str) -> list[tuple[int, str]]:
    """Sort seed_10 after seed_9."""
    parts = re.split(r"(\d+)", text)
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts]


def read_progress(path: Path) -> "pd.DataFrame":
    """Read a progress.csv of this project, of Ray Tune or of the original; one row an epoch.

    A row that is being written is left out. InputError if the file is missing, has no row, or is
    not a table with whole epochs.
    """
    import pandas as pd

    require(path.is_file(), f"expected a run with a {path.name}, but there is no {path}.")
    lines = _whole_lines(path)
    one = "expected a header and one row an epoch"
    require(len(lines) > 1, f"{path} holds no complete row: {one}.")
    width = len(_cells(lines[0]))
    for number, line in enumerate(lines[1:], start=2):
        right = len(_cells(line)) == width
        require(right, f"{path}, line {number}: expected {width} cells: {line[:60]!r}.")
    try:
        table = pd.read_csv(io.BytesIO(b"".join(lines)))
        epochs = pd.to_numeric(table["epoch"]).to_numpy(float)
    except (KeyError, ValueError) as error:  # pandas' ParserError is a ValueError
        reason = " ".join(str(error).split())
        raise InputError(f"{path} is not a table with a column 'epoch': {reason}.") from error
    whole = (epochs >= 0) & (epochs < _MOST_EPOCHS) & (epochs == np.floor(epochs))
    require(bool(whole.all()), f"{path} has an epoch that is not a whole number below 2**31.")
    # Ray Tune repeats epochs in the file of a restored trial; the last one counts.
    table = table.assign(epoch=epochs.astype(int)).drop_duplicates("epoch", keep="last")
    return table.sort_values("epoch", ignore_index=True)


def _whole_lines(path: Path) -> list[bytes]:
    """Return the lines of a file, none if it is missing, but for one that is being written."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return []
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.") from error
    return [line for line in data.splitlines(keepends=True) if line.strip() and line[-1:] == b"\n"]


def _cells(line: bytes) -> list[str]:
    return next(csv.reader([line.decode(errors="replace")]), [])


def _epoch_of(header: bytes, line: bytes) -> float:
    try:
        return float(dict(zip(_cells(header), _cells(line), strict=True))["epoch"])
    except (KeyError, ValueError) as error:
        raise InputError(f"progress.csv has a row without an epoch: {line[:60]!r}.") from error


def _read_object(path: Path, problems: list[str]) -> dict[str, Any]:
    """Return a JSON object; {} if there is no file, or it is damaged, which is noted."""
    if not path.is_file():
        return {}
    try:
        text = path.read_text(encoding="utf-8")
        content = json.loads(text, parse_constant=lambda _: None)  # nan is no JSON
    except (OSError, ValueError, RecursionError) as error:
        problems.append(f"{path.name} cannot be read: {error}")
        return {}
    if not isinstance(content, dict):
        problems.append(f"{path.name} is not a JSON object")
        return {}
    return content


def flat_params(params: Mapping[str, Any], prefix: str = "") -> dict[str, str | int | float | bool]:
    """Flatten nested parameters into the scalars that viskit groups runs by.

    ``{"a": {"b": None}, "c": [256, 256]}`` becomes ``{"a.b": "none", "c": "[256, 256]"}``;
    inf and nan become words. TypeError if a value has no JSON form.
    """
    flat: dict[str, str | int | float | bool] = {}
    for key, value in params.items():
        if isinstance(value, Mapping) and value:
            flat |= flat_params(value, f"{prefix}{key}.")
        elif isinstance(value, bool | int | str) or (
            isinstance(value, float) and math.isfinite(value)
        ):
            flat[f"{prefix}{key}"] = value
        elif value is None or isinstance(value, float):
            flat[f"{prefix}{key}"] = repr(value).lower()
        else:
            flat[f"{prefix}{key}"] = json.dumps(value)
    return flat


def _identity(
    config: Mapping[str, Any], params: Mapping[str, Any], problems: list[str]
) -> dict[str, Any]:
    """What a run of this project says it is; a value of another type is a problem."""

    def entry(values: Mapping[str, Any], name: str, kind: type, default: Any = None) -> Any:
        value = values.get(name)
        if isinstance(value, str):
            value = printable(value)  # It is shown on terminals.
        if value is None or (isinstance(value, kind) and not isinstance(value, bool)):
            return default if value is None else value
        problems.append(f"{name} is {value!r}, expected {kind.__name__}")
        return default

    # Without a config.json the parameters of viskit say it.
    of_viskit = {"name": params.get("config"), "environment": params.get("task")}
    given = config or {**params, **of_viskit, "algorithm": params}
    data = entry(entry(given, "recorded", dict, {}), "dataset", dict, {})
    algorithm = entry(given, "algorithm", dict, {})
    source = entry(given, "dataset", str, UNKNOWN)
    return {
        "program": "mopo_tf2",
        "method": entry(given, "method", str, DEFAULT_METHOD),
        "config": entry(given, "name", str, UNKNOWN),
        "task": entry(given, "environment", str, UNKNOWN),
        **_names_of_data(source, entry(data, "name", str, Path(source).name)),
        "sha256": entry(data, "sha256", str),
        "physics": entry(given, "physics", str, UNKNOWN),
        "horizon": entry(algorithm, "max_path_length", int),
        "seed": entry(given, "seed", int),
        "model_from": entry(given, "model", str),
        "epochs_asked": entry(algorithm, "n_epochs", int),
    }


def _names_of_data(source: str, name: str) -> dict[str, str]:
    known = catalog.find(name) or catalog.find_by_file_name(name)
    dataset = known.dataset_id if known else name
    return {"dataset": dataset, "dataset_name": name, "dataset_source": source}


def _original_identity(params: Mapping[str, Any]) -> dict[str, Any]:
    """The same from the parameters that the TF1 program writes."""
    kwargs = "algorithm_params.kwargs"
    source = str(params.get(f"{kwargs}.pool_load_path", UNKNOWN))
    asked = params.get(f"{kwargs}.n_epochs")
    return {
        "program": "original",
        "method": DEFAULT_METHOD,
        "config": str(params.get("algorithm_params.exp_name", UNKNOWN)),
        "task": str(params.get("algorithm_params.domain", UNKNOWN)).lower(),
        **_names_of_data(source, source.removeprefix("d4rl/")),
        "sha256": None,
        "physics": "d4rl",
        "horizon": params.get("sampler_params.kwargs.max_path_length"),
        "seed": params.get("run_params.seed"),
        "model_from": None,
        "epochs_asked": int(asked) if isinstance(asked, int | float) else None,
    }

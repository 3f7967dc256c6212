"""Published numbers, and whether one of them stands beside a run."""

import difflib
import functools
import itertools
import math
from pathlib import Path, PurePath
from typing import Literal, NamedTuple

import numpy as np

from mopo_tf2.config_fields import flatten
from mopo_tf2.configs.d4rl import TASKS
from mopo_tf2.configs.methods import METHODS, TITLES, convert_config
from mopo_tf2.data import catalog
from mopo_tf2.errors import InputError

from .run_folder import UNKNOWN, Facts, flat_params
from .run_spec import MAY_CHANGE

_FOLDER = Path(__file__).with_name("paper")
NAMES = sorted(path.stem.replace("_", "-") for path in _FOLDER.glob("*.csv"))  # They ship.


class Published(NamedTuple):
    """A mean over seeds, of a dataset's id or a task; what was not published is nan."""

    key: str
    method: str
    value: float
    std: float
    batch_mean: float
    batch_max: float
    source: str


class PublishedTable(NamedTuple):
    """The numbers of one file; ``by_task`` if its data have no id; ``physics`` None if unknown."""

    name: str
    metric: Literal["score", "return"]
    by_task: bool
    physics: str | None
    entries: tuple[Published, ...]

    def find(self, key: str, method: str) -> Published | None:
        """Return the number of a dataset (with its version) or task, and of a method."""
        same = [entry for entry in self.entries if entry.key == _canonical(key)]
        names = {method.lower(), TITLES.get(method, method).lower()}
        return next((entry for entry in same if entry.method.lower() in names), None)


class Comparison(NamedTuple):
    """What a row shows: the ``published`` number of the same data, task and method, if any.

    ``key``: the dataset or task whose numbers, of all methods, are shown below. ``batch``: mean and
    maximum return of the dataset's episodes. ``notes``: why there is no number, or what differs.
    """

    published: Published | None = None
    key: str | None = None
    batch: tuple[float, float] | None = None
    notes: tuple[str, ...] = ()


def read_published(name: str) -> PublishedTable | None:
    """Read a table that ships, or a file.

    Args:
        name: of ``NAMES``, or "none", or the path of a .csv file with the columns dataset or task,
            method, score or return, source, and, if need be, std, batch_mean and batch_max.

    Raises:
        InputError: if there is no such table or file, or its columns or numbers are invalid.
    """
    if name == "none":
        return None
    path, physics = Path(name), None
    if name in NAMES:
        path, physics = _FOLDER / f"{name.replace('-', '_')}.csv", "d4rl"
    elif path.suffix.lower() != ".csv":
        known = [*NAMES, "none"]
        near = difflib.get_close_matches(name.lower().replace("_", "-"), known, n=1, cutoff=0.4)
        hint = f": did you mean {near[0]}?" if near else "."
        raise InputError(
            f"no published table {name!r}; there are {', '.join(known)}, FILE.csv{hint}"
        )
    import pandas as pd

    try:
        table = pd.read_csv(path, dtype=str, encoding="utf-8-sig")
    except (OSError, ValueError) as error:  # pandas' own errors are ValueErrors
        raise InputError(f"the table {path} cannot be read: {str(error).strip()}.") from None
    key = "dataset" if "dataset" in table else "task"
    metric: Literal["score", "return"] = "score" if "score" in table else "return"
    if not {key, "method", metric, "source"} <= {*table} or table.empty:
        raise InputError(
            f"{path}: expected the columns dataset or task, method, score or return, source, and "
            f"rows; got {', '.join(table)} and {len(table)} rows."
        )
    texts = table.rename(columns={key: "key", metric: "value"}).reindex(columns=Published._fields)
    numbers = ["value", "std", "batch_mean", "batch_max"]
    made = texts.assign(key=texts["key"].map(_canonical, na_action="ignore"))
    made[numbers] = texts[numbers].apply(pd.to_numeric, errors="coerce")
    is_bad = (made.isna() & texts.notna()).any(axis=1)
    is_bad |= made[["key", "method", "value", "source"]].isna().any(axis=1)
    # Too many cells in all rows: pandas takes the first for the rows' names.
    if is_bad.any() or not isinstance(table.index, pd.RangeIndex):
        raise InputError(
            f"{path}, line {np.argmax(is_bad) + 2}: expected a cell for each column, and numbers "
            f"as {metric}, std, batch_mean and batch_max (of which the last three may be empty)."
        )
    entries = tuple(itertools.starmap(Published, made.itertuples(index=False)))
    name = name if physics else path.name
    return PublishedTable(name, metric, key == "task", physics, entries)


def _canonical(name: str) -> str:
    known = catalog.find(name)
    return known.dataset_id if known else name.strip().lower().replace("_", "-")


def compare(run: Facts, table: PublishedTable | None) -> Comparison:
    """Find the number that stands beside a run.

    A number of a dataset is shown if the run used the dataset of this very id, version included,
    recorded its hash, and was evaluated in the data's own task on the published physics; data
    without an id are taken for the same if mean and maximum return of their episodes are.
    """
    if table is None:
        return Comparison()
    names, batch, notes = [run.dataset], None, list[str]()
    if table.by_task:
        names = [run.config, run.task, PurePath(run.dataset).stem]
        batch, notes = _batch_returns(run)
    entry = next(filter(None, (table.find(name, run.method) for name in names)), None)
    if entry is None:
        notes.append(f"{table.name} has no number of this method on these data")
        return Comparison(batch=batch, notes=tuple(notes))
    obstacle = "" if batch else _other_data(run, table)
    printed = (entry.batch_mean, entry.batch_max)
    if batch and not np.allclose(batch, printed, rtol=0.0, atol=0.051):  # One digit is printed.
        own = "unknown" if math.isnan(batch[0]) else f"{batch[0]:.1f} and {batch[1]:.1f}"
        obstacle = f"its batch has mean {printed[0]:g} and max {printed[1]:g}, the run's data {own}"
    if obstacle:
        notes.append(f"no number of {table.name}: {obstacle}")
        return Comparison(None, entry.key if batch else None, batch, tuple(notes))
    if run.dataset_name != run.dataset:
        notes.append(f"{run.dataset_name} is taken for {run.dataset} by its name")
    if changed := _changed_settings(run):
        notes.append(f"settings other than the shipped ones of these data: {', '.join(changed)}")
    return Comparison(entry, entry.key, batch, tuple(notes))


def _other_data(run: Facts, table: PublishedTable) -> str:
    """Return why a number of the same dataset id does not stand beside the run, or ""."""
    info, physics = catalog.find(run.dataset), table.physics or UNKNOWN
    if run.sha256 is None:
        return f"the run records no hash of its data, which may not be {run.dataset}"
    if run.sha256 == _shipped_sha256() and run.dataset != catalog.SHIPPED_ID:
        return f"this row's data are {catalog.SHIPPED_ID} by their bytes, not {run.dataset}"
    if info is not None and run.task != info.task:
        return f"it is of the task {info.task}, this row of {run.task}"
    if UNKNOWN not in (physics, run.physics) and physics != run.physics:
        return f"it is of {physics} physics, this row of {run.physics}"
    if run.horizon not in (None, catalog.EPISODE_STEPS):
        return f"it is of {catalog.EPISODE_STEPS} steps an episode, this row of {run.horizon}"
    return ""


@functools.cache
def _shipped_sha256() -> str:
    # This dataset is easily put in the place of D4RL's medium-replay.
    from mopo_tf2.data.datasets import resolve, sha256_of

    return sha256_of([resolve(catalog.SHIPPED_ID, allow_download=False)[0]])


def _changed_settings(run: Facts) -> list[str]:
    """Return "name=value" of each setting that the shipped configuration has otherwise."""
    tasks = {task.dataset_id.rpartition("-v")[0]: task for task in TASKS.values()}
    task = tasks.get(run.dataset.rpartition("-v")[0])
    if task is None or run.program == "original" or run.method not in METHODS:
        return []
    shipped = flat_params(flatten(convert_config(task.config(), run.method)))
    own = {name.rsplit(".", 1)[-1]: value for name, value in run.params.items()}
    names = [name for name in shipped if name in own and name not in MAY_CHANGE]
    return [f"{name}={own[name]}" for name in names if own[name] != shipped[name]]


def _batch_returns(run: Facts) -> tuple[tuple[float, float], list[str]]:
    """Return mean and maximum return of a run's data, and why there are none (nan).

    Nothing is downloaded. A file whose bytes are not those that the run recorded is not taken.
    """
    import h5py

    from mopo_tf2.data.datasets import resolve, sha256_of
    from mopo_tf2.evaluation.metrics import episode_returns

    problem = "the file holds no complete episode"
    try:
        path, _ = resolve(run.dataset_source, allow_download=False)
        if run.sha256 and sha256_of([path]) != run.sha256:
            raise InputError(f"{path.name} has changed since the run.")
        with h5py.File(path, "r") as file:
            timeouts = file["timeouts"][()] if "timeouts" in file else None
            returns = episode_returns(file["rewards"][()], file["terminals"][()], timeouts)
        if returns.size:
            return (float(returns.mean()), float(returns.max())), []
    except InputError as error:
        problem = str(error).rstrip(".")
    except (OSError, KeyError, ValueError):
        problem = f"{run.dataset} is not an HDF5 log of episodes"
    return (math.nan, math.nan), [f"no batch returns: {problem}"]

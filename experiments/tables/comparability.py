"""Whether a published number speaks of the same data as a run, and what else differs."""

import dataclasses
import functools
import math
from pathlib import PurePath

from ..files import file_sha256
from ..logging import flat_params
from ..records.record_groups import canonical_config
from ..records.run_groups import NOT_CONFIGURATION
from ..records.run_identity import UNKNOWN, method_title
from ..records.run_records import RunRecord
from ..tables.batch_returns import BatchReturns, batch_returns
from ..tables.published import Published, PublishedTable, same_key
from mopo_tf2.config_fields import flatten
from mopo_tf2.configs.d4rl import TASKS
from mopo_tf2.configs.methods import DEFAULT_METHOD, METHODS, convert_config
from mopo_tf2.data import catalog
from mopo_tf2.data.datasets import resolve

# The paper prints one digit after the point.
_PRINTED_ERROR = 0.051


@dataclasses.dataclass(frozen=True, kw_only=True)
class Comparison:
    """What a row shows of a published table.

    published: the number beside the row; None unless it is of the same data.
    key:       the dataset or task whose published numbers are shown below the table, or None.
    batch:     returns of the dataset's episodes; None if the published table has no such columns.
    notes:     why there is no number, or what else differs.
    """

    published: Published | None
    key: str | None
    batch: BatchReturns | None
    notes: tuple[str, ...]


def compare_with_published(record: RunRecord, published: PublishedTable | None) -> Comparison:
    """Find the number that stands beside a run's row.

    A number of a dataset is shown if the run recorded the dataset of this very id and its hash, in
    its own task and on the physics of the published evaluations. Data of a published task that
    have no id are taken for the same if mean and maximum return of their episodes are those
    printed.
    """
    if published is None:
        return Comparison(published=None, key=None, batch=None, notes=())
    if published.by_task:
        return _compare_by_task(record, published)
    key = record.dataset_id or record.dataset
    entry = published.own(key, method_title(record.method))
    if entry is None:
        return Comparison(published=None, key=None, batch=None, notes=(_no_number(record, key),))
    obstacle = _other_data(record, key) or _other_task(record, published)
    if obstacle:
        return Comparison(published=None, key=None, batch=None, notes=(obstacle,))
    return Comparison(published=entry, key=entry.key, batch=None, notes=tuple(_differences(record)))


def _compare_by_task(record: RunRecord, published: PublishedTable) -> Comparison:
    batch, problem = batch_returns(record)
    notes = [problem] if problem else []
    names = tuple(dict.fromkeys((record.config, record.task, PurePath(record.dataset).stem)))
    method = method_title(record.method)
    entry = next(filter(None, (published.own(name, method) for name in names)), None)
    if entry is None:
        what = f"number of {method} for" if any(map(published.of, names)) else "task called"
        notes.append(f"{published.name} has no {what} {' or '.join(names)}")
        return Comparison(published=None, key=None, batch=batch, notes=tuple(notes))
    is_same = (
        abs(batch.mean - entry.batch_mean) <= _PRINTED_ERROR
        and abs(batch.max - entry.batch_max) <= _PRINTED_ERROR
    )
    if not is_same:
        notes.append(
            f"no number of {published.name} beside this row: its batch has mean "
            f"{entry.batch_mean:g} and max {entry.batch_max:g}, the run's data "
            + ("are unknown" if math.isnan(batch.mean) else f"{batch.mean:.1f} and {batch.max:.1f}")
        )
    return Comparison(
        published=entry if is_same else None, key=entry.key, batch=batch, notes=tuple(notes)
    )


def _no_number(record: RunRecord, key: str) -> str:
    if record.method != DEFAULT_METHOD:
        return f"no number of {method_title(record.method)} is published for {key}"
    task = TASKS.get(canonical_config(record.config))
    if task is None or same_key(task.dataset_id, key):
        return f"no number is published for {key}"
    return f"the published number is of {task.dataset_id}, this row's data are {key}"


def _other_data(record: RunRecord, key: str) -> str:
    """Return why data of this name may be others, or ""."""
    if record.dataset_sha256 is None:
        return f"the run records no hash of its data: nothing shows that they are {key}"
    if record.dataset_sha256 == _shipped_sha256() and key != catalog.SHIPPED_ID:
        return f"the bytes of this row's data are those of {catalog.SHIPPED_ID}, not of {key}"
    return ""


@functools.cache
def _shipped_sha256() -> str:
    """Hash of the dataset that ships; it is easily put in the place of D4RL's medium-replay."""
    path, _ = resolve(catalog.SHIPPED_ID, allow_download=False)
    return file_sha256(path)


def _other_task(record: RunRecord, published: PublishedTable) -> str:
    """Return why the evaluations are of another task than the published ones, or ""."""
    info = catalog.find(record.dataset_id or "")
    if info is not None and record.task != info.task:
        return f"the published number is of the task {info.task}, this row's is {record.task}"
    if published.physics is not None and record.physics not in (published.physics, UNKNOWN):
        return (
            f"the published number is of {published.physics} physics, "
            f"this row's evaluations of {record.physics}"
        )
    return ""


def _differences(record: RunRecord) -> list[str]:
    """Return what a reader must know of a row that has a published number beside it."""
    notes = []
    if record.dataset != record.dataset_id:
        notes.append(f"{record.dataset} is taken for {record.dataset_id} by its name")
    changed = _changed_settings(record)
    if changed:
        notes.append(f"settings other than the shipped ones of these data: {', '.join(changed)}")
    return notes


def _changed_settings(record: RunRecord) -> list[str]:
    """Return "name=value" of each setting that the shipped configuration has otherwise."""
    key = record.dataset_id or ""
    task = next(
        (task for task in TASKS.values() if _version_free(task.dataset_id) == _version_free(key)),
        None,
    )
    if task is None or record.is_original or record.method not in METHODS:
        return []
    shipped = flat_params(flatten(convert_config(task.config(), record.method)))
    return [
        f"{name}={record.run.params[name]}"
        for name, value in shipped.items()
        if name not in NOT_CONFIGURATION
        and name in record.run.params
        and record.run.params[name] != value
    ]


def _version_free(dataset_id: str) -> str:
    return dataset_id.rpartition("-v")[0]

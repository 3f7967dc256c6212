"""What a report says about its runs beside their scores: settings, data, physics, versions."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from ..records.record_groups import RecordGroup, group_records
from ..records.run_identity import UNKNOWN
from ..records.run_records import RunRecord, State

# Each has its own column or table in the report.
_IDENTITY = frozenset(["config", "dataset", "task", "seed", "physics"])
NOT_RECORDED = "not recorded"


@dataclasses.dataclass(frozen=True)
class Facts:
    """A small table: its columns' names, and rows of as many texts."""

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def common_settings(records: Sequence[RunRecord]) -> Facts:
    """Return the parameters that all of our runs have alike: (parameter, value)."""
    values = _values(records)
    rows = [(name, texts[0]) for name, texts in values.items() if len(texts) == 1]
    return Facts(("Parameter", "Value"), tuple(rows))


def differing_settings(records: Sequence[RunRecord]) -> Facts:
    """Return the parameters in which our runs differ, configurations by parameters.

    A cell holds every value within the configuration. The longer side runs down the page.
    """
    names = [name for name, texts in _values(records).items() if len(texts) > 1]
    groups = [group for group in group_records(records) if not group.first.is_original]
    if not names or not groups:
        return Facts((), ())
    table = [[_cell(group, name) for name in names] for group in groups]
    titles = [group.title for group in groups]
    if len(names) > max(6, len(groups)):
        rows = zip(names, *table, strict=True)
        return Facts(("Parameter", *titles), tuple(rows))
    return Facts(
        ("Configuration", *names),
        tuple((title, *row) for title, row in zip(titles, table, strict=True)),
    )


def _values(records: Sequence[RunRecord]) -> dict[str, list[str]]:
    """Return every value of every parameter of our runs, in the order of the first run."""
    own = [record for record in records if not record.is_original and record.run.params]
    names = dict.fromkeys(name for record in own for name in record.run.params)
    return {
        name: list(dict.fromkeys(_text(record.run.params.get(name)) for record in own))
        for name in names
        if name not in _IDENTITY
    }


def _cell(group: RecordGroup, name: str) -> str:
    values = [record.run.params.get(name) for record in group.records if record.run.params]
    return "; ".join(dict.fromkeys(map(_text, values)))


def _text(value: Any) -> str:
    return "–" if value is None else str(value)


def datasets(records: Sequence[RunRecord]) -> Facts:
    """Return the data of the runs, with the hash of their bytes."""
    return _counted(
        ("Dataset", "Known id", "SHA-256", "Rows in file", "Transitions", "Runs"),
        [
            (
                record.dataset,
                "" if record.dataset_id == record.dataset else record.dataset_id or "none",
                record.dataset_sha256 or NOT_RECORDED,
                _number(_recorded(record, "dataset").get("rows_in_file")),
                _number(_recorded(record, "dataset").get("transitions")),
            )
            for record in records
            if record.dataset != UNKNOWN
        ],
    )


def environments(records: Sequence[RunRecord]) -> Facts:
    """Return in which tasks and physics the policies were evaluated."""
    rows = []
    for record in records:
        if record.task == UNKNOWN:
            continue
        info = _recorded(record, "environment")
        sizes = [_number(info.get(name)) for name in ("obs_dim", "act_dim")]
        simulators = [
            _text(info.get(name) or NOT_RECORDED)
            for name in ("mujoco_version", "gymnasium_version")
        ]
        rows.append((record.task, record.physics, *simulators, *sizes))
    header = ("Task", "Physics", "MuJoCo", "Gymnasium", "Observation", "Action", "Runs")
    return _counted(header, rows)


def versions(records: Sequence[RunRecord]) -> Facts:
    """Return the software of the runs: (package, versions), with counts where runs differ."""
    found: dict[str, dict[str, int]] = {}
    for record in records:
        for package, version in _recorded(record, "versions").items():
            counts = found.setdefault(str(package), {})
            counts[_text(version)] = counts.get(_text(version), 0) + 1
    rows = [
        (
            package,
            next(iter(counts))
            if len(counts) == 1
            else ", ".join(
                f"{version} ({count} run{'s' if count > 1 else ''})"
                for version, count in counts.items()
            ),
        )
        for package, counts in found.items()
    ]
    return Facts(("Package", "Version"), tuple(rows))


def run_list(records: Sequence[RunRecord]) -> Facts:
    """Return every run: where it is, what it is, how far it got."""
    header = ("Folder", "Dataset", "Configuration", "Seed", "Epochs", "State", "Note")
    labels = {
        record.folder: group.label for group in group_records(records) for record in group.records
    }
    rows = [
        (
            record.name,
            record.dataset_id or record.dataset,
            ", ".join(filter(None, [record.config, labels.get(record.folder, "")])),
            "?" if record.seed is None else str(record.seed),
            f"{record.epochs_done} of {record.epochs_asked or '?'}",
            str(record.state),
            record.note,
        )
        for record in records
    ]
    if not any(row[-1] for row in rows):
        return Facts(header[:-1], tuple(row[:-1] for row in rows))
    return Facts(header, tuple(rows))


def summary(records: Sequence[RunRecord]) -> str:
    """Return e.g. "36 runs on 12 datasets: 33 finished, 2 unfinished, 1 empty."."""
    counts = {state: sum(record.state is state for record in records) for state in State}
    states = ", ".join(f"{count} {state}" for state, count in counts.items() if count)
    data = {record.dataset_id or record.dataset for record in records} - {UNKNOWN}
    runs = f"{len(records)} run" + ("s" if len(records) != 1 else "")
    return f"{runs} on {len(data)} dataset{'s' if len(data) != 1 else ''}: {states}."


def _recorded(record: RunRecord, part: str) -> Mapping[str, Any]:
    """Return a part of what config.json records; empty if it is missing or of another form."""
    recorded = record.config_json.get("recorded")
    content = recorded.get(part) if isinstance(recorded, dict) else None
    return content if isinstance(content, dict) else {}


def _number(value: Any) -> str:
    is_number = isinstance(value, int) and not isinstance(value, bool)
    return f"{value:,}" if is_number else NOT_RECORDED


def _counted(header: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> Facts:
    """Merge equal rows into one, with their number as the last cell."""
    counts: dict[tuple[str, ...], int] = {}
    for row in rows:
        counts[row] = counts.get(row, 0) + 1
    return Facts(header, tuple((*row, str(count)) for row, count in counts.items()))

"""Which runs are samples of one configuration on one dataset, and what to call it."""

import dataclasses
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from ..records.run_groups import NOT_CONFIGURATION
from ..records.run_identity import UNKNOWN, method_title
from ..records.run_records import RunRecord
from mopo_tf2.configs.d4rl import find_task
from mopo_tf2.errors import InputError

_MAX_NAMES_IN_LABEL = 4
# Said by the record itself, in one form whatever the folder's age and program.
_SAID_BY_RECORD = frozenset(
    [
        *("config", "name", "dataset", "task", "environment", "physics", "model_from", "model"),
        "method",
    ]
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class RecordGroup:
    """Runs of one configuration on one dataset: samples that differ in the seed.

    Attributes:
        label: what sets the configuration apart from others on the same data
            ("penalty_coeff=1.0, rollout_length=5"), "" if there is no other.
        records: at least one, by seed and name, in every state.
    """

    label: str
    records: Sequence[RunRecord]

    @property
    def first(self) -> RunRecord:
        """The record that speaks for all in what they have in common."""
        return self.records[0]

    @property
    def dataset_label(self) -> str:
        """The data's id, else its recorded name."""
        return self.first.dataset_id or self.first.dataset

    @property
    def title(self) -> str:
        """Dataset and label in one line."""
        return f"{self.dataset_label} ({self.label})" if self.label else self.dataset_label


def group_records(records: Sequence[RunRecord]) -> list[RecordGroup]:
    """Group runs that agree in everything but the seed, by task, dataset and label.

    Agreement means: the same configuration, data of the same bytes (as far as hashes are
    recorded), physics, program and parameters. The parameters of ``NOT_CONFIGURATION`` do not
    count; of a shared ensemble counts that there is one, not which (each seed may have its own).
    Records that do not say what they are (empty folders) are in no group.
    """
    groups: dict[str, list[RunRecord]] = {}
    for record in records:
        if record.run.params or record.config_json:
            key = json.dumps(_configuration(record), sort_keys=True)
            groups.setdefault(key, []).append(record)
    members = [sorted(group, key=_by_seed) for group in groups.values()]
    members.sort(key=lambda group: _common(group[0]))
    labelled = [
        RecordGroup(label=label, records=group)
        for label, group in zip(_labels(members), members, strict=True)
    ]
    return sorted(labelled, key=lambda group: (*_common(group.first), group.label))


def canonical_config(name: str) -> str:
    """Return the original's name of a configuration (halfcheetah_mixed), if it has one.

    ``halfcheetah-medium-v2`` and ``halfcheetah_medium`` are one configuration on two datasets.
    """
    try:
        return find_task(name).name
    except InputError:
        return name


def _by_seed(record: RunRecord) -> tuple[bool, int, str]:
    return record.seed is None, record.seed or 0, record.name


def _common(record: RunRecord) -> tuple[str, str, str, bool]:
    """What groups must share for their labels to set them apart."""
    dataset = record.dataset_id or record.dataset
    return record.task, dataset, record.physics, record.is_original


def _configuration(record: RunRecord) -> dict[str, Any]:
    said = NOT_CONFIGURATION if record.is_original else NOT_CONFIGURATION | _SAID_BY_RECORD
    params = {
        name: value for name, value in record.run.params.items() if _last_part(name) not in said
    }
    if not record.is_original:  # The original's short names repeat: Q_params.type, ...
        params = {_last_part(name): value for name, value in params.items()}
    shared = record.run.params.get("model_from", record.run.params.get("model", "none"))
    return {
        **params,
        "config": canonical_config(record.config),
        "task": record.task,
        "dataset": record.dataset_id or record.dataset,
        "sha256": (record.dataset_sha256 or UNKNOWN)[:8],
        "physics": record.physics,
        "method": record.method,
        "ensemble": "own" if shared == "none" else "shared",
        "is_original": record.is_original,
    }


def _last_part(name: str) -> str:
    return name.rsplit(".", 1)[-1]


def _labels(members: Sequence[Sequence[RunRecord]]) -> list[str]:
    """One label a group; the same parameters are named for all tasks, so that labels compare.

    Of several methods each is named, and its parameters are told from those of its own kind: what
    one method has and another has not says nothing.
    """
    configurations = [_configuration(group[0]) for group in members]
    alike: dict[Any, list[dict[str, Any]]] = {}
    for group, configuration in zip(members, configurations, strict=True):
        alike.setdefault((group[0].method, _common(group[0])), []).append(configuration)
    names: dict[str, set[str]] = {}
    for (method, _), same in alike.items():
        names.setdefault(method, set()).update(_differing(same))
    has_several = len({group[0].method for group in members if not group[0].is_original}) > 1
    labels = []
    for group, configuration in zip(members, configurations, strict=True):
        first = group[0]
        if first.is_original:
            # Its parameters have other names: only where two originals differ are they of use.
            own = _differing(alike[first.method, _common(first)])
            labels.append(", ".join(["original (TF1)", *_named(configuration, own)]))
        else:
            title = [method_title(first.method)] if has_several else []
            shown = _named(configuration, sorted(names[first.method]))
            labels.append(", ".join([*title, *shown]))
    return _made_unique(labels, [_common(group[0]) for group in members])


def _differing(configurations: Sequence[Mapping[str, Any]]) -> list[str]:
    names = {name for configuration in configurations for name in configuration}
    return sorted(name for name in names if len({repr(c.get(name)) for c in configurations}) > 1)


def _named(configuration: Mapping[str, Any], names: Sequence[str]) -> list[str]:
    shown = [f"{name}={configuration[name]}" for name in names if name in configuration]
    hidden = len(shown) - _MAX_NAMES_IN_LABEL
    return [*shown[:_MAX_NAMES_IN_LABEL], f"and {hidden} more"] if hidden > 0 else shown


def _made_unique(labels: Sequence[str], data: Sequence[tuple[str, str, str, bool]]) -> list[str]:
    total = Counter(zip(labels, data, strict=True))
    seen: Counter[Any] = Counter()
    unique = []
    for key in zip(labels, data, strict=True):
        seen[key] += 1
        unique.append(f"{key[0]} #{seen[key]}".strip() if total[key] > 1 else key[0])
    return unique

"""Runs, and which of them are samples of one configuration."""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ..logging import flat_params, read_progress
from ..records.run_identity import method_of, method_title
from mopo_tf2.errors import InputError

# Parameters that say which sample, where and how long, but not what is computed.
NOT_CONFIGURATION = frozenset(
    [
        "seed",
        "out",
        "folder",
        "log_dir",
        "resume",
        "device",
        "n_epochs",
        "checkpoint_frequency",
        "checkpoint_at_end",
        "checkpoint_replay_pool",
    ]
)
# Parameters that name a configuration, the best first.
NAMES = ("config", "method", "exp_name", "dataset", "task")


@dataclasses.dataclass(frozen=True)
class Run:
    """A run folder as read: its name, flat parameters, and progress.csv."""

    name: str
    params: Mapping[str, str | int | float | bool]
    progress: pd.DataFrame

    def series(self, key: str) -> pd.Series:
        """The column ``key`` by epoch, without its gaps; empty if there is no such column."""
        if key not in self.progress:
            return pd.Series(dtype=float)
        values = pd.to_numeric(self.progress[key], errors="coerce")
        series = pd.Series(values.to_numpy(float), index=self.progress["epoch"].to_numpy())
        series = series[np.isfinite(series)]
        # Ray Tune repeats epochs in the file of a restored trial; the last one counts.
        return series[~series.index.duplicated(keep="last")]


def read_run(folder: Path) -> Run:
    """Read a run folder.

    Raises:
        InputError: if its progress.csv cannot be read, or its params.json is not JSON. Without a
            params.json the run is told from others by its path alone.
    """
    progress = read_progress(folder)
    path = folder / "params.json"
    if not path.is_file():
        return Run(folder.resolve().name, {"folder name": str(folder)}, progress)
    try:
        params = json.loads(path.read_text())
        return Run(folder.resolve().name, flat_params(params), progress)
    except (ValueError, TypeError, AttributeError) as error:
        raise InputError(f"{path} is not a JSON object of parameters: {error}.") from error


def by_configuration(runs: Sequence[Run]) -> list[list[Run]]:
    """Group the runs that agree in all parameters but those of ``NOT_CONFIGURATION``."""
    groups: dict[str, list[Run]] = {}
    for run in runs:
        groups.setdefault(json.dumps(_configuration(run), sort_keys=True), []).append(run)
    return list(groups.values())


def _last_part(name: str) -> str:
    return name.rsplit(".", 1)[-1]


def _configuration(run: Run) -> dict[str, Any]:
    values = {
        name: value
        for name, value in run.params.items()
        if _last_part(name) not in NOT_CONFIGURATION
    }
    # Runs of before there were other methods name none; the original's folders name no config.
    return {"method": method_of(values), **values} if "config" in values else values


def parameter(params: Mapping[str, Any], part: str) -> Any:
    """The first parameter whose name ends in ``part``; None if there is none."""
    return next((value for name, value in params.items() if _last_part(name) == part), None)


def configuration_name(run: Run) -> str | None:
    """Return the best of the parameters ``NAMES`` that the run has; None if it has none."""
    values = (parameter(run.params, part) for part in NAMES if part != "method")
    return next((str(value) for value in values if value is not None), None)


def group_labels(members: Sequence[Sequence[Run]]) -> list[str]:
    """One label a group: its name if that tells the groups apart, else all that differs."""
    configurations = [_configuration(runs[0]) for runs in members]
    for part in NAMES:
        values = [parameter(configuration, part) for configuration in configurations]
        if part == "method":
            values = [None if value is None else method_title(value) for value in values]
        if len({value for value in values if value is not None}) == len(members):
            return [str(value) for value in values]
    if len(members) == 1:
        return [members[0][0].name]
    names = {name for c in configurations for name in c}
    differing = sorted(
        name for name in names if len({repr(c.get(name)) for c in configurations}) > 1
    )
    return [
        ", ".join(f"{_last_part(name)}={c.get(name, 'none')}" for name in differing)
        for c in configurations
    ]

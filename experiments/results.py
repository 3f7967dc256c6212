"""Results of runs: one tidy DataFrame, and the statistics that tables and plots take from it."""

import dataclasses
import json
import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import stats

from mopo_tf2.configs.d4rl import find_task
from mopo_tf2.configs.methods import TITLES
from mopo_tf2.errors import InputError

from .run_folder import Facts, RunFolder, State, find_runs

_NOT_A_SETTING = frozenset(
    [
        *("seed", "out", "folder", "log_dir", "resume", "device", "n_epochs", "max_path_length"),
        *("checkpoint_frequency", "checkpoint_at_end", "checkpoint_replay_pool"),
        # In the facts, in one form whatever the folder's age.
        *("config", "name", "dataset", "task", "environment", "termination", "physics"),
        *("method", "model", "model_from"),
    ]
)
"""Parameters that do not tell one configuration from another on the same data."""
_MAX_NAMES = 4
_SEED_IN_NAME = re.compile(r"(?:^|[-_,:=/])seed[-_:=]?(\d+)")


def load(folders: Sequence[Path]) -> pd.DataFrame:
    """Return every run in ``folders`` and below as one tidy table.

    Args:
        folders: run folders, or folders with runs at any depth.

    Returns:
        One row per run and epoch, in natural order of the paths; a run without epochs has one row
        with ``epoch`` nan. Columns:
            run: the path below the folder that was searched, with "/"; unique.
            folder: the ``RunFolder``.
            every field of ``run_folder.Facts``, where ``seed`` may come from the folder's name.
            setting: what sets the configuration apart from others of the same method on the same
                data ("penalty_coeff=1.0"), "" if nothing does.
            label: method and setting, for legends and tables: "MBPO, rollout_length=1".
            group: runs with the same number are samples that differ in the seed.
            epoch, and every column of progress.csv by its name; nan where a run has none.

    Raises:
        InputError: if a folder does not exist or none of them holds a run.
    """
    runs: dict[Path, tuple[str, RunFolder]] = {}
    for root in map(Path, folders):
        for run in find_runs(root):
            runs.setdefault(run.path.resolve(), (_name(run.path, root), run))
    if not any(run.holds_something() for _, run in runs.values()):
        raise InputError(
            f"no run in {', '.join(map(str, folders))} or below: expected folders with config.json "
            "or progress.csv, as mopo-tf2 train and sweep write them."
        )
    read = [(path, name, run, run.facts()) for path, (name, run) in runs.items()]
    # An ensemble that other runs use is not a run without epochs.
    shared = {Path(facts.model_from).resolve() for *_, facts in read if facts.model_from}
    kept = [item[1:] for item in read if item[0] not in shared or item[3].epochs_done]
    kept = [(name, run, _with_seed(facts, str(run.path))) for name, run, facts in kept]
    names = _unique([name for name, _, _ in kept])
    groups, settings = _configurations([facts for *_, facts in kept])
    tables = []
    for name, (_, run, facts), group, setting in zip(names, kept, groups, settings, strict=True):
        table = run.progress() if facts.epochs_done else pd.DataFrame({"epoch": [math.nan]})
        about = {field.name: getattr(facts, field.name) for field in dataclasses.fields(facts)}
        about |= {"run": name, "folder": run, "group": group, "setting": setting}
        about |= {"label": label(facts.program, facts.method, setting)}
        constant = pd.DataFrame({key: [value] * len(table) for key, value in about.items()})
        tables.append(pd.concat([constant, table], axis=1))
    return pd.concat(tables, ignore_index=True)


def runs_of(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the last row of each run: what it is, and its last metrics."""
    return frame.drop_duplicates("run", keep="last")


def spread(table: pd.DataFrame, kind: str) -> tuple[pd.Series, pd.Series]:
    """Return low and high [epochs] of [epochs, runs]; nan where fewer than two runs have a value.

    Args:
        table: values, nan where a run has none.
        kind: "minmax"; "std": mean minus and plus the population's standard deviation; "se": the
            standard error of the mean (ddof 1); "ci": 95 % percentile bootstrap of the mean. It
            resamples whole runs, so that the interval is as smooth as they are.
    """
    several = table[table.count(axis=1) > 1]
    low, high = several.min(axis=1), several.max(axis=1)
    if kind == "ci" and len(several):
        runs = table.shape[1]
        draws = np.random.RandomState(0).multinomial(runs, [1 / runs] * runs, size=2000).T
        with np.errstate(invalid="ignore"):  # A resample may have no run that goes on.
            means = several.fillna(0.0).to_numpy() @ draws / (several.notna().to_numpy() @ draws)
        low, high = (
            pd.Series(np.nanquantile(means, share, axis=1), several.index)
            for share in (0.025, 0.975)
        )
    elif kind in ("std", "se"):
        width = several.std(axis=1, ddof=0) if kind == "std" else several.sem(axis=1)
        low, high = several.mean(axis=1) - width, several.mean(axis=1) + width
    return low.reindex(table.index), high.reindex(table.index)


def printable(text: str) -> str:
    """Return ``text`` with what cannot be drawn or written as U+FFFD; line ends stay.

    Names of files may hold control characters and bytes that are no text.
    """
    return "".join(c if c.isprintable() or c == "\n" else "\N{REPLACEMENT CHARACTER}" for c in text)


def label(program: str, method: str, setting: str = "") -> str:
    """Return how tables and legends name a configuration: "MOPO, penalty_coeff=1.0"."""
    title = TITLES.get(method, method) + (" (original, TF1)" if program == "original" else "")
    return f"{title}, {setting}" if setting else title


def canonical_config(name: str) -> str:
    """Return the original's name of a configuration (halfcheetah_mixed), if it has one.

    ``halfcheetah-medium-v2`` and ``halfcheetah_medium`` are one configuration on two datasets.
    """
    try:
        return find_task(name).name
    except InputError:
        return name


def _name(path: Path, root: Path) -> str:
    resolved, base = path.resolve(), root.resolve()
    if base in resolved.parents:
        return resolved.relative_to(base).as_posix()
    return resolved.name


def _unique(names: Sequence[str]) -> list[str]:
    total, seen = Counter(names), Counter[str]()
    made = []
    for name in names:
        seen[name] += 1
        made.append(f"{name} #{seen[name]}" if total[name] > 1 else name)
    return made


def _with_seed(facts: Facts, path: str) -> Facts:
    if facts.seed is not None:
        return facts
    found = _SEED_IN_NAME.findall(path)
    return dataclasses.replace(facts, seed=int(found[-1]) if found else None)


def _configurations(runs: Sequence[Facts]) -> tuple[list[int], list[str]]:
    """Return the number of each run's configuration, and what sets it apart."""
    all_settings = [_settings(facts) for facts in runs]
    kinds = [_kind(facts) for facts in runs]
    keys = [
        json.dumps([kind, settings], sort_keys=True, default=str)
        for kind, settings in zip(kinds, all_settings, strict=True)
    ]
    numbers = {key: number for number, key in enumerate(dict.fromkeys(keys))}
    alike: dict[tuple[Any, ...], list[Mapping[str, Any]]] = {}
    for kind, settings in zip(kinds, all_settings, strict=True):
        alike.setdefault(kind, []).append(settings)
    # The same parameters are named on all data, so that labels of one method compare.
    named: dict[tuple[str, str], set[str]] = {}
    for kind, same in alike.items():
        named.setdefault(kind[:2], set()).update(_differing(same))
    said = {
        key: _said(settings, sorted(named[kind[:2]]))
        for key, kind, settings in zip(keys, kinds, all_settings, strict=True)
    }
    return [numbers[key] for key in keys], [said[key] for key in keys]


def _kind(facts: Facts) -> tuple[str, str, str, str, str]:
    """What configurations must share for their settings to tell them apart."""
    return facts.program, facts.method, facts.task, facts.dataset, facts.physics


def _settings(facts: Facts) -> dict[str, Any]:
    short = {name.rsplit(".", 1)[-1]: value for name, value in facts.params.items()}
    # The original's short names repeat: Q_params.type, policy_params.type, ...
    params = facts.params if facts.program == "original" else short
    chosen = {
        name: value
        for name, value in params.items()
        if name.rsplit(".", 1)[-1] not in _NOT_A_SETTING
    }
    if facts.program == "original":
        return chosen
    return {
        **chosen,
        "config": canonical_config(facts.config),
        "sha256": (facts.sha256 or "unknown")[:8],
        "max_path_length": facts.horizon,
        # Which one does not matter: each seed may have its own.
        "ensemble": "shared" if facts.model_from else "own",
    }


def _differing(settings: Sequence[Mapping[str, Any]]) -> list[str]:
    names = {name for one in settings for name in one}
    return sorted(name for name in names if len({repr(one.get(name)) for one in settings}) > 1)


def _said(settings: Mapping[str, Any], names: Sequence[str]) -> str:
    shown = [f"{name}={settings[name]}" for name in names if name in settings]
    hidden = len(shown) - _MAX_NAMES
    return ", ".join([*shown[:_MAX_NAMES], *([f"and {hidden} more"] if hidden > 0 else [])])

"""Results of runs: one tidy DataFrame, and the statistics that tables and plots take from it."""

import dataclasses
import json
import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import stats

from mopo_tf2.configs.d4rl import find_task
from mopo_tf2.configs.methods import TITLES
from mopo_tf2.configs.own import IN_THE_MODEL, MODEL_RETURN_KEY
from mopo_tf2.data import catalog
from mopo_tf2.errors import InputError
from mopo_tf2.evaluation.metrics import normalized_score

from .run_folder import RETURN, Facts, RunFolder, find_runs

Metric = Literal["score", "return", "model-return"]
METRICS: Mapping[Metric, str] = {
    "score": "D4RL-normalized score",
    "return": "return (sum of an episode's rewards)",
    "model-return": f"return {IN_THE_MODEL}",
}
COLUMNS: Mapping[Metric, str] = {
    "score": "evaluation/normalized-score",
    "return": RETURN,
    "model-return": MODEL_RETURN_KEY,
}
LAST, LAST_TEN, BEST = "LAST", "LAST TEN", "BEST"
# Q-87: the paper says that it reports the last iteration; its authors' own script did otherwise.
STATISTICS: Mapping[str, str] = {
    LAST: "the evaluation after the last epoch, which the paper says it reports",
    LAST_TEN: "the mean of the last ten evaluations, which the authors' script takes",
    BEST: "the highest evaluation, which picks the epoch by the evaluation itself: an upper bound, "
    "not a result of offline training",
}
"""What is taken of each run, by the name of its column."""
RESAMPLES = 10_000

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
            label: method and setting, for legends and tables: "MBPO, rollout_length=1"; the run's
                name if its files do not say what it is.
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
    kept = [
        (name, run, _with_seed(facts, name))
        for path, name, run, facts in read
        if path not in shared or facts.epochs_done
    ]
    names = _unique([name for name, _, _ in kept], [None] * len(kept))
    groups, settings = _configurations([facts for *_, facts in kept])
    tables: list[pd.DataFrame] = []
    for name, (_, run, facts), group, setting in zip(names, kept, groups, settings, strict=True):
        table = run.progress() if facts.epochs_done else pd.DataFrame({"epoch": [math.nan]})
        about = {field.name: getattr(facts, field.name) for field in dataclasses.fields(facts)}
        about |= {"run": name, "folder": run, "group": group, "setting": setting}
        known_as = label(facts.program, facts.method, setting) if facts.described else name
        about |= {"label": known_as}
        constant = pd.DataFrame({key: [value] * len(table) for key, value in about.items()})
        metrics = table.drop(columns=[column for column in table if column in about])
        tables.append(pd.concat([constant, metrics], axis=1))
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


# What a run scored.


def scores(frame: pd.DataFrame, metric: Metric) -> pd.DataFrame:
    """Return what each run scored.

    An evaluation that is not finite, or that the file lacks, makes LAST and LAST TEN nan if it is
    among the epochs that they take: it is not skipped in favour of an older one. BEST is the
    highest finite one. A run of fewer than ten epochs has the mean of all as its LAST TEN.

    Args:
        frame: of ``load``.
        metric: which evaluations.

    Returns:
        One row per run, in the frame's order: the columns that say what the run is, LAST, LAST TEN
        and BEST (nan where the run has none), and ``remarks``, a tuple of texts that say why one is
        nan or what was left out.
    """
    values = evaluations(frame, metric)
    rows = []
    for _, run in frame.groupby("run", sort=False):
        last = run.iloc[-1]
        by_epoch = pd.Series(values[run.index].to_numpy(), index=run["epoch"])
        array = by_epoch.reindex(range(last["epochs_done"])).to_numpy(float)
        rows.append(_summary(array))
        if array.size and not np.isfinite(array).any():
            rows[-1]["remarks"] = (_why_nothing(run, metric),)
    facts = [*(field.name for field in dataclasses.fields(Facts)), "run", "folder"]
    about = runs_of(frame)[[*facts, "group", "setting", "label"]].reset_index(drop=True)
    return pd.concat([about, pd.DataFrame(rows)], axis=1)


def evaluations(frame: pd.DataFrame, metric: Metric) -> pd.Series:
    """Return the evaluation of each row of ``frame`` [rows] float64, nan where there is none.

    The original records no normalized score; it is computed from the return (Q-86). Episodes of
    another length than D4RL's have none, whatever the run recorded.
    """
    values = _numbers(frame, COLUMNS[metric])
    if metric != "score":
        return values
    computed = _numbers(frame, RETURN)
    for _, run in frame.groupby("run"):
        low, high = _references(run.iloc[-1])
        computed[run.index] = normalized_score(computed[run.index], low, high)
        if math.isnan(low):
            values[run.index] = math.nan
    return values.fillna(computed)


def mean_std(values: npt.ArrayLike) -> tuple[float, float]:
    """Return the mean over seeds [n] and the standard deviation of the population (ddof 0).

    The original computes every deviation so; the paper does not say. That of the sample (ddof 1)
    is sqrt(n / (n - 1)) times as large. A single value has none (nan); a nan makes both nan.

    Raises:
        ValueError: if there is no value.
    """
    array = _not_empty(values)
    return float(array.mean()), float(array.std()) if array.size > 1 else math.nan


def interquartile_mean(values: npt.ArrayLike) -> float:
    """Return the mean of the middle half of the scores [N] of all runs of all tasks.

    Of N sorted scores floor(N / 4) are dropped at either end (Agarwal et al. 2021, "Deep
    reinforcement learning at the edge of the statistical precipice", section 4.3). A task
    with more seeds weighs more.

    Raises:
        ValueError: if there is no score.
    """
    return float(stats.trim_mean(_not_empty(values), 0.25))


def stratified_bootstrap_interval(
    tasks: Sequence[npt.ArrayLike],
    random_state: np.random.RandomState,
    *,
    level: float = 0.95,
    resamples: int = RESAMPLES,
) -> tuple[float, float]:
    """Return a confidence interval of the interquartile mean by a bootstrap with tasks as strata.

    A resample draws, for every task by itself, as many of its runs as it has, with replacement,
    and pools them. The interval lies between the (1 - level) / 2 and (1 + level) / 2 quantiles of
    the resamples' interquartile means (Agarwal et al. 2021, section 4.1). It speaks of other seeds
    on the same tasks, not of other tasks.

    Args:
        tasks: for each task the [n_t] scores of its runs.
        random_state: the source of the draws; an equal one gives an equal interval.
        level: of confidence, in (0, 1).
        resamples: number of bootstrap values.

    Returns:
        Low and high; nan if a task has a single run: resampling it shows no spread.

    Raises:
        ValueError: if there is no task, or a task without scores.
    """
    strata = [_not_empty(values) for values in tasks]
    if not strata:
        raise ValueError("expected at least one task, got none.")
    if any(stratum.size < 2 for stratum in strata):
        return math.nan, math.nan
    draws = [
        stratum[random_state.randint(stratum.size, size=(resamples, stratum.size))]
        for stratum in strata
    ]
    means = stats.trim_mean(np.concatenate(draws, axis=1), 0.25, axis=1)
    low, high = np.quantile(means, [(1.0 - level) / 2.0, (1.0 + level) / 2.0]).tolist()
    return low, high


def _not_empty(values: npt.ArrayLike) -> npt.NDArray[np.float64]:
    array = np.asarray(values, dtype=np.float64).reshape(-1)
    if not array.size:
        raise ValueError("expected at least one value, got none.")
    return array


def _numbers(frame: pd.DataFrame, column: str) -> pd.Series:
    if column not in frame:
        return pd.Series(math.nan, index=frame.index)
    values = pd.to_numeric(frame[column], errors="coerce").astype(float)
    return values.where(np.isfinite(values))


def _references(run: pd.Series) -> tuple[float, float]:
    # Runs that do not record the length of their episodes had no other.
    horizon = catalog.EPISODE_STEPS if pd.isna(run["horizon"]) else run["horizon"]
    return catalog.scores_of_task(run["task"], horizon)


def _summary(values: npt.NDArray[np.float64]) -> dict[str, Any]:
    """Return the statistics of [epochs] evaluations, and the remarks on them."""
    if not values.size:
        return {**dict.fromkeys(STATISTICS, math.nan), "remarks": ()}
    missing = np.flatnonzero(np.isnan(values)) + 1
    tail = missing[missing > values.size - 10]
    remarks = []
    if missing.size and missing[-1] == values.size:
        remarks.append(f"the evaluation after the last epoch ({values.size}) is nan: no {LAST}")
    if tail.size:
        remarks.append(f"nan among the last ten evaluations ({_epochs(tail)}): no {LAST_TEN}")
    if missing.size:
        remarks.append(f"{BEST} leaves out nan evaluations ({_epochs(missing)})")
    if values.size < 10:
        epochs = "a single epoch" if values.size == 1 else f"only {values.size} epochs"
        remarks.append(f"{epochs}: {LAST_TEN} is the mean of all evaluations")
    best = math.nan if missing.size == values.size else float(np.nanmax(values))
    return {
        **{LAST: float(values[-1]), LAST_TEN: float(values[-10:].mean()), BEST: best},
        "remarks": tuple(remarks),
    }


def _epochs(numbers: npt.NDArray[np.intp]) -> str:
    shown = ", ".join(map(str, numbers[:5])) + (", ..." if numbers.size > 5 else "")
    return f"epoch{'s' if numbers.size > 1 else ''} {shown}"


def _why_nothing(run: pd.DataFrame, metric: Metric) -> str:
    """Return why a run with epochs has no evaluation."""
    last = run.iloc[-1]
    if metric == "score" and _numbers(run, RETURN).notna().any():
        if math.isnan(catalog.scores_of_task(last["task"], catalog.EPISODE_STEPS)[0]):
            return f"D4RL has no reference returns for {last['task']}: use --metric return"
        return (
            f"no normalized score: episodes of at most {last['horizon']} steps, D4RL's have "
            f"{catalog.EPISODE_STEPS}; use --metric return"
        )
    if metric != "model-return" and _numbers(run, MODEL_RETURN_KEY).notna().any():
        return "it has no simulator, only returns in the learned model: use --metric model-return"
    return f"no number in {RETURN if metric == 'score' else COLUMNS[metric]} of progress.csv"


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
    below = base in resolved.parents
    return resolved.relative_to(base).as_posix() if below else resolved.name


def _unique(texts: Sequence[str], scopes: Sequence[Any]) -> list[str]:
    """Number the texts that occur more than once in their scope; "" stays."""
    keys = list(zip(texts, scopes, strict=True))
    total, seen, made = Counter(keys), Counter[Any](), []
    for key in keys:
        seen[key] += 1
        made.append(f"{key[0]} #{seen[key]}" if key[0] and total[key] > 1 else key[0])
    return made


def _with_seed(facts: Facts, name: str) -> Facts:
    if facts.seed is not None:
        return facts
    found = _SEED_IN_NAME.findall(name)
    return dataclasses.replace(facts, seed=int(found[-1]) if found else None)


def _configurations(runs: Sequence[Facts]) -> tuple[list[int], list[str]]:
    """Return the number of each run's configuration, and what sets it apart."""
    keys: list[str] = []
    found: dict[str, tuple[tuple[str, ...], dict[str, Any]]] = {}
    for number, facts in enumerate(runs):
        # A run whose files do not say what it is, is a configuration of its own.
        kind: tuple[str, ...] = _kind(facts) if facts.described else (str(number),)
        settings = _settings(facts) if facts.described else {}
        keys.append(json.dumps([kind, settings], sort_keys=True, default=str))
        found[keys[-1]] = (kind, settings)
    alike: dict[tuple[str, ...], list[Mapping[str, Any]]] = {}
    for kind, settings in found.values():
        alike.setdefault(kind, []).append(settings)
    # The same parameters are named on all data, so that labels of one method compare.
    named: dict[tuple[str, ...], set[str]] = {}
    for kind, same in alike.items():
        named.setdefault(kind[:2], set()).update(_differing(same))
    texts = [_said(settings, sorted(named[kind[:2]])) for kind, settings in found.values()]
    # Cut short, two may read the same.
    said = dict(zip(found, _unique(texts, [kind for kind, _ in found.values()]), strict=True))
    numbers = {key: number for number, key in enumerate(found)}
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

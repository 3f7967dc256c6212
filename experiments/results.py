"""Results of runs: one tidy DataFrame, and the statistics that tables and plots take from it."""

import contextlib
import math
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

from .run_folder import RETURN, UNKNOWN, find_runs

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
_KIND = ["program", "method", "task", "dataset", "physics"]
"""What configurations must share for their settings to tell them apart."""
_MAX_NAMES = 4
_SEED_IN_NAME = r".*(?:^|[-_,:=/])seed[-_:=]?(\d+)"


def load(folders: Sequence[Path]) -> pd.DataFrame:
    """Return every run in ``folders`` and below as one tidy table.

    Args:
        folders: run folders, or folders with runs at any depth.

    Returns:
        One row per run and epoch, in natural order of the paths; a run without epochs has one row
        with ``epoch`` nan. Columns:
            every field of ``run_folder.Facts``, where ``seed`` may come from the folder's name.
            run: the path below the folder that was searched, with "/"; unique.
            folder: the ``RunFolder``.
            group: runs with the same number are samples that differ in the seed.
            setting: what sets the configuration apart from others of the same method on the same
                data ("penalty_coeff=1.0"), "" if nothing does.
            label: method and setting, for legends and tables: "MBPO, rollout_length=1"; the run's
                name if its files do not say what it is.
            epoch, and every column of progress.csv by its name; nan where a run has none.

    Raises:
        InputError: if a folder does not exist or none of them holds a run.
    """
    runs: dict[Path, dict[str, Any]] = {}
    for root in map(Path, folders):
        for run in find_runs(root):
            path = run.path.resolve()
            name = path.name if run.path == root else run.path.relative_to(root).as_posix()
            runs.setdefault(path, {"run": name, "folder": run})
    if not any(run["folder"].holds_something() for run in runs.values()):
        raise InputError(
            f"no run in {', '.join(map(str, folders))} or below: expected folders with config.json "
            "or progress.csv, as mopo-tf2 train and sweep write them."
        )
    facts = [vars(run["folder"].facts()) | run for run in runs.values()]
    about = pd.DataFrame(facts, index=[*runs], dtype=object)
    # An ensemble that other runs use is not a run without epochs.
    shared = {Path(source).resolve() for source in about["model_from"].dropna()}
    about = about[(about["epochs_done"] > 0) | ~about.index.isin(shared)].reset_index(drop=True)
    in_name = pd.to_numeric(about["run"].str.extract(_SEED_IN_NAME, expand=False))
    about["seed"] = about["seed"].fillna(in_name.astype("Int64").astype(object))
    about["run"] = _numbered(about["run"], about["run"])
    about["group"], about["setting"] = _configurations(about)
    labels = map(label, about["program"], about["method"], about["setting"])
    about["label"] = pd.Series([*labels], dtype=object).where(about["described"], about["run"])
    tables = []
    for run in about.itertuples():
        table = run.folder.progress() if run.epochs_done else pd.DataFrame({"epoch": [math.nan]})
        tables.append(table.assign(run=run.run))
    metrics = pd.concat(tables).drop(columns=about.columns.drop("run"), errors="ignore")
    # Of the others whole numbers stay whole beside gaps.
    about = about.astype({"epochs_done": int, "described": bool})
    return about.merge(metrics, on="run")


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

    Returns:
        One row per run, in the order of ``frame``: the columns that say what the run is, LAST, LAST
        TEN and BEST (nan where the run has none), and ``remarks``, a tuple of texts that say why
        one is nan or what was left out.
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
        rows[-1]["remarks"] += _evaluated_elsewhere(last)
    about = runs_of(frame).loc[:, :"label"].reset_index(drop=True)  # Without metrics.
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
        last = run.iloc[-1]
        # Runs that do not record the length of their episodes had no other.
        horizon = catalog.EPISODE_STEPS if pd.isna(last["horizon"]) else last["horizon"]
        low, high = catalog.scores_of_task(last["task"], horizon, _physics(last))
        computed[run.index] = normalized_score(computed[run.index], low, high)
        if math.isnan(low):
            values[run.index] = math.nan
    return values.fillna(computed)


def interquartile_mean(
    tasks: Sequence[npt.ArrayLike], random_state: np.random.RandomState
) -> tuple[float, float, float]:
    """Return the interquartile mean of all runs of all tasks, and its 95 % confidence interval.

    Of N sorted scores floor(N / 4) are dropped at either end; a task with more seeds weighs more.
    The interval is a bootstrap with tasks as strata: each of ``RESAMPLES`` resamples draws, for
    every task by itself, as many of its runs as it has, with replacement. It speaks of other seeds
    on the same tasks, not of other tasks.

    Args:
        tasks: for each task the [n_t] scores of its runs.
        random_state: the source of the draws; an equal one gives an equal interval.

    Returns:
        The mean, low and high; the latter are nan if a task has a single run: resampling it shows
        no spread.

    Raises:
        ValueError: if there is no task, or a task without scores.

    Source: Agarwal et al. 2021, "Deep reinforcement learning at the edge of the statistical
    precipice", sections 4.1 and 4.3.
    """
    strata = [np.asarray(scores, np.float64) for scores in tasks]
    draws = [
        scores[random_state.randint(len(scores), size=(RESAMPLES, len(scores)))]
        for scores in strata
    ]
    mean = float(stats.trim_mean(np.concatenate(strata), 0.25))
    if min(map(len, strata)) < 2:
        return mean, math.nan, math.nan
    means = stats.trim_mean(np.concatenate(draws, axis=1), 0.25, axis=1)
    low, high = np.quantile(means, [0.025, 0.975]).tolist()
    return mean, low, high


def _numbers(frame: pd.DataFrame, column: str) -> pd.Series:
    if column not in frame:
        return pd.Series(math.nan, index=frame.index)
    values = pd.to_numeric(frame[column], errors="coerce").astype(float)
    return values.where(np.isfinite(values))


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
        why = catalog.why_no_score(last["task"], last["horizon"], _physics(last))
        return f"no normalized score: {why}; use --metric return"
    if metric != "model-return" and _numbers(run, MODEL_RETURN_KEY).notna().any():
        return "it has no simulator, only returns in the learned model: use --metric model-return"
    return f"no number in {RETURN if metric == 'score' else COLUMNS[metric]} of progress.csv"


def _evaluated_elsewhere(run: pd.Series) -> tuple[str, ...]:
    """Return a remark if a run was not evaluated in the environment that its data name."""
    about = run["recorded"]
    if about.get("environment", {}).get("same_as_data") is not False:
        return ()
    where = f"{run['task']} with {run['physics']} physics"
    named = printable(str(about.get("dataset", {}).get("environment")))
    return (f"evaluated in {where}; its data are of {named}",)


def _physics(run: pd.Series) -> str:
    """Return a run's physics; folders that do not say it had no other than D4RL's."""
    return catalog.PHYSICS if run["physics"] == UNKNOWN else str(run["physics"])


def _numbered(texts: pd.Series, scopes: Any) -> pd.Series:
    """Number the texts that occur more than once in their scope; "" stays."""
    alike = texts.groupby(scopes, sort=False)
    numbers = " #" + (alike.cumcount() + 1).astype(str)
    return texts.where((alike.transform("size") == 1) | (texts == ""), texts + numbers)


def _configurations(about: pd.DataFrame) -> tuple[pd.Series, pd.Series]:
    """Return the number of each run's configuration, and what sets it apart."""
    # A run whose files do not say what it is, is a configuration of its own.
    kinds = about[_KIND].where(about["described"], about["run"], axis=0)
    settings = [_settings(run) if run["described"] else {} for _, run in about.iterrows()]
    values = pd.DataFrame(settings, index=about.index, dtype=object).map(repr)
    keys = pd.concat([kinds, values], axis=1).apply(tuple, axis=1)
    varies = values.groupby([kinds[name] for name in _KIND]).nunique() > 1
    # The same parameters are named on all data, so that labels of one method compare.
    named = varies.groupby(level=["program", "method"]).any()
    texts = []
    for kind, own in zip(kinds.itertuples(), settings, strict=True):
        is_named = named.loc[(kind.program, kind.method)]
        names = [name for name in sorted(is_named.index[is_named]) if name in own]
        shown = [f"{name}={own[name]}" for name in names[:_MAX_NAMES]]
        more = [f"and {len(names) - _MAX_NAMES} more"] if len(names) > _MAX_NAMES else []
        texts.append(", ".join([*shown, *more]))
    # Cut short, those of two configurations may read the same.
    made = kinds.assign(text=texts, key=keys)
    first = made.drop_duplicates("key").set_index("key")
    said = _numbered(first["text"], [first[name] for name in (*_KIND, "text")])
    return pd.Series(pd.factorize(keys)[0], about.index), keys.map(said)


def _settings(run: pd.Series) -> dict[str, Any]:
    is_own = run["program"] != "original"
    # The original's short names repeat: Q_params.type, policy_params.type, ...
    short = {name: name.rsplit(".", 1)[-1] for name in run["params"]}
    chosen = {
        short[name] if is_own else name: value
        for name, value in run["params"].items()
        if short[name] not in _NOT_A_SETTING
    }
    if not is_own:
        return chosen
    config = run["config"]
    with contextlib.suppress(InputError):
        # halfcheetah-medium-v2 and halfcheetah_medium are one configuration on two datasets.
        config = find_task(config).name
    return {
        **chosen,
        "config": config,
        "sha256": (run["sha256"] or "unknown")[:8],
        "max_path_length": run["horizon"],
        # Which one does not matter: each seed may have its own.
        "ensemble": "shared" if run["model_from"] else "own",
    }

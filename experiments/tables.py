"""The paper's tables from runs, beside the published numbers."""

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd

from mopo_tf2.configs.methods import TITLES
from mopo_tf2.data import catalog

from . import results
from .published import Comparison, compare, read_published
from .results import LAST, METRICS, STATISTICS, Metric
from .run_folder import UNKNOWN, State

Format = Literal["markdown", "csv", "latex", "json"]
SUFFIXES: Mapping[str, Format] = {
    ".md": "markdown",
    ".csv": "csv",
    ".tex": "latex",
    ".json": "json",
}
COLUMNS = (
    *("kind", "dataset", "task", "physics", "configuration", "program", "method", "setting"),
    *("metric", "statistic", "mean", "std", "iqm", "ci_low", "ci_high", "published"),
    *("published_std", "batch_mean", "batch_max", "n_seeds", "seeds", "n_tasks", "epochs_min"),
    *("epochs_max", "epochs_asked", "has_unfinished", "state", "folder", "source", "notes"),
)
_IDENTITY = ("task", "dataset", "physics", "program", "method", "setting")
_FEW_SEEDS = 5
_ROWS_OF_A_FLOAT, _METHODS_OF_A_BLOCK, _LONG_CELL = 35, 6, 40
_KINDS = {"rows": "run_group", "aggregates": "over_tasks", "excluded": "not_counted"}


class Table(NamedTuple):
    """Frames with the columns ``COLUMNS``: over seeds, over tasks, published, excluded runs."""

    metric: Metric
    paper: str | None
    remarks: list[str]
    rows: pd.DataFrame
    aggregates: pd.DataFrame
    published: pd.DataFrame
    excluded: pd.DataFrame


def make_table(
    frame: pd.DataFrame,
    paper: str = "mopo-table1",
    metric: Metric | None = None,
    include_unfinished: bool = False,
) -> Table:
    """Make the table of the runs in a frame of ``results.load``.

    Without ``metric`` it is that of the published table, else the score; of runs without a
    simulator the return in the learned model. Published numbers of another metric are not shown.
    ``include_unfinished`` averages unfinished and failed runs of at least one epoch too.

    Raises:
        InputError: if there is no published table ``paper``; see ``published.read_published``.
    """
    published, remarks = read_published(paper), []
    has = {name: results.evaluations(frame, name).notna().any() for name in METRICS}
    if metric is None and has["model-return"] and not has["return"]:
        metric, published = "model-return", None
    metric = metric or (published.metric if published else "score")
    if published and published.metric != metric:
        remarks.append(f"{published.name} has another metric ({published.metric}): not shown")
        published = None
    runs = results.scores(frame, metric).replace({"method": TITLES})
    runs["excluded"] = _exclusions(runs, include_unfinished)
    runs["seeds"], runs["configuration"] = runs["seed"].map(_whole), runs["config"]
    runs["epochs_min"] = runs["epochs_max"] = runs["epochs_done"]
    described = runs[runs["described"]].sort_values([*_IDENTITY], kind="stable")
    seeds = set(runs["seed"][runs["excluded"].isna()].dropna())
    lines, keys = list[dict[str, Any]](), set[str | None]()
    for _, group in described.groupby("group", sort=False):
        beside = compare(group["folder"].iloc[0].facts(), published)
        lines += _lines(group, beside, seeds)
        keys.add(beside.key)
    entries = [entry for entry in (published.entries if published else ()) if entry.key in keys]
    excluded = runs.assign(folder=runs["run"])[runs["excluded"].notna()]
    excluded["notes"] = [[reason] if reason else [] for reason in excluded["excluded"]]
    parts = (
        lines,
        _aggregates(lines) if metric == "score" else [],
        [entry._asdict() | {"dataset": entry.key, "mean": entry.value} for entry in entries],
        excluded,
    )
    frames = [pd.DataFrame(part, dtype=object).reindex(columns=COLUMNS) for part in parts]
    return Table(metric, published.name if published else None, remarks, *frames)


def _whole(number: Any) -> str:
    return "?" if pd.isna(number) else str(int(number))


def _exclusions(runs: pd.DataFrame, include_unfinished: bool) -> pd.Series:
    """Return why each run is excluded from the averages ("" if its state says it); nan if not."""
    done = runs["epochs_done"] > 0 if include_unfinished else runs["state"] == State.FINISHED
    is_averaged = runs["described"] & done
    # Finished runs first: of two runs with one seed, a finished one counts.
    order = runs[is_averaged].sort_values("state", key=lambda s: s != State.FINISHED, kind="stable")
    first = order.groupby(["group", "seed"])["run"].transform("first")
    again = first[first.notna() & (first != order["run"])]
    return runs["note"].mask(is_averaged).fillna("its seed counts once, as " + again)


def _lines(group: pd.DataFrame, beside: Comparison, seeds: set[Any]) -> Iterator[dict[str, Any]]:
    """Yield a line for each statistic of the runs of one configuration on one dataset."""
    first, counted = group.iloc[0], group[group["excluded"].isna()].sort_values("seed")
    has_hash = catalog.find(first["dataset"]) is None and pd.notna(first["sha256"])
    entry = beside.published
    common = {
        **first[[*_IDENTITY, "configuration"]],
        **({"dataset": f"{first['dataset']} (sha256 {first['sha256'][:8]})"} if has_hash else {}),
        **({"published": entry.value, "published_std": entry.std} if entry else {}),
        **dict(zip(("batch_mean", "batch_max"), beside.batch or (), strict=False)),
        **{"n_seeds": len(counted), "seeds": " ".join(counted["seeds"])},
        **{"epochs_min": counted["epochs_min"].min(), "epochs_max": counted["epochs_max"].max()},
        "epochs_asked": counted["epochs_asked"].dropna().max(),
        "has_unfinished": int((counted["state"] != State.FINISHED).any()),
        "notes": [*_notes(group, counted, seeds), *beside.notes],
    }
    for name in STATISTICS:
        scores = counted[name].to_numpy(float)
        mean = scores.mean() if scores.size else math.nan
        # Of the population (ddof 0), as the original computes every deviation.
        std = scores.std() if scores.size > 1 else math.nan
        yield common | {"statistic": name, "mean": mean, "std": std, "scores": scores}


def _notes(group: pd.DataFrame, counted: pd.DataFrame, seeds: set[Any]) -> Iterator[str]:
    """Yield what a reader must know of a row's runs."""
    names = counted["run"].where(counted["seed"].isna(), "seed " + counted["seeds"])
    for index, run in counted[counted["state"] != State.FINISHED].iterrows():
        epochs = f"{run['epochs_done']} of {_whole(run['epochs_asked'])} epochs"
        yield f"{names[index]} is {run['state']} ({epochs}) and included in the averages"
    if counted["epochs_done"].nunique() > 1:
        yield "runs of unequal length, each at its own last epoch"
    if len(counted) > 1 and counted["seed"].isna().any():
        yield "runs without a recorded seed count as different samples"
    if missing := sorted(seeds - set(group["seed"])):
        yield f"no run of seed {', '.join(map(_whole, missing))}, which other rows have"
    remarks = counted["remarks"].explode().dropna()
    for remark, same in remarks.groupby(remarks, sort=False):
        who = "" if len(same) == len(counted) else f"{', '.join(names[same.index])}: "
        yield f"{who}{remark}"


def _aggregates(lines: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield each statistic over tasks of the configurations that have more than one."""
    table = pd.DataFrame(lines, columns=[*COLUMNS, "scores"])
    is_d4rl = table["dataset"].isin(set(catalog.datasets()) - {catalog.SHIPPED_ID})
    table["family"] = ("D4RL " + table["dataset"].str[-2:]).where(is_d4rl, "other data")
    kinds = ["family", "physics", "program", "method", "setting"]
    table = table[table["n_seeds"] > 0].sort_values(kinds, kind="stable")
    for values, alike in table.groupby([*kinds, "statistic"], sort=False):
        present = alike[alike["mean"].notna()]
        if len(alike) < 2 or present.empty:
            continue
        fewest, most = alike["n_seeds"].min(), alike["n_seeds"].max()
        notes = [f"tasks weigh by their seeds ({fewest} to {most})"] if fewest < most else []
        if fewest < 2:
            notes.append("no interval: a task has a single seed")
        elif fewest < _FEW_SEEDS:
            notes.append(f"interval from {fewest} seeds a task: unreliable below {_FEW_SEEDS}")
        if len(present) < len(alike):
            notes.append(f"{len(alike) - len(present)} of {len(alike)} tasks have no number")
        scores = [*present["scores"]]
        iqm, low, high = results.interquartile_mean(scores, np.random.RandomState(0))
        yield {
            **dict(zip(["dataset", *kinds[1:], "statistic"], values, strict=True)),
            **{"mean": present["mean"].mean(), "iqm": iqm, "ci_low": low, "ci_high": high},
            "published": present["published"].mean(skipna=False),
            **{"n_tasks": len(present), "has_unfinished": alike["has_unfinished"].max()},
            "notes": notes,
        }


def _no_formula(cell: Any) -> Any:
    """Mark text that a spreadsheet would compute as text."""
    return f"'{cell}" if isinstance(cell, str) and cell[:1] in ("=", "+", "-", "@") else cell


def render(table: Table, format: Format) -> str:
    """Return a table as text with a line end.

    "markdown" is aligned, with notes below; "latex" has floats for a document with the packages
    array, booktabs and graphicx; "csv" has the lines of all four frames with every digit, and an
    empty cell for nothing; "json" has the same by frame.
    """
    parts = {n: getattr(table, n) for n in ("rows", "aggregates", "published", "excluded")}
    if format == "csv":
        kinds = [part.assign(kind=_KINDS.get(name, name)) for name, part in parts.items()]
        whole = pd.concat(kinds).assign(metric=table.metric)
        whole["notes"] = whole["notes"].map("; ".join, na_action="ignore")
        return str(whole.map(_no_formula).to_csv(index=False, lineterminator="\n"))
    if format == "json":
        filled = {name: part.dropna(axis=1, how="all") for name, part in parts.items()}
        made = {n: part.where(part.notna(), None).to_dict("records") for n, part in filled.items()}
        return json.dumps(table._asdict() | made, indent=2, allow_nan=False, default=int) + "\n"
    blocks = [*printed_blocks(table)]
    if format == "markdown":
        return "\n".join(_markdown(*block) for block in blocks)
    packages = r"% Needs \usepackage{array,booktabs,graphicx}."
    return "\n".join([packages, *(_latex(*block) for block in blocks)])


def printed_blocks(table: Table) -> Iterator[tuple[str, pd.DataFrame, list[str]]]:
    """Yield caption, cells as text and notes of each part that has rows; no empty columns."""
    for caption, cells, notes in _blocks(table):
        if len(cells):
            yield caption, cells.loc[:, (cells != "").any()], notes


def _blocks(table: Table) -> Iterator[tuple[str, pd.DataFrame, list[str]]]:
    named = ["Dataset", "Task", "Physics", "Method", "Setting"]
    text, notes = _as_text(table.rows)
    rows = text[text["Statistic"] == LAST].reset_index(drop=True)
    for name in STATISTICS:
        rows[name] = text["Mean"][text["Statistic"] == name].to_numpy()
    notes.append("; ".join(f"{name}: {meaning}" for name, meaning in STATISTICS.items()))
    notes += [f"Published: the same method on the same data in {table.paper}"] * bool(table.paper)
    for name in ("Seeds", "Epochs"):
        if rows[name].nunique() == 1:
            notes += [f"{name}: {same}" for same in rows[name].unique() if same]
            rows[name] = ""
    caption = f"{METRICS[table.metric]}: mean ± standard deviation over seeds (ddof 0). "
    unfinished = table.rows["has_unfinished"].any()
    caption += "Rows with * have unfinished runs." if unfinished else "Only finished runs count."
    columns = ["Batch mean", "Batch max", *STATISTICS, "Published", "Seeds", "Epochs", "Notes"]
    yield caption, rows[[*named, *columns]], notes + table.remarks

    text, notes = _as_text(table.aggregates)
    caption = "Over tasks: mean of the tasks' means, and interquartile mean (IQM) of all runs. "
    caption += f"The interval is a stratified bootstrap's ({results.RESAMPLES} resamples)."
    columns = ["Statistic", "Tasks", "Mean", "IQM", "95 % interval", "Published", "Notes"]
    yield caption, text[[*named, *columns]], notes

    text, _ = _as_text(table.published)
    methods = [*text["Method"].unique()]
    for start in range(0, len(methods), _METHODS_OF_A_BLOCK):
        some = methods[start : start + _METHODS_OF_A_BLOCK]
        entries = text[text["Method"].isin(some)]
        data = entries.pivot(index=["Dataset", "Batch mean", "Batch max"], columns="Method")["Mean"]
        sources = entries.groupby("Source", sort=False)["Method"].unique().items()
        notes = [f"{', '.join(names)}: {source}" for source, names in sources]
        caption = f"Published numbers of {table.paper}: {METRICS[table.metric]}."
        yield caption, data[some].fillna("").reset_index(), notes

    text, _ = _as_text(table.excluded)
    text["Note"] = table.excluded["notes"].map("; ".join)
    columns = ["Folder", "Dataset", "Seeds", "State", "Epochs", "Note"]
    yield "Runs that are excluded from the averages.", text[columns], []


def _as_text(frame: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Return a frame as people read it, "" for nothing and the usual, and its numbered notes."""
    text = frame.rename(columns=lambda name: name.replace("_", " ").capitalize())
    numbers: dict[str, int] = {}
    means = map(_number, frame["mean"], frame["std"])
    stars = ["*" if unfinished == 1 else "" for unfinished in frame["has_unfinished"]]
    text["Mean"] = [(mean or "n/a") + star for mean, star in zip(means, stars, strict=True)]
    text["Published"] = [*map(_number, frame["published"], frame["published_std"])]
    for name, column in (("IQM", "iqm"), ("Batch mean", "batch_mean"), ("Batch max", "batch_max")):
        text[name] = [*map(_number, frame[column])]
    low, high = (frame[name].map(_number).astype(str) for name in ("ci_low", "ci_high"))
    text["95 % interval"] = ("[" + low + ", " + high + "]").where(low != "", "n/a")
    text["Tasks"] = frame["n_tasks"].map(str)
    text["Method"] = [*map(results.label, frame["program"], frame["method"])]
    text["Physics"] = frame["physics"].replace({"d4rl": "", UNKNOWN: ""})
    own = [getattr(catalog.find(dataset), "task", UNKNOWN) for dataset in frame["dataset"]]
    text["Task"] = frame["task"].mask(frame["task"] == own)
    text["Dataset"] = frame["dataset"].replace(UNKNOWN, "")
    text["Seeds"] = frame["seeds"].map(lambda seeds: seeds.replace(" ", ", "), na_action="ignore")
    epochs = [frame[f"epochs_{name}"].map(_whole).astype(str) for name in ("min", "max", "asked")]
    first, last, asked = epochs
    spans = last.where(first == last, first + " to " + last)
    text["Epochs"] = spans.where(frame["state"].isna(), last + " of " + asked).replace("?", "")
    listed = frame["notes"].map(lambda notes: notes if isinstance(notes, list) else [])
    marks = [[str(numbers.setdefault(n, len(numbers) + 1)) for n in notes] for notes in listed]
    text["Notes"] = [*map(", ".join, marks)]
    return text.astype(object).fillna(""), [f"{number}. {note}" for note, number in numbers.items()]


def _number(mean: Any, std: Any = math.nan) -> str:
    spread = "" if pd.isna(std) else f" ± {std:.1f}"
    return "" if pd.isna(mean) else f"{mean:.1f}{spread}"


def _markdown(caption: str, cells: pd.DataFrame, notes: Sequence[str]) -> str:
    def plain(text: str) -> str:
        return re.sub(r"([\\|<])", r"\\\1", " ".join(text.split()))

    columns = [[*map(plain, (name, *cells[name]))] for name in cells]
    columns = [[texts[0], "-" * max(map(len, texts)), *texts[1:]] for texts in columns]
    columns = [[text.ljust(len(texts[1])) for text in texts] for texts in columns]
    lines = [f"| {' | '.join(line)} |" for line in zip(*columns, strict=True)]
    below = [f"{'' if note[0].isdigit() else '- '}{plain(note)}." for note in notes]
    return "\n".join([plain(caption), "", *lines, *[""][: len(below)], *below, ""])


def _latex(caption: str, cells: pd.DataFrame, notes: Sequence[str]) -> str:
    wide = r">{\raggedright\arraybackslash}p{4cm}"
    form = "".join(wide if cells[name].str.len().max() > _LONG_CELL else "l" for name in cells)
    cells = cells.map(_latex_text).rename(columns=_latex_text)
    below = "".join(f"{_latex_text(note)}.\\par\n" for note in notes)
    floats = []
    for start in range(0, len(cells), _ROWS_OF_A_FLOAT):
        part = cells[start : start + _ROWS_OF_A_FLOAT]
        tabular = part.to_latex(index=False, escape=False, column_format=form).rstrip()
        floats.append(rf"""\begin{{table}}[tbp]
\centering\small
\caption{{{"Continued. " if start else ""}{_latex_text(caption)}}}
\resizebox{{\ifdim\width>\linewidth\linewidth\else\width\fi}}{{!}}{{%
{tabular}}}
\par\smallskip\begin{{minipage}}{{\linewidth}}\footnotesize\raggedright
{below}\end{{minipage}}
\end{{table}}
""")
    return "\n".join(floats)


_LATEX = {
    **{character: f"\\{character}" for character in "&%$#_{}"},
    **{"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"},
    **{"<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}", "±": r"$\pm$"},
    **{"[": "{[}", "\u200b": r"\allowbreak{}"},
}


def _latex_text(text: str) -> str:
    def breakable(word: re.Match[str]) -> str:
        return re.sub(r"([/_=:.-]|[^/_=:.-]{20})(?=\S)", "\\1\u200b", word[0])

    text = re.sub(r"\S{31,}", breakable, " ".join(text.split()))
    return "".join(_LATEX.get(c, c) for c in text).replace("--", "-{}-")

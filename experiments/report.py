"""``mopo-tf2 report``: everything about some runs on one page, for a paper's appendix."""

import base64
import datetime
import io
import json
import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jinja2
import pandas as pd

from mopo_tf2 import __version__
from mopo_tf2.errors import InputError
from mopo_tf2.files import ensure_writable_folder, write_bytes

from . import plots, results
from .published import read_published
from .run_folder import UNKNOWN, State
from .tables import make_table, printed_blocks

DEFAULT_PAPER = "mopo-table1"
_NOT_RECORDED = "not recorded"
_CURVES = (
    "One panel a dataset. Line: mean over the seeds that reached the epoch. Band: minimum to "
    "maximum of the seeds. A cross marks the end of an unfinished run. Dotted: the published "
    "number, if the runs are on the same data, task and physics."
)
_DIAGNOSTICS = (
    "One row a dataset. The penalty is subtracted from the model's rewards, per step of an epoch's "
    "rollouts; its share is the ratio of its mean to that of the rewards. Hold-out loss: all "
    "networks of all seeds, by epoch of model training."
)


class Block(NamedTuple):
    """A table of the page: cells as text, with a caption above and notes below."""

    caption: str
    cells: pd.DataFrame
    notes: Sequence[str] = ()


class Picture(NamedTuple):
    """A figure of the page: an SVG as a data address, and what it shows."""

    address: str
    caption: str


def write_report(
    folders: Sequence[Path],
    out: Path,
    *,
    paper: str = DEFAULT_PAPER,
    include_unfinished: bool = False,
    title: str | None = None,
) -> Path:
    """Write one self-contained HTML page about all runs in ``folders``; return ``out``.

    It needs neither network nor scripts: pictures and style are in it. Text out of files stays
    text, whatever it looks like.

    Args:
        folders: run folders, or folders with runs at any depth.
        out: the page, ending in .html or .htm. Written atomically.
        paper: see ``published.read_published``.
        include_unfinished: see ``tables.make_table``.
        title: of the page; None: made of the folders' names.

    Raises:
        InputError: if there is no run, no such published table, or ``out`` is invalid.
    """
    if out.suffix.lower() not in (".html", ".htm"):
        raise InputError(f"expected a page ending in .html or .htm, got {out}.")
    frame, table = results.load(folders), read_published(paper)
    runs = results.runs_of(frame)
    panels = plots.panels_of(frame)
    command = ["mopo-tf2", "report", *map(str, folders), "--out", str(out), "--paper", paper]
    command += ["--include-unfinished"] * include_unfinished
    command += ["--title", title] if title else []
    unfinished = runs[runs["state"] != State.FINISHED]
    own = runs[(runs["program"] == "mopo_tf2") & runs["described"]]
    page = _template().render(
        title=title or f"Runs of {', '.join(path.resolve().name for path in folders)}",
        made=f"{datetime.datetime.now(datetime.UTC):%d %B %Y, %H:%M UTC}, mopo_tf2 {__version__}",
        summary=_summary(runs),
        unfinished=[f"{run['run']} ({_progress(run)})" for _, run in unfinished.iterrows()],
        include_unfinished=include_unfinished,
        blocks=[
            Block(*b) for b in printed_blocks(make_table(frame, paper, None, include_unfinished))
        ],
        curves=[*_pictures(plots.curve_pages(panels, table), _CURVES)],
        diagnostics=[*_pictures(plots.diagnostics_pages(panels), _DIAGNOSTICS)],
        settings=[*_settings(own)],
        facts=[*_facts(runs)],
        all_runs=_all_runs(runs),
        sweeps=[*_sweeps(folders)],
        command=shlex.join(command),
    )
    ensure_writable_folder(out.parent)
    write_bytes(out, page.encode(errors="replace"))
    return out


def _template() -> jinja2.Template:
    loader = jinja2.FileSystemLoader(Path(__file__).parent)
    environment = jinja2.Environment(
        loader=loader, autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True
    )
    return environment.get_template("report.html.j2")


def _summary(runs: pd.DataFrame) -> str:
    data = runs["dataset"][runs["dataset"] != UNKNOWN].nunique()
    states = ", ".join(f"{count} {state}" for state, count in runs["state"].value_counts().items())
    plural = "s" * (len(runs) != 1), "s" * (data != 1)
    return f"{len(runs)} run{plural[0]} on {data} dataset{plural[1]}: {states}."


def _progress(run: Mapping[str, Any]) -> str:
    asked = "?" if pd.isna(run["epochs_asked"]) else f"{run['epochs_asked']:g}"
    return f"{run['state']}, {run['epochs_done']} of {asked} epochs"


def _pictures(pages: Sequence[plots.Page], caption: str) -> Iterator[Picture]:
    for page in pages:
        drawn = io.BytesIO()
        plots.save([page], drawn, "svg", plots.Look())
        address = "data:image/svg+xml;base64," + base64.b64encode(drawn.getvalue()).decode()
        yield Picture(address, f"{page.name}. {caption}")


def _settings(runs: pd.DataFrame) -> Iterator[Block]:
    """Yield what differs between our runs by configuration, and what all have in common."""
    params = pd.DataFrame([dict(one) for one in runs["params"]], dtype=object).map(_text)
    names = [f"{run['dataset']}: {run['label']}" for _, run in runs.iterrows()]
    varied = [name for name in params if params[name].nunique() > 1]
    if varied:
        values = (
            params[varied].groupby(names, sort=False).agg(lambda v: "; ".join(dict.fromkeys(v)))
        )
        cells = values.T.rename_axis("Parameter").reset_index()
        yield Block("What differs between runs, beside the seed", cells)
    common = [name for name in params if name not in varied]
    cells = pd.DataFrame({"Parameter": common, "Value": [params[name].iloc[0] for name in common]})
    yield Block("What all runs have in common", cells)


def _facts(runs: pd.DataFrame) -> Iterator[Block]:
    """Yield data, physics and software of the runs, with the number of runs of each."""
    data = pd.DataFrame(
        {
            "Dataset": runs["dataset_name"],
            "Known id": runs["dataset"].where(runs["dataset"] != runs["dataset_name"], ""),
            "SHA-256": runs["sha256"].fillna(_NOT_RECORDED),
            "Rows in file": _recorded(runs, "dataset", "rows_in_file"),
            "Transitions": _recorded(runs, "dataset", "transitions"),
        }
    )
    yield Block("Datasets", _counted(data))
    evaluation = pd.DataFrame({"Task": runs["task"], "Physics": runs["physics"]})
    for title, name in (
        ("MuJoCo", "mujoco_version"),
        ("Gymnasium", "gymnasium_version"),
        ("Observation", "obs_dim"),
        ("Action", "act_dim"),
    ):
        evaluation[title] = _recorded(runs, "environment", name)
    yield Block("Evaluation", _counted(evaluation))
    versions = [
        (package, _text(version))
        for recorded in runs["recorded"]
        for package, version in dict(recorded.get("versions") or {}).items()
    ]
    yield Block(
        "Software of the runs", _counted(pd.DataFrame(versions, columns=["Package", "Version"]))
    )


def _recorded(runs: pd.DataFrame, part: str, name: str) -> pd.Series:
    def value(recorded: Any) -> str:
        content = recorded.get(part)
        found = content.get(name) if isinstance(content, dict) else None
        return _NOT_RECORDED if found is None else _text(found)

    return runs["recorded"].map(value)


def _text(value: Any) -> str:
    return f"{value:,}" if type(value) is int else str(value)


def _counted(cells: pd.DataFrame) -> pd.DataFrame:
    """Merge equal rows into one, with their number as the last cell."""
    counts = cells.astype(str).value_counts(sort=False).reset_index(name="Runs")
    return counts.astype(str)


def _all_runs(runs: pd.DataFrame) -> Block:
    seeds = runs["seed"].map(lambda seed: "?" if pd.isna(seed) else f"{seed:g}")
    cells = runs[["run", "dataset", "config", "label"]].assign(
        seed=seeds, epochs=[_progress(run) for _, run in runs.iterrows()], note=runs["note"]
    )
    return Block("All runs", cells.astype(str).rename(columns=str.capitalize))


def _sweeps(folders: Sequence[Path]) -> Iterator[tuple[str, str]]:
    """Yield name and trials of each sweep that was asked for."""
    for folder in folders:
        try:
            plan = json.loads((folder / "sweep.json").read_text(encoding="utf-8"))
            trials = [trial["folder"] for trial in plan["trials"]]
        except (OSError, ValueError, KeyError, TypeError):
            continue
        yield folder.resolve().name, "\n".join(map(str, trials))

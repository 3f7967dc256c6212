"""``mopo-tf2 report``: everything about some runs on one page, for a paper's appendix."""

import datetime
import importlib.metadata
import json
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element

from ..files import ensure_writable_folder, write_bytes
from ..pictures.diagnostics import diagnostics_pages
from ..pictures.pages import Page, svg_text
from ..pictures.plot_folders import tasks_of
from ..pictures.task_figures import curve_pages
from ..records.run_records import RunRecord, State, read_records
from ..report import facts as report_facts
from ..report.facts import Facts
from ..report.html import element, items, page, svg_figure, table
from ..tables.paper_table import make_table
from ..tables.published import read_published
from ..tables.table_text import sections
from mopo_tf2.errors import InputError

DEFAULT_PAPER = "mopo-table1"
_MAX_ROWS_IN_ONE_COLUMN = 12
_MAX_NAMED = 20
_CURVES_CAPTION = (
    "One panel a dataset. Line: mean over the seeds that reached the epoch. Band: from the seeds' "
    "minimum to their maximum. A cross marks the end of a run that is not finished; such runs are "
    "in the curves as far as they go. Dotted: the published score, only "
    "where the runs are on the dataset of the same id, in its task and on its physics."
)
_DIAGNOSTICS_CAPTION = (
    "One row a dataset. The penalty is what the model's rewards are lowered by, of a step of the "
    "rollouts of an epoch; its share is the ratio of its mean to that of the rewards. Hold-out "
    "loss: of every network of every seed's ensemble, by epoch of model training, before the "
    "policy's; line: mean, band: minimum to maximum."
)


def write_report(
    folders: Sequence[Path],
    out: Path,
    *,
    paper: str = DEFAULT_PAPER,
    include_unfinished: bool = False,
    title: str | None = None,
) -> Path:
    """Write one self-contained HTML page about all runs in ``folders``.

    It needs neither network nor scripts: pictures and style are in it. Text out of files stays
    text, whatever it looks like.

    Args:
        folders: run folders, or folders with runs at any depth.
        out: the page, ending in .html or .htm. Written atomically.
        paper: see ``published.read_published``.
        include_unfinished: see ``tables.make_table``.
        title: of the page; None: made of the folders' names.

    Returns:
        ``out``.

    Raises:
        InputError: if there is no run, no such published table, or ``out`` is unfit.
    """
    out = Path(out)
    if out.suffix.lower() not in (".html", ".htm"):
        raise InputError(f"Expected a page ending in .html or .htm, got {out}.")
    records = read_records(folders)
    command = ["mopo-tf2", "report", *map(str, folders), "--out", str(out)]
    command += ["--paper", paper] if paper != DEFAULT_PAPER else []
    command += ["--include-unfinished"] if include_unfinished else []
    command += ["--title", title] if title is not None else []
    heading = title or f"Runs of {', '.join(folder.resolve().name for folder in folders)}"
    content = [
        element("h1", heading),
        element("p", f"Made {_now()} with mopo_tf2{_own_version()}.", class_="meta"),
        element("p", report_facts.summary(records)),
        *_unfinished_note(records, include_unfinished),
        *_contents(),
        *_results(records, paper, include_unfinished),
        *_pictures(records, paper),
        *_settings(records),
        *_data_and_software(records),
        *_origin(folders, records, command),
    ]
    ensure_writable_folder(out.parent)
    write_bytes(out, page(heading, content).encode())
    return out


_CHAPTERS = (
    ("results", "Results"),
    ("curves", "Learning curves"),
    ("diagnostics", "Penalty, rollouts and model"),
    ("settings", "Configuration"),
    ("data", "Data, physics, software"),
    ("origin", "Runs, and how this page was made"),
)


def _contents() -> list[Element]:
    links = [element("li", element("a", name, href=f"#{key}")) for key, name in _CHAPTERS]
    return [element("nav", element("ol", *links), class_="contents")]


def _chapter(key: str) -> Element:
    return element("h2", dict(_CHAPTERS)[key], id=key)


def _unfinished_note(records: Sequence[RunRecord], include_unfinished: bool) -> list[Element]:
    unfinished = [record for record in records if record.state is not State.FINISHED]
    if not unfinished:
        return []
    what = (
        "averaged in as far as they have an epoch, and marked with *"
        if include_unfinished
        else "in no average of the tables"
    )
    lines = [
        f"{record.name} ({record.state}, {record.epochs_done} of {record.epochs_asked or '?'} "
        "epochs)"
        for record in unfinished[:_MAX_NAMED]
    ]
    if len(unfinished) > _MAX_NAMED:
        lines.append(f"and {len(unfinished) - _MAX_NAMED} more, in the list of all runs")
    verb = "run is" if len(unfinished) == 1 else "runs are"
    text = f"{len(unfinished)} {verb} not finished, and {what}:"
    return [element("div", element("p", text), items(lines), class_="warning")]


def _results(records: Sequence[RunRecord], paper: str, include_unfinished: bool) -> list[Element]:
    made = make_table(records, paper, include_unfinished=include_unfinished)
    content = [_chapter("results")]
    for section in sections(made):
        content.append(table(section.header, section.rows, section.title))
        notes = [element("li", text, value=number) for number, text in section.notes if number]
        if notes:
            content.append(element("ol", *notes, class_="notes"))
        unnumbered = " ".join(text for number, text in section.notes if not number)
        content += [element("p", unnumbered, class_="notes")] if unnumbered else []
    content.append(element("h3", "How to read the tables"))
    content.append(items(made.caption))
    return content


def _pictures(records: Sequence[RunRecord], paper: str) -> list[Element]:
    tasks = tasks_of(records)
    names = ", ".join(task.title for task in tasks)
    curves = curve_pages(tasks, published=read_published(paper))
    content = [_chapter("curves")]
    content += [
        _figure(drawn, number, _CURVES_CAPTION, names) for number, drawn in enumerate(curves, 1)
    ]
    content.append(_chapter("diagnostics"))
    diagnostics = diagnostics_pages(tasks)
    if not diagnostics:
        content.append(element("p", "No run recorded a penalty, rollouts or a hold-out loss."))
    content += [
        _figure(drawn, number, _DIAGNOSTICS_CAPTION, names)
        for number, drawn in enumerate(diagnostics, len(curves) + 1)
    ]
    return content


def _figure(drawn: Page, number: int, caption: str, names: str) -> Element:
    alternative = f"{drawn.name}, of {names}. The numbers are in each run's progress.csv."
    return svg_figure(svg_text(drawn), f"Figure {number}. {drawn.name}. {caption}", alternative)


def _settings(records: Sequence[RunRecord]) -> list[Element]:
    differing = report_facts.differing_settings(records)
    common = report_facts.common_settings(records)
    content = [_chapter("settings"), element("h3", "What differs between runs")]
    if differing.rows:
        content.append(table(differing.header, differing.rows))
    else:
        content.append(element("p", "Nothing but the seed, and what the first table names."))
    content.append(element("h3", "What all runs have in common"))
    if common.rows:
        made = table(common.header, common.rows)
        is_long = len(common.rows) > _MAX_ROWS_IN_ONE_COLUMN
        content.append(element("div", made, class_="columns") if is_long else made)
    else:
        content.append(element("p", "No parameter is recorded with one value in all runs."))
    if any(record.is_original for record in records):
        note = "Parameters of the original's runs have other names and are not listed here."
        content.append(element("p", note, class_="notes"))
    return content


def _data_and_software(records: Sequence[RunRecord]) -> list[Element]:
    physics = (
        "Physics: d4rl is that of D4RL's published scores (masses, inertias and rewards of MuJoCo "
        "2.1.0 and gym v2, rebuilt on the MuJoCo named here); gymnasium is today's v5 tasks."
    )
    return [
        _chapter("data"),
        *_facts("Datasets", report_facts.datasets(records)),
        *_facts("Evaluation", report_facts.environments(records)),
        element("p", physics, class_="notes"),
        *_facts("Software of the runs", report_facts.versions(records)),
    ]


def _facts(title: str, facts: Facts) -> list[Element]:
    heading = element("h3", title)
    if not facts.rows:
        return [heading, element("p", f"{report_facts.NOT_RECORDED.capitalize()}.")]
    return [heading, table(facts.header, facts.rows)]


def _origin(
    folders: Sequence[Path], records: Sequence[RunRecord], command: Sequence[str]
) -> list[Element]:
    content = [_chapter("origin"), *_facts("All runs", report_facts.run_list(records))]
    for folder in folders:
        asked = _sweep(folder)
        if asked is not None:
            content.append(element("h3", f"What the sweep {folder.resolve().name} was asked for"))
            content.append(element("pre", json.dumps(asked, indent=2, ensure_ascii=False)))
    content.append(element("h3", "How to make it again"))
    content.append(element("p", "A run, from its folder, into a new one:", class_="before"))
    content.append(element("pre", "mopo-tf2 train RUN/config.json --out NEW_FOLDER"))
    content.append(element("p", "This page:", class_="before"))
    content.append(element("pre", shlex.join(command)))
    return content


def _sweep(folder: Path) -> Any:
    """Return the content of a sweep's sweep.json; None if there is none that can be read."""
    try:
        return json.loads((folder / "sweep.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).strftime("%d %B %Y, %H:%M UTC")


def _own_version() -> str:
    try:
        return f" {importlib.metadata.version('mopo-tf2')}"
    except importlib.metadata.PackageNotFoundError:
        return ""  # A checkout that is run without being installed.

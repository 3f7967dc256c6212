"""``mopo-tf2 report``: everything about some runs on one page, for a paper's appendix."""

import base64
import datetime
import io
import re
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd

from mopo_tf2 import __version__
from mopo_tf2.errors import InputError
from mopo_tf2.files import ensure_writable_folder, write_bytes

from . import plots, results, tables
from .published import read_published
from .run_folder import UNKNOWN, State

# Each has a column or a table of its own.
_IDENTITY = ["config", "dataset", "task", "seed", "physics", "method", "model_from", "termination"]
_DATA = {
    **{"dataset_name": "Dataset", "dataset": "Known as", "sha256": "SHA-256"},
    **{"dataset.rows_in_file": "Rows in file", "dataset.transitions": "Transitions"},
}
_EVALUATION = {
    **{"task": "Task", "physics": "Physics", "environment.mujoco_version": "MuJoCo"},
    **{"environment.gymnasium_version": "Gymnasium", "environment.obs_dim": "Observation"},
    "environment.act_dim": "Action",
}
_RUNS = {
    **{"run": "Folder", "dataset": "Dataset", "config": "Configuration", "label": "Method"},
    **{"seed": "Seed", "epochs_done": "Epochs", "state": "State", "note": "Note"},
}


def write_report(
    folders: Sequence[Path],
    out: Path,
    *,
    paper: str = "mopo-table1",
    include_unfinished: bool = False,
    title: str | None = None,
) -> Path:
    """Write one self-contained HTML page about all runs in ``folders``, atomically.

    It needs neither network nor scripts: pictures and style are in it. Text out of files stays
    text, whatever it looks like. Without ``title`` it is made of the folders' names. Returns
    ``out``. See also ``published.read_published`` and ``tables.make_table``.

    Raises:
        InputError: if there is no run, no such published table, or ``out`` is invalid.
    """
    if out.suffix.lower() not in (".html", ".htm"):
        raise InputError(f"expected a page ending in .html or .htm, got {out}.")
    frame, table = results.load(folders), read_published(paper)
    runs, panels = results.runs_of(frame), plots.panels_of(frame)
    made = tables.make_table(frame, paper, include_unfinished=include_unfinished)
    sweeps = [path for folder in folders if (path := folder / "sweep.json").is_file()]
    command = ["mopo-tf2", "report", *map(str, folders), "--out", str(out), "--paper", paper]
    command += ["--include-unfinished"] * include_unfinished
    command += ["--title", title] if title else []
    page = _template().render(
        title=title or f"Runs of {', '.join(folder.resolve().name for folder in folders)}",
        date=f"{datetime.datetime.now(datetime.UTC):%d %B %Y, %H:%M UTC}",
        version=__version__,
        names=[*dict.fromkeys(panel.dataset for panel in panels)],
        states={state.value: int((runs["state"] == state).sum()) for state in State},
        unfinished=runs[runs["state"] != State.FINISHED].to_dict("records"),
        include_unfinished=include_unfinished,
        sections=[_table(cells, caption, n) for caption, cells, n in tables.printed_blocks(made)],
        curves=[_svg(page) for page in plots.curve_pages(panels, table)],
        diagnostics=[_svg(page) for page in plots.diagnostics_pages(panels)],
        has_original=bool((runs["program"] == "original").any()),
        **_settings(runs),
        **_facts(runs),
        sweeps=[
            (path.resolve().parent.name, path.read_text("utf-8", "replace")) for path in sweeps
        ],
        command=shlex.join(command),
    )
    ensure_writable_folder(out.parent)
    write_bytes(out, page.encode())
    return out


def _template() -> jinja2.Template:
    def finalize(value: Any) -> Any:
        is_text = isinstance(value, str) and not hasattr(value, "__html__")
        return results.printable(value) if is_text else value

    strict: Any = {"autoescape": True, "undefined": jinja2.StrictUndefined, "finalize": finalize}
    environment = jinja2.Environment(**strict, trim_blocks=True, lstrip_blocks=True)
    source = Path(__file__).with_name("report.html.j2").read_text(encoding="utf-8")
    return environment.from_string(source)


def _svg(page: plots.Page) -> str:
    buffer = io.BytesIO()
    plots.save([page], buffer, "svg", plots.Look())
    return base64.b64encode(buffer.getvalue()).decode()


def _table(cells: pd.DataFrame, title: str = "", notes: Sequence[str] = ()) -> dict[str, Any]:
    """Return what the template draws as a table; columns without any text are left out."""
    cells = cells.map(_text)
    cells = cells.loc[:, [(cells[name] != "").any() or name == cells.columns[0] for name in cells]]
    kinds = []
    for texts in ([text for text in cells[name] if text not in ("", "n/a")] for name in cells):
        is_number = all(re.fullmatch(r"[-+−±\d,. *]+", text) for text in texts)
        kinds.append("hash" if {*map(len, texts)} == {64} else "number" if is_number else "")
    rows = cells.to_numpy().tolist()
    return {"header": [*cells], "rows": rows, "kinds": kinds, "title": title, "notes": notes}


def _settings(runs: pd.DataFrame) -> dict[str, Any]:
    """Return the parameters of this project's runs: those that differ, and those in common."""
    own = runs[(runs["program"] != "original") & runs["params"].map(bool)]
    values = pd.DataFrame([*own["params"]], index=own.index, dtype=object)
    values = values.drop(columns=_IDENTITY, errors="ignore")
    values = values.map(str).where(values.notna(), "–")
    is_common = values.nunique() == 1
    common = [(name, values[name].iloc[0]) for name in values.columns[is_common]]
    titles = (own["dataset"] + ": " + own["label"]).rename("Configuration")
    cells = (
        values.loc[:, ~is_common].groupby(titles, sort=False).agg(lambda s: "; ".join(s.unique()))
    )
    if cells.shape[1] > max(6, len(cells)):  # The longer side runs down the page.
        cells = cells.T.rename_axis("Parameter")
    differing = cells.reset_index() if cells.size else pd.DataFrame()
    common = pd.DataFrame(common, columns=["Parameter", "Value"])
    return {"differing": _table(differing), "common": _table(common)}


def _facts(runs: pd.DataFrame) -> dict[str, Any]:
    """Return the tables of data, evaluation, software and runs."""
    recorded = pd.json_normalize([*runs["recorded"]]).set_axis(runs.index)
    whole = pd.concat([runs, recorded.drop(columns=[*runs], errors="ignore")], axis=1)

    def counted(cells: pd.DataFrame) -> dict[str, Any]:
        cells = cells.map(_text, missing="not recorded", form=",")
        return _table(cells.groupby([*cells], sort=False).size().reset_index(name="Runs"))

    def known(columns: dict[str, str], key: str) -> pd.DataFrame:
        return whole[whole[key] != UNKNOWN].reindex(columns=[*columns]).rename(columns=columns)

    software = recorded.filter(regex=r"^versions\.").rename(columns=lambda name: name[9:])
    versions = software.melt(var_name="Package", value_name="Version").dropna()
    listed = whole[[*_RUNS]].rename(columns=_RUNS)
    asked = runs["epochs_asked"].map(_text, missing="?")
    listed["Epochs"] = runs["epochs_done"].map(_text) + " of " + asked
    return {
        "data": counted(known(_DATA, "dataset")),
        "environments": counted(known(_EVALUATION, "task")),
        "versions": counted(versions),
        "runs": _table(listed),
    }


def _text(value: Any, missing: str = "", form: str = "") -> str:
    if isinstance(value, float | int) and not isinstance(value, bool) and value % 1 == 0:
        return f"{int(value):{form}}"  # pandas makes floats of whole numbers beside gaps.
    return missing if not isinstance(value, list | dict) and pd.isna(value) else str(value)

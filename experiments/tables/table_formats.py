"""Tables as Markdown, LaTeX and CSV."""

import csv
import io
import math
from collections.abc import Iterator, Sequence
from typing import Any

from ..records.run_scores import STATISTICS
from ..tables.table_parts import AggregateRow, NotCounted, Row, Table
from ..tables.table_text import Section, sections
from mopo_tf2.errors import InputError

FORMATS = ("markdown", "csv", "latex")
SUFFIXES = {".md": "markdown", ".csv": "csv", ".tex": "latex"}

CSV_COLUMNS = (
    *("kind", "dataset", "task", "configuration", "method", "metric", "statistic"),
    *("mean", "std", "iqm", "ci_low", "ci_high", "batch_mean", "batch_max"),
    *("n_seeds", "seeds", "n_tasks", "epochs_min", "epochs_max", "epochs_asked"),
    *("has_unfinished", "state", "folder", "source", "notes"),
)
_LATEX = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "±": r"$\pm$",
    **{character: f"\\{character}" for character in "&%$#_"},
}


def render(table: Table, output_format: str) -> str:
    """Write a table.

    Args:
        table: of ``tables.make_table``.
        output_format: one of ``FORMATS``. Markdown: aligned, notes below. CSV: one line for each
            row and statistic (kind "run_group"), for each statistic over tasks ("over_tasks"),
            published number ("published") and run that does not count ("not_counted"); numbers
            with every digit, an empty cell for none. LaTeX: a fragment to be read by a
            document, which needs no package for it.

    Returns:
        The text, with a line end.

    Raises:
        InputError: if there is no such format.
    """
    if output_format == "markdown":
        return _markdown(table)
    if output_format == "csv":
        return _csv(table)
    if output_format == "latex":
        return _latex(table)
    raise InputError(f"expected a format out of {', '.join(FORMATS)}, got {output_format!r}.")


def _markdown(table: Table) -> str:
    lines = [*(f"- {_markdown_text(sentence)}" for sentence in table.caption), ""]
    for section in sections(table):
        lines += [f"**{_markdown_text(section.title)}**", "", *_markdown_section(section), ""]
    return "\n".join(lines).rstrip() + "\n"


def _markdown_section(section: Section) -> list[str]:
    rows = [[_markdown_text(cell) for cell in row] for row in (section.header, *section.rows)]
    widths = [max(3, *map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "| " + " | ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)) + " |"
        for row in rows
    ]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    notes = [
        f"{number}. {_markdown_text(text)}" if number else f"- {_markdown_text(text)}"
        for number, text in section.notes
    ]
    return [*lines, *(["", *notes] if notes else [])]


def _markdown_text(text: str) -> str:
    plain = " ".join(text.split())
    # An underscore or a star within a word is no markup, and left as it reads best.
    for character in "\\|<":
        plain = plain.replace(character, f"\\{character}")
    return plain


def _latex(table: Table) -> str:
    lines = []
    for number, section in enumerate(sections(table)):
        caption = [section.title + ".", *(table.caption if number == 0 else ())]
        lines += [
            r"\begin{table}",
            r"\centering\footnotesize",
            rf"\caption{{{_latex_text(' '.join(caption))}}}",
            rf"\begin{{tabular}}{{{'l' * len(section.header)}}}",
            r"\hline",
            _latex_row(section.header),
            r"\hline",
            *map(_latex_row, section.rows),
            r"\hline",
            r"\end{tabular}",
        ]
        for mark, text in section.notes:
            raised = f"$^{{{mark}}}$ " if mark else ""
            # A blank line between: each note is a paragraph.
            lines += ["", rf"\raggedright {raised}{_latex_text(text)}"]
        lines += [r"\end{table}", ""]
    return "\n".join(lines).rstrip() + "\n"


def _latex_row(cells: Sequence[str]) -> str:
    # Braces: a cell that starts with "[" would be taken for an argument of the \\ before it.
    return " & ".join(f"{{{_latex_text(cell)}}}" for cell in cells) + r" \\"


def _latex_text(text: str) -> str:
    return "".join(_LATEX.get(character, character) for character in " ".join(text.split()))


def _csv(table: Table) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, CSV_COLUMNS, lineterminator="\n", restval="")
    writer.writeheader()
    for values in _csv_rows(table):
        writer.writerow({name: _csv_cell(value) for name, value in values.items()})
    return text.getvalue()


def _csv_cell(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return ""
    return int(value) if isinstance(value, bool) else value


def _csv_rows(table: Table) -> Iterator[dict[str, Any]]:
    for row in table.rows:
        for name in STATISTICS:
            yield _csv_row(table, row, name)
    for aggregate in table.aggregates:
        for name in STATISTICS:
            yield _csv_aggregate(table, aggregate, name)
    for entry in table.published:
        yield {
            "kind": "published",
            "dataset": entry.key,
            "method": entry.method,
            "metric": table.metric,
            "statistic": "published",
            "mean": entry.value,
            "std": entry.std,
            "batch_mean": entry.batch_mean,
            "batch_max": entry.batch_max,
            "source": entry.source,
        }
    for item in table.not_counted:
        yield _csv_not_counted(item)


def _csv_row(table: Table, row: Row, name: str) -> dict[str, Any]:
    cell = row.cells[name]
    done = [record.epochs_done for record in row.counted]
    asked = [record.epochs_asked for record in row.counted if record.epochs_asked is not None]
    return {
        "kind": "run_group",
        "dataset": row.dataset,
        "task": row.task,
        "configuration": row.configuration,
        "method": "mopo_tf2" if not row.is_original else "original",
        "metric": table.metric,
        "statistic": name,
        "mean": cell.mean,
        "std": cell.std,
        "batch_mean": row.batch.mean if row.batch else "",
        "batch_max": row.batch.max if row.batch else "",
        "n_seeds": len(row.counted),
        "seeds": " ".join("?" if run.seed is None else str(run.seed) for run in row.counted),
        "epochs_min": min(done, default=""),
        "epochs_max": max(done, default=""),
        "epochs_asked": max(asked, default=""),
        "has_unfinished": row.has_unfinished,
        "source": "these runs",
        "notes": "; ".join(row.notes),
    }


def _csv_aggregate(table: Table, aggregate: AggregateRow, name: str) -> dict[str, Any]:
    cell = aggregate.cells[name]
    return {
        "kind": "over_tasks",
        "dataset": aggregate.family,
        "configuration": aggregate.label,
        "method": "mopo_tf2" if not aggregate.is_original else "original",
        "metric": table.metric,
        "statistic": name,
        "mean": cell.mean,
        "iqm": cell.iqm,
        "ci_low": cell.interval.low,
        "ci_high": cell.interval.high,
        "n_tasks": cell.tasks,
        "has_unfinished": aggregate.has_unfinished,
        "source": "these runs",
        "notes": "; ".join(aggregate.notes),
    }


def _csv_not_counted(item: NotCounted) -> dict[str, Any]:
    record = item.record
    return {
        "kind": "not_counted",
        "dataset": record.dataset_id or record.dataset,
        "task": record.task,
        "configuration": record.config,
        "method": "mopo_tf2" if not record.is_original else "original",
        "seeds": "?" if record.seed is None else str(record.seed),
        "epochs_min": record.epochs_done,
        "epochs_max": record.epochs_done,
        "epochs_asked": "" if record.epochs_asked is None else record.epochs_asked,
        "state": str(record.state),
        "folder": record.name,
        "source": "these runs",
        "notes": item.reason,
    }

"""What the tests of the project's documents share: tables of a page, names of a module."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]


class Table(NamedTuple):
    """A table of a Markdown page: the heading above it, and its cells."""

    heading: str
    header: tuple[str, ...]
    rows: list[tuple[str, ...]]


def tables(text: str) -> list[Table]:
    """Every table of a page. A row with another number of cells than its header is an error."""
    found: list[Table] = []
    heading, open_table = "", False
    for line in text.splitlines():
        if line.startswith("#"):
            heading = line.lstrip("# ").strip("` ")
        if not line.startswith("|"):
            open_table = False
        elif not open_table:
            found.append(Table(heading, _cells(line), []))
            open_table = True
        elif not re.fullmatch(r"[|:-]+", line):
            cells = _cells(line)
            if len(cells) != len(found[-1].header):
                raise ValueError(f"a row of {len(cells)} cells under {found[-1].header}: {line}")
            found[-1].rows.append(cells)
    return found


def _cells(line: str) -> tuple[str, ...]:
    return tuple(cell.strip() for cell in line.strip("|").split("|"))


def code_names(cell: str) -> list[str]:
    """The names of a cell, which must hold nothing but `a`, `b`, `c`."""
    if not re.fullmatch(r"`[^`]+`(, `[^`]+`)*", cell):
        raise ValueError(f"expected `name`, `name`, ..., got {cell!r}")
    names: list[str] = re.findall(r"`([^`]+)`", cell)
    return names


def python_files(*folders: str) -> list[Path]:
    """The Python files below folders of the project."""
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def defined_names(source: str) -> set[str]:
    """Names that a module defines: constants, functions, classes, `Class.method`, fields."""
    return set(_names(ast.parse(source).body, ""))


def _names(body: list[ast.stmt], prefix: str) -> Iterator[str]:
    for node in body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            yield prefix + node.name
        if isinstance(node, ast.ClassDef):
            yield from _names(node.body, f"{prefix}{node.name}.")
        targets = [node.target] if isinstance(node, ast.AnnAssign) else []
        if isinstance(node, ast.Assign):
            targets = node.targets  # type: ignore[assignment]
        for target in targets:
            if isinstance(target, ast.Name):
                yield prefix + target.id


def is_there(place: str) -> bool:
    """Whether `file` or `file:Class.method` is in the project."""
    path, _, name = place.partition(":")
    if not (ROOT / path).is_file():
        return False
    return not name or name in defined_names((ROOT / path).read_text(encoding="utf-8"))

"""What the tests of the project's documents share: tables of a page, names of a module."""

import ast
import functools
import re
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]


class Table(NamedTuple):
    """A table of a Markdown page: the heading above it, and its cells."""

    heading: str
    header: tuple[str, ...]
    rows: list[tuple[str, ...]]


def tables(text):
    """Every table of a page. A row with another number of cells than its header is an error."""
    found, heading, open_table = [], "", False
    for line in text.splitlines():
        if line.startswith("#"):
            heading = line.lstrip("# ").strip("` ")
        cells = tuple(cell.strip() for cell in line.strip("|").split("|"))
        if not line.startswith("|"):
            open_table = False
        elif not open_table:
            found.append(Table(heading, cells, []))
            open_table = True
        elif not re.fullmatch(r"[|:-]+", line):
            if len(cells) != len(found[-1].header):
                raise ValueError(f"a row of {len(cells)} cells under {found[-1].header}: {line}")
            found[-1].rows.append(cells)
    return found


def code_names(cell):
    """The names of a cell, which must hold nothing but `a`, `b`, `c`."""
    if not re.fullmatch(r"`[^`]+`(, `[^`]+`)*", cell):
        raise ValueError(f"expected `name`, `name`, ..., got {cell!r}")
    return re.findall(r"`([^`]+)`", cell)


def python_files(*folders):
    """The Python files below folders of the project."""
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


@functools.cache
def parsed(path):
    """The text of a file and its syntax tree; each is read once."""
    text = path.read_text(encoding="utf-8")
    return text, ast.parse(text)


def defined_names(body, prefix=""):
    """Names that a module defines: constants, functions, classes, `Class.method`, fields."""
    for node in body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            yield prefix + node.name
        if isinstance(node, ast.ClassDef):
            yield from defined_names(node.body, f"{prefix}{node.name}.")
        targets = [node.target] if isinstance(node, ast.AnnAssign) else []
        if isinstance(node, ast.Assign):
            targets = node.targets
        yield from (prefix + target.id for target in targets if isinstance(target, ast.Name))


def is_there(place):
    """Whether `file` or `file:Class.method` is in the project."""
    path, _, name = place.partition(":")
    if not (ROOT / path).is_file():
        return False
    return not name or name in defined_names(parsed(ROOT / path)[1].body)

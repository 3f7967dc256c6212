"""The project's pages and docstrings as data: tables, defined names, citations of the original."""

import ast
import functools
import json
import re
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
CITED = "Original:"


class Table(NamedTuple):
    """A table of a Markdown page: the heading above it, and its cells."""

    heading: str
    header: tuple[str, ...]
    rows: list[tuple[str, ...]]


def tables(page):
    """Every table of a page. A row with another number of cells than its header is an error."""
    found, heading, open_table = [], "", False
    for line in (ROOT / page).read_text(encoding="utf-8").splitlines():
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


def original_definitions(*parts):
    """Definitions by file, of the named parts of original_index.json or of all of them."""
    index = json.loads((ROOT / "parity" / "original_index.json").read_text(encoding="utf-8"))
    return {
        path: set(entry["definitions"])
        for part in parts or index
        for path, entry in index[part]["files"].items()
    }


def citations(tree):
    """(owner, place) of every place that a module's docstrings cite; owner is `Class.method`.

    A citation goes from its mark to the end of its paragraph; places are separated by ";", a
    remark in parentheses may follow a place.
    """
    for owner, text in _docstrings(tree, ""):
        for after in text.split(CITED)[1:]:
            paragraph = " ".join(re.split(r"\n\s*\n", after, maxsplit=1)[0].split())
            for item in paragraph.split(";"):
                place = item.strip().removesuffix(".")
                yield owner, re.sub(r"(?<=\S) \([^()]*\)$", "", place) if "/" in place else place


def _docstrings(node, owner):
    """Yield every string that stands by itself as a statement, with what it describes."""
    for child in ast.iter_child_nodes(node):
        name = owner
        if isinstance(child, ast.ClassDef | ast.FunctionDef):
            name = f"{owner}.{child.name}".strip(".")
        value = getattr(child, "value", None) if isinstance(child, ast.Expr) else None
        if isinstance(value, ast.Constant) and isinstance(value.value, str):
            yield owner, value.value
        yield from _docstrings(child, name)

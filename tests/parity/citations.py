"""The citations of the original in docstrings: `Original: file:Class.method; ...`."""

import ast
import json
import re
from typing import NamedTuple

from tests.parity.documents import ROOT

_MARK = "Original:"
_PUBLICATION = re.compile(r"[\w ]+ \([\w. ]+ \d{4}\)(, (section|equation|table|appendix) [\w.]+)?")
"""For example: MOPO paper (Yu et al. 2020), section 4.3."""


class Citation(NamedTuple):
    """One cited place, and what cites it: `Class.method`, or "" for a module."""

    owner: str
    place: str


def original_definitions(*parts):
    """Definitions by file, of the named parts of original_index.json or of all of them."""
    index = json.loads((ROOT / "parity" / "original_index.json").read_text(encoding="utf-8"))
    return {
        path: set(entry["definitions"])
        for part in parts or index
        for path, entry in index[part]["files"].items()
    }


def citations(tree):
    """Every cited place of a module.

    A citation goes from its mark to the end of its paragraph; places are separated by ";", a
    remark in parentheses may follow a place, a full stop may end the line.
    """
    return [
        Citation(owner, _place(item))
        for owner, paragraph in paragraphs(tree)
        for item in paragraph.split(";")
    ]


def paragraphs(tree):
    """What follows each mark in the docstrings of a module, with what they describe."""
    return [
        (owner, " ".join(re.split(r"\n\s*\n", after, maxsplit=1)[0].split()))
        for owner, text in _texts(tree, "")
        for after in text.split(_MARK)[1:]
    ]


def marks(source):
    """How often a module says `Original:`, wherever that is."""
    return source.count(_MARK)


def fault(place, definitions):
    """What is wrong with a cited place, None if nothing is."""
    if not re.search(r"[/:]|\.py", place):
        return None if _PUBLICATION.fullmatch(place) else "neither code nor a publication"
    path, colon, name = place.partition(":")
    if path not in definitions:
        return "no such file"
    return None if name in definitions[path] or not colon else "no such definition"


def _place(item):
    """Drop a remark behind a place in the code, and a full stop."""
    item = item.strip().removesuffix(".")
    return re.sub(r"(?<=\S) \([^()]*\)$", "", item) if "/" in item else item


def _texts(node, owner):
    """Yield every string that stands by itself as a statement, with what it describes."""
    for child in ast.iter_child_nodes(node):
        name = owner
        if isinstance(child, ast.ClassDef | ast.FunctionDef):
            name = f"{owner}.{child.name}".strip(".")
        value = getattr(child, "value", None) if isinstance(child, ast.Expr) else None
        if isinstance(value, ast.Constant) and isinstance(value.value, str):
            yield owner, value.value
        yield from _texts(child, name)

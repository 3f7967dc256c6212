"""PORTING.md and the docstrings' citations name what the original defines, and what exists here."""

import re
from collections import Counter
from typing import NamedTuple

import pytest

from tests.parity.documents import (
    CITED,
    ROOT,
    citations,
    defined_names,
    original_definitions,
    parsed,
    python_files,
    tables,
)

PUBLICATION = re.compile(r"[\w ]+ \([\w. ]+ \d{4}\)(, (section|equation|table|appendix) [\w.]+)?")
"""For example: MOPO paper (Yu et al. 2020), section 4.3."""


class Row(NamedTuple):
    """Definitions of one file of the original, or the file itself, and where they are now."""

    file: str
    names: list[str]
    places: list[str]
    note: str


def code_names(cell):
    """The names of a cell, which must hold nothing but `a`, `b`, `c`, or a dash: none."""
    if cell == "–":
        return []
    if not re.fullmatch(r"`[^`]+`(, `[^`]+`)*", cell):
        raise ValueError(f"expected `name`, `name`, ..., got {cell!r}")
    return re.findall(r"`([^`]+)`", cell)


@pytest.fixture(scope="module")
def rows():
    """Read the tables. Anything but their three kinds, and the summary, is an error."""
    found = []
    for table in tables("parity/PORTING.md"):
        for first, second, *rest in table.rows:
            match table.header:
                case ("definition", "now", "note"):
                    names, places = code_names(first), code_names(second)
                    found.append(Row(table.heading, names, places, *rest))
                case ("file", "definitions", "why there is no counterpart"):
                    found.append(Row(*code_names(first), code_names(second), [], *rest))
                case ("file without definitions", "now", "note"):
                    places = code_names(second)
                    found += [Row(file, [], places, *rest) for file in code_names(first)]
                case ("If you know", "look at"):
                    pass
                case header:
                    raise ValueError(f"a table of an unknown kind: {header}")
    return found


def test_every_definition_and_file_of_the_original_stands_once(rows):
    definitions = original_definitions("mopo")
    defined = {(file, name) for file, names in definitions.items() for name in names}
    named = Counter((row.file, name) for row in rows for name in row.names)
    assert sorted(defined ^ set(named)) == []
    assert [name for name, count in named.items() if count > 1] == []
    without = Counter(row.file for row in rows if not row.names)
    assert sorted([*{row.file for row in rows if row.names}, *without.elements()]) == sorted(
        definitions
    )


def is_there(place):
    """Whether `file` or `file:Class.method` is in the project."""
    path, _, name = place.partition(":")
    if not (ROOT / path).is_file():
        return False
    return not name or name in defined_names(parsed(ROOT / path)[1].body)


def test_every_place_exists_and_what_is_nowhere_has_a_reason(rows):
    assert sorted({p for row in rows for p in row.places if not is_there(p)}) == []
    assert [row for row in rows if not row.places and not row.note] == []


def test_every_citation_names_a_definition_of_the_original_and_is_named_with_it(rows):
    named = {(place, f"{row.file}:{n}") for row in rows for place in row.places for n in row.names}
    definitions, ported, faults = original_definitions(), original_definitions("mopo"), []
    for path in python_files("mopo_tf2", "experiments", "parity"):
        text, tree = parsed(path)
        file, cited = path.relative_to(ROOT).as_posix(), list(citations(tree))
        # A mark outside a docstring would not be read.
        assert len(cited) >= text.count(CITED), file
        for owner, place in cited:
            original, colon, name = place.partition(":")
            here = f"{file}:{owner}".rstrip(":")
            if not re.search(r"[/:]|\.py", place):
                known = PUBLICATION.fullmatch(place)
            else:
                known = original in definitions and (not colon or name in definitions[original])
            if not known:
                faults.append(f"{here}: {place} is not in the original")
            elif colon and original in ported and not file.startswith("parity/"):
                faults += (
                    [] if (here, place) in named else [f"{here}: {place} is not in PORTING.md"]
                )
    assert faults == []

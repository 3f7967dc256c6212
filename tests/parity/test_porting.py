"""PORTING.md: everything that the original defines, once, with a place that exists."""

import ast
from collections import Counter
from typing import NamedTuple

import pytest

from tests.parity.citations import citations, original_definitions
from tests.parity.documents import (
    ROOT,
    code_names,
    defined_names,
    is_there,
    parsed,
    python_files,
    tables,
)

PAGE = (ROOT / "parity" / "PORTING.md").read_text(encoding="utf-8")
NOWHERE = "–"
FOLDER = "mopo_tf2/algorithms"


class Row(NamedTuple):
    """Definitions of one file of the original, or the file itself, and where they are now."""

    file: str
    names: list[str]
    places: list[str]
    note: str


def porting(page):
    """Read the tables. Anything but their three kinds, and the summary, is an error."""
    rows = []
    for table in tables(page):
        for first, second, *rest in table.rows:
            match table.header:
                case ("definition", "now", "note"):
                    rows.append(Row(table.heading, code_names(first), _places(second), *rest))
                case ("file", "definitions", "why there is no counterpart"):
                    (file,) = code_names(first)
                    rows.append(Row(file, code_names(second), [], *rest))
                case ("file without definitions", "now", "note"):
                    rows += [Row(file, [], _places(second), *rest) for file in code_names(first)]
                case ("If you know", "look at"):
                    pass
                case header:
                    raise ValueError(f"a table of an unknown kind: {header}")
    return rows


def _places(cell):
    return [] if cell == NOWHERE else code_names(cell)


@pytest.fixture(scope="module")
def rows():
    return porting(PAGE)


def test_every_definition_of_the_original_stands_once(rows):
    named = Counter((row.file, name) for row in rows for name in row.names)
    defined = {(f, name) for f, names in original_definitions("mopo").items() for name in names}
    assert sorted(defined - set(named)) == [], "missing"
    assert sorted(set(named) - defined) == [], "not in the original"
    assert [name for name, count in named.items() if count > 1] == [], "more than once"


def test_every_file_of_the_original_stands_once(rows):
    with_names = {row.file for row in rows if row.names}
    without = Counter(row.file for row in rows if not row.names)
    assert sorted([*with_names, *without.elements()]) == sorted(original_definitions("mopo"))


def test_every_file_has_one_section():
    headings = Counter(table.heading for table in tables(PAGE))
    assert [heading for heading, count in headings.items() if count > 1] == []


def test_every_place_exists_and_what_is_nowhere_has_a_reason(rows):
    assert sorted({p for row in rows for p in row.places if not is_there(p)}) == []
    assert [row for row in rows if not row.places and not row.note] == []


def test_what_cites_a_definition_is_named_with_it(rows):
    named = {(place, f"{row.file}:{n}") for row in rows for place in row.places for n in row.names}
    definitions = original_definitions("mopo")
    citing = {
        (f"{path.relative_to(ROOT).as_posix()}:{citation.owner}".rstrip(":"), citation.place)
        for path in python_files("mopo_tf2", "experiments")
        for citation in citations(parsed(path)[1])
        if ":" in citation.place and citation.place.split(":")[0] in definitions
    }
    assert sorted(citing - named) == []


SECTION = "### `a.py`\n\n| definition | now | note |\n|---|---|---|\n"


def test_rows_are_read():
    page = SECTION + "| `A`, `A.f'` | `b.py:B`, `c.py` | |\n| `g` | – | dead |\n"
    assert porting(page) == [
        Row("a.py", ["A", "A.f'"], ["b.py:B", "c.py"], ""),
        Row("a.py", ["g"], [], "dead"),
    ]


@pytest.mark.parametrize(
    "page",
    [
        SECTION + "| A | `b.py:B` | |\n",
        SECTION + "| `A` `B` | `b.py:B` | |\n",
        SECTION + "| `A` | - | dead |\n",
        SECTION + "| `A` | | dead |\n",
        SECTION + "| `A` | `b.py:B` |\n",
        "| name | now |\n|---|---|\n| `A` | – |\n",
    ],
)
def test_malformed_rows_and_unknown_tables_are_errors(page):
    with pytest.raises(ValueError, match=r"expected `name`|a row of|unknown kind"):
        porting(page)


def test_places_are_looked_up_among_the_names_that_a_module_defines():
    source = "X = 1\nclass A:\n    y: int = 2\n    def f(self):\n        z = 3\ndef g(): ...\n"
    assert set(defined_names(ast.parse(source).body)) == {"X", "A", "A.y", "A.f", "g"}
    there = [place for place in ("sac.py", "sac.py:SAC.update") if is_there(f"{FOLDER}/{place}")]
    gone = [place for place in ("", "sac.py:SAC.updaet") if is_there(f"{FOLDER}/{place}")]
    assert (there, gone) == (["sac.py", "sac.py:SAC.update"], [])

"""PORTING.md: everything that the original defines, once, with a place that exists."""

from collections import Counter
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.parity.citations import citations, original_definitions
from tests.parity.documents import (
    ROOT,
    code_names,
    defined_names,
    is_there,
    python_files,
    tables,
)

PAGE = (ROOT / "parity" / "PORTING.md").read_text(encoding="utf-8")
NOWHERE = "–"


class Row(NamedTuple):
    """Definitions of one file of the original, or the file itself, and where they are now."""

    file: str
    names: list[str]
    places: list[str]
    note: str


def porting(page: str) -> list[Row]:
    """Read the tables. Anything but their three kinds, and the summary, is an error."""
    rows = []
    for table in tables(page):
        for cells in table.rows:
            match table.header:
                case ("definition", "now", "note"):
                    rows.append(
                        Row(table.heading, code_names(cells[0]), _places(cells[1]), cells[2])
                    )
                case ("file", "definitions", "why there is no counterpart"):
                    (file,) = code_names(cells[0])
                    rows.append(Row(file, code_names(cells[1]), [], cells[2]))
                case ("file without definitions", "now", "note"):
                    rows += [
                        Row(file, [], _places(cells[1]), cells[2]) for file in code_names(cells[0])
                    ]
                case ("If you know", "look at"):
                    pass
                case header:
                    raise ValueError(f"a table of an unknown kind: {header}")
    return rows


def _places(cell: str) -> list[str]:
    return [] if cell == NOWHERE else code_names(cell)


@pytest.fixture(scope="module")
def rows() -> list[Row]:
    return porting(PAGE)


def test_every_definition_of_the_original_stands_once(rows):
    named = Counter((row.file, name) for row in rows for name in row.names)
    defined = {
        (file, name) for file, names in original_definitions("mopo").items() for name in names
    }
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


def test_every_place_exists(rows):
    gone = {place for row in rows for place in row.places if not is_there(place)}
    assert sorted(gone) == []


def test_what_is_nowhere_has_a_reason(rows):
    assert [row for row in rows if not row.places and not row.note] == []


def citing() -> list[tuple[str, str]]:
    """(place in the project, cited definition of the original's own code) of every citation."""
    definitions = original_definitions("mopo")
    found = []
    for path in python_files("mopo_tf2", "experiments"):
        name = path.relative_to(ROOT).as_posix()
        for citation in citations(path.read_text(encoding="utf-8")):
            file, _, definition = citation.place.partition(":")
            if file in definitions and definition:
                found.append((f"{name}:{citation.owner}".rstrip(":"), citation.place))
    return found


def test_what_cites_a_definition_is_named_with_it(rows):
    named = {(place, f"{row.file}:{n}") for row in rows for place in row.places for n in row.names}
    assert sorted(set(citing()) - named) == []


SECTION = "### `a.py`\n\n| definition | now | note |\n|---|---|---|\n"


def test_rows_are_read():
    page = SECTION + "| `A`, `A.f'` | `b.py:B`, `c.py` | |\n| `g` | – | dead |\n"
    assert porting(page) == [
        Row("a.py", ["A", "A.f'"], ["b.py:B", "c.py"], ""),
        Row("a.py", ["g"], [], "dead"),
    ]


@pytest.mark.parametrize(
    "row",
    [
        "| A | `b.py:B` | |",
        "| `A` `B` | `b.py:B` | |",
        "| `A` | b.py:B | |",
        "| `A` | - | dead |",
        "| `A` | | dead |",
        "| `A` | `b.py:B` |",
    ],
)
def test_malformed_rows_are_errors(row):
    with pytest.raises(ValueError, match=r"expected `name`|a row of"):
        porting(SECTION + row + "\n")


def test_unknown_tables_are_errors():
    with pytest.raises(ValueError, match="unknown kind"):
        porting("| name | now |\n|---|---|\n| `A` | – |\n")


def test_names_of_a_module_are_those_it_defines():
    source = "X = 1\nclass A:\n    y: int = 2\n    def f(self):\n        z = 3\ndef g(): ...\n"
    assert defined_names(source) == {"X", "A", "A.y", "A.f", "g"}


@pytest.mark.parametrize(
    ("place", "there"),
    [
        ("mopo_tf2/algorithms/sac.py", True),
        ("mopo_tf2/algorithms/sac.py:SAC.update", True),
        ("mopo_tf2/algorithms/sac.py:SAC.updaet", False),
        ("mopo_tf2/algorithms/sacs.py:SAC", False),
        (Path("mopo_tf2").as_posix(), False),
    ],
)
def test_places_are_looked_up(place, there):
    assert is_there(place) is there

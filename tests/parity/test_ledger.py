"""DIVERGENCES.md: every number stands in ledger and code, and is watched by what exists."""

import ast
import re
from collections import Counter
from typing import NamedTuple

import pytest

from tests.parity.documents import ROOT, parsed, python_files, tables

NUMBER = re.compile(r"\b[QD]-\d+\b")
EFFECTS = ("none", "rounding", "stream", "behaviour")
KINDS = {
    ("id", "what the original does, and the port too", "watched by"): "kept",
    ("id", "what the port does", "why", "effect", "watched by"): "departure",
    ("id", "what the original does", "in its place"): "not kept",
    ("id", "what", "why no line has it"): "absent",
}
LETTERS = {"kept": "Q", "departure": "D", "not kept": "Q", "absent": "QD"}


class Entry(NamedTuple):
    """One number of the ledger."""

    number: str
    kind: str
    cells: tuple[str, ...]


def text_of(page):
    return (ROOT / page).read_text(encoding="utf-8")


def watchers(cell):
    """Parity cases and tests (`file::test`) of a last column; anything else is an error."""
    cases, tests = [], []
    for item in cell.split("; "):
        if re.fullmatch(r"parity: \w+(, \w+)*", item):
            cases += item.removeprefix("parity: ").split(", ")
        elif re.fullmatch(r"tests/[\w/]+\.py::test_\w+", item):
            tests.append(item)
        else:
            raise ValueError(f"expected 'parity: NAME, ...' or 'FILE::TEST', got {item!r}")
    return cases, tests


def names_of_tests(path):
    """Names of the tests of a file; none if there is no such file."""
    body = parsed(ROOT / path)[1].body if (ROOT / path).is_file() else []
    return {node.name for node in body if isinstance(node, ast.FunctionDef)}


def numbers_in(*folders):
    """Numbers that Python files mention, with the names of the files that do."""
    found = {}
    for path in python_files(*folders):
        for number in NUMBER.findall(parsed(path)[0]):
            found.setdefault(number, set()).add(path.relative_to(ROOT).as_posix())
    return found


@pytest.fixture(scope="module")
def entries():
    page = tables(text_of("parity/DIVERGENCES.md"))
    return [Entry(c[0], KINDS[table.header], c) for table in page for c in table.rows]


@pytest.fixture(scope="module")
def in_code():
    return numbers_in("mopo_tf2", "experiments", "parity", "benchmarks")


def test_every_number_has_one_row_of_its_kind(entries):
    assert [n for n, count in Counter(e.number for e in entries).items() if count > 1] == []
    assert [e.number for e in entries if not NUMBER.fullmatch(e.number)] == []
    assert [e.number for e in entries if e.number[0] not in LETTERS[e.kind]] == []


def test_the_ledger_has_the_numbers_of_the_code_and_no_others(entries, in_code):
    known = {entry.number for entry in entries if entry.kind != "absent"}
    assert {n: files for n, files in in_code.items() if n not in known} == {}
    assert sorted(known - set(in_code)) == []


def test_every_number_that_a_test_or_page_refers_to_has_a_row(entries):
    known = {entry.number for entry in entries}
    assert {n: files for n, files in numbers_in("tests").items() if n not in known} == {}
    for page in ("parity/DIVERGENCES.md", "parity/PORTING.md", "parity/README.md", "CHANGELOG.md"):
        assert set(NUMBER.findall(text_of(page))) <= known, page


def test_every_departure_says_why_and_what_it_does_to_results(entries):
    departures = [entry for entry in entries if entry.kind == "departure"]
    assert departures
    for number, _, (_, what, why, effect, _) in departures:
        assert what, number
        assert why, number
        assert effect.split(" (")[0] in EFFECTS, number


def test_what_is_not_kept_or_not_in_the_code_says_why(entries):
    assert [e.number for e in entries if e.kind in ("not kept", "absent") and not e.cells[2]] == []


def test_every_row_is_watched_by_what_exists(entries, cases):
    watched = [entry for entry in entries if entry.kind in ("kept", "departure")]
    assert len(watched) > 50
    faults = []
    for entry in watched:
        named, tests = watchers(entry.cells[-1])
        faults += [f"{entry.number}: no case {name}" for name in named if name not in cases]
        for test in tests:
            path, _, name = test.partition("::")
            if name not in names_of_tests(path):
                faults.append(f"{entry.number}: no test {test}")
    assert faults == []


def test_watchers_are_read():
    cell = "parity: fc_layer, scaler; tests/test_config.py::test_x"
    assert watchers(cell) == (["fc_layer", "scaler"], ["tests/test_config.py::test_x"])
    assert "test_watchers_are_read" in names_of_tests("tests/parity/test_ledger.py")
    assert names_of_tests("tests/parity/test_nothing.py") == set()


@pytest.mark.parametrize("cell", ["", "none", "fc_layer", "parity: ", "tests/test_config.py"])
def test_a_row_cannot_be_watched_by_nothing(cell):
    with pytest.raises(ValueError, match="expected 'parity"):
        watchers(cell)

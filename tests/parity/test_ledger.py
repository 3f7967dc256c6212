"""DIVERGENCES.md: every number stands in ledger and code, and is watched by what exists."""

import ast
import re
from collections import Counter
from typing import NamedTuple

import pytest

from tests.parity.documents import ROOT, python_files, tables

PAGE = (ROOT / "parity" / "DIVERGENCES.md").read_text(encoding="utf-8")
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


def ledger(page: str) -> list[Entry]:
    return [
        Entry(cells[0], KINDS[table.header], cells)
        for table in tables(page)
        for cells in table.rows
    ]


def watchers(cell: str) -> tuple[list[str], list[str]]:
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


def names_of_tests(path: str) -> set[str]:
    """Names of the tests of a file; none if there is no such file."""
    if not (ROOT / path).is_file():
        return set()
    body = ast.parse((ROOT / path).read_text(encoding="utf-8")).body
    return {node.name for node in body if isinstance(node, ast.FunctionDef)}


def numbers_in_code() -> dict[str, set[str]]:
    """Numbers that the code mentions, with the files that do."""
    found: dict[str, set[str]] = {}
    for path in python_files("mopo_tf2", "experiments", "parity", "benchmarks"):
        for number in NUMBER.findall(path.read_text(encoding="utf-8")):
            found.setdefault(number, set()).add(path.relative_to(ROOT).as_posix())
    return found


@pytest.fixture(scope="module")
def entries() -> list[Entry]:
    return ledger(PAGE)


def test_every_number_has_one_row_of_its_kind(entries):
    assert [n for n, count in Counter(e.number for e in entries).items() if count > 1] == []
    assert [e.number for e in entries if not NUMBER.fullmatch(e.number)] == []
    assert [e.number for e in entries if e.number[0] not in LETTERS[e.kind]] == []


def test_every_number_in_the_code_is_in_the_ledger(entries):
    known = {entry.number for entry in entries if entry.kind != "absent"}
    assert {n: files for n, files in numbers_in_code().items() if n not in known} == {}


def test_every_number_in_the_tests_is_in_the_ledger(entries):
    known = {entry.number for entry in entries}
    for path in python_files("tests"):
        if path.name != "test_ledger.py":
            mentioned = set(NUMBER.findall(path.read_text(encoding="utf-8")))
            assert mentioned <= known, path.relative_to(ROOT)


def test_every_number_of_the_ledger_is_in_the_code(entries):
    mentioned = numbers_in_code()
    missing = [e.number for e in entries if e.kind != "absent" and e.number not in mentioned]
    assert missing == []


def test_every_number_that_a_row_or_page_refers_to_has_a_row(entries):
    known = {entry.number for entry in entries}
    for page in ("parity/DIVERGENCES.md", "parity/PORTING.md", "parity/README.md", "CHANGELOG.md"):
        mentioned = set(NUMBER.findall((ROOT / page).read_text(encoding="utf-8")))
        assert mentioned <= known, page


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


@pytest.mark.parametrize(
    "cell", ["", "none", "fc_layer", "parity: ", "tests/test_config.py", "tests/x.py::check"]
)
def test_a_row_cannot_be_watched_by_nothing(cell):
    with pytest.raises(ValueError, match="expected 'parity"):
        watchers(cell)


def test_tests_of_a_file_are_its_functions():
    assert "test_watchers_are_read" in names_of_tests("tests/parity/test_ledger.py")
    assert names_of_tests("tests/parity/test_nothing.py") == set()

"""DIVERGENCES.md: every number stands in ledger and code, and is watched by what exists."""

import re
from collections import Counter
from typing import NamedTuple

import pytest

from tests.parity.documents import ROOT, defined_names, parsed, python_files, tables

NUMBER = re.compile(r"\b[QD]-\d+\b")
EFFECTS = ("none", "rounding", "stream", "behaviour")
KINDS = {
    ("id", "what the original does, and the port too", "watched by"): "kept",
    ("id", "what the port does", "why", "effect", "watched by"): "departure",
    ("id", "what the original does", "in its place"): "not kept",
    ("id", "what", "why no line has it"): "absent",
}
LETTERS = {"kept": "Q", "departure": "D", "not kept": "Q", "absent": "QD"}
PAGES = ("parity/DIVERGENCES.md", "parity/PORTING.md", "parity/README.md", "CHANGELOG.md")


class Entry(NamedTuple):
    """One number of the ledger."""

    number: str
    kind: str
    cells: tuple[str, ...]


@pytest.fixture(scope="module")
def entries():
    page = tables("parity/DIVERGENCES.md")
    return [Entry(c[0], KINDS[table.header], c) for table in page for c in table.rows]


def numbers_in(*folders):
    """Numbers that Python files mention."""
    return {n for path in python_files(*folders) for n in NUMBER.findall(parsed(path)[0])}


def test_every_number_has_one_complete_row_of_its_kind(entries):
    assert [n for n, count in Counter(e.number for e in entries).items() if count > 1] == []
    for number, kind, cells in entries:
        assert NUMBER.fullmatch(number), number
        assert number[0] in LETTERS[kind], number
        assert all(cells), number
        assert kind != "departure" or cells[3].split(" (")[0] in EFFECTS, number


def test_the_ledger_has_the_numbers_of_the_code_and_no_others(entries):
    known = {entry.number for entry in entries if entry.kind != "absent"}
    assert numbers_in("mopo_tf2", "experiments", "parity", "benchmarks") == known


def test_every_number_that_a_test_or_page_refers_to_has_a_row(entries):
    referred = numbers_in("tests")
    for page in PAGES:
        referred |= set(NUMBER.findall((ROOT / page).read_text(encoding="utf-8")))
    assert referred - {entry.number for entry in entries} == set()


def faults_of(watcher, cases):
    """What of "parity: NAME, ..." or "FILE::TEST" does not exist."""
    if re.fullmatch(r"parity: \w+(, \w+)*", watcher):
        return set(watcher.removeprefix("parity: ").split(", ")) - set(cases)
    file, _, test = watcher.partition("::")
    is_test = re.fullmatch(r"tests/[\w/]+\.py", file) and (ROOT / file).is_file()
    return set() if is_test and test in defined_names(parsed(ROOT / file)[1].body) else {watcher}


def test_every_row_is_watched_by_what_exists(entries, cases):
    watched = [entry for entry in entries if entry.kind in ("kept", "departure")]
    assert len(watched) > 50
    faults = {
        entry.number: missing
        for entry in watched
        for watcher in entry.cells[-1].split("; ")
        if (missing := faults_of(watcher, cases))
    }
    assert faults == {}

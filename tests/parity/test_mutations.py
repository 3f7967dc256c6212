"""The suite can fail: each mistake, made on purpose, is noticed at the right place.

``make test`` makes the quick ones, ``make mutations`` all, ``python -m pytest FILE -m "" -k NAME``
one.
"""

import contextlib
import fnmatch

import pytest
import tensorflow as tf

from tests.eager import eagerly
from tests.parity.mutations import MUTATIONS, QUICK


def miss(rows, group):
    """The row of a group that missed; everything before it must have passed."""
    named = [row for row in rows if row.group == group]
    assert named, f"the table has no row {group!r}: {rows}"
    missed = [row for row in named if not row.passed]
    assert missed, f"the row {group!r} passes: {named}"
    before = rows[: rows.index(missed[0])]
    assert all(row.passed for row in before), [row for row in before if not row.passed]
    return missed[0]


class Failures:
    """A plugin of pytest that keeps what went wrong."""

    def __init__(self):
        self.messages = []

    def pytest_runtest_logreport(self, report):
        if report.failed:
            self.messages.append(report.longrepr.reprcrash.message)


@contextlib.contextmanager
def in_graphs():
    """Trace functions, but do not compile them: the quickest for some hundred steps of each."""
    function = tf.function
    with pytest.MonkeyPatch.context() as patches:
        patches.setattr(tf, "function", lambda traced, jit_compile: function(traced))
        yield


@pytest.mark.parametrize(
    "mutation",
    [
        pytest.param(m, id=m.name, marks=[] if m.name in QUICK else pytest.mark.mutation)
        for m in MUTATIONS
    ],
)
def test_mutation_is_noticed(monkeypatch, rows_of, mutation):
    for patch in mutation.patches:
        monkeypatch.setattr(*patch)
    if "::" in mutation.case:
        failures = Failures()
        pytest.main([mutation.case, "-q", "-p", "no:cacheprovider"], plugins=[failures])
        assert failures.messages
        assert all(m.startswith(("assert", "AssertionError")) for m in failures.messages)
        return
    trains = "_epochs" in mutation.case or mutation.case.startswith("bnn_train")
    with in_graphs() if trains else eagerly():
        row = miss(rows_of(mutation.case, mutation.until or mutation.group), mutation.group)
    told = row.note if row.group == "replay" else row.where
    assert fnmatch.fnmatchcase(told, mutation.where)


def test_mutations_have_names_of_their_own_and_the_quick_ones_exist():
    names = [mutation.name for mutation in MUTATIONS]
    assert len(set(names)) == len(names)
    assert set(names) >= QUICK

"""Every recorded array is an input, compared, or said not to be compared."""

import dataclasses

import numpy as np
import pytest

from parity.comparison import Comparison, compare
from parity.recording import Recording
from parity.registry import Case, unaccounted
from parity.runner import Report, replay, run_cases


def test_there_is_a_replay_for_every_recorded_case(recordings, cases):
    assert set(cases) == recordings.cases
    assert len(cases) == 36


def doubled(recording):
    yield compare(recording, "output", 2.0 * recording["input"], "exact", "double")


def made_up(**more):
    return Recording("made_up", {"input": np.array([2.0]), "output": np.array([4.0]), **more})


DOUBLED = Case(name="made_up", replay=doubled, inputs=("input",), compared=("output",))


def test_an_array_that_nobody_knows_is_a_miss():
    _, rows = replay(DOUBLED, made_up(new=np.zeros(1)))
    assert [(row.where, row.passed) for row in rows] == [("output[0]", True), ("new", False)]


@pytest.mark.parametrize(
    ("changes", "faults"),
    [
        ({"inputs": ()}, {"input": "unaccounted array"}),
        ({"compared": ("output", "input")}, {"input": "choose one"}),
        ({"inputs": ("input", "output"), "compared": ()}, {}),
        ({"compared": (), "not_compared": {"output": "why"}}, {"output": "the replay compares it"}),
        (
            {"replay": lambda recording: iter(())},
            {"input": "did not read it", "output": "did not compare it"},
        ),
    ],
)
def test_declarations_that_the_replay_does_not_keep_are_misses(changes, faults):
    case, recording = dataclasses.replace(DOUBLED, **changes), made_up()
    seen = {finding.array for finding in case.replay(recording)}
    found = dict(unaccounted(case, recording, seen))
    assert found.keys() == faults.keys()
    assert all(text in found[array] for array, text in faults.items())


def test_a_replay_that_breaks_off_is_a_miss_that_says_where():
    def breaks(recording):
        yield from doubled(recording)
        raise ValueError("two\nlines")

    _, rows = replay(dataclasses.replace(DOUBLED, replay=breaks), made_up())
    assert [row.passed for row in rows] == [True, False]
    assert rows[1].note.startswith("ValueError: two lines (breaks, line ")


def test_running_no_case_is_a_failure(recordings, cases):
    assert not run_cases(recordings, cases, []).passed
    assert not Report("nowhere", (), 0.0).passed


CHEAP = ("fc_layer", "scaler", "termination", "gaussian_policy", "q_function", "replay_pool")


@pytest.mark.parametrize("name", CHEAP)
def test_every_compared_array_misses_if_its_recording_is_changed(cases, load, name):
    case, recording = cases[name], load(name)
    outputs = {array for array in recording if case.kinds_of(array) == ["compared"]}
    if name == "q_function":
        outputs = {"q"}  # The weights are put in and read out again.
    arrays = {a: change(a, recording[a]) if a in outputs else recording[a] for a in recording}
    findings, _ = replay(case, Recording(name, arrays))
    compared = [finding for finding in findings if isinstance(finding, Comparison)]
    assert outputs <= {finding.array for finding in compared if finding.over}


def change(array, values):
    """Move the median value a little, or turn a flag."""
    if array.startswith("log_pis_of"):  # Some rows of these are left out.
        return 1.001 * values
    changed = values.copy()
    if values.dtype == bool:
        changed.flat[0] = not changed.flat[0]
        return changed
    finite = np.where(np.isfinite(values.astype(float)), np.abs(values), np.inf)
    at = int(np.argsort(finite, axis=None)[0 if values.size == 1 else values.size // 2])
    moved = changed.flat[at] * 1.001
    changed.flat[at] = changed.flat[at] + 1 if changed.dtype.kind in "iu" else moved or 0.001
    return changed

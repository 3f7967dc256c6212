"""Every recorded array is an input, compared, or said not to be compared."""

import dataclasses
from collections.abc import Iterator

import numpy as np
import pytest

from parity.comparison import Comparison, compare
from parity.recording import Recording, RecordingSet
from parity.registry import Case, unaccounted
from parity.runner import Report, replay, run_cases


def test_there_is_a_replay_for_every_recorded_case(
    recordings: RecordingSet, cases: dict[str, Case]
) -> None:
    assert set(cases) == recordings.cases
    assert len(cases) == 27


def test_every_array_of_every_case_is_declared_exactly_once(
    recordings: RecordingSet, cases: dict[str, Case]
) -> None:
    for name, case in cases.items():
        recording = recordings.load(name, case.side_files)
        wrong = {array: case.kinds_of(array) for array in recording}
        assert {a: kinds for a, kinds in wrong.items() if len(kinds) != 1} == {}, name


def test_every_declaration_fits_an_array(recordings: RecordingSet, cases: dict[str, Case]) -> None:
    everything = [recordings.load(name, case.side_files) for name, case in cases.items()]
    for case in cases.values():
        # Ensembles share a list of inputs, so a pattern may be without an array in one of them.
        arrays = [array for recording in everything for array in recording]
        for pattern in (*case.inputs, *case.compared, *case.not_compared):
            one = dataclasses.replace(case, inputs=(pattern,), compared=(), not_compared={})
            assert any(one.kinds_of(array) for array in arrays), (case.name, pattern)


def test_every_reason_for_not_comparing_is_given(cases: dict[str, Case]) -> None:
    for case in cases.values():
        assert all(len(reason) > 10 for reason in case.not_compared.values()), case.name


def made_up(name: str = "made_up") -> Recording:
    return Recording(name, {"input": np.ones(2), "output": np.full(2, 2.0)})


def doubled(recording: Recording) -> Iterator[Comparison]:
    yield compare(recording, "output", 2.0 * recording["input"], "exact", "group")


DOUBLED = Case(name="made_up", replay=doubled, inputs=("input",), compared=("output",))


def test_a_case_whose_arrays_are_all_accounted_for_passes() -> None:
    _, rows = replay(DOUBLED, made_up())
    assert [row.passed for row in rows] == [True]


def test_an_array_that_nobody_knows_is_a_miss() -> None:
    arrays = {**made_up(), "new": np.zeros(1)}
    _, rows = replay(DOUBLED, Recording("made_up", arrays))
    assert [(row.where, row.passed) for row in rows if not row.passed] == [("new", False)]
    assert "unaccounted array" in rows[-1].note


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"inputs": ()}, "unaccounted array"),
        ({"compared": ("output", "input")}, "choose one"),
        ({"inputs": ("input", "output"), "compared": ()}, None),
        ({"compared": (), "not_compared": {"output": "no need"}}, "but the replay compares it"),
    ],
)
def test_wrong_declarations_are_misses(changes: dict[str, object], fault: str | None) -> None:
    case = dataclasses.replace(DOUBLED, **changes)  # type: ignore[arg-type]
    faults = [text for _, text in unaccounted(case, *played(case))]
    assert [fault in text for text in faults if fault] == ([True] if fault else [])


def played(case: Case) -> tuple[Recording, set[str]]:
    recording = made_up()
    return recording, {finding.array for finding in case.replay(recording)}  # type: ignore[union-attr]


def test_a_declared_output_that_is_not_compared_is_a_miss() -> None:
    case = dataclasses.replace(DOUBLED, replay=lambda recording: iter(()))
    faults = dict(unaccounted(case, made_up(), set()))
    assert faults["output"] == "declared as compared, but the replay did not compare it"
    assert faults["input"] == "declared as an input, but the replay did not read it"


def test_a_replay_that_breaks_off_is_a_miss_that_says_where() -> None:
    def breaks(recording: Recording) -> Iterator[Comparison]:
        yield from doubled(recording)
        raise ValueError("two\nlines")

    _, rows = replay(dataclasses.replace(DOUBLED, replay=breaks), made_up())
    assert [row.passed for row in rows] == [True, False]
    assert rows[1].note.startswith("ValueError: two lines (breaks, line ")


def test_running_no_case_is_a_failure(recordings: RecordingSet, cases: dict[str, Case]) -> None:
    assert not run_cases(recordings, cases, []).passed
    assert not Report("nowhere", (), 0.0).passed


CHEAP = ("fc_layer", "scaler", "termination", "gaussian_policy", "q_function", "replay_pool")


@pytest.mark.parametrize("name", CHEAP)
def test_every_compared_array_misses_if_its_recording_is_changed(
    recordings: RecordingSet, cases: dict[str, Case], name: str
) -> None:
    case = cases[name]
    recording = recordings.load(name, case.side_files)
    outputs = [array for array in recording if case.kinds_of(array) == ["compared"]]
    if name == "q_function":
        outputs = ["q"]  # The weights are put in and read out again.
    for array in outputs:
        changed = {other: recording[other] for other in recording}
        # Some rows of these are left out.
        everywhere = array.startswith("log_pis_of")
        changed[array] = 1.001 * changed[array] if everywhere else change(changed[array])
        _, rows = replay(case, Recording(name, changed))
        missed = [row.where for row in rows if not row.passed]
        assert any(where.startswith(array) for where in missed), (array, missed)


def change(values: np.ndarray) -> np.ndarray:
    """Move the median value a little, or turn a flag."""
    changed = values.copy()
    if values.dtype == bool:
        changed.flat[0] = not changed.flat[0]
        return changed
    finite = np.where(np.isfinite(values.astype(float)), np.abs(values), np.inf)
    at = int(np.argsort(finite, axis=None)[0 if values.size == 1 else values.size // 2])
    moved = changed.flat[at] * 1.001
    changed.flat[at] = changed.flat[at] + 1 if changed.dtype.kind in "iu" else moved or 0.001
    return changed

"""Runs the cases and gathers what they find into the rows of a table."""

import dataclasses
import math
import time
import traceback
from collections.abc import Callable, Iterable, Sequence

from .comparison import LAW, Comparison, Finding, NotCompared
from .recording import DamagedRecordingError, Recording, RecordingSet
from .registry import Case, matches, unaccounted
from .tolerances import LADDER, SMALLEST_P_VALUE

FILES = "recording"
"""Group of what is wrong with the files themselves."""


@dataclasses.dataclass(frozen=True)
class Row:
    """One row of the table: all comparisons of one group and rung of a case."""

    group: str
    rung: str
    limit: str
    arrays: int
    values: int
    over: int
    worst_absolute: float
    worst_relative: float
    share_of_limit: float
    where: str
    passed: bool
    note: str


@dataclasses.dataclass(frozen=True)
class Skipped:
    """Arrays that are not compared, by their pattern or name, and why."""

    arrays: str
    count: int
    reason: str


@dataclasses.dataclass(frozen=True)
class CaseResult:
    """What came of one case."""

    name: str
    about: str
    rows: tuple[Row, ...]
    not_compared: tuple[Skipped, ...]
    seconds: float

    @property
    def passed(self) -> bool:
        """Whether nothing missed, and every array is either compared or said not to be."""
        return bool(self.rows or self.not_compared) and all(row.passed for row in self.rows)


@dataclasses.dataclass(frozen=True)
class Report:
    """What came of all cases."""

    recordings: str
    results: tuple[CaseResult, ...]
    seconds: float

    @property
    def passed(self) -> bool:
        """Whether there was a case, and none missed."""
        return bool(self.results) and all(result.passed for result in self.results)

    @property
    def misses(self) -> list[tuple[str, Row]]:
        """Every row that missed, with the name of its case."""
        return [(r.name, row) for r in self.results for row in r.rows if not row.passed]


def run_cases(
    recordings: RecordingSet,
    cases: dict[str, Case],
    names: Sequence[str] | None = None,
    on_case: Callable[[str], None] = lambda name: None,
) -> Report:
    """Replay cases and compare.

    Args:
        recordings: the set.
        cases: all known cases by name.
        names: those to run; None for all of the set's parts, and for whatever else is in the set.
        on_case: told of each case before it runs.
    """
    started = time.monotonic()
    results = []
    all_names = [name for name, case in cases.items() if case.part in recordings.parts]
    for name in all_names if names is None else names:
        on_case(name)
        results.append(_run_case(recordings, cases[name]))
    if names is None:
        results += _strangers(recordings, cases)
    return Report(str(recordings.folder), tuple(results), time.monotonic() - started)


def _run_case(recordings: RecordingSet, case: Case) -> CaseResult:
    started = time.monotonic()
    try:
        recording = recordings.load(case.name, case.side_files)
    except DamagedRecordingError as error:
        fault = fault_row(FILES, case.name, str(error))
        return CaseResult(case.name, recordings.about(case.name), (fault,), (), 0.0)
    findings, rows = replay(case, recording)
    return CaseResult(
        case.name,
        recordings.about(case.name),
        tuple(rows),
        tuple(_skipped(case, recording, findings)),
        time.monotonic() - started,
    )


def replay(case: Case, recording: Recording) -> tuple[list[Finding], list[Row]]:
    """Replay one case: what it found, and the rows that this makes."""
    findings: list[Finding] = []
    faults = []
    try:
        for finding in case.replay(recording):
            findings.append(finding)
    except Exception as error:  # noqa: BLE001  a replay that breaks off is a miss, whatever broke
        faults.append(fault_row("replay", case.name, _last_line(error)))
    rows = _rows([finding for finding in findings if isinstance(finding, Comparison)])
    if not faults:
        seen = {array for finding in findings for array in _arrays(finding)}
        faults = [
            fault_row("account", array, fault)
            for array, fault in unaccounted(case, recording, seen)
        ]
    return findings, rows + faults


def fault_row(group: str, where: str, fault: str) -> Row:
    """Return a row that misses, for something that has no numbers."""
    nan = math.nan
    return Row(group, "exact", "", 0, 0, 0, nan, nan, math.inf, where, False, fault)


def _arrays(finding: Finding) -> tuple[str, ...]:
    return (finding.array,) if isinstance(finding, Comparison) else finding.arrays


def _rows(comparisons: Iterable[Comparison]) -> list[Row]:
    groups: dict[tuple[str, str], list[Comparison]] = {}
    for comparison in comparisons:
        groups.setdefault((comparison.group, comparison.rung), []).append(comparison)
    return [_row(*key, members) for key, members in groups.items()]


def _row(group: str, rung: str, members: list[Comparison]) -> Row:
    worst = max(members, key=lambda member: (bool(member.fault), member.share_of_limit))
    values, over = sum(m.values for m in members), sum(m.over for m in members)
    faulty = any(member.fault for member in members)
    notes = list(dict.fromkeys(text for m in members for text in (m.fault, m.note) if text))
    if over and not faulty:
        notes.insert(0, f"{over} of {values} over the limit")
    return Row(
        group=group,
        rung=rung,
        limit=f"p > {SMALLEST_P_VALUE:g}" if rung == LAW else LADDER[rung].limit,
        arrays=len(members),
        values=values,
        over=over,
        worst_absolute=max(m.worst_absolute for m in members),
        worst_relative=max(m.worst_relative for m in members),
        share_of_limit=math.inf if faulty else worst.share_of_limit,
        where=worst.array + worst.index,
        passed=not faulty and _within(rung, members, values, over),
        note="; ".join(notes[:3]),
    )


def _within(rung: str, members: list[Comparison], values: int, over: int) -> bool:
    """Whether no value is over its limit, or no more and no further than the rung excepts."""
    if not over:
        return True
    if rung == LAW or not LADDER[rung].exceptions:
        return False
    few = over <= max(1.0, LADDER[rung].exceptions * values)
    return few and all(m.worst_absolute <= LADDER[rung].exception_limit for m in members)


def _skipped(case: Case, recording: Recording, findings: list[Finding]) -> list[Skipped]:
    skipped = []
    for pattern, reason in case.not_compared.items():
        count = sum(matches(array, [pattern]) for array in recording)
        if count:
            skipped.append(Skipped(pattern, count, reason))
    for finding in findings:
        if isinstance(finding, NotCompared):
            arrays = ", ".join(finding.arrays)
            skipped.append(Skipped(arrays, len(finding.arrays), finding.reason))
    return skipped


def _strangers(recordings: RecordingSet, cases: dict[str, Case]) -> list[CaseResult]:
    """Return a missing result for every case and side file that nothing compares."""
    extra = [(name, "no replay is known for this case") for name in recordings.cases - set(cases)]
    prefixes = tuple(case.side_files for case in cases.values() if case.side_files)
    extra += [
        (name, "no case reads this file")
        for name in recordings.side_files
        if not name.startswith(prefixes)
    ]
    return [
        CaseResult(name, recordings.about(name), (fault_row(FILES, name, fault),), (), 0.0)
        for name, fault in sorted(extra)
    ]


def _last_line(error: Exception) -> str:
    """Return the error in one line, with the innermost line of code that is at fault."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    text = " ".join(str(error).split())[:300]
    return f"{type(error).__name__}: {text} ({frame.name}, line {frame.lineno})"

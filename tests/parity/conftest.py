import dataclasses
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from parity.__main__ import RECORDINGS
from parity.comparison import Finding
from parity.recording import Recording, RecordingSet
from parity.registry import Case, all_cases
from parity.runner import Row, replay

Replay = Callable[..., list[Row]]


@pytest.fixture(scope="session")
def recordings() -> RecordingSet:
    return RecordingSet(RECORDINGS)


@pytest.fixture(scope="session")
def cases() -> dict[str, Case]:
    return all_cases()


@pytest.fixture
def load(recordings: RecordingSet, cases: dict[str, Case]) -> Callable[[str], Recording]:
    return lambda name: recordings.load(name, cases[name].side_files)


@pytest.fixture
def rows_of(cases: dict[str, Case], load: Callable[[str], Recording]) -> Replay:
    """Replay a case up to the end of one group of the table; the rows until there."""

    def run(name: str, until: str | None = None, recording: Recording | None = None) -> list[Row]:
        case = cases[name]
        chosen = recording if recording is not None else load(name)
        return replay(dataclasses.replace(case, replay=_until(case.replay, until)), chosen)[1]

    return run


def _until(
    play: Callable[[Recording], Iterator[Finding]], group: str | None
) -> Callable[[Recording], Iterator[Finding]]:
    def cut(recording: Recording) -> Iterator[Finding]:
        seen: set[str] = set()
        for finding in play(recording):
            if group in seen and finding.group not in seen:
                return
            seen.add(finding.group)
            yield finding

    return cut


@pytest.fixture
def small_set(tmp_path: Path) -> Path:
    """A folder with three of the recorded cases, one with a side file, and their manifest."""
    manifest = json.loads((RECORDINGS / "manifest.json").read_text())
    kept = ("scaler", "replay_pool", "variants")
    manifest["cases"] = {name: manifest["cases"][name] for name in kept}
    manifest["files"] = {"variants.json": manifest["files"]["variants.json"]}
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    for name in (*(f"{name}.npz" for name in kept), "variants.json"):
        shutil.copy(RECORDINGS / name, tmp_path / name)
    return tmp_path

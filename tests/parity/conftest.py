import dataclasses
import json
import shutil

import pytest

from parity.__main__ import RECORDINGS
from parity.recording import RecordingSet
from parity.registry import all_cases
from parity.runner import replay


@pytest.fixture(scope="session")
def recordings():
    return RecordingSet(RECORDINGS)


@pytest.fixture(scope="session")
def cases():
    return all_cases()


@pytest.fixture(scope="session")
def load(recordings, cases):
    """Load a recording by the name of its case; each is read once."""
    loaded = {}

    def load_once(name):
        if name not in loaded:
            loaded[name] = recordings.load(name, cases[name].side_files)
        return loaded[name]

    return load_once


@pytest.fixture
def rows_of(cases, load):
    """Replay a case up to the end of one group of the table; the rows until there."""

    def run(name, until, recording=None):
        case = cases[name]
        cut = dataclasses.replace(case, replay=lambda given: _until(case.replay(given), until))
        return replay(cut, recording or load(name))[1]

    return run


def _until(findings, group):
    seen = set()
    for finding in findings:
        if group in seen and finding.group not in seen:
            return
        seen.add(finding.group)
        yield finding


@pytest.fixture
def small_set(tmp_path):
    """A folder with three of the recorded cases, one with a side file, and their manifest."""
    manifest = json.loads((RECORDINGS / "manifest.json").read_text())
    kept = ("scaler", "replay_pool", "variants")
    manifest["cases"] = {name: manifest["cases"][name] for name in kept}
    manifest["files"] = {"variants.json": manifest["files"]["variants.json"]}
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    for name in (*(f"{name}.npz" for name in kept), "variants.json"):
        shutil.copy(RECORDINGS / name, tmp_path / name)
    return tmp_path

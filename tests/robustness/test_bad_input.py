"""Whatever is given to the command line, it ends in at most one line and leaves nothing half done.

Hypothesis draws the examples. ``make fuzz`` draws many more of them than ``make test`` does.
"""

import argparse
import csv
import io
import json
import math
import os
import pickle
import shutil
import warnings
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from experiments.cli import make_parser
from tests.eager import eagerly
from tests.experiments.tiny_runs import TINY_SETTINGS, mopo
from tests.robustness.conftest import ROWS, tiny_arguments

EXAMPLES = int(os.environ.get("MOPO_TF2_FUZZ_EXAMPLES", "100"))
NOT_RUN = ("view", "demo", "parity-curves", "sweep", None)
"""Commands that serve pages, take minutes or start a cluster."""
TOLD_BY_THE_WAY = ("warning: ", "evaluating: ", "collecting: ")

fuzz = settings(
    max_examples=max(EXAMPLES // 5, 1),
    derandomize="MOPO_TF2_FUZZ_EXAMPLES" not in os.environ,
    deadline=None,
    phases=[Phase.generate],  # Shrinking an example costs more than reading it.
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

HOSTILE_TEXT = st.sampled_from(
    [
        *(
            "",
            " ",
            "-",
            "--",
            "..",
            "/",
            "/dev/null",
            "~",
            "nan",
            "inf",
            "-1",
            "0",
            "1e999",
            "10**12",
        ),
        *("9" * 30, "0x10", "None", "true", "[]", "{}", "=HYPERLINK(1)", "\x1b[31mred", "a\nb"),
        *("x" * 300, "no:such", "os:system", "é", "\udcff", "a\x00b", "minari:x", "own", "none"),
    ]
)
HOSTILE_VALUE = st.one_of(
    st.none(),
    st.booleans(),
    st.sampled_from([-1, 0, 1, 2, 5, 10**18, -(10**30), 1e13, 0.5, 1e-300, math.inf, math.nan]),
    HOSTILE_TEXT,
    st.sampled_from([[], {}, [1], ["x"], {"a": 1}, [[[]]], [None] * 3]),
)


class TrainingBegins(KeyboardInterrupt):
    """Ends a command at the point where everything is checked and the work would begin."""


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty current folder; training stops where it would begin."""

    def begin(*_: Any, **__: Any) -> None:
        raise TrainingBegins

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("D4RL_DATASET_DIR", str(tmp_path / "none"))
    monkeypatch.setattr("mopo_tf2.algorithms.registry.make_algorithm", begin)
    monkeypatch.setattr("mopo_tf2.data.datasets.download", begin)
    monkeypatch.setattr("mopo_tf2.data.minari._folder_of", begin)
    monkeypatch.setattr("experiments.collection._roll_out", begin)
    return tmp_path


def check(folder: Path, *arguments: str | Path) -> None:
    """Run a command and hold it to the rules."""
    before = set(folder.rglob("*"))
    with warnings.catch_warnings(), eagerly():
        warnings.simplefilter("ignore")
        answer = mopo(*arguments)
    said = [line for line in answer.err.splitlines() if not line.startswith(TOLD_BY_THE_WAY)]
    assert answer.code in (0, 1, 2, 130), answer
    assert len(said) <= 1, answer.err
    assert "Traceback" not in answer.err
    assert "\x1b" not in answer.err
    assert (answer.code in (0, 130)) or said, answer
    new = [path for path in folder.rglob("*") if path not in before]
    if answer.code == 2:
        assert not new, new
    assert not [path for path in new if path.name.startswith(".") and path.is_file()], new


# Command lines.


def _commands() -> dict[str, argparse.ArgumentParser]:
    for action in make_parser()._actions:
        if isinstance(action, argparse._SubParsersAction):
            return {k: v for k, v in action.choices.items() if k not in NOT_RUN}
    raise AssertionError("no commands")


COMMANDS = _commands()
PLAUSIBLE = st.sampled_from(
    [
        "halfcheetah_mixed",
        "halfcheetah",
        "own",
        "RUN",
        "DATA",
        "1",
        "2",
        "OUT",
        "OUT.csv",
        "mopo",
        "bc",
    ]
)


@st.composite
def command_lines(draw: st.DrawFn) -> list[str]:
    """A command with options of its own and values that may or may not suit them."""
    command = draw(st.sampled_from(sorted(COMMANDS)))
    words, value = [command], st.one_of(PLAUSIBLE, PLAUSIBLE, HOSTILE_TEXT)
    for action in COMMANDS[command]._actions:
        if isinstance(action, argparse._HelpAction):
            continue
        if not action.option_strings:
            words.append(draw(value))
        elif draw(st.integers(0, 3)) == 0:
            words.append(action.option_strings[0])
            if action.nargs != 0:
                choices = list(action.choices or [])
                words.append(str(draw(st.sampled_from(choices) if choices else value)))
        if action.dest == "set" and draw(st.booleans()):
            field = draw(st.sampled_from(["hidden_dim", "rollout_batch_size", "n_epochs", "x"]))
            words += ["--set", f"{field}={draw(HOSTILE_TEXT)}"]
    return words


def _filled(words: list[str], run: Path, work: Path) -> list[str]:
    places = {"RUN": str(run), "DATA": str(run.parent / "data.hdf5"), "OUT": str(work / "out")}
    return [places.get(word, word).replace("OUT.csv", "out.csv") for word in words]


@fuzz
@given(words=command_lines())
def test_command_lines(run: Path, work: Path, words: list[str]) -> None:
    check(work, *_filled(words, run, work))


# Configurations and run folders.


def _leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    if isinstance(value, dict):
        for key in value:
            yield from _leaves(value[key], (*path, key))


def _changed(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    if not path:
        return new
    return {**value, path[0]: _changed(value[path[0]], path[1:], new)}


@fuzz
@given(data=st.data())
def test_configuration_files(run: Path, work: Path, data: st.DataObject) -> None:
    config = json.loads((run / "config.json").read_text())
    path = data.draw(st.sampled_from(list(_leaves(config))))
    config = _changed(config, path, data.draw(HOSTILE_VALUE))
    copy = _copy(run, work)
    text = json.dumps(config)
    (copy / "config.json").write_text(text)
    (work / "mine.json").write_text(text)
    for words in _readers(copy):
        check(work, *words)
    check(work, "train", work / "mine.json", "--out", work / "new")


def _copy(run: Path, work: Path) -> Path:
    copy = work / "copy"
    for path in (copy, work / "new"):
        shutil.rmtree(path, ignore_errors=True)
    shutil.copytree(run, copy)
    return copy


def _readers(run: Path) -> list[list[str | Path]]:
    return [
        ["table", run],
        ["table", run, "--format", "csv", "--include-unfinished"],
        ["train", "halfcheetah_mixed", "--out", run, "--resume", "--epochs", "3"],
    ]


@fuzz
@given(data=st.data())
def test_progress_tables(run: Path, work: Path, data: st.DataObject) -> None:
    copy = _copy(run, work)
    path = copy / "progress.csv"
    with path.open(newline="") as file:
        rows = list(csv.reader(file))
    row = data.draw(st.integers(0, len(rows) - 1))
    column = data.draw(st.integers(0, len(rows[0]) - 1))
    new = data.draw(HOSTILE_VALUE)
    rows[row][column] = str(new).encode(errors="replace").decode()
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    content = text.getvalue().encode(errors="replace")
    path.write_bytes(content[: data.draw(st.sampled_from([len(content), len(content) // 2, 1]))])
    for words in _readers(copy):
        check(work, *words)


@fuzz
@given(data=st.data())
def test_policies_models_and_checkpoints(run: Path, work: Path, data: st.DataObject) -> None:
    copy = _copy(run, work)
    path = data.draw(st.sampled_from(sorted(copy.rglob("*.npz"))))
    if data.draw(st.booleans()):
        path.write_bytes(_damaged(path.read_bytes(), data))
    else:
        _change_metadata(path, data)
    for words in [*_readers(copy), ["evaluate", copy, "--episodes", "1"]]:
        check(work, *words)
    arguments = tiny_arguments(run.parent / "data.hdf5", work / "new", epochs=1)
    check(work, *arguments, "--model", copy)


def _damaged(content: bytes, data: st.DataObject) -> bytes:
    start = data.draw(st.integers(0, len(content) - 1))
    changed = bytearray(content)
    patch = data.draw(st.binary(min_size=1, max_size=16))
    changed[start : start + len(patch)] = patch
    return bytes(changed[: data.draw(st.sampled_from([len(changed), start, len(changed) // 2]))])


def _change_metadata(path: Path, data: st.DataObject) -> None:
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    name = next(name for name in members if "metadata" in name)
    text = np.load(io.BytesIO(members[name])).tobytes()
    head = json.loads(text)
    place = data.draw(st.sampled_from(list(_leaves(head))))
    head = _changed(head, place, data.draw(HOSTILE_VALUE))
    buffer = io.BytesIO()
    np.save(buffer, np.frombuffer(json.dumps(head).encode(), np.uint8))
    members[name] = buffer.getvalue()
    with zipfile.ZipFile(path, "w") as archive:
        for member, content in members.items():
            archive.writestr(member, content)


# Datasets.


def _columns() -> dict[str, np.ndarray]:
    randoms = np.random.RandomState(0)
    return {
        "observations": randoms.normal(size=(ROWS, 17)).astype(np.float32),
        "actions": randoms.uniform(-1, 1, (ROWS, 6)).astype(np.float32),
        "rewards": randoms.normal(size=ROWS).astype(np.float32),
        "terminals": np.zeros(ROWS, bool),
    }


STRANGE_COLUMN = st.sampled_from(
    [
        np.zeros(0),
        np.zeros((ROWS, 17), np.complex64),
        np.full((ROWS, 17), np.nan),
        np.full(ROWS, 2.0),
        np.full(ROWS, 1e300),
        np.zeros((3, 3, 3)),
        np.array(["x"] * ROWS, dtype="S3"),
        np.array(5.0),
        np.zeros((ROWS, 0)),
        np.zeros(ROWS - 1),
        np.zeros((ROWS, 6), np.int64),
        np.datetime64("2020-01-01") + np.arange(ROWS),
    ]
)


def _write(path: Path, columns: dict[str, Any]) -> None:
    kind = path.suffix
    if kind == ".hdf5":
        with h5py.File(path, "w") as file:
            for name, values in columns.items():
                if values.dtype.kind == "M":
                    values = values.astype(np.int64)
                file.create_dataset(name, data=values)
    elif kind == ".npz":
        np.savez(path, **columns)
    elif kind == ".npy":
        np.save(path, columns["observations"])
    elif kind == ".pkl":
        path.write_bytes(pickle.dumps({**columns, "next_observations": columns["observations"]}))
    else:
        with path.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["obs_a", "obs_b", "action_a", "reward", "terminal", "episode"])
            for row in range(ROWS):
                cells = [np.ravel(values)[row : row + 1] for values in columns.values()]
                writer.writerow([*(c[0] if len(c) else "" for c in cells), 0, row // 20])


@fuzz
@given(data=st.data(), kind=st.sampled_from([".hdf5", ".npz", ".npy", ".pkl", ".csv"]))
def test_datasets(run: Path, work: Path, data: st.DataObject, kind: str) -> None:
    columns, path = _columns(), work / f"data{kind}"
    shutil.rmtree(work / "new", ignore_errors=True)
    if data.draw(st.booleans()):
        name = data.draw(st.sampled_from(sorted(columns)))
        columns[name] = data.draw(STRANGE_COLUMN)
    _write(path, columns)
    if data.draw(st.booleans()):
        path.write_bytes(_damaged(path.read_bytes(), data))
    config = data.draw(st.sampled_from(["halfcheetah_mixed", "own"]))
    check(work, "train", config, "--dataset", path, "--out", work / "new", "--set", *TINY_SETTINGS)
    shutil.rmtree(work / "new", ignore_errors=True)
    (work / "new.hdf5").unlink(missing_ok=True)
    check(work, "join", path, run.parent / "data.hdf5", "--out", work / "new.hdf5")
    (work / "new.hdf5").unlink(missing_ok=True)
    check(work, "relabel", path, "--task", "halfcheetah-jump", "--out", work / "new.hdf5")

"""Runs against foreign code, full disks, kills, impossible sizes and odd names."""

import csv
import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from experiments.run_folder import RunFolder
from mopo_tf2 import files
from mopo_tf2.algorithms.epoch_metrics import refuse_divergence
from mopo_tf2.errors import DivergenceError
from tests.eager import eagerly
from tests.experiments.tiny_runs import (
    Answer,
    assert_same_run,
    method_words,
    mopo,
    refused,
    start_mopo,
    write_random_dataset,
)
from tests.robustness.conftest import tiny_arguments

EVIL = "evil:make"


@pytest.fixture
def copy(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the run, to be changed, in the current folder."""
    monkeypatch.chdir(tmp_path)
    return Path(shutil.copytree(run, tmp_path / "copy"))


def arguments(run: Path, out: Path, *settings: str, epochs: int = 2) -> list[str | Path]:
    return tiny_arguments(run.parent / "data.hdf5", out, *settings, epochs=epochs)


def change(path: Path, **values: Any) -> None:
    """Change keys of a JSON file."""
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


# Somebody else's run folder is data.


@pytest.fixture
def evil(copy: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A module in the current folder that leaves a trace where it is imported."""
    monkeypatch.delitem(sys.modules, "evil", raising=False)
    (copy.parent / "evil.py").write_text("open('trace', 'w').close()\n")
    return copy.parent / "trace"


@pytest.mark.parametrize("field", ["environment", "termination"])
def test_code_that_only_a_run_folder_names_is_not_imported(
    run: Path, copy: Path, evil: Path, field: str
) -> None:
    change(copy / "config.json", **{field: EVIL})
    resume = ["train", "halfcheetah_mixed", "--out", copy, "--resume"]
    anew = ["train", copy / "config.json", "--out", "new"]
    sweep = ["sweep", "--tasks", copy / "config.json", "--seeds", "1", "--out", "sweep"]
    for words in (resume, anew, sweep):
        assert f"add --{field} {EVIL}" in refused(*words)
    assert not evil.exists()
    # Named here, it is the user's own.
    assert "evil" in refused(*anew, f"--{field}", EVIL)
    assert evil.exists()


def test_code_that_only_a_policy_names_is_not_imported(copy: Path, evil: Path) -> None:
    folder = RunFolder(copy)
    folder.write_policy(folder.load_policy()[0], folder.policy_metadata() | {"environment": EVIL})
    assert f"add --environment {EVIL}" in refused("evaluate", copy)
    assert not evil.exists()


# Full disks and kills.


class Disk:
    """Lets the first ``writes`` writes through and refuses the next one, as a full disk does."""

    def __init__(self, writes: float, monkeypatch: pytest.MonkeyPatch):
        self.left = writes
        for module, name in ((files, "_flush_to_disk"), (os, "fsync")):
            original = getattr(module, name)
            monkeypatch.setattr(module, name, self._limited(original))

    def _limited(self, original: Any) -> Any:
        def write(*arguments: Any) -> Any:
            self.left -= 1
            if self.left == -1:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return original(*arguments)

        return write


def test_a_full_disk_at_any_write_loses_the_epoch_at_hand_at_most(
    run: Path, tmp_path: Path
) -> None:
    def train(out: Path, *more: str) -> Answer:
        return mopo(*method_words("bc", run.parent / "data.hdf5", out, 2), *more)

    whole = tmp_path / "whole"
    with pytest.MonkeyPatch.context() as patch, eagerly():
        disk = Disk(10**6, patch)
        assert train(whole).code == 0
        writes = 10**6 - int(disk.left)
    assert writes > 10
    for failing in range(0, writes, 3):
        out = tmp_path / f"full_{failing}"
        with eagerly():
            with pytest.MonkeyPatch.context() as patch:
                Disk(failing, patch)
                answer = train(out)
            assert answer.code == 1, (failing, answer)
            assert "No space left on device" in answer.err
            assert len(answer.err.strip().splitlines()) == 1
            assert not list(out.rglob("*.part*"))
            assert train(out, *(["--resume"] if RunFolder(out).is_run else [])).code == 0
        assert_same_run(out, whole)


def test_what_a_killed_process_left_half_written_is_removed(run: Path, copy: Path) -> None:
    # The names that an unfinished write has, taken from one.
    names = []
    for path in (copy / "config.json", copy / "checkpoints" / "epoch_00002.npz"):
        with files.replacing(path) as temporary:
            names.append(temporary)
            temporary.write_bytes(path.read_bytes())
    for name in names:
        name.write_bytes(b"half")
    (copy / ".own.txt").write_text("the user's")
    with eagerly():
        assert mopo(*arguments(run, copy, epochs=2), "--resume").code == 0
    assert not any(name.exists() for name in names)
    assert (copy / ".own.txt").exists()


def test_a_lost_last_row_falls_back_to_the_checkpoint_before(run: Path, tmp_path: Path) -> None:
    words = method_words("bc", run.parent / "data.hdf5", tmp_path / "run", 3)
    with eagerly():
        assert mopo(*words).code == 0
        whole = Path(shutil.copytree(tmp_path / "run", tmp_path / "whole"))
        path = tmp_path / "run" / "progress.csv"
        path.write_text("".join(path.read_text().splitlines(keepends=True)[:-1]))
        assert "after epoch 2" in mopo(*words, "--resume").out
    assert_same_run(tmp_path / "run", whole)


def test_two_processes_do_not_write_into_one_run(run: Path, copy: Path) -> None:
    with RunFolder(copy).lock():
        for more in (["--resume"], []):
            line = refused(*arguments(run, copy, epochs=3), *more)
            assert "in use by another process" in line or "holds a run already" in line


def test_ctrl_c_in_the_first_half_second_is_one_line(tmp_path: Path) -> None:
    process = start_mopo("train", "nonsense")
    time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert len(said.strip().splitlines()) <= 1 or "runpy" in said  # Python itself was starting.


@pytest.mark.parametrize("where", ["/dev/full", "closed"])
def test_output_that_cannot_be_written_is_no_traceback(where: str) -> None:
    command = [sys.executable, "-m", "mopo_tf2", "list"]
    if where == "closed":
        done = subprocess.run(["sh", "-c", f"{' '.join(command)} >&-"], capture_output=True)
    elif not Path(where).exists():
        pytest.skip(f"no {where} here")
    else:
        with Path(where).open("w") as full:
            done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE)
    assert done.returncode in (0, 1)
    assert b"Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) <= 1


# What cannot be is refused before anything is written.


@pytest.mark.parametrize(
    ("setting", "named"),
    [
        ("rollout_batch_size=1e13", "rollout_batch_size"),
        ("hidden_dim=10000000", "hidden_dim"),
        ("hidden_layer_sizes=1000000,1000000", "hidden_layer_sizes"),
        ("eval_n_episodes=10000000", "eval_n_episodes"),
        ("model_retain_epochs=1000000000", "model pool"),
    ],
)
def test_sizes_beyond_the_memory_are_refused(
    run: Path, tmp_path: Path, setting: str, named: str
) -> None:
    line = refused(*arguments(run, tmp_path / "new", setting))
    assert named in line
    assert "needs at least" in line
    assert not (tmp_path / "new").exists()


def test_more_rows_or_episodes_than_the_memory_holds_are_refused(run: Path, tmp_path: Path) -> None:
    out = tmp_path / "new.hdf5"
    assert "needs at least" in refused("collect", "halfcheetah", "--n", str(10**12), "--out", out)
    assert "needs at least" in refused("evaluate", run, "--episodes", str(10**8))
    assert list(tmp_path.iterdir()) == []


def test_a_wrong_termination_function_is_refused_before_the_ensemble_trains(
    run: Path, copy: Path
) -> None:
    (copy.parent / "ends.py").write_text(
        "def shape(observations, actions, next_observations):\n    return observations[:, 0] > 0\n"
        "def error(observations, actions, next_observations):\n    return observations.missing\n"
    )
    for name, complaint in (("shape", "bool"), ("error", "AttributeError")):
        words = [*arguments(run, copy.parent / "new"), "--termination", f"ends:{name}"]
        assert complaint in refused(*words)
    assert not (copy.parent / "new").exists()


def test_joined_files_are_finite(run: Path, tmp_path: Path) -> None:
    broken = write_random_dataset(tmp_path / "broken.hdf5", 20)
    with h5py.File(broken, "a") as file:
        file["rewards"][7] = np.nan
    line = refused("join", run.parent / "data.hdf5", broken, "--out", tmp_path / "new.hdf5")
    assert "rewards has 1 NaN or infinite values, the first in row 7" in line


# What files say is shown, and no more.


def table_of(folder: Path, *options: str) -> Answer:
    return mopo("table", folder, *options)


@pytest.mark.parametrize(
    ("field", "value"),
    [("seed", "x"), ("environment", 5), ("dataset", 5), ("recorded", 5), ("method", 5)],
)
def test_a_configuration_of_wrong_types_is_not_averaged(copy: Path, field: str, value: Any) -> None:
    change(copy / "config.json", **{field: value})
    frames = json.loads(table_of(copy, "--json").out)
    assert frames["rows"] == []
    assert field in json.dumps(frames["excluded"])


def test_a_table_with_an_impossible_epoch_is_excluded(copy: Path) -> None:
    rows = [*csv.reader((copy / "progress.csv").open(newline=""))]
    rows[-1][rows[0].index("epoch")] = "1e18"
    with (copy / "progress.csv").open("w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)
    frames = json.loads(table_of(copy, "--json").out)
    assert not any(row["n_seeds"] for row in frames["rows"])
    assert "epoch" in json.dumps(frames["excluded"])


def test_names_in_files_command_neither_a_terminal_nor_a_spreadsheet(copy: Path) -> None:
    change(copy / "config.json", name="=HYPERLINK(1)", environment="\x1b[31mred")
    for format in ("markdown", "csv", "json"):
        assert "\x1b" not in table_of(copy, "--format", format).out
    cells = [
        cell
        for row in csv.reader(table_of(copy, "--format", "csv").out.splitlines())
        for cell in row
    ]
    assert "'=HYPERLINK(1)" in cells
    assert "=HYPERLINK(1)" not in cells


def test_divergence_names_likely_causes_in_order() -> None:
    with pytest.raises(DivergenceError) as divergence:
        refuse_divergence({"Q_loss": np.nan}, 3)
    said = str(divergence.value)
    places = [
        said.index(word) for word in ("Q_loss", "reward_scale", "penalty_coeff", "actions", "lr.")
    ]
    assert places == sorted(places)

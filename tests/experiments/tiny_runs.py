"""Runs that take seconds: the real command line with small numbers."""

import contextlib
import io
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import h5py
import numpy as np
import pandas as pd

from experiments.cli import main
from experiments.run_folder import RunFolder
from tests.algorithms.tiny_methods import LOOP, TINY

TINY_SETTINGS = [
    *("hidden_dim=16", "num_networks=3", "num_elites=2", "model_max_epochs=2"),
    *("hidden_layer_sizes=16,16", "batch_size=32", "updates_per_call=15"),
    *("rollout_length=2", "rollout_batch_size=200", "rollout_chunk_size=100"),
    *("epoch_length=60", "model_train_freq=30", "eval_n_episodes=2", "max_path_length=30"),
    *("min_pool_size=100", "checkpoint_frequency=2"),
]


class Answer(NamedTuple):
    """What a command said: exit code, standard output, standard error."""

    code: int
    out: str
    err: str


def mopo(*arguments: str | Path) -> Answer:
    """Run ``mopo-tf2 ARGUMENTS`` in this process, where TensorFlow may be loaded already."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = main([str(argument) for argument in arguments])
        except SystemExit as ended:  # argparse's way of refusing
            code = int(ended.code or 0)
    return Answer(code, out.getvalue(), err.getvalue())


def refused(*arguments: str | Path) -> str:
    """Run a command that must be refused; return its one line."""
    answer = mopo(*arguments)
    assert answer.code == 2, answer
    lines = answer.err.strip().splitlines()
    assert len(lines) == 1, answer.err
    return lines[0]


def start_mopo(*arguments: str | Path) -> subprocess.Popen[str]:
    """Start ``mopo-tf2 ARGUMENTS`` as a process of its own, to be sent signals."""
    return subprocess.Popen(
        [sys.executable, "-m", "mopo_tf2", *(str(argument) for argument in arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A job in the background of a script ignores SIGINT, and so would its children.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )


def wait_for(condition: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    """Wait until ``condition()`` holds while the process runs."""
    end = time.monotonic() + 400.0
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)


def write_random_dataset(path: Path, rows: int = 1200) -> Path:
    """Write a file in D4RL's format with HalfCheetah's sizes and no meaning."""
    random_state = np.random.RandomState(0)
    with h5py.File(path, "w") as file:
        file["observations"] = random_state.normal(size=(rows, 17)).astype(np.float32)
        file["actions"] = random_state.uniform(-1, 1, size=(rows, 6)).astype(np.float32)
        file["rewards"] = random_state.normal(size=rows).astype(np.float32)
        file["terminals"] = np.zeros(rows, bool)
        file["timeouts"] = np.arange(1, rows + 1) % 100 == 0
    return path


def train_arguments(data: Path, out: Path, *, epochs: int) -> list[str | Path]:
    """Return the arguments of a tiny training run."""
    return [
        *("train", "halfcheetah_mixed", "--dataset", data, "--out", out),
        *("--epochs", str(epochs), "--set", *TINY_SETTINGS),
    ]


def settings_words(method: str, epochs: int) -> list[str]:
    """Return the settings of a tiny run of a method, quick without compilation."""
    settings = {**LOOP, **TINY[method], "n_epochs": epochs, "checkpoint_frequency": 1}
    return [f"{name}={value}" for name, value in settings.items()]


def method_words(method: str, data: Path, out: Path, epochs: int) -> list[str]:
    """Return the arguments of a tiny run of a method."""
    return [
        *("train", "halfcheetah_mixed", "--algorithm", method, "--dataset", str(data)),
        *("--out", str(out), "--set", *settings_words(method, epochs)),
    ]


def progress_without_times(run: Path) -> pd.DataFrame:
    """Return the progress table of a run but for what a clock says."""
    table = RunFolder(run).progress()
    return table[[name for name in table.columns if not name.startswith("times/")]]


def assert_same_run(run: Path, other: Path) -> None:
    """Compare two runs: every row but the times, and every array of the last checkpoint."""
    table, expected = progress_without_times(run), progress_without_times(other)
    assert table.equals(expected), table.compare(expected)
    saved, wanted = (RunFolder(path).load_checkpoint() for path in (run, other))
    assert saved is not None
    assert wanted is not None
    assert saved[0].keys() == wanted[0].keys()
    for name, array in saved[0].items():
        np.testing.assert_array_equal(array, wanted[0][name], err_msg=name)
    for name in ("random_host", "epoch"):
        assert saved[1][name] == wanted[1][name]

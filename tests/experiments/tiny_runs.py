"""Runs that take seconds: the real command line with small numbers."""

import contextlib
import io
import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from experiments.cli import main
from experiments.logging import read_progress

TINY_SETTINGS = [
    "hidden_dim=16",
    "num_networks=3",
    "num_elites=2",
    "model_max_epochs=2",
    "hidden_layer_sizes=16,16",
    "batch_size=32",
    "rollout_length=2",
    "rollout_batch_size=200",
    "rollout_chunk_size=100",
    "epoch_length=60",
    "model_train_freq=30",
    "updates_per_call=15",
    "eval_n_episodes=2",
    "max_path_length=30",
    "min_pool_size=100",
    "checkpoint_frequency=2",
]


class Answer(NamedTuple):
    """What a command said: exit code, standard output, standard error."""

    code: int
    out: str
    err: str


def mopo(*arguments: str | Path) -> Answer:
    """Run ``mopo-tf2 ARGUMENTS`` in this process, where TensorFlow is loaded already."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = main([str(argument) for argument in arguments])
        except SystemExit as ended:  # argparse's way of refusing
            code = int(ended.code or 0)
    return Answer(code, out.getvalue(), err.getvalue())


def start_mopo(*arguments: str | Path) -> subprocess.Popen[str]:
    """Start ``mopo-tf2 ARGUMENTS`` as a process of its own, to be sent signals."""
    return subprocess.Popen(
        [sys.executable, "-m", "mopo_tf2", *(str(argument) for argument in arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ},
    )


def train_arguments(
    data: Path, out: Path, *, epochs: int, settings: list[str] | None = None
) -> list[str | Path]:
    """Return the arguments of a tiny training run."""
    return [
        *("train", "halfcheetah_mixed", "--dataset", data, "--out", out),
        *("--epochs", str(epochs), "--set", *TINY_SETTINGS, *(settings or [])),
    ]


def progress_without_times(run: Path) -> pd.DataFrame:
    """Return the progress table of a run but for what a clock says."""
    table = read_progress(run)
    return table[[name for name in table.columns if not name.startswith("times/")]]

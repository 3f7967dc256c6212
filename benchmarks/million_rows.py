"""A million rows: seconds to load and pair them, and the memory of a full-size run on them."""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import h5py
import numpy as np

from mopo_tf2.data.datasets import load_dataset

from .machine import peak_rss_gib_of_children
from .training import TASK

ROWS = 1_000_000
_EPISODE = 1000
_BLOCK = 100_000
_OBS_DIM, _ACT_DIM = 17, 6


def write_rows(path: Path, rows: int) -> None:
    """Write ``rows`` random rows of HalfCheetah's shape as a D4RL file, in blocks."""
    generator = np.random.default_rng(0)
    widths: dict[str, tuple[int, ...]] = {
        "observations": (_OBS_DIM,),
        "actions": (_ACT_DIM,),
        "rewards": (),
    }
    with h5py.File(path, "w") as file:
        for name, width in widths.items():
            column = file.create_dataset(name, (rows, *width), "f4")
            for first in range(0, rows, _BLOCK):
                shape = (min(_BLOCK, rows - first), *width)
                column[first : first + _BLOCK] = generator.uniform(-1.0, 1.0, shape)
        file["terminals"] = np.zeros(rows, bool)
        file["timeouts"] = np.arange(1, rows + 1) % _EPISODE == 0


def measure_load(path: Path, repeats: int = 3) -> float:
    """Return the seconds that reading, checking, hashing and pairing the file at ``path`` take."""
    seconds = []
    for _ in range(repeats):
        started = time.perf_counter()
        load_dataset(str(path))
        seconds.append(time.perf_counter() - started)
    return sorted(seconds)[repeats // 2]


def measure_run_memory(path: Path, folder: Path) -> float:
    """Return the peak memory in GiB of ``mopo-tf2 train`` on ``path``: one epoch of each kind.

    Later epochs fill the same arrays again. The checkpoint at the end is included.

    Raises:
        RuntimeError: if the run fails; the message is its output.
    """
    command = [sys.executable, "-m", "mopo_tf2", "train", TASK, "--dataset", str(path)]
    command += ["--epochs", "1", "--set", "model_max_epochs=1", "--out", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed: {done.stderr[-2000:]}")
    return peak_rss_gib_of_children()


def measure(rows: int = ROWS) -> dict[str, float]:
    """Return ``seconds`` of loading ``rows`` rows and ``peak_rss_gib`` of a run on them."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "million.hdf5"
        write_rows(path, rows)
        seconds = measure_load(path)
        return {"seconds": seconds, "peak_rss_gib": measure_run_memory(path, Path(folder) / "run")}

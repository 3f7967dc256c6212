"""The machine that a benchmark runs on: what it is, what it reaches, what a process takes of it."""

import os
import platform
import resource
import statistics
import sys
import time
from pathlib import Path

import tensorflow as tf

MATRIX_SIZE = 2048
MATRIX_FLOP = 2 * MATRIX_SIZE**3
_WARM_UP, _REPEATS = 2, 5


class MatrixProduct:
    """Repeated measurements of a float32 product of two 2048 x 2048 matrices in TensorFlow.

    A shared machine changes speed while a benchmark runs, so the product is measured before,
    between and after the phases, and the median of all counts.
    """

    def __init__(self) -> None:
        generator = tf.random.Generator.from_seed(0)
        self._left = generator.normal([MATRIX_SIZE, MATRIX_SIZE])
        self._right = generator.normal([MATRIX_SIZE, MATRIX_SIZE])
        self._product = tf.function(tf.matmul)
        self._seconds: list[float] = []
        for _ in range(_WARM_UP):
            self._product(self._left, self._right).numpy()

    def measure(self) -> None:
        """Take a few more measurements."""
        for _ in range(_REPEATS):
            started = time.perf_counter()
            self._product(self._left, self._right).numpy()
            self._seconds.append(time.perf_counter() - started)

    @property
    def gflops(self) -> float:
        """Median rate of everything measured so far, 1e9 floating-point operations a second."""
        return MATRIX_FLOP / statistics.median(self._seconds) / 1e9

    @property
    def spread(self) -> tuple[float, float]:
        """The slowest and the fastest single product so far, in GFLOP/s."""
        slowest, fastest = max(self._seconds), min(self._seconds)
        return MATRIX_FLOP / slowest / 1e9, MATRIX_FLOP / fastest / 1e9


def peak_rss_gib() -> float:
    """Return the largest memory that this process has had, in GiB."""
    return _peak_gib(resource.RUSAGE_SELF)


def peak_rss_gib_of_children() -> float:
    """Return the largest memory that one process started by this one has had, in GiB."""
    return _peak_gib(resource.RUSAGE_CHILDREN)


def _peak_gib(whose: int) -> float:
    # Linux counts in KiB, macOS in bytes.
    return resource.getrusage(whose).ru_maxrss / (2**30 if sys.platform == "darwin" else 2**20)


def describe() -> dict[str, str | int]:
    """Return what a reader of a result has to know about the machine."""
    gpus = tf.config.list_physical_devices("GPU")
    return {
        "processor": _processor(),
        "cores": os.cpu_count() or 0,
        "usable_cores": _usable_cores(),
        "gpus": len(gpus),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "tensorflow": tf.__version__,
    }


def _usable_cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 0


def _processor() -> str:
    """Return the processor's name, as Linux tells it, or what Python knows."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or "unknown"

"""Calls of compiled functions with any number of rows, in chunks of one fixed size."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np


def map_in_chunks(
    function: Callable[..., Sequence[Any]], arrays: Sequence[np.ndarray], chunk_size: int
) -> list[np.ndarray]:
    """Apply a row-wise ``function`` to ``arrays`` [B, ...] and concatenate the results.

    Every call sees exactly ``chunk_size`` rows (the last chunk is filled up with zeros, whose
    results are dropped), so that a compiled function is compiled for one shape.

    Args:
        function: maps arrays [chunk_size, ...] to a sequence of tensors or arrays with the same
            leading axis; each row's result must depend on that row only.
        arrays: share their leading axis B > 0.
        chunk_size: rows per call.

    Returns:
        One array [B, ...] per result of ``function``.
    """
    rows = len(arrays[0])
    parts: list[list[np.ndarray]] = []
    for start in range(0, rows, chunk_size):
        stop = min(start + chunk_size, rows)
        chunk = [fill(array[start:stop], chunk_size) for array in arrays]
        parts.append([np.asarray(result)[: stop - start] for result in function(*chunk)])
    return [np.concatenate(columns) for columns in zip(*parts, strict=True)]


def fill(array: np.ndarray, rows: int) -> np.ndarray:
    """Return ``array`` with rows of zeros appended up to ``rows``."""
    if len(array) == rows:
        return array
    filled = np.zeros((rows, *array.shape[1:]), array.dtype)
    filled[: len(array)] = array
    return filled

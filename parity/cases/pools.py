"""The ring buffer."""

import itertools
from collections.abc import Iterator

import numpy as np

from mopo_tf2.data.replay_pool import ReplayPool
from mopo_tf2.types import Transitions

from ..comparison import Comparison, compare
from ..loading import compare_transitions
from ..recording import Recording
from ..registry import Case


def _replay(recording: Recording) -> Iterator[Comparison]:
    source = recording.under("source")
    rows = len(source["rewards"])
    for name in ("rewards", "terminals"):
        source[name] = source[name].reshape(rows, 1)
    pool = ReplayPool(
        recording.integer("max_size"), source["observations"].shape[1], source["actions"].shape[1]
    )
    splits = [int(split) for split in recording["splits"]]
    for k, (first, last) in enumerate(itertools.pairwise(splits)):
        pool.add(Transitions(**{name: column[first:last] for name, column in source.items()}))
        prefix = f"after_{k}"
        group = "size and pointer"
        yield compare(recording, f"{prefix}/pointer", np.int64(pool.pointer), "exact", group)
        yield compare(recording, f"{prefix}/size", np.int64(pool.size), "exact", group)
        yield from compare_transitions(recording, prefix, pool.stored(), "exact", "stored rows")
        count = len(recording[f"{prefix}/random_indices"])
        random_state = np.random.RandomState(recording.integer("numpy_seed") + k)
        indices = pool.random_indices(count, random_state)
        yield compare(recording, f"{prefix}/random_indices", indices, "exact", "random indices")
        batch = pool.rows(indices)
        yield from compare_transitions(
            recording, f"{prefix}/random_batch", batch, "exact", "random batch"
        )


CASES = [
    Case(
        name="replay_pool",
        replay=_replay,
        inputs=("source/*", "max_size", "numpy_seed", "splits"),
        compared=(
            *(f"after_[0-9]/{name}" for name in Transitions._fields),
            "after_*/pointer",
            "after_*/size",
            "after_*/random_indices",
            "after_*/random_batch/*",
        ),
        not_compared={
            "after_*/last_[0-9]*/*": "offline training never asks for the last rows: the port has "
            "no last_n_batch",
        },
    )
]

"""What data become: D4RL logs, the original's other sources, reference scores."""

from collections.abc import Iterator

import numpy as np

from mopo_tf2.data.catalog import reference_scores
from mopo_tf2.data.d4rl import qlearning_transitions
from mopo_tf2.data.sources import read_bear, read_contiguous, read_softlearning
from mopo_tf2.types import Transitions

from ..comparison import Comparison, compare
from ..loading import compare_transitions
from ..recording import Recording
from ..registry import Case

LOADER_FILES = "loader_files/"


def _replay_d4rl(recording: Recording) -> Iterator[Comparison]:
    for domain in recording.prefixes("dataset/observations"):
        for prefix in recording.prefixes("observations"):
            if not prefix.startswith(f"{domain}/") or prefix == f"{domain}/dataset":
                continue
            mode, end = prefix.removeprefix(f"{domain}/").split("/")
            columns = recording.under(f"{domain}/dataset")
            if mode == "no_timeouts":
                del columns["timeouts"]
            transitions = qlearning_transitions(
                columns,
                max_episode_steps=recording.integer("max_episode_steps"),
                terminate_on_end=end == "terminate_on_end_True",
            )
            for name, column in transitions._asdict().items():
                # The original's loader makes these two columns [N, 1], after what was recorded.
                ours = column[:, 0] if name in ("rewards", "terminals") else column
                group = f"{mode.replace('_', ' ')}, {end.replace('_', ' ')}"
                yield compare(recording, f"{prefix}/{name}", ours, "exact", group)


def _replay_loaders(recording: Recording) -> Iterator[Comparison]:
    sizes = {
        "obs_dim": recording["contiguous/observations"].shape[1],
        "act_dim": recording["contiguous/actions"].shape[1],
    }
    table = read_contiguous(recording.files[f"{LOADER_FILES}contiguous.npy"], **sizes)
    yield from compare_transitions(recording, "contiguous", table, "exact", ".npy table")
    bear = read_bear(recording.files[f"{LOADER_FILES}bear.pkl.gz"])
    yield from compare_transitions(recording, "bear", bear, "exact", "BEAR pickle")
    start = f"{LOADER_FILES}softlearning/"
    pickled = next(path for name, path in recording.files.items() if name.startswith(start))
    softlearning, _ = read_softlearning(
        pickled.parent.parent, max_size=recording.integer("softlearning_max_size")
    )
    yield from compare_transitions(
        recording, "softlearning", softlearning, "exact", "softlearning checkpoints"
    )


def _replay_scores(recording: Recording) -> Iterator[Comparison]:
    scores = np.array([reference_scores(str(task)) for task in recording["task"]])
    yield compare(recording, "ref_min", scores[:, 0], "exact", "random policy")
    yield compare(recording, "ref_max", scores[:, 1], "exact", "expert policy")


_COLUMNS = Transitions._fields

CASES = [
    Case(
        name="d4rl_qlearning",
        replay=_replay_d4rl,
        inputs=("*/dataset/*", "max_episode_steps"),
        compared=tuple(f"*/terminate_on_end_*/{name}" for name in _COLUMNS),
    ),
    Case(
        name="loaders",
        replay=_replay_loaders,
        inputs=("softlearning_max_size",),
        compared=tuple(
            f"{source}/{name}"
            for source in ("contiguous", "bear", "softlearning")
            for name in _COLUMNS
        ),
        side_files=LOADER_FILES,
    ),
    Case(
        name="reference_scores",
        replay=_replay_scores,
        inputs=("task",),
        compared=("ref_min", "ref_max"),
    ),
]

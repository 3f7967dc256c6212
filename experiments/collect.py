"""Data in D4RL's format from an environment: uniformly random actions, or a policy's."""

import contextlib
import dataclasses
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import gymnasium
import numpy as np
import rich.console
import rich.progress

from .dataset_files import Attributes, new_dataset_file, write_columns
from mopo_tf2.errors import InputError
from mopo_tf2.evaluation.recording import Recorder
from mopo_tf2.types import PolicyFn

_PLAIN_REPORTS = 10  # lines of progress where there is no terminal


@dataclasses.dataclass(frozen=True, kw_only=True)
class Collected:
    """What ``collect`` wrote.

    Attributes:
        path: the HDF5 file.
        steps: number of rows.
        episodes: number of whole episodes (a last one that was cut is not counted).
        return_average: mean return of the whole episodes, nan if there is none.
    """

    path: Path
    steps: int
    episodes: int
    return_average: float

    def __str__(self) -> str:
        return (
            f"{self.steps:,} transitions, {self.episodes} whole episodes with a mean return of "
            f"{self.return_average:.1f} -> {self.path}"
        )


def collect(
    environment: gymnasium.Env[Any, Any],
    out: Path,
    n: int,
    *,
    random_state: np.random.RandomState,
    policy: PolicyFn | None = None,
    max_path_length: int = 1000,
    compression: str | None = "gzip",
    attributes: Attributes | None = None,
) -> Collected:
    """Take ``n`` steps and write them as a D4RL-format HDF5 file.

    Rows: see ``mopo_tf2.evaluation.recording.Recorder``. The last row is marked as a timeout if it
    ends no episode: what follows it is not in the file.

    The file appears whole under its name or not at all, whatever interrupts the collection.

    Args:
        environment: from ``make_environment``.
        out: file to write; it must not exist yet, its folder must.
        n: number of rows.
        random_state: drawn from for the environment's seed first, then for random actions.
        policy: [1, O] float32 -> [1, A]; None draws uniform actions.
        max_path_length: steps of an episode.
        compression: of the columns, "gzip" (as the file that ships) or None.
        attributes: written as the file's attributes: task, physics, versions, policy, seed.

    Raises:
        InputError: if ``n`` is not positive, ``out`` exists or its folder does not.

    Original: softlearning/samplers/simple_sampler.py:SimpleSampler.sample
    """
    if n < 1:
        raise InputError(f"expected a positive number of rows, got {n}.")
    if max_path_length < 1:
        raise InputError(f"expected a positive episode length, got {max_path_length}.")
    with new_dataset_file(out) as temporary:
        with reporting(f"collecting {out.name}", n) as report:
            recorder = _roll_out(environment, n, random_state, policy, max_path_length, report)
        write_columns(temporary, recorder.closed_columns(), attributes or {}, compression)
    return collected(out, recorder)


def collected(out: Path, recorder: Recorder) -> Collected:
    """Sum up what ``recorder`` holds, written to ``out``."""
    returns = recorder.returns
    return Collected(
        path=out,
        steps=recorder.size,
        episodes=len(returns),
        return_average=float(np.mean(returns)) if returns else float("nan"),
    )


def _roll_out(
    environment: gymnasium.Env[Any, Any],
    n: int,
    random_state: np.random.RandomState,
    policy: PolicyFn | None,
    max_path_length: int,
    report: Callable[[int], None],
) -> Recorder:
    """Record ``n`` rows."""
    # Only the first reset is seeded; the environment's own random state goes on from there.
    first_seed = int(random_state.randint(2**31 - 1))
    recorder = Recorder(
        environment,
        n,
        max_path_length=max_path_length,
        reset_seed=lambda episode: None if episode else first_seed,
    )
    shape = environment.action_space.shape
    for row in range(n):
        observation = recorder.observation
        if policy is None:
            recorder.step(random_state.uniform(-1.0, 1.0, shape))
        else:
            recorder.step(policy(observation[np.newaxis])[0])
        report(row + 1)
    return recorder


class Report(Protocol):
    """Shows how much is done."""

    def __call__(self, done: int, note: str = "") -> None:
        """``done`` steps are; ``note`` says more."""


@contextlib.contextmanager
def reporting(title: str, total: int, plain_reports: int = _PLAIN_REPORTS) -> Iterator[Report]:
    """Show a bar on a terminal, else print ``plain_reports`` plain lines at equal distances."""
    if sys.stderr.isatty():
        bar = rich.progress.Progress(
            rich.progress.TextColumn("{task.description}"),
            rich.progress.BarColumn(),
            rich.progress.MofNCompleteColumn(),
            rich.progress.TimeRemainingColumn(),
            rich.progress.TextColumn("{task.fields[note]}"),
            console=rich.console.Console(stderr=True),
        )
        with bar:
            task = bar.add_task(title, total=total, note="")
            yield lambda done, note="": bar.update(task, completed=done, note=note)
        return
    every = max(1, -(-total // plain_reports))
    shown = 0

    def report(done: int, note: str = "") -> None:
        nonlocal shown
        if done // every > shown or done == total:
            shown = done // every
            more = f" ({note})" if note else ""
            print(f"{title}: {done} of {total} steps{more}", file=sys.stderr, flush=True)

    yield report

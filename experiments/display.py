"""What a terminal shows of long work: a live display, or plain lines in files and pipes."""

import contextlib
import itertools
import math
import statistics
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import Self

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

from mopo_tf2.configs.own import IN_THE_MODEL, MODEL_RETURN_KEY

from .run_folder import RETURN

_EPOCHS_FOR_TIME_LEFT = 50
_SHOWN = {
    RETURN: "return",
    "evaluation/normalized-score": "score",
    MODEL_RETURN_KEY: f"return {IN_THE_MODEL}:",
    "model_evaluation/penalized-return-average": "penalized",
    "model/return-average": "return in the pessimistic model",
    "Q-avg": "Q",
    "Q_loss": "Q loss",
    "policy/loss": "policy loss",
    "vae/reconstruction": "VAE loss",
    "npg/surrogate-improvement": "surrogate gain",
    "alpha": "alpha",
}
"""Metrics of the console's lines, of those that a method has: a return and a loss of each."""

_TITLE, _NOTE = TextColumn("{task.description}"), TextColumn("{task.fields[note]}")


class DurableConsole(Console):
    """A console whose broken pipe does not end the program."""

    def on_broken_pipe(self) -> None:
        """Go silent, where rich exits."""
        self.quiet = True

    @property
    def is_live(self) -> bool:
        """Whether it writes to a terminal that can redraw lines."""
        return self.file.isatty() and not self.is_dumb_terminal


class TrainingDisplay:
    """Receives the progress callbacks of a run (``mopo_tf2.progress.Progress``) and shows them.

    One line per epoch, counted from 1; on a terminal also a bar below them. A display that breaks
    (closed pipe, lost terminal) goes silent, and the training goes on.

    Args:
        console: where the lines go; it draws the bar if it is live.
        on_holdout: called with each epoch of ensemble training and its hold-out losses [E]; what
            it raises ends the training.
        on_distribution: called with the name and the values [n] of each distribution.
        clock: seconds, monotonic.
    """

    def __init__(
        self,
        console: DurableConsole,
        on_holdout: Callable[[int, np.ndarray], None] = lambda epoch, losses: None,
        on_distribution: Callable[[str, np.ndarray], None] = lambda name, values: None,
        clock: Callable[[], float] = time.perf_counter,
    ):
        self._on_holdout, self._clock = on_holdout, clock
        self.distribution = on_distribution  # See ``Progress.distribution``.
        columns = (_TITLE, BarColumn(), MofNCompleteColumn(), _NOTE)
        self._console = console
        self._bar = Progress(*columns, console=console, transient=True)
        self._task = self._bar.add_task("preparing", total=None, note="")
        self._last = self._started = clock()
        self._title = ""
        self._n_epochs = self._updates = 0
        self._update_seconds = 0.0
        self._epoch_seconds: deque[float] = deque(maxlen=_EPOCHS_FOR_TIME_LEFT)
        self._left = math.nan  # Seconds, at the end of the last epoch.
        self._has_compiled = False

    def __enter__(self) -> Self:
        if self._console.is_live:
            with contextlib.suppress(Exception):
                self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._console.is_live:
            with contextlib.suppress(Exception):
                self._bar.stop()

    def model_step(self, epoch: int, done: int, total: int) -> None:
        """See ``Progress.model_step``."""
        title = f"ensemble, epoch {epoch + 1}:"
        if title != self._title:
            self._title, self._started = title, self._last
        self._report("steps", done, total)

    def model_epoch(
        self,
        epoch: int,
        holdout_losses: np.ndarray,
        epochs_since_update: int,
        max_epochs_since_update: int,
        max_epochs: int | None,
    ) -> None:
        """See ``Progress.model_epoch``."""
        self._on_holdout(epoch, holdout_losses)
        seconds = self._clock() - self._started
        losses = np.asarray(holdout_losses)
        three = " / ".join(number(float(f(losses))) for f in (np.min, np.median, np.max))
        flat = f"no improvement for {epochs_since_update} epochs"
        limit = f", at most {max_epochs} epochs" if max_epochs else ""
        self._print(
            f"model epoch {epoch + 1}  hold-out MSE {three} (min / median / max of {losses.size})"
            f"  {flat if epochs_since_update else 'improved'} (patience {max_epochs_since_update}"
            f"{limit})  {duration(seconds)}"
        )

    def epoch_started(self, epoch: int, n_epochs: int) -> None:
        """See ``Progress.epoch_started``."""
        self._n_epochs = n_epochs
        self._title = f"epoch {epoch + 1} of {n_epochs}:"
        self._report("", 0, 0)
        self._started = self._last
        self._updates, self._update_seconds = 0, 0.0

    def rollout_step(self, done: int, total: int, states: int) -> None:
        """See ``Progress.rollout_step``."""
        self._report("rollout", done, total, f"{states:,} states")

    def updates(self, done: int, total: int) -> None:
        """See ``Progress.updates``."""
        seconds = self._report("updates", done, total)
        if done > self._updates:
            self._update_seconds += seconds
        self._updates = done

    def evaluation_step(self, done: int, total: int) -> None:
        """See ``Progress.evaluation_step``."""
        self._report("evaluation", done, total)

    def epoch_finished(self, epoch: int, metrics: dict[str, float]) -> None:
        """See ``Progress.epoch_finished``."""
        self._report("", 0, 0)
        seconds = self._last - self._started
        # The first epoch of a process also compiles, so it tells nothing about the others.
        if self._has_compiled:
            self._epoch_seconds.append(seconds)
        self._has_compiled = True
        remaining = self._n_epochs - epoch - 1
        typical = statistics.median(self._epoch_seconds or [math.nan])
        self._left = typical * remaining if remaining else 0.0
        parts = [f"epoch {epoch + 1}/{self._n_epochs}"]
        parts += [
            f"{name} {number(float(metrics[key]))}"
            for key, name in _SHOWN.items()
            if key in metrics and not math.isnan(metrics[key])
        ]
        if self._update_seconds > 0:
            parts.append(f"{number(self._updates / self._update_seconds)} updates/s")
        parts += [duration(seconds), f"left {duration(self._left)}"]
        self._print("  ".join(parts))

    def _report(self, activity: str, done: int, total: int, note: str = "") -> float:
        """Note ``done`` of ``total`` steps; return the seconds since any report."""
        now = self._clock()
        seconds, self._last = now - self._last, now
        left = "" if math.isnan(self._left) else f"left {duration(self._left)}"
        with contextlib.suppress(Exception):
            self._bar.update(
                self._task,
                description=f"{self._title} {activity:10}",
                completed=done,
                total=total or None,
                note=f"{note}  {left}",
            )
        return seconds

    def _print(self, line: str) -> None:
        with contextlib.suppress(Exception):
            self._console.print(Text(line), soft_wrap=True)


@contextlib.contextmanager
def steps(title: str, total: int, reports: int = 10) -> Iterator[Callable[..., None]]:
    """Show a bar on standard error if it is a terminal, else ``reports`` plain lines.

    Gives a function of the number of steps done and, if more is to be said, a note.
    """
    columns = (_TITLE, BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), _NOTE)
    console = DurableConsole(stderr=True)
    every, shown = max(1, -(-total // reports)), 0
    bar = Progress(*columns, console=console, transient=True)
    task = bar.add_task(title, total=total, note="")

    def report(done: int, note: str = "") -> None:
        nonlocal shown
        bar.update(task, completed=done, note=note)
        if not console.is_live and (done // every > shown or done == total):
            shown = done // every
            more = f" ({note})" if note else ""
            print(f"{title}: {done} of {total} steps{more}", file=sys.stderr, flush=True)

    with bar if console.is_live else contextlib.nullcontext():
        yield report


def duration(seconds: float) -> str:
    """Return e.g. "8.2 s", "4 min 10 s", "3 h 05 min", "2 d 03 h"; "-" for nan."""
    if not math.isfinite(seconds):
        return "-"
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    units = (("d", 86400), ("h", 3600), ("min", 60), ("s", 1))
    for (unit, size), (smaller, part) in itertools.pairwise(units):
        if whole >= size:
            return f"{whole // size} {unit} {whole % size // part:02d} {smaller}"
    return f"{whole} s"


def number(value: float) -> str:
    """Return ``value`` in about four digits; "-" for nan."""
    if math.isnan(value):
        return "-"
    return f"{value:,.0f}" if 1000 <= abs(value) < 1e7 else f"{value:.4g}"

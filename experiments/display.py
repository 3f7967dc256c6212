"""What a terminal shows of long work: a live display, or plain lines in files and pipes."""

import contextlib
import math
import statistics
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from types import TracebackType
from typing import Any, Protocol, Self, TextIO

import numpy as np
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.progress_bar import ProgressBar
from rich.table import Table
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

HoldoutWriter = Callable[[int, np.ndarray], None]


class DurableConsole(Console):
    """A console whose broken pipe does not end the program."""

    def on_broken_pipe(self) -> None:
        """Go silent, where rich exits."""
        self.quiet = True


def is_live(stream: TextIO) -> bool:
    """Whether ``stream`` is a terminal that can redraw lines."""
    return stream.isatty() and not Console(file=stream).is_dumb_terminal


def terminal_progress(on_holdout: HoldoutWriter) -> "TrainingDisplay":
    """Return a live display if standard output is a terminal that can do it, else plain lines.

    Args:
        on_holdout: called with each epoch of ensemble training and its hold-out losses [E].
    """
    console = DurableConsole(file=sys.stdout) if is_live(sys.stdout) else None
    return TrainingDisplay(sys.stdout, console, on_holdout)


class TrainingDisplay:
    """Receives the progress callbacks of a run (``mopo_tf2.progress.Progress``) and shows them.

    One line per epoch; on a terminal also a block at its foot that redraws itself. Both count
    epochs from 1. A display that breaks (closed pipe, lost terminal) goes silent, and the training
    goes on.

    Args:
        stream: where plain lines go.
        console: draws the live block; None for plain lines only.
        on_holdout: see ``terminal_progress``; what it raises ends the training.
        clock: seconds, monotonic.
    """

    def __init__(
        self,
        stream: TextIO,
        console: DurableConsole | None,
        on_holdout: HoldoutWriter = lambda epoch, losses: None,
        clock: Callable[[], float] = time.perf_counter,
    ):
        self._stream, self._on_holdout, self._clock = stream, on_holdout, clock
        self._live = console and Live(
            console=console, get_renderable=self._render, refresh_per_second=4.0, transient=True
        )
        self._last = self._started = clock()
        self._phase = self._activity = self._fit = self._losses = ""
        self._done = self._total = self._states = 0
        self._epoch = self._n_epochs = self._updates = 0
        self._update_seconds, self._model_seconds = 0.0, math.nan
        self._metrics: Mapping[str, float] = {}
        self._epoch_seconds: deque[float] = deque(maxlen=_EPOCHS_FOR_TIME_LEFT)
        self._has_compiled = self._in_epoch = False

    def __enter__(self) -> Self:
        if self._live:
            with _unharmed():
                self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._live:
            with _unharmed():
                self._live.stop()

    def model_step(self, epoch: int, done: int, total: int) -> None:
        """See ``Progress.model_step``."""
        if self._phase != "model":
            self._phase, self._started = "model", self._last
        self._report("steps", done, total)
        self._epoch = epoch

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
        self.model_step(epoch, self._total, self._total)
        self._model_seconds, self._started = self._last - self._started, self._last
        self._losses = _summary(np.asarray(holdout_losses))
        self._fit = (
            f"no improvement for {epochs_since_update} epochs"
            if epochs_since_update
            else ("improved")
        )
        self._fit += f" (patience {max_epochs_since_update}"
        self._fit += f", at most {max_epochs} epochs)" if max_epochs else ")"
        line = f"model epoch {epoch + 1}  hold-out MSE {self._losses}  {self._fit}"
        self._print(f"{line}  {duration(self._model_seconds)}")

    def epoch_started(self, epoch: int, n_epochs: int) -> None:
        """See ``Progress.epoch_started``."""
        self._report("", 0, 0)
        self._phase, self._epoch, self._n_epochs = "policy", epoch, n_epochs
        self._started, self._in_epoch = self._last, True
        self._updates, self._update_seconds = 0, 0.0

    def rollout_step(self, done: int, total: int, states: int) -> None:
        """See ``Progress.rollout_step``."""
        self._report("rollout", done, total)
        self._states = states

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
        self._epoch, self._metrics, self._in_epoch = epoch, metrics, False
        seconds = self._last - self._started
        # The first epoch of a process also compiles, so it tells nothing about the others.
        if self._has_compiled:
            self._epoch_seconds.append(seconds)
        self._has_compiled = True
        parts = [f"epoch {epoch + 1}/{self._n_epochs}", *_shown(metrics)]
        if self._update_seconds > 0:
            parts.append(f"{number(self._updates / self._update_seconds)} updates/s")
        parts += [duration(seconds), f"left {duration(self.seconds_left)}"]
        self._print("  ".join(parts))

    @property
    def seconds_left(self) -> float:
        """Time left, by the median of this process's epochs after its first; nan before them."""
        if self._epoch + 1 == self._n_epochs and not self._in_epoch:
            return 0.0
        if not self._epoch_seconds:
            return math.nan
        typical = statistics.median(self._epoch_seconds)
        left = typical * (self._n_epochs - self._epoch - 1)
        if self._in_epoch:
            left += max(typical - (self._clock() - self._started), 0.0)
        return left

    def _report(self, activity: str, done: int, total: int) -> float:
        """Note ``done`` of ``total`` steps; return the seconds since any report."""
        now = self._clock()
        seconds, self._last = now - self._last, now
        self._activity, self._done, self._total = activity, done, total
        return seconds

    def _print(self, line: str) -> None:
        with _unharmed():
            if self._live:
                self._live.console.print(Text(line), soft_wrap=True)
            else:
                print(line, file=self._stream, flush=True)

    def _render(self) -> RenderableType:
        # Called in the drawing thread, which an exception would end with a traceback.
        with _unharmed():
            return self._block()
        return Text("")

    def _block(self) -> RenderableType:
        facts = Table.grid(padding=(0, 2))
        note = ""
        if self._phase == "model":
            title = f"Training the ensemble: epoch {self._epoch + 1}"
            facts.add_row("hold-out MSE", self._losses or "-")
            facts.add_row("last epoch", self._fit or "-")
            facts.add_row("time per epoch", duration(self._model_seconds))
        elif self._phase == "policy":
            title = f"Training the policy: epoch {self._epoch + 1} of {self._n_epochs}"
            if self._activity == "rollout":
                note = f"{self._states:,} states"
            elif self._activity == "updates" and self._update_seconds > 0:
                note = f"{number(self._updates / self._update_seconds)} updates/s"
            facts.add_row("last epoch", "  ".join(_shown(self._metrics)) or "-")
            facts.add_row("time left", duration(self.seconds_left))
        else:
            return Text("preparing")
        bar = ProgressBar(total=max(self._total, 1), completed=self._done, width=40)
        row = Table.grid(padding=(0, 1))
        row.add_row(Text(f"{self._activity:10}"), bar, Text(f"{self._done}/{self._total}  {note}"))
        return Group(Text(title, style="bold"), row, facts)


@contextlib.contextmanager
def _unharmed() -> Iterator[None]:
    """Let a display break without ending the training."""
    with contextlib.suppress(Exception):
        yield


class Report(Protocol):
    """Shows how much is done."""

    def __call__(self, done: int, note: str = "") -> None:
        """Show that ``done`` steps are taken; ``note`` says more."""


@contextlib.contextmanager
def steps(title: str, total: int, reports: int = 10) -> Iterator[Report]:
    """Show a bar on standard error if it is a terminal, else ``reports`` plain lines."""
    if is_live(sys.stderr):
        columns: tuple[Any, ...] = (
            *(TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn()),
            *(TimeRemainingColumn(), TextColumn("{task.fields[note]}")),
        )
        with Progress(*columns, console=DurableConsole(stderr=True), transient=True) as bar:
            task = bar.add_task(title, total=total, note="")
            yield lambda done, note="": bar.update(task, completed=done, note=note)
        return
    every, shown = max(1, -(-total // reports)), 0

    def report(done: int, note: str = "") -> None:
        nonlocal shown
        if done // every > shown or done == total:
            shown = done // every
            more = f" ({note})" if note else ""
            print(f"{title}: {done} of {total} steps{more}", file=sys.stderr, flush=True)

    yield report


def _shown(metrics: Mapping[str, float]) -> list[str]:
    return [
        f"{name} {number(float(metrics[key]))}"
        for key, name in _SHOWN.items()
        if key in metrics and not math.isnan(metrics[key])
    ]


def _summary(losses: np.ndarray) -> str:
    three = " / ".join(number(float(f(losses))) for f in (np.min, np.median, np.max))
    return f"{three} (min / median / max of {losses.size})"


def duration(seconds: float) -> str:
    """Return e.g. "8.2 s", "4 min 10 s", "3 h 05 min", "2 d 03 h"; "-" for nan."""
    if not math.isfinite(seconds):
        return "-"
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    for size, unit, smaller_size, smaller in (
        (86400, "d", 3600, "h"),
        (3600, "h", 60, "min"),
        (60, "min", 1, "s"),
    ):
        if whole >= size:
            return f"{whole // size} {unit} {whole % size // smaller_size:02d} {smaller}"
    return f"{whole} s"


def number(value: float) -> str:
    """Return ``value`` in about four digits; "-" for nan."""
    if math.isnan(value):
        return "-"
    return f"{value:,.0f}" if 1000 <= abs(value) < 1e7 else f"{value:.4g}"

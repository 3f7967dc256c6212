"""Shows how a run goes on: a live display on a terminal, plain lines elsewhere."""

import functools
import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Protocol, Self, TextIO

import numpy as np
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from .progress_state import (
    RunState,
    duration,
    epoch_line,
    holdout_summary,
    model_epoch_line,
    number,
    patience,
    shown_metrics,
)
from mopo_tf2.progress import Progress

REFRESHES_PER_SECOND = 4.0


class ProgressDisplay(Progress, Protocol):
    """A ``Progress`` to be used in a ``with`` block, which opens and closes the display."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...


def terminal_progress() -> ProgressDisplay:
    """Return a live display if standard output is a terminal that can do it, else plain lines.

    Both count epochs from 1, as people do; progress.csv counts from 0, as the original does.
    """
    if sys.stdout.isatty():
        console = DurableConsole(file=sys.stdout)
        if not console.is_dumb_terminal:
            return LiveProgress(console)
    return PlainProgress(sys.stdout)


class DurableConsole(Console):
    """A console whose broken pipe does not end the program."""

    def on_broken_pipe(self) -> None:
        """Go silent, where rich exits."""
        self.quiet = True


def _never_raises(method: Callable[..., None]) -> Callable[..., None]:
    """A display that breaks (closed pipe, lost terminal) goes silent; the training goes on."""

    @functools.wraps(method)
    def quiet(self: Any, *args: Any, **kwargs: Any) -> None:
        if self._broken:
            return
        try:
            method(self, *args, **kwargs)
        except Exception:  # noqa: BLE001  whatever breaks, the training goes on
            self._broken = True

    return quiet


class _Display:
    """Keeps the state; what is shown of it, and where, is up to the subclass."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._state = RunState(clock)
        self._broken = False

    @_never_raises
    def model_step(self, epoch: int, done: int, total: int) -> None:
        """See ``Progress.model_step``."""
        self._state.report_model_step(epoch, done, total)

    @_never_raises
    def model_epoch(
        self,
        epoch: int,
        holdout_losses: np.ndarray,
        epochs_since_update: int,
        max_epochs_since_update: int,
        max_epochs: int | None,
    ) -> None:
        """See ``Progress.model_epoch``."""
        self._state.end_model_epoch(
            epoch, holdout_losses, epochs_since_update, max_epochs_since_update, max_epochs
        )
        self._model_epoch_ended()

    @_never_raises
    def epoch_started(self, epoch: int, n_epochs: int) -> None:
        """See ``Progress.epoch_started``."""
        if self._state.phase == "model":
            self._model_ended()
        self._state.begin_epoch(epoch, n_epochs)

    @_never_raises
    def rollout_step(self, done: int, total: int, states: int) -> None:
        """See ``Progress.rollout_step``."""
        self._state.report("rollout", done, total)
        self._state.rollout_states = states

    @_never_raises
    def updates(self, done: int, total: int) -> None:
        """See ``Progress.updates``."""
        self._state.report_updates(done, total)

    @_never_raises
    def evaluation_step(self, done: int, total: int) -> None:
        """See ``Progress.evaluation_step``."""
        self._state.report("evaluation", done, total)

    @_never_raises
    def epoch_finished(self, epoch: int, metrics: dict[str, float]) -> None:
        """See ``Progress.epoch_finished``."""
        self._state.end_epoch(epoch, metrics)
        self._epoch_ended()

    def _model_epoch_ended(self) -> None: ...

    def _model_ended(self) -> None: ...

    def _epoch_ended(self) -> None: ...


class PlainProgress(_Display):
    """One line an epoch, without control characters: for files, pipes and logs.

    Args:
        stream: where the lines go; flushed after each.
        clock: seconds, monotonic.
    """

    def __init__(self, stream: TextIO, clock: Callable[[], float] = time.perf_counter) -> None:
        super().__init__(clock)
        self._stream = stream

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Nothing to restore."""

    def _model_epoch_ended(self) -> None:
        seconds = duration(self._state.model_epoch_seconds)
        self._print(f"{model_epoch_line(self._state)}  {seconds}")

    def _epoch_ended(self) -> None:
        self._print(epoch_line(self._state))

    def _print(self, line: str) -> None:
        print(line, file=self._stream, flush=True)


class LiveProgress(_Display):
    """A block that redraws itself at the foot of the terminal, below one line a policy epoch.

    A thread of rich draws it a few times a second; a report only stores numbers. ``print`` works
    as usual meanwhile and comes out above the block.

    Args:
        console: on a terminal.
        clock: seconds, monotonic.
    """

    def __init__(
        self, console: DurableConsole, clock: Callable[[], float] = time.perf_counter
    ) -> None:
        super().__init__(clock)
        self._console = console
        self._live = Live(
            console=console,
            get_renderable=self._render,
            refresh_per_second=REFRESHES_PER_SECOND,
            transient=True,
        )

    def __enter__(self) -> Self:
        self._open()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Erase the block and give the terminal back, whatever has happened."""
        try:
            if self._state.phase == "model":
                self._model_ended()
        except Exception:  # noqa: BLE001  whatever breaks, the training goes on
            self._broken = True
        try:
            self._live.stop()
        except Exception:  # noqa: BLE001  whatever breaks, the training goes on
            self._broken = True

    @_never_raises
    def _open(self) -> None:
        self._live.start()

    def _model_ended(self) -> None:
        if self._state.holdout_losses.size:
            self._print(f"{model_epoch_line(self._state)}  {duration(self._state.model_seconds)}")

    def _epoch_ended(self) -> None:
        self._print(epoch_line(self._state))

    def _print(self, line: str) -> None:
        self._console.print(Text(line), soft_wrap=True)

    def _render(self) -> RenderableType:
        # Called in the drawing thread, which an exception would end with a traceback.
        try:
            views = {"model": _model_view, "policy": _policy_view}
            view = views.get(self._state.phase)
            return view(self._state) if view else Text("preparing")
        except Exception:  # noqa: BLE001  whatever breaks, the training goes on
            return Text("")


def _bar(state: RunState, note: str) -> RenderableType:
    bar = ProgressBar(total=max(state.total, 1), completed=state.done, width=40)
    row = Table.grid(padding=(0, 1))
    row.add_row(Text(f"{state.activity:10}"), bar, Text(f"{state.done}/{state.total}  {note}"))
    return row


def _model_view(state: RunState) -> RenderableType:
    members = "  ".join(number(float(loss)) for loss in state.holdout_losses)
    facts = Table.grid(padding=(0, 2))
    facts.add_row("hold-out MSE", holdout_summary(state.holdout_losses))
    facts.add_row("each member", members or "-")
    facts.add_row("patience", patience(state) if state.holdout_losses.size else "-")
    facts.add_row("time per epoch", duration(state.model_epoch_seconds))
    title = Text(f"Training the ensemble: epoch {state.model_epoch + 1}", style="bold")
    return Group(title, _bar(state, ""), facts)


def _policy_view(state: RunState) -> RenderableType:
    note = f"{number(state.updates_per_second)} updates/s" if state.activity == "updates" else ""
    if state.activity == "rollout":
        note = f"{state.rollout_states:,} states"
    facts = Table.grid(padding=(0, 2))
    facts.add_row("last epoch", "  ".join(shown_metrics(state.metrics)) or "-")
    facts.add_row("time per epoch", duration(state.typical_epoch_seconds))
    facts.add_row("time left", duration(state.seconds_left))
    title = Text(f"Training the policy: epoch {state.epoch + 1} of {state.n_epochs}", style="bold")
    return Group(title, _bar(state, note), facts)

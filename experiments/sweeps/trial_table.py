"""The trials of a sweep on the screen, read from their folders."""

import dataclasses
import math
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self, TextIO

from rich.live import Live
from rich.table import Table

from ..progress import DurableConsole
from ..sweeps.plan import Trial
from ..sweeps.trial_state import last_row, read_status

_PLAIN_SECONDS = 60.0
_ORDER = {"failed": 0, "running": 1, "pending": 2, "finished": 3}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Row:
    """One trial as a person wants to see it.

    Attributes:
        trial: which.
        state: see ``trial_state.Status``.
        attempts: how often it was begun or continued.
        error: of a failed one.
        done: epochs.
        last_return: mean return of the last evaluation, reward units; nan before the first.
    """

    trial: Trial
    state: str
    attempts: int
    error: str | None
    done: int
    last_return: float

    @property
    def epochs(self) -> str:
        """Epochs done of those asked for."""
        if self.trial.model_only:
            return "model"
        return f"{self.done}/{self.trial.spec.algorithm.n_epochs}"

    @property
    def shown_return(self) -> str:
        """The last return, or a dash."""
        return "-" if math.isnan(self.last_return) else f"{self.last_return:.1f}"

    @property
    def settings(self) -> str:
        """What the grid sets here."""
        return " ".join(f"{key}={value}" for key, value in self.trial.settings.items())


def read_rows(out: Path, trials: Sequence[Trial]) -> list[Row]:
    """Read how each trial stands."""
    rows = []
    for trial in trials:
        status = read_status(out / trial.folder)
        done, last_return = last_row(out / trial.folder)
        rows.append(
            Row(
                trial=trial,
                state=status.state,
                attempts=status.attempts,
                error=status.error,
                done=done,
                last_return=last_return,
            )
        )
    return rows


def counts(rows: Sequence[Row]) -> str:
    """Return how many trials are in each state."""
    found = Counter(row.state for row in rows)
    return ", ".join(
        f"{found[state]} {state}" for state in ("finished", "running", "pending", "failed")
    )


def trial_table(rows: Sequence[Row]) -> Table:
    """Return the trials as a table; those that a small screen must show come first."""
    table = Table(title=f"{len(rows)} trials: {counts(rows)}", title_justify="left")
    for name in ("task", "seed", "settings", "state", "epoch", "return", "attempts"):
        table.add_column(name, justify="right" if name in ("epoch", "return") else "left")
    for row in sorted(rows, key=lambda row: _ORDER[row.state]):
        table.add_row(
            *(row.trial.task, str(row.trial.spec.seed), row.settings, row.state),
            *(row.epochs, row.shown_return, str(row.attempts)),
        )
    return table


class PlainView:
    """Lines for files and pipes: each change of state at once, a summary every minute."""

    def __init__(self, stream: TextIO, clock: Callable[[], float] = time.monotonic):
        self._stream, self._clock = stream, clock
        self._states: dict[str, tuple[str, int]] = {}
        self._summary = clock()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Nothing to restore."""

    def show(self, rows: Sequence[Row]) -> None:
        """Print what is new."""
        for row in rows:
            state = (row.state, row.attempts)
            before = self._states.get(row.trial.folder, ("pending", 0))
            self._states[row.trial.folder] = state
            if state != before:
                self._print(
                    f"{row.trial.folder}: {row.state}, epoch {row.epochs}, return "
                    f"{row.shown_return}, attempt {row.attempts}"
                    + (f": {row.error}" if row.error else "")
                )
        if self._clock() - self._summary >= _PLAIN_SECONDS:
            self._summary = self._clock()
            running = [
                f"{row.trial.folder} {row.epochs} ({row.shown_return})"
                for row in rows
                if row.state == "running"
            ]
            self._print("; ".join([counts(rows), *running]))

    def _print(self, line: str) -> None:
        print(line, file=self._stream, flush=True)


class LiveView:
    """A table that redraws itself in place."""

    def __init__(self, console: DurableConsole):
        self._live = Live(console=console, auto_refresh=False, vertical_overflow="ellipsis")

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._live.stop()

    def show(self, rows: Sequence[Row]) -> None:
        """Draw the table anew."""
        self._live.update(trial_table(rows), refresh=True)


def sweep_view() -> PlainView | LiveView:
    """Return a live table if standard output is a terminal that can do it, else plain lines."""
    if sys.stdout.isatty():
        console = DurableConsole(file=sys.stdout)
        if not console.is_dumb_terminal:
            return LiveView(console)
    return PlainView(sys.stdout)

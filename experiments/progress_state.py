"""What a run has reported so far, the times that follow from it, and both in words."""

import math
import statistics
from collections import deque
from collections.abc import Callable, Mapping

import numpy as np

from mopo_tf2.configs.own import IN_THE_MODEL, MODEL_RETURN_KEY

EPOCHS_FOR_TIME_LEFT = 50


class RunState:
    """What has been reported so far, and the times that follow from it."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._last_report = self.model_start = self.model_epoch_start = self.epoch_start = clock()
        self.phase = ""  # then "model", then "policy"
        self.activity = ""
        self.done = self.total = self.rollout_states = 0
        self.model_epoch = self.flat_epochs = self.patience = 0
        self.max_model_epochs: int | None = None
        self.holdout_losses = np.zeros(0)
        self.model_epoch_seconds = math.nan
        self.epoch = self.n_epochs = 0
        self.metrics: Mapping[str, float] = {}
        self.epoch_seconds: deque[float] = deque(maxlen=EPOCHS_FOR_TIME_LEFT)
        self._updates = 0
        self._update_seconds = 0.0
        self._in_epoch = False

    def report(self, activity: str, done: int, total: int) -> float:
        """Note ``done`` of ``total`` steps of ``activity``; return seconds since any report."""
        now = self._clock()
        seconds = now - self._last_report
        self._last_report = now
        self.activity, self.done, self.total = activity, done, total
        return seconds

    def report_model_step(self, epoch: int, done: int, total: int) -> None:
        """See ``Progress.model_step``."""
        if self.phase != "model":
            self.phase = "model"
            self.model_start = self.model_epoch_start = self._last_report
        self.report("steps", done, total)
        self.model_epoch = epoch

    def end_model_epoch(
        self, epoch: int, losses: np.ndarray, flat: int, patience: int, max_epochs: int | None
    ) -> None:
        """See ``Progress.model_epoch``."""
        self.report_model_step(epoch, self.total, self.total)
        self.holdout_losses = np.array(losses, dtype=np.float64).ravel()
        self.flat_epochs, self.patience, self.max_model_epochs = flat, patience, max_epochs
        self.model_epoch_seconds = self._last_report - self.model_epoch_start
        self.model_epoch_start = self._last_report

    def begin_epoch(self, epoch: int, n_epochs: int) -> None:
        """See ``Progress.epoch_started``."""
        self.report("", 0, 0)
        self.phase = "policy"
        self.epoch, self.n_epochs = epoch, n_epochs
        self.epoch_start = self._last_report
        self._updates, self._update_seconds = 0, 0.0
        self._in_epoch = True

    def report_updates(self, done: int, total: int) -> None:
        """See ``Progress.updates``."""
        seconds = self.report("updates", done, total)
        if done > self._updates:
            self._update_seconds += seconds
        self._updates = done

    def end_epoch(self, epoch: int, metrics: Mapping[str, float]) -> None:
        """See ``Progress.epoch_finished``."""
        self.report("", 0, 0)
        self.epoch, self.metrics = epoch, dict(metrics)
        self.epoch_seconds.append(self._last_report - self.epoch_start)
        self._in_epoch = False

    @property
    def model_seconds(self) -> float:
        """Time in ensemble training, up to the last whole epoch."""
        return self.model_epoch_start - self.model_start

    @property
    def updates_per_second(self) -> float:
        """SAC updates of this epoch over the time spent on them; nan before the first."""
        return self._updates / self._update_seconds if self._update_seconds > 0 else math.nan

    @property
    def typical_epoch_seconds(self) -> float:
        """Median time of the last policy epochs of this process; nan before the first."""
        # Not the mean, because the first epoch of a process also compiles.
        return statistics.median(self.epoch_seconds) if self.epoch_seconds else math.nan

    @property
    def seconds_left(self) -> float:
        """Time left, from the epochs that this process has seen; nan before the first."""
        left = self.typical_epoch_seconds * (self.n_epochs - self.epoch - 1)
        if self._in_epoch:
            left += max(self.typical_epoch_seconds - (self._clock() - self.epoch_start), 0.0)
        return left


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
    if 1000 <= abs(value) < 1e7:
        return f"{value:,.0f}"
    return f"{value:.4g}"


def holdout_summary(losses: np.ndarray) -> str:
    """Return minimum, median and maximum of the hold-out losses [E]."""
    if not losses.size:
        return "-"
    three = " / ".join(number(float(f(losses))) for f in (np.min, np.median, np.max))
    return f"{three} (min / median / max of {losses.size})"


def patience(state: RunState) -> str:
    """Return e.g. "flat 2 of 5, at most 40 epochs"."""
    limit = "" if state.max_model_epochs is None else f", at most {state.max_model_epochs} epochs"
    return f"flat {state.flat_epochs} of {state.patience}{limit}"


def model_epoch_line(state: RunState) -> str:
    """Return the last epoch of ensemble training in one line."""
    return (
        f"model epoch {state.model_epoch + 1}  "
        f"hold-out MSE {holdout_summary(state.holdout_losses)}  {patience(state)}"
    )


def shown_metrics(metrics: Mapping[str, float]) -> list[str]:
    """Return "name value" of the few metrics that say how it goes, of those that are there."""
    names = {
        "evaluation/return-average": "return",
        "evaluation/normalized-score": "normalized",
        MODEL_RETURN_KEY: f"return {IN_THE_MODEL}:",
        "model_evaluation/penalized-return-average": "penalised",
        "Q-avg": "Q",
        "Q_loss": "Q_loss",
        "alpha": "alpha",
    }
    return [
        f"{name} {number(float(metrics[key]))}"
        for key, name in names.items()
        if key in metrics and not math.isnan(metrics[key])
    ]


def epoch_line(state: RunState) -> str:
    """Return the last epoch of policy training in one line."""
    parts = [f"epoch {state.epoch + 1}/{state.n_epochs}", *shown_metrics(state.metrics)]
    if math.isfinite(state.updates_per_second):
        parts.append(f"{number(state.updates_per_second)} updates/s")
    parts.append(duration(state.epoch_seconds[-1]))
    parts.append(f"left {duration(state.seconds_left)}")
    return "  ".join(parts)

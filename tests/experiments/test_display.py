import io
import sys

import numpy as np
import pytest

from experiments.display import (
    DurableConsole,
    TrainingDisplay,
    duration,
    number,
    steps,
)

LOSSES = np.array([0.7, 0.4, 0.6, 0.5, 0.9, 0.8, 0.65])
METRICS = {
    "epoch": 3.0,
    "evaluation/return-average": 1234.56,
    "evaluation/normalized-score": 12.25,
    "Q-avg": -3.5,
    "Q_loss": 9.75,
    "alpha": 0.125,
}


class Clock:
    """Seconds that pass only when told."""

    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now

    def tick(self, seconds):
        self.now += seconds


class Terminal(io.StringIO):
    def isatty(self):
        return True


def policy_epoch(display, clock, epoch, n_epochs, *, seconds=20.0):
    """One epoch: 5 s of rollouts, 10 s for 1000 updates, the rest evaluation."""
    display.epoch_started(epoch, n_epochs)
    clock.tick(5.0)
    display.rollout_step(5, 5, 50_000)
    for done in range(100, 1001, 100):
        clock.tick(1.0)
        display.updates(done, 1000)
    clock.tick(seconds - 15.0)
    display.evaluation_step(1000, 1000)
    display.epoch_finished(epoch, METRICS)


def plain(clock=None):
    stream = io.StringIO()
    return TrainingDisplay(DurableConsole(file=stream), clock=clock or Clock()), stream


def live(terminal, clock=None):
    console = DurableConsole(file=terminal, width=120, height=30)
    return TrainingDisplay(console, clock=clock or Clock())


@pytest.fixture(autouse=True)
def term(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")


def test_a_model_epoch_is_one_line_with_losses_patience_and_time():
    clock = Clock()
    display, stream = plain(clock)
    display.model_step(11, 1, 2)
    clock.tick(8.25)
    display.model_step(11, 2, 2)
    display.model_epoch(11, LOSSES, 2, 5, 40)
    assert stream.getvalue() == (
        "model epoch 12  hold-out MSE 0.4 / 0.65 / 0.9 (min / median / max of 7)"
        "  no improvement for 2 epochs (patience 5, at most 40 epochs)  8.2 s\n"
    )


def test_holdout_losses_are_handed_on_and_what_their_receiver_raises_too():
    def refuse(epoch, losses):
        raise OSError(f"disk full in epoch {epoch} with {losses.size}")

    with pytest.raises(OSError, match="epoch 4 with 7"):
        TrainingDisplay(DurableConsole(), refuse).model_epoch(4, LOSSES, 0, 5, None)


def test_a_policy_epoch_is_one_line_with_metrics_speed_and_time():
    clock = Clock()
    display, stream = plain(clock)
    policy_epoch(display, clock, 3, 10)
    assert stream.getvalue() == (
        "epoch 4/10  return 1,235  score 12.25  Q -3.5  Q loss 9.75  alpha 0.125"
        "  100 updates/s  20 s  left -\n"
    )


def test_metrics_that_are_missing_or_nan_are_not_shown():
    display, stream = plain()
    display.epoch_started(0, 1)
    display.epoch_finished(0, {"alpha": 0.5, "evaluation/normalized-score": float("nan")})
    assert stream.getvalue() == "epoch 1/1  alpha 0.5  0.0 s  left 0.0 s\n"


def test_the_time_left_does_not_count_the_epoch_that_compiles():
    clock = Clock()
    display, stream = plain(clock)
    for epoch, seconds in enumerate([600.0, 20.0], start=900):
        policy_epoch(display, clock, epoch, 1000, seconds=seconds)
    first, second = stream.getvalue().splitlines()
    assert first.endswith("left -")
    assert second.endswith("left 32 min 40 s")  # 98 epochs of 20 s


def test_rollouts_between_updates_do_not_count_for_their_speed():
    clock = Clock()
    display, stream = plain(clock)
    display.epoch_started(0, 1)
    for done in (500, 1000):
        clock.tick(100.0)
        display.rollout_step(1, 1, 50_000)
        clock.tick(5.0)
        display.updates(done, 1000)
    display.epoch_finished(0, {})
    assert "100 updates/s" in stream.getvalue()


def test_the_bar_shows_model_and_policy_training():
    clock, terminal = Clock(), Terminal()
    with live(terminal, clock) as display:
        display.model_step(0, 1, 10)
        display.model_epoch(0, LOSSES, 0, 5, None)
        display._bar.refresh()
        display.epoch_started(0, 3)
        display.updates(100, 1000)
        display._bar.refresh()
    shown = terminal.getvalue()
    for text in ("ensemble, epoch 1:", "epoch 1 of 3: updates", "100/1000", "model epoch 1"):
        assert text in shown


def test_the_terminal_is_restored_when_a_run_is_stopped():
    terminal = Terminal()
    with pytest.raises(KeyboardInterrupt), live(terminal):
        raise KeyboardInterrupt
    hidden, shown = (terminal.getvalue().rfind(f"\x1b[?25{end}") for end in "lh")
    assert -1 < hidden < shown  # the cursor


@pytest.mark.parametrize("kind", [Terminal, io.StringIO])
def test_a_broken_pipe_does_not_stop_the_training(kind):
    def broken(self, text):
        raise BrokenPipeError

    stream = type("Broken", (kind,), {"write": broken})()
    with live(stream) as display:
        policy_epoch(display, Clock(), 0, 1)


def test_a_pipe_and_a_dumb_terminal_get_plain_lines(monkeypatch):
    assert not DurableConsole(file=io.StringIO()).is_live
    assert DurableConsole(file=Terminal()).is_live
    monkeypatch.setenv("TERM", "dumb")
    assert not DurableConsole(file=Terminal()).is_live


def test_steps_in_a_pipe_are_a_few_plain_lines(monkeypatch):
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    with steps("collecting", 25, reports=5) as report:
        for done in range(1, 26):
            report(done, "fine")
    lines = stream.getvalue().splitlines()
    assert len(lines) == 5
    assert lines[-1] == "collecting: 25 of 25 steps (fine)"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(8.24, "8.2 s"), (59.7, "1 min 00 s"), (250, "4 min 10 s"), (11_100, "3 h 05 min")],
)
def test_a_duration_is_readable(seconds, text):
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("value", "text"), [(1234.56, "1,235"), (0.012345, "0.01235"), (float("nan"), "-")]
)
def test_a_number_has_about_four_digits(value, text):
    assert number(value) == text

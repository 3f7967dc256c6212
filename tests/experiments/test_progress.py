import io
import threading

import numpy as np
import pytest
from rich.console import Console

from experiments.progress import DurableConsole, LiveProgress, PlainProgress, terminal_progress
from experiments.progress_state import duration, number

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


class BrokenPipe(io.StringIO):
    def write(self, text):
        raise BrokenPipeError


def policy_epoch(progress, clock, epoch, n_epochs, *, seconds=20.0):
    """One epoch: 5 s of rollouts, 10 s for 1000 updates, the rest evaluation."""
    progress.epoch_started(epoch, n_epochs)
    clock.tick(5.0)
    progress.rollout_step(5, 5, 50_000)
    for done in range(100, 1001, 100):
        clock.tick(1.0)
        progress.updates(done, 1000)
    clock.tick(seconds - 15.0)
    progress.evaluation_step(1000, 1000)
    progress.epoch_finished(epoch, METRICS)


def live_on(terminal, clock=None):
    console = DurableConsole(file=terminal, force_terminal=True, width=120, height=30)
    return LiveProgress(console, clock or Clock())


# Plain lines.


def test_model_epoch_is_one_line_with_losses_patience_and_time():
    stream, clock = io.StringIO(), Clock()
    with PlainProgress(stream, clock) as progress:
        progress.model_step(11, 1, 2)
        clock.tick(8.25)
        progress.model_step(11, 2, 2)
        progress.model_epoch(11, LOSSES, 2, 5, 40)
    assert stream.getvalue() == (
        "model epoch 12  hold-out MSE 0.4 / 0.65 / 0.9 (min / median / max of 7)"
        "  flat 2 of 5, at most 40 epochs  8.2 s\n"
    )


def test_policy_epoch_is_one_line_with_metrics_speed_and_time_left():
    stream, clock = io.StringIO(), Clock()
    with PlainProgress(stream, clock) as progress:
        policy_epoch(progress, clock, 3, 10)
    assert stream.getvalue() == (
        "epoch 4/10  return 1,235  normalized 12.25  Q -3.5  Q_loss 9.75  alpha 0.125"
        "  100 updates/s  20 s  left 2 min 00 s\n"
    )


def test_metrics_that_are_missing_or_nan_are_not_shown():
    stream = io.StringIO()
    progress = PlainProgress(stream, Clock())
    progress.epoch_started(0, 1)
    progress.epoch_finished(0, {"alpha": 0.5, "evaluation/normalized-score": float("nan")})
    assert stream.getvalue() == "epoch 1/1  alpha 0.5  0.0 s  left 0.0 s\n"


def test_time_left_of_a_continued_run_counts_the_epochs_of_this_process_only():
    stream, clock = io.StringIO(), Clock()
    progress = PlainProgress(stream, clock)
    clock.tick(3600.0)  # model training, or loading
    policy_epoch(progress, clock, 900, 1000, seconds=20.0)
    assert stream.getvalue().rstrip().endswith("left 33 min 00 s")  # 99 epochs of 20 s


def test_time_left_is_not_misled_by_a_first_epoch_that_compiles():
    stream, clock = io.StringIO(), Clock()
    progress = PlainProgress(stream, clock)
    for epoch, seconds in enumerate([600.0, 20.0, 20.0]):
        policy_epoch(progress, clock, epoch, 10, seconds=seconds)
    assert stream.getvalue().rstrip().endswith("left 2 min 20 s")  # 7 epochs of 20 s


def test_speed_counts_updates_only_when_rollouts_come_between():
    stream, clock = io.StringIO(), Clock()
    progress = PlainProgress(stream, clock)
    progress.epoch_started(0, 1)
    for done in (500, 1000):
        clock.tick(100.0)
        progress.rollout_step(1, 1, 50_000)
        clock.tick(5.0)
        progress.updates(done, 1000)
    progress.epoch_finished(0, {})
    assert "100 updates/s" in stream.getvalue()


def test_time_before_the_first_update_does_not_count_for_the_speed():
    stream, clock = io.StringIO(), Clock()
    progress = PlainProgress(stream, clock)
    progress.epoch_started(0, 1)
    clock.tick(100.0)
    progress.updates(0, 1000)
    clock.tick(4.0)
    progress.updates(1000, 1000)
    progress.epoch_finished(0, {})
    assert "250 updates/s" in stream.getvalue()


def test_plain_lines_hold_no_control_characters():
    stream, clock = io.StringIO(), Clock()
    with PlainProgress(stream, clock) as progress:
        progress.model_epoch(0, LOSSES, 0, 5, None)
        policy_epoch(progress, clock, 0, 2)
    assert all(
        character.isprintable() for line in stream.getvalue().splitlines() for character in line
    )
    assert stream.getvalue().isascii()


# The choice.


def test_a_pipe_gets_plain_lines_and_a_terminal_the_live_display(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr("sys.stdout", io.StringIO())
    assert isinstance(terminal_progress(), PlainProgress)
    monkeypatch.setattr("sys.stdout", Terminal())
    assert isinstance(terminal_progress(), LiveProgress)


def test_forced_colours_do_not_put_control_characters_into_a_pipe(monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setattr("sys.stdout", io.StringIO())
    assert isinstance(terminal_progress(), PlainProgress)


def test_a_dumb_terminal_gets_plain_lines(monkeypatch):
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.setattr("sys.stdout", Terminal())
    assert isinstance(terminal_progress(), PlainProgress)


# The live display.


def shown(progress):
    console = Console(file=io.StringIO(), width=120)
    console.print(progress._render())
    return console.file.getvalue()


def test_live_block_shows_model_training():
    progress = live_on(Terminal())
    progress.model_step(12, 100, 393)
    assert "100/393" in shown(progress)
    progress.model_epoch(12, LOSSES, 3, 5, None)
    block = shown(progress)
    for text in (
        "epoch 13",
        "0.4 / 0.65 / 0.9",
        "flat 3 of 5",
        "0.7  0.4  0.6  0.5  0.9  0.8  0.65",
    ):
        assert text in block


def test_live_block_shows_policy_training():
    clock = Clock()
    progress = live_on(Terminal(), clock)
    policy_epoch(progress, clock, 0, 10)
    progress.epoch_started(1, 10)
    progress.rollout_step(2, 5, 49_000)
    assert "rollout" in shown(progress)
    assert "49,000 states" in shown(progress)
    clock.tick(2.0)
    progress.updates(400, 1000)
    block = shown(progress)
    for text in ("epoch 2 of 10", "400/1000", "200 updates/s", "return 1,235", "2 min 58 s"):
        assert text in block
    progress.evaluation_step(7, 1000)
    assert "evaluation" in shown(progress)


def test_live_display_leaves_a_line_an_epoch_and_one_for_the_ensemble():
    terminal, clock = Terminal(), Clock()
    with live_on(terminal, clock) as progress:
        progress.model_epoch(0, LOSSES, 0, 5, None)
        progress.model_epoch(1, LOSSES, 1, 5, None)
        policy_epoch(progress, clock, 0, 2)
        policy_epoch(progress, clock, 1, 2)
    text = terminal.getvalue()
    assert "model epoch 1 " not in text
    for line in ("model epoch 2 ", "epoch 1/2  return", "epoch 2/2  return"):
        assert text.count(line) == 1


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_terminal_is_restored_when_the_run_breaks_off(error):
    terminal = Terminal()

    def break_off():
        with live_on(terminal) as progress:
            progress.epoch_started(0, 2)
            raise error

    with pytest.raises(error):
        break_off()
    hidden, visible = terminal.getvalue().rfind("\x1b[?25l"), terminal.getvalue().rfind("\x1b[?25h")
    assert 0 <= hidden < visible
    drawing = [thread for thread in threading.enumerate() if "rich" in type(thread).__module__]
    for thread in drawing:
        thread.join(timeout=5.0)
    assert not any(thread.is_alive() for thread in drawing)


# It never raises.


@pytest.mark.parametrize(
    "make", [lambda: PlainProgress(BrokenPipe()), lambda: live_on(BrokenPipe())]
)
def test_broken_pipe_does_not_stop_the_training(make):
    clock = Clock()
    with make() as progress:
        progress.model_epoch(0, LOSSES, 0, 5, None)
        policy_epoch(progress, clock, 0, 2)


def test_unfit_reports_do_not_stop_the_training():
    with live_on(Terminal()) as progress:
        progress.model_epoch(0, None, 0, 5, None)
        progress.updates(None, 0)
        progress.epoch_finished(0, None)


def test_drawing_an_unfit_state_gives_an_empty_block():
    progress = live_on(Terminal())
    progress.epoch_started(0, None)
    progress.updates(1, "many")
    assert shown(progress).strip() == ""


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (8.24, "8.2 s"),
        (9.96, "10 s"),
        (59.6, "1 min 00 s"),
        (250, "4 min 10 s"),
        (3599.9, "1 h 00 min"),
        (11_100, "3 h 05 min"),
        (184_000, "2 d 03 h"),
        (float("nan"), "-"),
    ],
)
def test_duration_is_readable(seconds, text):
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(-8.240145, "-8.24"), (1833.4, "1,833"), (0.0, "0"), (2.5e9, "2.5e+09"), (float("nan"), "-")],
)
def test_number_has_about_four_digits(value, text):
    assert number(value) == text

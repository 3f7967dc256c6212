"""Many runs on Ray Tune: on this machine, or on a cluster whose nodes share a folder.

That folder is the only truth. Ray decides which node runs a trial and tries a lost one again;
what a trial computed, how far it is and whether it is done stands in its run folder alone, so a
sweep can be continued without anything that Ray knew.
"""

import contextlib
import os
import signal
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

from ..files import ensure_writable_folder
from ..run_parts import load_data, make_parts
from ..sweeps.folder_lock import STALE_SECONDS, FolderLock, FolderTaken
from ..sweeps.plan import SweepRequest, Trial, check_folder, plan_trials, write_plan
from ..sweeps.ray_session import Fit, Resources, check_resources, import_ray, ray_running
from ..sweeps.trial_state import Status, is_finished, read_status, write_status
from ..sweeps.trial_table import Row, counts, read_rows, sweep_view
from ..sweeps.worker import STOP_FILE
from mopo_tf2.errors import InputError

_REFRESH_SECONDS = 1.0


def run_sweep(request: SweepRequest, out: Path, resources: Resources, *, resume: bool) -> int:
    """Run every trial that is not finished yet.

    Args:
        request: which trials.
        out: folder of the sweep; seen by every node under the same path.
        resources: where they run.
        resume: ``out`` holds this sweep, unfinished.

    Returns:
        Exit code: 0 all finished, 1 some failed, 130 interrupted.

    Raises:
        InputError: if anything the user gave is unfit; nothing has run then.
    """
    check_resources(resources)
    out = Path(os.path.abspath(out))
    trials = plan_trials(request)
    check_folder(out, trials, resume=resume)
    ray = import_ray()
    _check_data([trial for trial in trials if not _finished(out, trial)])
    ensure_writable_folder(out)
    with _only_sweep_in(out):
        write_plan(out, request, trials)
        _forget_old_ends(out, trials)
        left = [trial for trial in trials if not _finished(out, trial)]
        print(f"{len(trials)} trials, {len(trials) - len(left)} of them finished -> {out}")
        with _Interrupt(out / STOP_FILE) as interrupt:
            if left:
                with ray_running(ray, resources):
                    _run_phases(out, trials, resources, interrupt)
        return _summary(out, trials, interrupt.requested)


def _run_phases(
    out: Path, trials: Sequence[Trial], resources: Resources, interrupt: "_Interrupt"
) -> None:
    """Train the shared ensembles, then everything else."""
    with sweep_view() as view:
        for models in (True, False):
            phase = [
                trial
                for trial in trials
                if trial.model_only == models and not _finished(out, trial)
            ]
            phase = [trial for trial in phase if interrupt.requested or _has_model(out, trial)]
            if not phase or interrupt.requested:
                continue
            fit = Fit(out, phase, resources)
            fit.start()
            while fit.is_alive():
                fit.join(_REFRESH_SECONDS)
                view.show(read_rows(out, trials))
            if not interrupt.requested:
                _note_failures(out, phase, fit)
            view.show(read_rows(out, trials))


def _note_failures(out: Path, trials: Sequence[Trial], fit: Fit) -> None:
    """Note the trials that failed and of which nobody else could note it."""
    for trial in trials:
        folder = out / trial.folder
        status = read_status(folder)
        if status.state == "failed" or _finished(out, trial):
            continue
        folder.mkdir(parents=True, exist_ok=True)
        error = fit.error_of(trial)
        write_status(folder, Status(state="failed", attempts=status.attempts, error=error))


class _Interrupt:
    """While active, the first Ctrl-C asks all trials to stop, the second one stops at once."""

    def __init__(self, stop: Path):
        self.requested = False
        self._stop = stop
        self._previous: dict[int, Any] = {}

    def __enter__(self) -> "_Interrupt":
        self._stop.unlink(missing_ok=True)
        for number in (signal.SIGINT, signal.SIGTERM):
            self._previous[number] = signal.signal(number, self._receive)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        self._stop.unlink(missing_ok=True)

    def _receive(self, number: int, frame: FrameType | None) -> None:
        if self.requested:
            raise KeyboardInterrupt
        self.requested = True
        self._stop.touch()
        print("stopping each trial after its epoch; Ctrl-C again stops at once.", flush=True)


def _check_data(trials: Sequence[Trial]) -> None:
    """Load each dataset once, so that what is missing or unfit is said before anything runs."""
    seen: list[Any] = []
    for trial in trials:
        spec = trial.spec
        config = spec.algorithm
        key = (
            *(spec.dataset, spec.environment, spec.termination, spec.physics),
            *(config.next_observations, config.pool_max_size, config.min_pool_size),
        )
        if key not in seen:
            seen.append(key)
            load_data(spec, make_parts(spec).environment_info)


@contextlib.contextmanager
def _only_sweep_in(out: Path) -> Iterator[None]:
    """Hold the sweep's folder."""
    lock = FolderLock(out, patience=0.0)
    try:
        lock.__enter__()
    except FolderTaken as taken:
        if not taken.elsewhere:
            raise InputError(f"{taken} Wait for its end, or choose another --out.") from None
        print(f"{taken} Waiting {STALE_SECONDS:g} s for a sign of life.", flush=True)
        lock = FolderLock(out, patience=STALE_SECONDS + 5.0)
        try:
            lock.__enter__()
        except FolderTaken:
            raise InputError(f"{taken} Wait for its end, or choose another --out.") from None
    try:
        yield
    finally:
        lock.__exit__(None, None, None)


def _forget_old_ends(out: Path, trials: Sequence[Trial]) -> None:
    """Note every trial that this sweep will run as waiting."""
    for trial in trials:
        folder = out / trial.folder
        folder.mkdir(parents=True, exist_ok=True)
        if not _finished(out, trial):
            write_status(folder, Status(attempts=read_status(folder).attempts))


def _finished(out: Path, trial: Trial) -> bool:
    n_epochs = trial.spec.algorithm.n_epochs
    return is_finished(out / trial.folder, n_epochs, model_only=trial.model_only)


def _has_model(out: Path, trial: Trial) -> bool:
    """Whether the ensemble that a trial waits for is there; if not, note that it failed."""
    if trial.model_folder is None:
        return True
    if is_finished(out / trial.model_folder, 0, model_only=True):
        return True
    error = f"its ensemble in {trial.model_folder} was not trained."
    write_status(out / trial.folder, Status(state="failed", error=error))
    return False


def _summary(out: Path, trials: Sequence[Trial], interrupted: bool) -> int:
    """Say how the sweep ended; return its exit code."""
    rows = read_rows(out, trials)
    print(f"{counts(rows)} of {len(rows)} trials.", flush=True)
    failed = [row for row in rows if row.state == "failed"]
    for row in failed:
        print(_failure(out, row), flush=True)
    if interrupted:
        print("stopped; go on with the same command and --resume.", flush=True)
        return 130
    if failed:
        print("try those again with the same command and --resume.", flush=True)
        return 1
    print(f"Look at it with: mopo-tf2 table {out}, mopo-tf2 plot {out}", flush=True)
    return 0


def _failure(out: Path, row: Row) -> str:
    attempts = f"{row.attempts} attempt{'' if row.attempts == 1 else 's'}"
    return f"failed: {out / row.trial.folder} ({attempts}): {row.error or 'no error noted'}"

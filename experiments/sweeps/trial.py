"""One trial of a sweep as a process of its own: ``python -m experiments.sweeps.trial OUT FOLDER``.

The process starts or continues the run, whichever its folder calls for, and is all that writes
there. It ends when the process that started it does, so that no trial outlives its Ray node.
"""

import argparse
import contextlib
import dataclasses
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path

from ..sweeps.folder_lock import FolderLock, FolderLost, FolderTaken
from ..sweeps.plan import Trial, read_plan
from ..sweeps.trial_state import Status, is_finished, read_status, write_status
from mopo_tf2.errors import DivergenceError, InputError

DONE, DIVERGED, UNFIT, LOCKED, CRASHED, STOPPED = 0, 1, 2, 3, 70, 130
"""Exit codes. After the second and the third another attempt would end the same."""
_LOOK_SECONDS = 0.5


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one trial; return its exit code."""
    parser = argparse.ArgumentParser(prog="mopo_tf2.experiments.sweeps.trial", description=__doc__)
    parser.add_argument("out", type=Path, help="folder of the sweep")
    parser.add_argument("folder", help="of the trial, as in sweep.json")
    parser.add_argument("--threads", type=int, help="of the CPU")
    parser.add_argument("--device", choices=("auto", "cpu", "gpu"), default="auto")
    parser.add_argument("--parent", type=int, help="end when this process does")
    options = parser.parse_args(arguments)
    if options.parent is not None:
        _end_with(options.parent)
    # Ray blocks it in its processes, and children inherit that.
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

    def choose_device() -> None:
        from mopo_tf2.device import use_device

        use_device(options.device, threads=options.threads)

    try:
        trial = next(t for t in read_plan(options.out) if t.folder == options.folder)
        return run_trial(options.out, trial, choose_device)
    except KeyboardInterrupt:
        return STOPPED


def run_trial(out: Path, trial: Trial, prepare: Callable[[], None] = lambda: None) -> int:
    """Bring the run of a trial to its end, from wherever it stands.

    Args:
        out: folder of the sweep.
        trial: what to run.
        prepare: called before TensorFlow is needed.

    Returns:
        One of the exit codes above; what went wrong is printed and noted in ``status.json``.
    """
    folder = out / trial.folder
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with FolderLock(folder) as lock:
            return _run_locked(out, trial, lock, prepare)
    except (FolderTaken, FolderLost) as error:
        print(error, flush=True)
        return LOCKED


def _run_locked(out: Path, trial: Trial, lock: FolderLock, prepare: Callable[[], None]) -> int:
    folder = out / trial.folder
    status = read_status(folder)
    n_epochs = trial.spec.algorithm.n_epochs
    if is_finished(folder, n_epochs, model_only=trial.model_only):
        if status.state != "finished":
            write_status(folder, dataclasses.replace(status, state="finished", error=None))
        return DONE
    status = Status(state="running", attempts=status.attempts + 1)
    write_status(folder, status)
    code, error = _attempt(out, trial, lock, prepare)
    lock.check()
    ends = {DONE: "finished", STOPPED: "pending"}
    write_status(
        folder,
        Status(state=ends.get(code, "failed"), attempts=status.attempts, error=error),  # type: ignore[arg-type]
    )
    return code


def _attempt(
    out: Path, trial: Trial, lock: FolderLock, prepare: Callable[[], None]
) -> tuple[int, str | None]:
    """Run once; return exit code and error line."""
    try:
        prepare()  # before anything loads TensorFlow
        return (DONE if _start_or_resume(out, trial, lock) else STOPPED), None
    except KeyboardInterrupt:
        return STOPPED, None
    except (InputError, DivergenceError) as error:
        line = " ".join(str(error).split())
        print(f"error: {line}", flush=True)
        return (UNFIT if isinstance(error, InputError) else DIVERGED), line
    except FolderLost:
        raise
    except Exception as error:  # noqa: BLE001  the traceback belongs in the trial's log
        traceback.print_exc()
        return CRASHED, f"{type(error).__name__}: {' '.join(str(error).split())}"


def _start_or_resume(out: Path, trial: Trial, lock: FolderLock) -> bool:
    """Run to the end; return False if a signal stopped it before."""
    from ..run import Interrupted, resume_run, start_run
    from ..run_spec import Overrides
    from mopo_tf2.config_fields import flatten

    folder, spec = out / trial.folder, trial.spec
    if trial.model_folder is not None:
        spec = dataclasses.replace(spec, model=os.path.abspath(out / trial.model_folder))
    # Everything is named, so that a run of another kind that found its way here is refused. The
    # model is not: a sweep's folder may have been moved since.
    everything = Overrides(
        dataset=spec.dataset,
        environment=spec.environment,
        termination=spec.termination,
        physics=spec.physics,
        seed=spec.seed,
        method=spec.method,
        settings=flatten(spec.algorithm),
    )
    only, config = trial.model_only, folder / "config.json"
    try:
        if config.is_file():
            resume_run(folder, str(config), everything, model_only=only, guard=lock.check)
        else:
            start_run(spec, folder, model_only=only, guard=lock.check)
    except Interrupted as interrupted:
        print(str(interrupted).partition(";")[0] + ".", flush=True)
        return False
    return True


def _end_with(parent: int) -> None:
    """Kill this process once ``parent`` is its parent no more."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(_LOOK_SECONDS)
        with contextlib.suppress(OSError):
            print("the process that ran this trial is gone; so it ends.", flush=True)
        os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=watch, daemon=True).start()


if __name__ == "__main__":
    sys.exit(main())

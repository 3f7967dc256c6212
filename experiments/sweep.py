"""Sweeps at work: Ray places trials and retries them, their run folders say how they stand.

``run_sweep`` is the command: it starts Ray and shows the table. ``run_trial`` is the Ray task: it
starts a trial's process and watches it. ``main`` is that process: it starts or resumes the run.
TensorFlow is loaded there only: Ray blocks Ctrl-C in its workers and ends them at will.
"""

import contextlib
import dataclasses
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from rich.live import Live
from rich.table import Table

from mopo_tf2.errors import DivergenceError, InputError
from mopo_tf2.files import write_json

from .display import DurableConsole, is_live
from .run_folder import RunFolder, Status, held
from .run_spec import spec_to_dict
from .sweep_plan import SWEEP_FILE, Trial, check_folder, read_plan, require_same

STOP_FILE, LOCK_FILE = ".stop", "sweep.lock"
"""The first asks the trials on every machine to end their epoch, write a checkpoint and stop."""
DONE, INVALID, DIVERGED, INTERRUPTED = 0, 2, 3, 130
"""Exit codes of a trial's process; others mean a crash. INVALID and DIVERGED are not retried."""
_CONNECT_SECONDS, _SHOW_SECONDS, _LOOK_SECONDS, _REPEAT_SECONDS = 3.0, 1.0, 0.5, 60.0
_PATIENCE_SECONDS = 60.0
"""For a run folder: the machine of the last attempt may have died a moment ago."""


class Resources(NamedTuple):
    """Where and with what the trials run."""

    address: str | None = None  # Of a Ray cluster, or "auto"; None: this machine.
    cpus: int = 1  # Of each trial; its TensorFlow keeps as many threads busy.
    gpus: float = 0.0  # Of each trial; a fraction shares one.
    max_failures: int = 3  # How often a trial whose process or machine died is retried.


def run_sweep(trials: Sequence[Trial], out: Path, resources: Resources, *, resume: bool) -> int:
    """Run every trial that is not finished yet; return 0 if all are, 1 if some failed, or 130.

    Args:
        trials: see ``sweep_plan.plan_trials``.
        out: folder of the sweep; seen by every machine under the same path.
        resources: where and with what they run.
        resume: ``out`` holds this sweep, unfinished.

    Raises:
        InputError: if anything the user gave is invalid; nothing has run then.
    """
    from .training import Interrupts, load_data, make_parts

    out, existed = Path(os.path.abspath(out)), out.exists()
    with contextlib.ExitStack() as stack:
        if existed:
            stack.enter_context(held(out / LOCK_FILE))
        check_folder(out, trials, resume=resume)
        left = [trial for trial in trials if not trial.is_finished(out)]
        ray = _import_ray(resources)
        # One trial for all that share data: what is invalid is said before anything runs.
        for spec in {(trial.task, trial.spec.dataset): trial.spec for trial in left}.values():
            load_data(spec, make_parts(spec).environment_info)
        if left:
            stack.enter_context(_ray_running(ray, resources))
        if not existed:  # Made last, so that a refusal leaves nothing behind.
            stack.enter_context(held(out / LOCK_FILE))
        write_plan(out, trials)
        done = len(trials) - len(left)
        print(f"{len(trials)} trials, {done} of them finished -> {out}", flush=True)
        message = "stopping each trial after its epoch; press Ctrl-C again to stop at once."
        with Interrupts(message) as interrupts:
            _run(ray, out, trials, resources, interrupts)
    return _say_how_it_ended(out, trials, interrupts.requested)


def write_plan(out: Path, trials: Sequence[Trial]) -> None:
    """Write ``sweep.json``, and what the sweep asks for now into the runs that are there."""
    plan = [{**vars(trial), "spec": spec_to_dict(trial.spec)} for trial in trials]
    write_json(out / SWEEP_FILE, {"trials": plan})
    for trial in trials:
        with contextlib.suppress(InputError):  # Its own process will say what is wrong.
            update_run(out, trial)
        _note(out, trial, "finished" if trial.is_finished(out) else "pending")


def update_run(out: Path, trial: Trial) -> None:
    """Make a run ask for its trial's epochs, and for its ensemble where that lies now.

    Raises:
        InputError: if the folder holds another run.
    """
    run, wanted = RunFolder(out / trial.folder), trial.spec_in(out)
    if run.is_run and (saved := run.spec) != wanted:
        moved = trial.model_folder and saved.model
        before = dataclasses.replace(saved, model=wanted.model) if moved else saved
        require_same(before, wanted, run.path)
        run.write_spec(wanted)


def _note(out: Path, trial: Trial, state: Any, error: str | None = None) -> None:
    run = RunFolder(out / trial.folder)
    run.write_status(Status(state=state, attempts=run.status.attempts, error=error))


def _import_ray(resources: Resources) -> Any:
    """Return the package, after a look at whether the cluster answers, if one is asked for."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    address = resources.address
    if address is None:
        # Ray listens on the loopback interface alone, as it does on other systems than Linux.
        os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"
    try:
        import ray
        from ray._private.services import canonicalize_bootstrap_address
    except ImportError as error:
        raise InputError("sweep needs Ray: install the extra mopo-tf2[tune].") from error
    if address is not None:
        try:  # Ray itself waits for minutes.
            host, _, port = (canonicalize_bootstrap_address(address) or "").rpartition(":")
            socket.create_connection((host.strip("[]"), int(port)), _CONNECT_SECONDS).close()
        except (OSError, ValueError) as error:
            raise InputError(f"no Ray answers at --address {address}: {error}") from error
    return ray


@contextlib.contextmanager
def _ray_running(ray: Any, resources: Resources) -> Iterator[None]:
    """Connect to a cluster, or start Ray on this machine and end it after."""
    local = {
        "include_dashboard": False,
        "object_store_memory": 100 * 2**20,  # Nothing goes through it.
        # By itself Ray retries for ever what ran out of memory.
        "_system_config": {"task_oom_retries": resources.max_failures},
    }
    given: Any = {} if resources.address else local
    quiet: Any = {"log_to_driver": False, "logging_level": logging.CRITICAL}
    try:
        ray.init(resources.address or "local", **quiet, **given)
    except Exception as error:
        line = " ".join(str(error).split())[:300]
        raise InputError(f"Ray cannot be used: {line}") from error
    try:
        wanted = {"CPU": resources.cpus, "GPU": resources.gpus}
        nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        if not any(all(node.get(k, 0.0) >= v for k, v in wanted.items()) for node in nodes):
            raise InputError(
                f"no machine of Ray has {resources.cpus} CPU and {resources.gpus:g} GPU: lower "
                "--cpus-per-trial or --gpus-per-trial."
            )
        yield
    finally:
        ray.shutdown()


def _run(
    ray: Any, out: Path, trials: Sequence[Trial], resources: Resources, interrupts: Any
) -> None:
    """Run what is left; afterwards each trial's status says how it ended."""
    left, stop = [trial for trial in trials if not trial.is_finished(out)], out / STOP_FILE
    stop.unlink(missing_ok=True)
    options = {"num_cpus": resources.cpus, "num_gpus": resources.gpus}
    retries = {"max_retries": resources.max_failures, "retry_exceptions": True}
    task = ray.remote(**options, **retries)(run_trial)
    tasks: dict[str | None, Any] = {}
    for trial in left:
        model = tasks.get(trial.model_folder)  # Ray waits for the task that trains the ensemble.
        tasks[trial.folder] = task.remote(out, trial.folder, resources, os.getcwd(), model)
    with _screen() as show:
        running = list(tasks.values())
        while running:
            _, running = ray.wait(running, num_returns=len(running), timeout=_SHOW_SECONDS)
            if interrupts.requested:
                stop.touch()
            show(_rows(out, trials))
    stop.unlink(missing_ok=True)
    for trial in left:
        try:
            ray.get(tasks[trial.folder])
        except ray.exceptions.RayError as error:
            if not interrupts.requested:
                line = " ".join(str(getattr(error, "cause", error)).split())[:300]
                _note(out, trial, "failed", line)
        if RunFolder(out / trial.folder).status.state == "running":
            _note(out, trial, "pending")


def run_trial(out: Path, folder: str, resources: Resources, cwd: str, model: None = None) -> None:
    """Run a trial to its end in a process of its own, and note in its folder how it ended.

    Args: the sweep's folder, the trial's in it, what each trial has, where the user's own modules
    are looked for, and what the task returned that trains the trial's ensemble.

    Raises:
        RuntimeError: if Ray is to try again, from the run's last checkpoint.
    """
    run, stop = RunFolder(out / folder), out / STOP_FILE
    if stop.exists():
        return
    attempts, asked = run.status.attempts + 1, False
    run.write_status(Status(state="running", attempts=attempts))
    device = "gpu" if resources.gpus else "cpu"
    environment = {**os.environ, "OMP_NUM_THREADS": str(resources.cpus)}
    if 0.0 < resources.gpus < 1.0:
        environment["TF_FORCE_GPU_ALLOW_GROWTH"] = "true"  # Else the first takes all its memory.
    command = [sys.executable, "-m", __name__, str(out), folder, str(resources.cpus), device]
    with run.log.open("ab") as log:
        streams: Any = {"stdin": subprocess.PIPE, "stdout": log, "stderr": subprocess.STDOUT}
        place = cwd if os.path.isdir(cwd) else None
        process = subprocess.Popen(
            command, **streams, env=environment, cwd=place, start_new_session=True
        )
        try:
            while process.poll() is None:
                if not asked and stop.exists():
                    asked = True
                    process.send_signal(signal.SIGINT)
                time.sleep(_LOOK_SECONDS)
        finally:
            process.kill()
            process.wait()
    code, said = process.returncode, run.log.read_text(errors="replace").strip()
    line = said.rpartition("\n")[2] if code >= 0 else f"killed by {signal.Signals(-code).name}"
    line = line or f"ended with code {code}"
    if code in (DONE, INVALID, DIVERGED):
        state: Any = "failed" if code else "finished"
        run.write_status(Status(state=state, attempts=attempts, error=line if code else None))
    elif not asked:
        raise RuntimeError(line)


def main(out: Path, folder: str, threads: int, device: str) -> int:
    """Start or resume the run of a trial, whichever its folder calls for; return the exit code."""
    from mopo_tf2.device import use_device

    from .training import Interrupted, resume_run, start_run

    run = RunFolder(out / folder)
    try:
        trial = next(trial for trial in read_plan(out) if trial.folder == folder)
        more: Any = {"model_only": trial.model_only}
        more["prepare"] = lambda: use_device(device, threads=threads)
        with run.lock(_PATIENCE_SECONDS):
            update_run(out, trial)
        if run.is_run:
            resume_run(run, {}, {}, **more)
        else:
            start_run(trial.spec_in(out), run, **more)
    except (Interrupted, KeyboardInterrupt) as stopped:
        print(str(stopped).partition(";")[0], flush=True)
        return INTERRUPTED
    except (InputError, DivergenceError) as error:
        print(" ".join(str(error).split()), flush=True)
        return INVALID if isinstance(error, InputError) else DIVERGED
    return DONE


_Row = tuple[str, str, str, str, str]
"""Of a trial: folder, state, epoch, return, attempts."""


def _rows(out: Path, trials: Sequence[Trial]) -> list[_Row]:
    """Return how each trial stands; what a small screen must show comes first."""
    rows = []
    for trial in trials:
        run = RunFolder(out / trial.folder)
        status, (done, average) = run.status, run.last_row()
        epoch = "model" if trial.model_only else f"{done}/{trial.spec.algorithm.n_epochs}"
        shown = f"{average:.1f}" if done else "-"
        rows.append((trial.folder, status.state, epoch, shown, str(status.attempts)))
    order = ("failed", "running", "pending", "finished")
    return sorted(rows, key=lambda row: order.index(row[1]))


def _counts(rows: Sequence[_Row]) -> str:
    states = [row[1] for row in rows]
    order = ("finished", "running", "pending", "failed")
    return ", ".join(f"{states.count(state)} {state}" for state in order)


@contextlib.contextmanager
def _screen() -> Iterator[Callable[[Sequence[_Row]], None]]:
    """Give a function that shows the trials: a live table on a terminal, else what is new."""
    shown: dict[str, Any] = {}

    def print_news(rows: Sequence[_Row]) -> None:
        for trial, state, epoch, average, attempts in rows:
            # What runs is new every minute.
            now = state, attempts, state == "running" and time.monotonic() // _REPEAT_SECONDS
            if state != "pending" and now != shown.get(trial):
                shown[trial] = now
                what = f"{state}, epoch {epoch}, return {average}, attempt {attempts}"
                print(f"{trial}: {what}", flush=True)

    def draw(rows: Sequence[_Row]) -> None:
        table = Table("trial", "state", "epoch", "return", "attempts", title=_counts(rows))
        for row in rows:
            table.add_row(*row)
        live.update(table, refresh=True)

    if not is_live(sys.stdout):
        yield print_news
    else:
        console = DurableConsole(file=sys.stdout)
        with Live(console=console, auto_refresh=False, vertical_overflow="ellipsis") as live:
            yield draw


def _say_how_it_ended(out: Path, trials: Sequence[Trial], interrupted: bool) -> int:
    """Return the exit code."""
    rows = _rows(out, trials)
    print(f"{_counts(rows)} of {len(rows)} trials.")
    failed = [out / folder for folder, state, *_ in rows if state == "failed"]
    for path in failed:
        status = RunFolder(path).status
        print(f"failed: {path} (attempts: {status.attempts}): {status.error}")
    if interrupted or failed:
        print("to continue, give the same command with --resume.")
    else:
        print(f"look at it with: mopo-tf2 table {out}, mopo-tf2 plot {out}")
    return INTERRUPTED if interrupted else int(bool(failed))


if __name__ == "__main__":
    # Standard input ends when the Ray task does, in whatever way; no trial outlives it.
    threading.Thread(target=lambda: (sys.stdin.read(), os._exit(1)), daemon=True).start()
    # Ray blocks it in its processes, and children inherit that.
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    sys.exit(main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), sys.argv[4]))

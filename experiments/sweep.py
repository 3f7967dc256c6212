"""Sweeps at work: Ray places trials and retries them, their run folders say how they stand.

``run_sweep`` is the command: it starts Ray and shows the table. ``run_trial`` is the Ray task: it
starts a trial's process and watches it. ``main`` is that process: it starts or resumes the run.
TensorFlow is loaded there only: Ray blocks Ctrl-C in its workers and ends them at will.
"""

import contextlib
import dataclasses
import functools
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

from .display import DurableConsole
from .loggers import DEFAULT_LOGGERS, require_loggers
from .run_folder import RunFolder, Status, held
from .run_spec import require_same, spec_to_dict
from .sweep_plan import SWEEP_FILE, Trial, check_folder, read_plan

STOP_FILE, LOCK_FILE = ".stop", "sweep.lock"
"""The first asks the trials on every machine to end their epoch, write a checkpoint and stop."""
DONE, INVALID, DIVERGED, INTERRUPTED = 0, 2, 3, 130
"""Exit codes of a trial's process; others mean a crash. INVALID and DIVERGED are not retried."""
_CONNECT_SECONDS, _SHOW_SECONDS, _LOOK_SECONDS, _REPEAT_SECONDS = 1.0, 1.0, 0.5, 60.0
Row = tuple[str, str, str, str, str]  # Of a trial: folder, state, epoch, return, attempts.


class Resources(NamedTuple):
    """Where and with what the trials run."""

    address: str | None = None  # Of a Ray cluster, or "auto"; None: this machine.
    cpus: int = 1  # Of each trial; its TensorFlow keeps as many threads busy.
    gpus: float = 0.0  # Of each trial; a fraction shares one.
    max_failures: int = 3  # How often a trial whose process or machine died is retried.
    loggers: tuple[str, ...] = DEFAULT_LOGGERS  # Of each trial.


def run_sweep(trials: Sequence[Trial], out: Path, resources: Resources, *, resume: bool) -> int:
    """Run the trials that are not finished in ``out``, which every machine sees under that path.

    Returns 0 if all finished, 1 if some failed, 130 if interrupted. Raises InputError before
    anything runs or is written if something that the user gave is invalid.
    """
    from .training import Interrupts, gather

    require_loggers(resources.loggers)
    out, existed = Path(os.path.abspath(out)), out.exists()
    with contextlib.ExitStack() as stack:
        if existed:
            stack.enter_context(held(out / LOCK_FILE))
        check_folder(out, trials, resume=resume)
        left = [trial for trial in trials if not trial.is_finished(out)]
        ray = _import_ray(resources.address)
        # One trial for all that share data: what is invalid is said before anything runs.
        for spec in {(trial.task, trial.spec.dataset): trial.spec for trial in left}.values():
            gather(spec)
        if left:
            stack.enter_context(_ray_running(ray, resources))
        if not existed:  # Made last, so that a refusal leaves nothing behind.
            stack.enter_context(held(out / LOCK_FILE))
        write_plan(out, trials)
        print(f"{len(trials)} trials, {len(left)} to run -> {out}", flush=True)
        with Interrupts("stopping trials after their epoch; Ctrl-C again: at once.") as interrupts:
            _run(ray, out, trials, resources, interrupts)
    return _say_how_it_ended(out, trials, interrupts.requested)


def write_plan(out: Path, trials: Sequence[Trial]) -> None:
    """Write ``sweep.json``, and what the sweep asks for now into the runs that are there."""
    plan = [{**vars(trial), "spec": spec_to_dict(trial.spec)} for trial in trials]
    write_json(out / SWEEP_FILE, {"trials": plan})
    for trial in trials:
        with contextlib.suppress(InputError):  # Its own process will say what is wrong.
            update_run(out, trial)
        state: Any = "finished" if trial.is_finished(out) else "pending"
        run = RunFolder(out / trial.folder)
        run.write_status(Status(state=state, attempts=run.status.attempts))


def update_run(out: Path, trial: Trial) -> None:
    """Make a run ask for its trial's epochs and ensemble; InputError if it is another run."""
    run, wanted = RunFolder(out / trial.folder), trial.spec_in(out)
    if run.is_run and (saved := run.spec) != wanted:
        if trial.model_folder and saved.model:
            saved = dataclasses.replace(saved, model=wanted.model)
        require_same(saved, wanted, run.path)
        run.write_spec(wanted)


def _import_ray(address: str | None) -> Any:
    """Return the package, after a look at whether the cluster answers, if one is asked for."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
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
    given: Any = {"log_to_driver": False, "logging_level": logging.CRITICAL}
    if resources.address is None:
        given["include_dashboard"], given["object_store_memory"] = False, 100 * 2**20
        # By itself Ray retries for ever what ran out of memory.
        given["_system_config"] = {"task_oom_retries": resources.max_failures}
    try:
        ray.init(resources.address or "local", **given)
    except Exception as error:
        raise InputError(f"Ray cannot be used: {' '.join(str(error).split())[:300]}") from error
    try:
        wanted = {"CPU": resources.cpus, "GPU": resources.gpus}
        nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        if not any(all(node.get(k, 0.0) >= v for k, v in wanted.items()) for node in nodes):
            asked = f"{resources.cpus} CPU and {resources.gpus:g} GPU"
            raise InputError(f"no machine of Ray has the {asked} of a trial: lower these.")
        yield
    finally:
        ray.shutdown()


def _run(ray: Any, out: Path, trials: Sequence[Trial], resources: Resources, stops: Any) -> None:
    """Run what is left; afterwards each trial's status says how it ended."""
    left, stop = [trial for trial in trials if not trial.is_finished(out)], out / STOP_FILE
    stop.unlink(missing_ok=True)
    retries = {"max_retries": resources.max_failures, "retry_exceptions": True}
    task = ray.remote(num_cpus=resources.cpus, num_gpus=resources.gpus, **retries)(run_trial)
    tasks: dict[str | None, Any] = {}
    for trial in left:
        model = tasks.get(trial.model_folder)  # Ray waits for the task that trains the ensemble.
        tasks[trial.folder] = task.remote(out, trial.folder, resources, os.getcwd(), model)
    with _screen() as show:
        running = list(tasks.values())
        while running:
            _, running = ray.wait(running, num_returns=len(running), timeout=_SHOW_SECONDS)
            if stops.requested:
                stop.touch()
            show(_rows(out, trials))
    stop.unlink(missing_ok=True)
    for trial in left:
        run = RunFolder(out / trial.folder)
        try:
            ray.get(tasks[trial.folder])
        except ray.exceptions.RayError as error:
            if not stops.requested:
                line = " ".join(str(getattr(error, "cause", error)).split())[:300]
                run.write_status(dataclasses.replace(run.status, state="failed", error=line))
        if run.status.state == "running":
            run.write_status(dataclasses.replace(run.status, state="pending"))


def run_trial(out: Path, folder: str, resources: Resources, cwd: str, model: None = None) -> None:
    """Run a trial in a process of its own, where ``cwd`` finds the user's own modules.

    ``model`` makes Ray wait for the task that trains the ensemble. RuntimeError makes it retry.
    """
    run, stop, asked = RunFolder(out / folder), out / STOP_FILE, False
    if stop.exists():
        return
    status = Status(state="running", attempts=run.status.attempts + 1)
    run.write_status(status)
    threads, device = str(resources.cpus), "gpu" if resources.gpus else "cpu"
    command = [sys.executable, "-m", __name__, str(out), folder, threads, device]
    command += resources.loggers
    # The first of two trials on one GPU would take all of its memory.
    with run.log.open("ab") as log:
        streams: Any = {"stdin": subprocess.PIPE, "stdout": log, "stderr": log}
        growth = {"TF_FORCE_GPU_ALLOW_GROWTH": "true"}
        streams["env"] = {**growth, **os.environ, "OMP_NUM_THREADS": threads}
        streams["cwd"] = cwd if os.path.isdir(cwd) else None
        process = subprocess.Popen(command, **streams, start_new_session=True)
        try:
            while process.poll() is None:
                if not asked and stop.exists():
                    asked = True
                    process.send_signal(signal.SIGINT)
                time.sleep(_LOOK_SECONDS)
        finally:
            process.kill()
            process.wait()
    code, said = process.returncode, run.log.read_text(errors="replace").splitlines()
    line = next((line for line in reversed(said) if line.strip()), f"ended with code {code}")
    if code == DONE:
        run.write_status(dataclasses.replace(status, state="finished"))
    elif code in (INVALID, DIVERGED):
        run.write_status(dataclasses.replace(status, state="failed", error=line))
    elif not asked:
        raise RuntimeError(f"killed by {signal.Signals(-code).name}" if code < 0 else line)


def main(
    out: Path, folder: str, threads: int, device: str, loggers: Sequence[str] = DEFAULT_LOGGERS
) -> int:
    """Start or resume the run of a trial, whichever its folder calls for; return the exit code."""
    from mopo_tf2.device import use_device

    from .training import train_run

    run = RunFolder(out / folder)
    try:
        trial = next(trial for trial in read_plan(out) if trial.folder == folder)
        prepare = functools.partial(use_device, device, threads=threads)
        with run.lock(60.0):  # The machine of the last attempt may have died a moment ago.
            update_run(out, trial)
        resume = run.is_run
        spec = run.spec if resume else trial.spec_in(out)
        how: Any = {"resume": resume, "model_only": trial.model_only, "loggers": loggers}
        train_run(spec, run, **how, prepare=prepare)
    except KeyboardInterrupt as stopped:
        print(str(stopped).partition(";")[0], flush=True)
        return INTERRUPTED
    except (InputError, DivergenceError) as error:
        print(" ".join(str(error).split()), flush=True)
        return INVALID if isinstance(error, InputError) else DIVERGED
    return DONE


def _rows(out: Path, trials: Sequence[Trial]) -> list[Row]:
    """Return how each trial stands; what a small screen must show comes first."""
    rows = []
    for trial in trials:
        run = RunFolder(out / trial.folder)
        status, (done, average) = run.status, run.last_row()
        epoch = "model" if trial.model_only else f"{done}/{trial.spec.algorithm.n_epochs}"
        numbers = epoch, f"{average:.1f}" if done else "-", str(status.attempts)
        rows.append((trial.folder, status.state, *numbers))
    order = ("failed", "running", "pending", "finished")
    return sorted(rows, key=lambda row: order.index(row[1]))


def _counts(rows: Sequence[Row]) -> str:
    states = [row[1] for row in rows]
    return ", ".join(f"{states.count(s)} {s}" for s in ("finished", "running", "pending", "failed"))


@contextlib.contextmanager
def _screen() -> Iterator[Callable[[Sequence[Row]], None]]:
    """Give a function that shows the trials: a live table on a terminal, else what is new."""
    shown: dict[str, Any] = {}

    def print_news(rows: Sequence[Row]) -> None:
        for trial, state, epoch, average, attempts in rows:
            # What runs is new every minute.
            now = state, attempts, state == "running" and time.monotonic() // _REPEAT_SECONDS
            if state != "pending" and now != shown.get(trial):
                shown[trial] = now
                print(f"{trial}: {state}, epoch {epoch}, return {average}, attempt {attempts}")
        sys.stdout.flush()

    def draw(rows: Sequence[Row]) -> None:
        table = Table("trial", "state", "epoch", "return", "attempts", title=_counts(rows))
        for row in rows:
            table.add_row(*row)
        live.update(table, refresh=True)

    console = DurableConsole(file=sys.stdout)
    live = Live(console=console, auto_refresh=False)
    with live if console.is_live else contextlib.nullcontext():
        yield draw if console.is_live else print_news


def _say_how_it_ended(out: Path, trials: Sequence[Trial], interrupted: bool) -> int:
    rows = _rows(out, trials)
    print(f"{_counts(rows)} of {len(rows)} trials.")
    failed = [out / folder for folder, state, *_ in rows if state == "failed"]
    print(*(f"failed: {path}: {RunFolder(path).status.error}\n" for path in failed), sep="", end="")
    resume = "to continue, give the same command with --resume."
    print(resume if interrupted or failed else f"see mopo-tf2 table {out}, mopo-tf2 plot {out}")
    return INTERRUPTED if interrupted else int(bool(failed))


if __name__ == "__main__":
    # Standard input ends when the Ray task does, in whatever way; no trial outlives it.
    threading.Thread(target=lambda: (sys.stdin.read(), os._exit(1)), daemon=True).start()
    # Ray blocks it in its processes, and children inherit that.
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    sys.exit(main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), sys.argv[4], sys.argv[5:]))

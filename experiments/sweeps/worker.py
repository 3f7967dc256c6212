"""What a Ray worker does with a trial: start its process, watch it, report it to Ray Tune.

TensorFlow runs in a process of its own, never in Ray's: Ray blocks Ctrl-C in its workers, sets
their thread counts, and ends them without a word.
"""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, TypedDict

from ..sweeps.trial import DIVERGED, DONE, UNFIT
from ..sweeps.trial_state import (
    LOG_FILE,
    Status,
    last_log_line,
    last_row,
    read_status,
    write_status,
)

STOP_FILE = ".stop"
"""In the sweep's folder: asks the trials on every node to stop at their next checkpoint."""
_LOOK_SECONDS = 0.5


class TrialDied(Exception):
    """A trial's process ended in a way that another attempt may not repeat."""


class Assignment(TypedDict):
    """What a worker is told.

    out, folder: of the sweep, and of the trial in it.
    threads:     CPU threads of TensorFlow.
    gpus:        GPUs, or a share of one.
    cwd:         where the user's own modules are looked for.
    """

    out: str
    folder: str
    threads: int
    gpus: float
    cwd: str


def run_in_worker(assignment: Assignment) -> None:
    """Run one trial to its end, as Ray Tune's function trainable.

    Raises:
        TrialDied: if Ray is to try again, from the run's last checkpoint.
    """
    from ray import tune

    out, folder = Path(assignment["out"]), Path(assignment["out"], assignment["folder"])
    stop = out / STOP_FILE
    if stop.exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    reported = -1
    with (folder / LOG_FILE).open("ab") as log:
        process = _start(assignment, log)
        try:
            asked = False
            while process.poll() is None:
                if not asked and stop.exists():
                    asked = True
                    process.send_signal(signal.SIGINT)
                done, average = last_row(folder)
                if done > reported:
                    reported = done
                    tune.report({"epoch": done, "return_average": average})
                time.sleep(_LOOK_SECONDS)
        finally:
            if process.poll() is None:
                process.kill()
            process.wait()
    _judge(folder, process.returncode, asked)
    done, average = last_row(folder)
    tune.report({"epoch": done, "return_average": average})


def _start(assignment: Assignment, log: Any) -> "subprocess.Popen[bytes]":
    gpus = assignment["gpus"]
    environment = {**os.environ, "OMP_NUM_THREADS": str(assignment["threads"])}
    if 0.0 < gpus < 1.0:
        environment["TF_FORCE_GPU_ALLOW_GROWTH"] = "true"  # else the first takes all its memory
    cwd = assignment["cwd"]
    return subprocess.Popen(
        [
            *(
                sys.executable,
                "-m",
                "mopo_tf2.experiments.sweeps.trial",
                assignment["out"],
                assignment["folder"],
            ),
            *("--threads", str(assignment["threads"])),
            *("--device", "gpu" if gpus > 0.0 else "cpu"),
            *("--parent", str(os.getpid())),
        ],
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=subprocess.STDOUT,
        env=environment,
        cwd=cwd if os.path.isdir(cwd) else None,
        start_new_session=True,
    )


def _judge(folder: Path, code: int, asked: bool) -> None:
    """Return if nothing is left to try; note what the process could not note itself."""
    # Without Ctrl-C's leave to end (a checkpoint of the trial itself), any end is one to mend.
    if code in (DONE, DIVERGED, UNFIT) or asked:
        return
    status = read_status(folder)
    if code < 0:
        how = f"its process was killed by {signal.Signals(-code).name}"
    else:
        how = status.error or last_log_line(folder) or f"its process ended with code {code}"
    if status.state == "running":
        write_status(folder, Status(state="failed", attempts=status.attempts, error=how))
    raise TrialDied(how)

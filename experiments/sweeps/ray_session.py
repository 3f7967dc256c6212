"""Ray and Ray Tune: started or connected to, asked for what a trial needs, and put to work."""

import contextlib
import dataclasses
import logging
import os
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ..sweeps.plan import Trial
from ..sweeps.worker import Assignment, run_in_worker
from mopo_tf2.errors import InputError

_RAY_FOLDER = ".ray"
_OBJECT_STORE_BYTES = 100 * 2**20  # Nothing goes through it; Ray's own choice is a third of RAM.


@dataclasses.dataclass(frozen=True, kw_only=True)
class Resources:
    """Where and with what the trials run.

    Attributes:
        address: of a Ray cluster; None: this machine.
        cpus: of each trial; its TensorFlow keeps as many threads busy.
        gpus: of each trial; a fraction shares one.
        max_failures: how often a trial whose process or node died is tried again.
    """

    address: str | None = None
    cpus: int = 1
    gpus: float = 0.0
    max_failures: int = 3


def import_ray() -> Any:
    """Return the package.

    Raises:
        InputError: if it is not installed.
    """
    # Read when Ray is imported, or by the processes that it starts.
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ["RAY_AIR_NEW_OUTPUT"] = "0"
    os.environ["TUNE_DISABLE_AUTO_CALLBACK_LOGGERS"] = "1"  # progress.csv is the trial's own
    try:
        import ray
        from ray import tune  # noqa: F401
    except ImportError as error:
        raise InputError(
            "sweep needs Ray Tune, which is not installed here: install the extra mopo-tf2[tune]."
        ) from error
    return ray


@contextlib.contextmanager
def ray_running(ray: Any, resources: Resources) -> Iterator[None]:
    """Connect to a cluster, or start Ray on this machine and end it after.

    Raises:
        InputError: if that fails, or there is less of something than one trial asks for.
    """
    local = {"include_dashboard": False, "object_store_memory": _OBJECT_STORE_BYTES}
    try:
        ray.init(
            address=resources.address or "local",
            log_to_driver=False,
            logging_level=logging.ERROR,
            **({} if resources.address else local),
        )
    except (ConnectionError, RuntimeError, ValueError, OSError) as error:
        where = resources.address or "this machine"
        line = " ".join(str(error).split())[:300]
        raise InputError(f"Ray cannot be used at {where}: {line}") from error
    # Tune writes tracebacks of failed trials there; ours are in the trials' logs.
    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)
    logging.getLogger("ray.train").setLevel(logging.CRITICAL)
    try:
        available = ray.cluster_resources()
        for name, wanted in (("CPU", resources.cpus), ("GPU", resources.gpus)):
            if wanted > available.get(name, 0.0):
                raise InputError(
                    f"a trial asks for {wanted:g} {name}, Ray has {available.get(name, 0.0):g}: "
                    f"lower --{name.lower()}s-per-trial."
                )
        yield
    finally:
        ray.shutdown()


def check_resources(resources: Resources) -> None:
    """Refuse numbers that cannot be.

    Raises:
        InputError: names the option.
    """
    for name, value, least in (
        ("--cpus-per-trial", resources.cpus, 1),
        ("--gpus-per-trial", resources.gpus, 0),
        ("--max-failures", resources.max_failures, 0),
    ):
        if value < least:
            raise InputError(f"{name} must be at least {least}, got {value:g}.")


class Fit(threading.Thread):
    """Ray Tune at work, beside the thread that shows the table and hears Ctrl-C."""

    def __init__(self, out: Path, trials: Sequence[Trial], resources: Resources):
        super().__init__(daemon=True)
        self._out, self._trials, self._resources = out, trials, resources
        self._stopped: str | None = None
        self._errors: dict[str, str] = {}

    def run(self) -> None:
        """See ``threading.Thread.run``."""
        try:
            for result in self._tuner().fit():
                if result.error is not None:
                    lines = str(result.error).strip().splitlines()
                    self._errors[result.config["folder"]] = lines[-1] if lines else "lost"
        except Exception as error:  # noqa: BLE001  the trials' folders tell what is left to do
            line = " ".join(str(error).split())[:300]
            self._stopped = f"Ray Tune stopped: {type(error).__name__}: {line}"

    def error_of(self, trial: Trial) -> str:
        """Return one line on a trial that ended without a note of its own."""
        return self._errors.get(trial.folder, self._stopped or "its process ended early")

    def _tuner(self) -> Any:
        from ray import tune

        assignment = Assignment(
            out=str(self._out),
            folder="",
            threads=self._resources.cpus,
            gpus=self._resources.gpus,
            cwd=os.getcwd(),
        )
        folders = [trial.folder for trial in self._trials]
        return tune.Tuner(
            tune.with_resources(
                run_in_worker, {"cpu": self._resources.cpus, "gpu": self._resources.gpus}
            ),
            param_space={**assignment, "folder": tune.grid_search(folders)},
            tune_config=tune.TuneConfig(trial_dirname_creator=lambda trial: trial.trial_id),
            run_config=tune.RunConfig(
                name=f"{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}",
                storage_path=str(self._out / _RAY_FOLDER),
                failure_config=tune.FailureConfig(max_failures=self._resources.max_failures),
                verbose=0,
            ),
        )

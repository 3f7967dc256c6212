"""One task, one seed: a run folder that holds everything, and can be continued."""

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from .exports import export_model, export_policy, load_model
from .files import ensure_writable_folder
from .interrupts import Interrupted as Interrupted
from .interrupts import Interrupts
from .logging import RunLogger, truncate_progress
from .own_data import describe_table, has_simulator, where_evaluated
from .progress import terminal_progress
from .run_parts import Parts, config_json, flat_parameters, load_data, make_parts
from .run_spec import (
    NAMED_FIELDS,
    Overrides,
    RunSpec,
    apply_overrides,
    named_spec,
    read_spec,
)
from mopo_tf2.algorithms.mopo import MOPO
from mopo_tf2.algorithms.offline import OfflineAlgorithm
from mopo_tf2.algorithms.registry import make_algorithm
from mopo_tf2.checkpoints import load_checkpoint, save_checkpoint
from mopo_tf2.config import MOPOConfig
from mopo_tf2.config_fields import flatten
from mopo_tf2.configs.methods import DEFAULT_METHOD, TITLES
from mopo_tf2.errors import InputError
from mopo_tf2.progress import Progress
from mopo_tf2.types import Transitions

_CHECKPOINTS = "checkpoints"
_HOLDOUT_FILE = "model_holdout.csv"
_MAY_CHANGE = ("n_epochs", "checkpoint_frequency")
"""Fields that a resumed run may have otherwise than the run that it continues."""


class _HoldoutLog:
    """Passes progress on and writes each hold-out loss of the ensemble to a file."""

    def __init__(self, path: Path, receiver: Progress):
        self._path, self._receiver = path, receiver

    def __getattr__(self, name: str) -> Any:
        return getattr(self._receiver, name)

    def model_epoch(self, epoch: int, holdout_losses: np.ndarray, *rest: Any) -> None:
        """See ``Progress.model_epoch``."""
        with self._path.open("w" if epoch == 0 else "a", newline="") as file:
            writer = csv.writer(file)
            if epoch == 0:
                writer.writerow(["epoch", *(f"V{i}" for i in range(len(holdout_losses)))])
            writer.writerow([epoch, *(float(loss) for loss in holdout_losses)])
        self._receiver.model_epoch(epoch, holdout_losses, *rest)


def _no_guard() -> None:
    """Let every write pass."""


def start_run(
    spec: RunSpec,
    folder: Path,
    *,
    model_only: bool = False,
    guard: Callable[[], None] = _no_guard,
) -> OfflineAlgorithm:
    """Train from the start into ``folder``, which must not hold a run.

    Everything that the user gave is checked before anything is written.

    Args:
        spec: what to run.
        folder: made if need be.
        model_only: stop once the ensemble is trained.
        guard: called before each write after the configuration's; ends the run by raising.

    Raises:
        InputError: if something the user gave is unfit.
        Interrupted: on Ctrl-C.
        DivergenceError: if training meets a NaN or an infinite number.

    Original: examples/development/main.py:ExperimentRunner._setup
    """
    if (folder / "config.json").exists():
        raise InputError(
            f"{folder} holds a run already: continue it with --resume, or choose another --out."
        )
    parts = make_parts(spec)
    dataset = load_data(spec, parts.environment_info)
    ensure_writable_folder(folder)
    _say_what_runs(spec, folder, len(dataset.transitions.rewards))
    if not has_simulator(spec):
        print(*describe_table(dataset), sep="\n", flush=True)
    with RunLogger(folder) as logger:
        logger.write_configuration(
            config_json(spec, parts.environment_info, dataset), flat_parameters(spec, dataset)
        )
        return _Runner(spec, folder, parts, dataset.transitions, logger, guard).run(model_only)


def resume_run(
    folder: Path,
    name: str,
    overrides: Overrides,
    *,
    model_only: bool = False,
    guard: Callable[[], None] = _no_guard,
) -> OfflineAlgorithm:
    """Continue the run in ``folder`` from its last checkpoint, to the end.

    Args:
        folder: of the run.
        name: of its configuration.
        overrides: what the user asks for now; may change ``n_epochs`` and
            ``checkpoint_frequency``, and must agree with the run elsewhere.
        model_only: stop once the ensemble is trained.
        guard: called before each write of the training; ends the run by raising.

    Raises:
        InputError: if there is no run, it was another one, or its files are damaged.
        Interrupted: on Ctrl-C.
        DivergenceError: if training meets a NaN or an infinite number.

    Original: examples/development/main.py:ExperimentRunner._restore
    """
    if not (folder / "config.json").is_file():
        raise InputError(f"{folder} holds no run to resume: expected {folder / 'config.json'}.")
    saved = read_spec(folder / "config.json")
    if named_spec(name).name != saved.name:
        raise InputError(f"{folder} is a run of {saved.name}, not of {name}.")
    spec = apply_overrides(saved, overrides)
    _require_same_run(saved, spec, folder)
    parts = make_parts(spec)
    ensure_writable_folder(folder)
    checkpoint = load_checkpoint(folder / _CHECKPOINTS)
    if checkpoint is None:
        transitions = load_data(spec, parts.environment_info).transitions
        print(f"{folder} has no checkpoint yet: starting over.", flush=True)
    else:
        stored = (checkpoint[0][f"environment_pool/{field}"] for field in Transitions._fields)
        transitions = Transitions(*stored)
    done = -1 if checkpoint is None else checkpoint[1]["epoch"] - 1
    if truncate_progress(folder, done) < done + 1:
        raise InputError(f"{folder / 'progress.csv'} lost rows that the checkpoint counts.")
    with RunLogger(folder) as logger:
        runner = _Runner(spec, folder, parts, transitions, logger, guard)
        if checkpoint is not None:
            runner.restore(*checkpoint)
            print(f"resuming {folder} after epoch {done + 1}.", flush=True)
        return runner.run(model_only)


def _require_same_run(saved: RunSpec, wanted: RunSpec, folder: Path) -> None:
    """Refuse to continue a run as another one."""
    for name in NAMED_FIELDS:
        before, now = getattr(saved, name), getattr(wanted, name)
        if before != now:
            raise InputError(
                f"{folder} is a run with {name} {before}, not {now}: use another --out."
            )
    before, now = flatten(saved.algorithm), flatten(wanted.algorithm)
    for name, value in before.items():
        if value != now[name] and name not in _MAY_CHANGE:
            raise InputError(
                f"{folder} is a run with {name} = {value}, not {now[name]}: use another --out "
                f"(a resumed run may change {' and '.join(_MAY_CHANGE)})."
            )


def _say_what_runs(spec: RunSpec, folder: Path, rows: int) -> None:
    config = spec.algorithm
    coefficients = (
        f"h = {config.rollout_length}, penalty {config.penalty_coeff}, "
        if isinstance(config, MOPOConfig)
        else ""
    )
    print(
        f"{spec.name}, {TITLES[spec.method]}: {rows:,} transitions of {spec.dataset}, "
        f"{where_evaluated(spec)}, {coefficients}{config.n_epochs} epochs, "
        f"seed {spec.seed} -> {folder}",
        flush=True,
    )
    limit = config.pool_max_size
    if limit is not None and rows > limit:
        print(
            f"the last {limit:,} of {rows:,} rows are kept (pool_max_size; none keeps all).",
            flush=True,
        )


class _Runner:
    """Drives one algorithm object and keeps its folder in step.

    Original: examples/development/main.py:ExperimentRunner
    """

    def __init__(
        self,
        spec: RunSpec,
        folder: Path,
        parts: Parts,
        transitions: Transitions,
        logger: RunLogger,
        guard: Callable[[], None],
    ):
        self.spec, self.folder, self.logger, self.guard = spec, folder, logger, guard
        self.display = terminal_progress()
        self.algorithm = make_algorithm(
            spec.method,
            spec.algorithm,
            transitions,
            parts.termination_fn,
            environments=parts.environments,
            seed=spec.seed,
            reference_scores=parts.reference_scores,
            progress=_HoldoutLog(folder / _HOLDOUT_FILE, self.display),
        )
        self.interrupts = Interrupts(
            "stopping after this epoch; press Ctrl-C again to stop at once."
        )

    def restore(self, arrays: dict[str, np.ndarray], counters: dict[str, Any]) -> None:
        """Put a checkpoint into the algorithm."""
        try:
            self.algorithm.restore(arrays, counters)
        except (KeyError, ValueError) as error:
            raise InputError(
                f"the checkpoint in {self.folder / _CHECKPOINTS} does not fit this run: {error}."
            ) from error

    def run(self, model_only: bool) -> OfflineAlgorithm:
        """Train to the end, or to the end of the model's training."""
        try:
            with self.interrupts, self.display:
                self._obtain_model()
                if not model_only:
                    self._train_policy()
        except KeyboardInterrupt:
            raise Interrupted(self._how_to_resume()) from None
        if self.interrupts.requested:
            raise Interrupted(self._how_to_resume())
        return self.algorithm

    def _obtain_model(self) -> None:
        """Load or train the ensemble, unless a checkpoint brought it."""
        algorithm = self.algorithm
        if algorithm.model_trained:
            return
        self.interrupts.immediate = True
        if self.spec.model is None:
            algorithm.train_model()
        elif isinstance(algorithm, MOPO):
            algorithm.use_model(load_model(Path(self.spec.model), algorithm.ensemble))
        self.interrupts.immediate = False
        self.guard()
        if isinstance(algorithm, MOPO):
            export_model(self.folder, self.spec, algorithm)
        self._checkpoint()

    def _train_policy(self) -> None:
        config = self.spec.algorithm
        for metrics in self.algorithm.train():
            self.guard()
            self.logger.write(metrics)
            done = self.algorithm.epoch
            last = done >= config.n_epochs or self.interrupts.requested
            if last or done % config.checkpoint_frequency == 0:
                self._checkpoint()
            if self.interrupts.requested:
                return

    def _checkpoint(self) -> None:
        self.guard()
        algorithm = self.algorithm
        save_checkpoint(
            self.folder / _CHECKPOINTS,
            algorithm.epoch,
            algorithm.arrays(),
            algorithm.counters(),
        )
        export_policy(self.folder, self.spec, algorithm)

    def _how_to_resume(self) -> str:
        kept = (
            "the model's training starts over"
            if not self.algorithm.model_trained
            else "it goes on from the last checkpoint"
        )
        method = "" if self.spec.method == DEFAULT_METHOD else f"--algorithm {self.spec.method} "
        return (
            f"stopped; {kept} with: mopo-tf2 train {self.spec.name} {method}"
            f"--out {self.folder} --resume"
        )

"""Starting, continuing and stopping runs: an algorithm and its folder kept in step."""

import contextlib
import dataclasses
import functools
import importlib.metadata
import math
import platform
import signal
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import gymnasium
import numpy as np

from mopo_tf2.config import EnsembleConfig, MOPOConfig
from mopo_tf2.config_fields import from_dict, require
from mopo_tf2.configs.d4rl import find_task
from mopo_tf2.configs.memory import require_config_fits
from mopo_tf2.configs.methods import DEFAULT_METHOD, TITLES
from mopo_tf2.configs.own import IN_THE_MODEL, NEVER
from mopo_tf2.data import catalog
from mopo_tf2.data.datasets import Dataset, load_dataset
from mopo_tf2.data.table_columns import require_unit_actions
from mopo_tf2.data.validation import validate
from mopo_tf2.dynamics.termination import checked_terminals, find_termination_fn
from mopo_tf2.errors import InputError
from mopo_tf2.evaluation.environments import (
    TASKS,
    EnvironmentInfo,
    environment_info,
    make_environment,
    no_environment_info,
    task_of_data,
)
from mopo_tf2.own_functions import one_line
from mopo_tf2.types import TerminationFn, Transitions

from .display import DurableConsole, TrainingDisplay
from .loggers import DEFAULT_LOGGERS, Loggers, require_loggers
from .run_folder import Checkpoint, RunFolder, put_model
from .run_spec import RunSpec, require_same

if TYPE_CHECKING:
    from mopo_tf2.algorithms.offline import OfflineAlgorithm

_VERSIONED = ("tensorflow", "keras", "numpy", "gymnasium", "mujoco", "tensorflow-probability")
_ARCHITECTURE = (
    *("num_networks", "num_elites", "hidden_dim", "num_hidden_layers"),
    *("separate_mean_var", "deterministic", "weight_decays"),
)
_TRIED_ROWS = 8
_MODEL_CHECKPOINT_SECONDS = 120.0
"""Least time between two checkpoints of the ensemble's training; they hold its bootstraps."""
_LARGE, _SMALL = 30.0, 0.03
"""Outside these a network that sees an observation as it is learns slowly."""


class Interrupted(KeyboardInterrupt):
    """The user stopped a run; the message says what is kept and how to resume."""


class Interrupts:
    """While active, the first SIGINT or SIGTERM asks to stop, the second one stops at once.

    Attributes:
        requested: whether a signal came.
        immediate: if set, the first signal stops at once too (there is nothing to keep).
    """

    def __init__(self, on_request: str):
        self.requested = self.immediate = False
        self._message = on_request
        self._previous: dict[int, Any] = {}

    def __enter__(self) -> Self:
        for number in (signal.SIGINT, signal.SIGTERM):
            self._previous[number] = signal.signal(number, self._receive)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _receive(self, number: int, frame: FrameType | None) -> None:
        if self.immediate or self.requested:
            raise KeyboardInterrupt
        self.requested = True
        print(self._message, flush=True)


# What a run is made from. Nothing here needs TensorFlow.


class Materials(NamedTuple):
    """What a run is made from."""

    dataset: Dataset
    environments: list[gymnasium.Env[Any, Any]]  # One per evaluation episode, if simulated.
    environment_info: EnvironmentInfo  # As the data say, without a simulator.
    termination_fn: TerminationFn  # Of the model's rollouts.


def gather(spec: RunSpec) -> Materials:
    """Make the environments and the termination function of a run, and load its data.

    Raises:
        InputError: if one of them cannot be had or is invalid, or they do not fit each other.

    Warns:
        UserWarning: if actions lie outside [-1, 1], where the policy acts.

    Original: examples/development/main.py:ExperimentRunner._build
    """
    config, environments, info = spec.algorithm, [], None
    termination_fn = find_termination_fn(spec.termination)
    if spec.has_simulator:
        make = functools.partial(make_environment, spec.environment, physics=spec.physics)
        environments = [make()]
        info = environment_info(environments[0], spec.environment, physics=spec.physics)
        require_config_fits(config, info.obs_dim, info.act_dim)
        environments += [make() for _ in range(config.eval_n_episodes - 1)]
    dataset = load_dataset(
        spec.dataset,
        next_observations=config.next_observations,  # type: ignore[arg-type]
        obs_dim=None if info is None else info.obs_dim,
        act_dim=None if info is None else info.act_dim,
        max_size=config.pool_max_size,
    )
    transitions, bounds = dataset.transitions, dataset.action_bounds
    if info is None:
        require_unit_actions(transitions.actions, source=str(dataset.path))
        sizes = transitions.observations.shape[1], transitions.actions.shape[1]
        info = no_environment_info(*sizes, (bounds.low, bounds.high) if bounds else None)
        require_config_fits(config, info.obs_dim, info.act_dim)
    elif spec.environment in TASKS:
        require(
            dataset.task in (None, spec.environment),
            f"{spec.dataset} is data of {dataset.task}, the configuration {spec.name} is for "
            f"{spec.environment}: choose a configuration of {dataset.task}.",
        )
    if dataset.environment is not None and spec.has_simulator:
        _require_same_actions(spec, dataset, info)
    box: Any = {"action_low": -1.0, "action_high": 1.0}
    validate(transitions, source=spec.dataset, min_rows=config.min_pool_size, **box)
    _try_termination(spec.termination, termination_fn, transitions)
    return Materials(dataset, environments[: config.eval_n_episodes], info, termination_fn)


def _require_same_actions(spec: RunSpec, dataset: Dataset, info: EnvironmentInfo) -> None:
    """Refuse a simulator whose -1 and 1 are not those of the data."""
    bounds, size = dataset.action_bounds, info.act_dim
    low, high = (bounds.low, bounds.high) if bounds else ((-1.0,) * size, (1.0,) * size)
    require(
        np.allclose(low, info.action_low) and np.allclose(high, info.action_high),
        f"{spec.dataset} has actions from {list(low)} to {list(high)}, {spec.environment} from "
        f"{list(info.action_low)} to {list(info.action_high)}: name another --environment.",
    )


def _try_termination(name: str, termination_fn: TerminationFn, transitions: Transitions) -> None:
    """Call the termination function once; an own one may be wrong, and is needed hours later."""
    rows = Transitions(*(column[:_TRIED_ROWS] for column in transitions))
    try:
        checked_terminals(termination_fn, rows.observations, rows.actions, rows.next_observations)
    except Exception as error:  # whatever the user's function raises
        raise InputError(f"--termination {name}: {one_line(error)}") from error


def with_model_architecture(spec: RunSpec, explicit: set[str]) -> RunSpec:
    """Return ``spec`` with the ensemble's sizes taken from the model that it loads, if any.

    InputError if there is no such model, or an ``explicit`` field (set by the user) contradicts it.
    """
    if spec.model is None:
        return spec
    config = spec.algorithm
    if not isinstance(config, MOPOConfig):
        raise InputError(
            f"--model is an ensemble of MOPO's kind, which {TITLES[spec.method]} does not use: "
            "leave it out, or choose another --algorithm."
        )
    _, metadata = RunFolder(Path(spec.model)).load_model()
    saved = from_dict(EnsembleConfig, metadata["ensemble"])
    taken = {name: getattr(saved, name) for name in _ARCHITECTURE}
    for name, present in taken.items():
        wanted = getattr(config.ensemble, name)
        require(
            name not in explicit or wanted == present,
            f"--set {name}={wanted} contradicts the model of {spec.model}, which has {present}: "
            "leave it out, or train another model.",
        )
    ensemble = dataclasses.replace(config.ensemble, **taken)
    return dataclasses.replace(spec, algorithm=dataclasses.replace(config, ensemble=ensemble))


def _record(spec: RunSpec, materials: Materials) -> dict[str, Any]:
    """Return what a run records about itself: data, environment, versions."""
    dataset = materials.dataset
    columns, bounds = dataset.columns, dataset.action_bounds
    return {
        "dataset": {
            "name": dataset.name,
            "sha256": dataset.sha256,
            "rows_in_file": dataset.rows_in_file,
            "transitions": len(dataset.transitions.rewards),
            "columns": dataclasses.asdict(columns) if columns else None,
            "action_bounds": dataclasses.asdict(bounds) if bounds else None,
            "environment": dataset.environment.id if dataset.environment else None,
        },
        "environment": {
            **dataclasses.asdict(materials.environment_info),
            "same_as_data": _same_as_data(spec, dataset),
        },
        "versions": {
            "python": platform.python_version(),
            **{name: importlib.metadata.version(name) for name in _VERSIONED},
        },
    }


# Starting and continuing.


def train_run(
    spec: RunSpec,
    folder: RunFolder,
    *,
    resume: bool = False,
    model_only: bool = False,
    loggers: Sequence[str] = DEFAULT_LOGGERS,
    prepare: Callable[[], None],
) -> "OfflineAlgorithm":
    """Train a run to its end, from the start or from its last checkpoint.

    Everything that the user gave is checked before TensorFlow is loaded or anything is written.

    Args:
        spec: what to run; of a resumed run only fields of ``MAY_CHANGE`` may differ.
        folder: made if need be; holds the run that is resumed, and no other one.
        resume: whether to continue.
        model_only: stop once the ensemble is trained.
        loggers: names of sinks, see ``loggers.LOGGERS``.
        prepare: called between the checks and the training, to load TensorFlow on a device.

    Raises:
        InputError: if something the user gave is invalid, the run to resume is another one or has
            more epochs than are asked for, or its data changed.
        Interrupted: on Ctrl-C.
        DivergenceError: if training meets a NaN or an infinite number.

    Original: examples/development/main.py:ExperimentRunner._setup
    """
    require_loggers(loggers)
    if resume:
        require_same(folder.spec, spec, folder.path)
    else:
        other = "continue it with --resume, or choose another --out."
        require(not folder.is_run, f"{folder} holds a run already: {other}")
    materials = gather(spec)
    checkpoint = None
    with folder.lock():
        if resume:
            checkpoint = _take_up(spec, folder, materials.dataset)
        else:
            folder.write_spec(spec, _record(spec, materials))
            lines = _opening_lines(spec, folder, materials.dataset, model_only)
            print(*lines, sep="\n", flush=True)
        prepare()
        return _Runner(spec, folder, materials, checkpoint).run(model_only, loggers)


def _take_up(spec: RunSpec, folder: RunFolder, dataset: Dataset) -> Checkpoint | None:
    """Make a run's files those of its last checkpoint; return that, None if there is none yet.

    Original: examples/development/main.py:ExperimentRunner._restore
    """
    checkpoint = folder.load_checkpoint()
    done, asked = checkpoint[1]["epoch"] if checkpoint else 0, spec.algorithm.n_epochs
    require(
        asked >= done,
        f"--epochs {asked} is less than the {done} epochs that {folder} has done: give more, or "
        "start another run.",
    )
    # Checkpoints do not hold the data.
    require(
        folder.recorded.get("dataset", {}).get("sha256") in (None, dataset.sha256),
        f"{dataset.path} has changed since {folder} began (its hash differs): put the old file "
        "back, or start another run.",
    )
    left = folder.truncate(done - 1)
    require(left >= done, f"progress.csv of {folder} lost rows that the checkpoint counts.")
    folder.write_spec(spec)
    if checkpoint is None:
        print(f"{folder} has no checkpoint yet: starting over.", flush=True)
    else:
        model: Any = checkpoint[1].get("model_training")
        in_model = isinstance(model, dict) and "epoch" in model
        after = f"model epoch {model['epoch']}" if in_model else f"epoch {done}"
        print(f"resuming {folder} after {after}.", flush=True)
    return checkpoint


class _Runner:
    """Drives one algorithm object and keeps its folder in step.

    Original: examples/development/main.py:ExperimentRunner
    """

    def __init__(
        self, spec: RunSpec, folder: RunFolder, materials: Materials, checkpoint: Checkpoint | None
    ):
        from mopo_tf2.algorithms.registry import make_algorithm

        self.spec, self.folder, config = spec, folder, spec.algorithm
        self.loggers = Loggers(folder)
        self.display = TrainingDisplay(
            DurableConsole(file=sys.stdout), self._write_holdout, self.loggers.distribution
        )
        said = "stopping after this epoch; press Ctrl-C again to stop at once."
        self.interrupts = Interrupts(said)
        self._model_saved = time.monotonic()
        self.algorithm = make_algorithm(
            spec.method,
            config,
            materials.dataset.transitions,
            materials.termination_fn,
            environments=materials.environments,
            seed=spec.seed,
            reference_scores=catalog.scores_of_task(
                spec.environment, config.max_path_length, spec.physics
            ),
            progress=self.display,
        )
        try:
            if checkpoint:
                self.algorithm.restore(*checkpoint)
        except (KeyError, ValueError, TypeError, AttributeError, IndexError) as error:
            raise InputError(
                f"the checkpoint of {folder} does not fit this run: {error}."
            ) from error

    def run(self, model_only: bool, loggers: Sequence[str]) -> "OfflineAlgorithm":
        """Train to the end, or to the end of the model's training."""
        finished = False
        try:
            self.loggers.start(loggers)
            with self.interrupts, self.display:
                self._obtain_model()
                if not model_only:
                    self._train_policy()
            finished = not self.interrupts.requested
        except KeyboardInterrupt:
            self.interrupts.requested = True
        except OSError as error:
            why = f"{error.strerror or error}; {self._how_to_resume(model_only)}"
            raise OSError(error.errno, why, error.filename or str(self.folder)) from error
        finally:
            self.loggers.close(finished=finished)
        if self.interrupts.requested:
            raise Interrupted(self._how_to_resume(model_only)) from None
        return self.algorithm

    def _obtain_model(self) -> None:
        """Load or train the ensemble, unless a checkpoint brought it."""
        from mopo_tf2.algorithms.mopo import MOPO

        algorithm = self.algorithm
        if algorithm.model_trained:
            return
        self.interrupts.immediate = True
        if self.spec.model is None:
            algorithm.train_model(after_epoch=self._save_model_training)
        elif isinstance(algorithm, MOPO):
            algorithm.use_model(put_model(RunFolder(Path(self.spec.model)), algorithm.ensemble))
        self.interrupts.immediate = False
        if isinstance(algorithm, MOPO):
            self.folder.save_model(algorithm.ensemble, algorithm.model_metrics["model/val_loss"])
        self.folder.save_checkpoint(algorithm)

    def _write_holdout(self, epoch: int, losses: np.ndarray) -> None:
        self.folder.write_holdout(epoch, losses)
        self.loggers.holdout(epoch, losses)

    def _save_model_training(self) -> None:
        """Save the ensemble's unfinished training, unless that was done a moment ago."""
        if time.monotonic() - self._model_saved >= _MODEL_CHECKPOINT_SECONDS:
            self.folder.save_checkpoint(self.algorithm)
            self._model_saved = time.monotonic()

    def _train_policy(self) -> None:
        config = self.spec.algorithm
        for metrics in self.algorithm.train():
            self.folder.write_row(metrics)
            self.loggers.row(metrics)
            done = self.algorithm.epoch
            last = done >= config.n_epochs or self.interrupts.requested
            if last or done % config.checkpoint_frequency == 0:
                self.folder.save_checkpoint(self.algorithm)
            if self.interrupts.requested:
                return

    def _how_to_resume(self, model_only: bool) -> str:
        method = self.spec.method
        some = self.folder.has_checkpoint
        kept = (
            "resume from the last checkpoint" if some else "there is no checkpoint yet: start over"
        )
        words = ["train-model" if model_only else "train", self.spec.name]
        words += [] if method == DEFAULT_METHOD else ["--algorithm", method]
        return f"stopped; {kept} with: mopo-tf2 {' '.join(words)} --out {self.folder} --resume"


# What is said of a run.


def _opening_lines(
    spec: RunSpec, folder: RunFolder, dataset: Dataset, model_only: bool
) -> list[str]:
    config, rows = spec.algorithm, len(dataset.transitions.rewards)
    what = [f"{rows:,} transitions of {spec.dataset}"]
    if model_only:
        what.append("the ensemble only")
    else:
        what.append(_where_evaluated(spec, dataset))
        if isinstance(config, MOPOConfig):
            what.append(f"h = {config.rollout_length}, penalty {config.penalty_coeff}")
        what.append(f"{config.n_epochs} epochs")
    title = f"{spec.name}, {TITLES[spec.method]}"
    lines = [f"{title}: {', '.join(what)}, seed {spec.seed} -> {folder}"]
    with contextlib.suppress(InputError):  # a configuration out of a file
        lines += filter(None, [find_task(spec.name).note])
    if spec.has_simulator and (dataset.environment or spec.physics != catalog.PHYSICS):
        why = catalog.why_no_score(spec.environment, config.max_path_length, spec.physics)
        lines += [f"no normalized score: {why}."] if why else []
    if spec.termination == NEVER and (ends := int(dataset.transitions.terminals.sum())):
        lines.append(
            f"{ends:,} rows are terminal, but the model's rollouts never end: name --termination."
        )
    limit = config.pool_max_size
    if limit is not None and rows > limit:
        lines.append(f"keeping the last {limit:,} of {rows:,} rows (pool_max_size; none: all).")
    return lines if spec.has_simulator else [*lines, *_describe_table(dataset)]


def _same_as_data(spec: RunSpec, dataset: Dataset) -> bool | None:
    """Whether a run is evaluated in the environment that its data name; None: they name none."""
    if dataset.environment is None or not spec.has_simulator:
        return None
    try:
        return task_of_data(dataset.environment) == (spec.environment, spec.physics)
    except InputError:
        return False


def _where_evaluated(spec: RunSpec, dataset: Dataset) -> str:
    if spec.has_simulator:
        where = spec.environment
        where += f" with {spec.physics} physics" if where in TASKS else ""
        same, named = _same_as_data(spec, dataset), dataset.environment
        if named is None:
            return where
        return f"{where} ({'' if same else 'not '}the data's own, {named.id})"
    if isinstance(spec.algorithm, MOPOConfig) and spec.algorithm.model_eval_horizon:
        return f"evaluation {IN_THE_MODEL}"
    return "no evaluation during training (no simulator)"


def _describe_table(dataset: Dataset) -> list[str]:
    """Return lines that say which column was what, and which ones the networks will mind."""
    columns, bounds, lines = dataset.columns, dataset.action_bounds, []
    if columns is not None:
        successors = f"the next row of the same {columns.episode}"
        if columns.next_observations is not None:
            successors = f"columns {', '.join(columns.next_observations)}"
        parts = [
            f"observations {', '.join(columns.observations)}",
            f"actions {', '.join(columns.actions)}",
            f"reward {columns.rewards}",
            f"terminal {columns.terminals}" if columns.terminals else "never terminal",
            f"successors: {successors}.",
        ]
        lines.append("; ".join(parts))
    if bounds is not None:
        pairs = zip(bounds.low, bounds.high, strict=True)
        ranges = ", ".join(f"[{low:g}, {high:g}]" for low, high in pairs)
        lines.append(f"the policy's [-1, 1] stands for {ranges} of the data's actions.")
    observations = dataset.transitions.observations
    sizes = np.abs(observations).max(axis=0)
    names = columns.observations if columns else [str(i) for i in range(len(sizes))]
    odd = [
        f"{name} (up to {size:g})"
        for name, size in zip(names, sizes, strict=True)
        if not (_SMALL <= size <= _LARGE or math.isclose(size, 0.0))
    ]
    if odd:
        lines.append(
            "the policy sees observations as they are and learns best if they are about 1 in size: "
            f"consider other units for {', '.join(odd)}."
        )
    return lines

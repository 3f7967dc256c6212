"""Starting, continuing and stopping runs: an algorithm and its folder kept in step."""

import contextlib
import dataclasses
import importlib.metadata
import math
import platform
import signal
from collections.abc import Callable, Mapping
from pathlib import Path
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Any, Self

import gymnasium
import numpy as np

from mopo_tf2.config import EnsembleConfig, MOPOConfig
from mopo_tf2.config_fields import from_dict
from mopo_tf2.configs.d4rl import find_task
from mopo_tf2.configs.methods import DEFAULT_METHOD, TITLES
from mopo_tf2.configs.own import IN_THE_MODEL
from mopo_tf2.data import catalog
from mopo_tf2.data.datasets import Dataset, load_dataset
from mopo_tf2.data.table_columns import require_unit_actions
from mopo_tf2.data.validation import validate
from mopo_tf2.dynamics.termination import find_termination_fn
from mopo_tf2.errors import InputError
from mopo_tf2.evaluation.environments import (
    EnvironmentInfo,
    environment_info,
    make_environment,
    no_environment_info,
)
from mopo_tf2.files import ensure_writable_folder
from mopo_tf2.types import TerminationFn

from .display import terminal_progress
from .run_folder import RunFolder, put_model
from .run_spec import MAY_CHANGE, RunSpec, changed_spec, differences, named_spec

if TYPE_CHECKING:
    from mopo_tf2.algorithms.offline import OfflineAlgorithm

_VERSIONED = ("tensorflow", "keras", "numpy", "gymnasium", "mujoco", "tensorflow-probability")
_ARCHITECTURE = (
    "num_networks",
    "num_elites",
    "hidden_dim",
    "num_hidden_layers",
    "separate_mean_var",
    "deterministic",
    "weight_decays",
)
_LARGE, _SMALL = 30.0, 0.03
"""Outside these a network that sees an observation as it is learns slowly."""


class Interrupted(Exception):
    """The user stopped a run; the message says what is kept and how to resume."""


class Interrupts:
    """While active, the first SIGINT or SIGTERM asks to stop, the second one stops at once.

    Attributes:
        requested: whether a signal came.
        immediate: if set, the first signal stops at once too (there is nothing to keep).
    """

    def __init__(self, on_request: str):
        self.requested = False
        self.immediate = False
        self._message = on_request
        self._previous: dict[int, Any] = {}

    def __enter__(self) -> Self:
        for number in (signal.SIGINT, signal.SIGTERM):
            self._previous[number] = signal.signal(number, self._receive)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _receive(self, number: int, frame: FrameType | None) -> None:
        if self.immediate or self.requested:
            raise KeyboardInterrupt
        self.requested = True
        print(self._message, flush=True)


# What a run is made from. Nothing here needs TensorFlow.


@dataclasses.dataclass(frozen=True, kw_only=True)
class Parts:
    """What a run is made from beside its data.

    Attributes:
        environments: one per evaluation episode; none without a simulator.
        environment_info: what they are; None without a simulator.
        termination_fn: of the model's rollouts.
        reference_scores: returns of a random and an expert policy; nan if unknown.
    """

    environments: list[gymnasium.Env[Any, Any]]
    environment_info: EnvironmentInfo | None
    termination_fn: TerminationFn
    reference_scores: tuple[float, float]


def make_parts(spec: RunSpec) -> Parts:
    """Make the environments and the termination function of a run.

    Raises:
        InputError: if one of them is invalid.

    Original: examples/development/main.py:ExperimentRunner._build
    """
    termination_fn = find_termination_fn(spec.termination)
    environments, info = [], None
    if spec.has_simulator:
        count = spec.algorithm.eval_n_episodes
        environments = [
            make_environment(spec.environment, physics=spec.physics) for _ in range(max(count, 1))
        ]
        info = environment_info(environments[0], spec.environment, physics=spec.physics)
        environments = environments[:count]
    return Parts(
        environments=environments,
        environment_info=info,
        termination_fn=termination_fn,
        reference_scores=catalog.scores_of_task(spec.environment, spec.algorithm.max_path_length),
    )


def load_data(spec: RunSpec, info: EnvironmentInfo | None) -> Dataset:
    """Load the run's dataset and check it against the task, if there is one.

    Raises:
        InputError: if it cannot be had or is invalid.

    Warns:
        UserWarning: if actions lie outside [-1, 1], where the policy acts.
    """
    config = spec.algorithm
    dataset = load_dataset(
        spec.dataset,
        next_observations=config.next_observations,  # type: ignore[arg-type]
        obs_dim=None if info is None else info.obs_dim,
        act_dim=None if info is None else info.act_dim,
        max_size=config.pool_max_size,
    )
    if info is None:
        require_unit_actions(dataset.transitions.actions, source=str(dataset.path))
    elif dataset.task not in (None, spec.environment) and ":" not in spec.environment:
        raise InputError(
            f"{spec.dataset} is data of {dataset.task}, the configuration {spec.name} is for "
            f"{spec.environment}: choose a configuration of {dataset.task}."
        )
    validate(
        dataset.transitions,
        source=spec.dataset,
        action_low=-1.0,
        action_high=1.0,
        min_rows=config.min_pool_size,
    )
    return dataset


def with_model_architecture(spec: RunSpec, explicit: set[str]) -> RunSpec:
    """Return ``spec`` with the ensemble's sizes taken from the model that it loads, if any.

    Args:
        spec: of a run.
        explicit: fields that the user set; these must agree with the model.

    Raises:
        InputError: if there is no such model, or a field set by the user contradicts it.
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
    for name in _ARCHITECTURE:
        wanted, present = getattr(config.ensemble, name), getattr(saved, name)
        if name in explicit and wanted != present:
            raise InputError(
                f"--set {name}={wanted} contradicts the model of {spec.model}, which has "
                f"{present}: leave it out, or train another model."
            )
    taken = {name: getattr(saved, name) for name in _ARCHITECTURE}
    ensemble = dataclasses.replace(config.ensemble, **taken)
    return dataclasses.replace(spec, algorithm=dataclasses.replace(config, ensemble=ensemble))


def _record(info: EnvironmentInfo | None, dataset: Dataset) -> dict[str, Any]:
    """Return what a run records about itself: data, environment, versions."""
    columns, bounds = dataset.columns, dataset.action_bounds
    if info is None:
        sizes = (dataset.transitions.observations.shape[1], dataset.transitions.actions.shape[1])
        info = no_environment_info(*sizes, (bounds.low, bounds.high) if bounds else None)
    return {
        "dataset": {
            "name": dataset.name,
            "sha256": dataset.sha256,
            "rows_in_file": dataset.rows_in_file,
            "transitions": len(dataset.transitions.rewards),
            "columns": dataclasses.asdict(columns) if columns else None,
            "action_bounds": dataclasses.asdict(bounds) if bounds else None,
        },
        "environment": dataclasses.asdict(info),
        "versions": {
            "python": platform.python_version(),
            **{name: importlib.metadata.version(name) for name in _VERSIONED},
        },
    }


# Starting and continuing.


def start_run(
    spec: RunSpec,
    folder: RunFolder,
    *,
    model_only: bool = False,
    prepare: Callable[[], None] = lambda: None,
) -> "OfflineAlgorithm":
    """Train from the start into ``folder``, which must not hold a run.

    Everything that the user gave is checked before TensorFlow is loaded or anything is written.

    Args:
        spec: what to run.
        folder: made if need be.
        model_only: stop once the ensemble is trained.
        prepare: called between the checks and the training, to load TensorFlow on a device.

    Raises:
        InputError: if something the user gave is invalid.
        Interrupted: on Ctrl-C.
        DivergenceError: if training meets a NaN or an infinite number.

    Original: examples/development/main.py:ExperimentRunner._setup
    """
    if folder.is_run:
        raise InputError(
            f"{folder} holds a run already: continue it with --resume, or choose another --out."
        )
    parts = make_parts(spec)
    dataset = load_data(spec, parts.environment_info)
    ensure_writable_folder(folder.path)
    with folder.lock():
        folder.write_spec(spec, _record(parts.environment_info, dataset))
        print(*_opening_lines(spec, folder, dataset, model_only), sep="\n", flush=True)
        prepare()
        return _Runner(spec, folder, parts, dataset).run(model_only)


def resume_run(
    folder: RunFolder,
    changes: Mapping[str, Any],
    settings: Mapping[str, str],
    *,
    name: str | None = None,
    model_only: bool = False,
    prepare: Callable[[], None] = lambda: None,
) -> "OfflineAlgorithm":
    """Continue the run in ``folder`` from its last checkpoint, to the end.

    Args:
        folder: of the run.
        changes: fields of ``RunSpec`` that the user names now; they must agree with the run.
        settings: fields of its configuration; only those of ``MAY_CHANGE`` may differ.
        name: of the configuration, if the user gave one.
        model_only: stop once the ensemble is trained.
        prepare: see ``start_run``.

    Raises:
        InputError: if there is no run, it was another one, its data changed, or it has more epochs
            already than are asked for.
        Interrupted: on Ctrl-C.
        DivergenceError: if training meets a NaN or an infinite number.

    Original: examples/development/main.py:ExperimentRunner._restore
    """
    saved = folder.spec
    if name is not None and named_spec(name).name != saved.name:
        raise InputError(f"{folder} is a run of {saved.name}, not of {name}.")
    spec = changed_spec(saved, changes, settings)
    for field, (before, now) in differences(saved, spec).items():
        raise InputError(
            f"{folder} is a run with {field} = {before}, not {now}: use another --out (a resumed "
            f"run may change {' and '.join(MAY_CHANGE)})."
        )
    with folder.lock():
        checkpoint = folder.load_checkpoint()
        done = checkpoint[1]["epoch"] if checkpoint else 0
        if spec.algorithm.n_epochs < done:
            raise InputError(
                f"--epochs {spec.algorithm.n_epochs} is less than the {done} epochs that {folder} "
                "has done: give more, or start another run."
            )
        parts = make_parts(spec)
        dataset = load_data(spec, parts.environment_info)
        _require_same_data(folder, dataset)
        if folder.truncate(done - 1) < done:
            raise InputError(f"progress.csv of {folder} lost rows that the checkpoint counts.")
        if spec != saved:
            folder.write_spec(spec)
        begins = (
            f"resuming {folder} after epoch {done}."
            if checkpoint
            else (f"{folder} has no checkpoint yet: starting over.")
        )
        print(begins, flush=True)
        prepare()
        runner = _Runner(spec, folder, parts, dataset)
        if checkpoint is not None:
            runner.restore(*checkpoint)
        return runner.run(model_only)


def _require_same_data(folder: RunFolder, dataset: Dataset) -> None:
    """Refuse data whose bytes are not those of the run so far; checkpoints do not hold them."""
    before = folder.recorded.get("dataset", {}).get("sha256")
    if before not in (None, dataset.sha256):
        raise InputError(
            f"{dataset.path} has changed since {folder} began (its hash differs): put the old file "
            "back, or start another run."
        )


class _Runner:
    """Drives one algorithm object and keeps its folder in step.

    Original: examples/development/main.py:ExperimentRunner
    """

    def __init__(self, spec: RunSpec, folder: RunFolder, parts: Parts, dataset: Dataset):
        from mopo_tf2.algorithms.registry import make_algorithm

        self.spec, self.folder = spec, folder
        self.display = terminal_progress(folder.write_holdout)
        self.algorithm = make_algorithm(
            spec.method,
            spec.algorithm,
            dataset.transitions,
            parts.termination_fn,
            environments=parts.environments,
            seed=spec.seed,
            reference_scores=parts.reference_scores,
            progress=self.display,
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
                f"the checkpoint of {self.folder} does not fit this run: {error}."
            ) from error

    def run(self, model_only: bool) -> "OfflineAlgorithm":
        """Train to the end, or to the end of the model's training."""
        try:
            with self.interrupts, self.display:
                self._obtain_model()
                if not model_only:
                    self._train_policy()
        except KeyboardInterrupt:
            self.interrupts.requested = True
        finally:
            self.folder.close()
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
            algorithm.train_model()
        elif isinstance(algorithm, MOPO):
            algorithm.use_model(put_model(RunFolder(Path(self.spec.model)), algorithm.ensemble))
        self.interrupts.immediate = False
        if isinstance(algorithm, MOPO):
            self.folder.save_model(algorithm.ensemble, algorithm.model_metrics["model/val_loss"])
        self.folder.save_checkpoint(algorithm)

    def _train_policy(self) -> None:
        config = self.spec.algorithm
        for metrics in self.algorithm.train():
            self.folder.write_row(metrics)
            done = self.algorithm.epoch
            last = done >= config.n_epochs or self.interrupts.requested
            if last or done % config.checkpoint_frequency == 0:
                self.folder.save_checkpoint(self.algorithm)
            if self.interrupts.requested:
                return

    def _how_to_resume(self, model_only: bool) -> str:
        kept = (
            "resume from the last checkpoint"
            if self.algorithm.model_trained
            else "the model's training starts over"
        )
        command = "train-model" if model_only else "train"
        method = "" if self.spec.method == DEFAULT_METHOD else f"--algorithm {self.spec.method} "
        return (
            f"stopped; {kept} with: mopo-tf2 {command} {self.spec.name} {method}"
            f"--out {self.folder} --resume"
        )


# What is said of a run.


def _opening_lines(
    spec: RunSpec, folder: RunFolder, dataset: Dataset, model_only: bool
) -> list[str]:
    config, rows = spec.algorithm, len(dataset.transitions.rewards)
    what = [f"{rows:,} transitions of {spec.dataset}"]
    if model_only:
        what.append("the ensemble only")
    else:
        what.append(_where_evaluated(spec))
        if isinstance(config, MOPOConfig):
            what.append(f"h = {config.rollout_length}, penalty {config.penalty_coeff}")
        what.append(f"{config.n_epochs} epochs")
    title = f"{spec.name}, {TITLES[spec.method]}"
    lines = [f"{title}: {', '.join(what)}, seed {spec.seed} -> {folder}"]
    with contextlib.suppress(InputError):  # a configuration out of a file
        lines += filter(None, [find_task(spec.name).note])
    limit = config.pool_max_size
    if limit is not None and rows > limit:
        lines.append(f"keeping the last {limit:,} of {rows:,} rows (pool_max_size; none: all).")
    return lines if spec.has_simulator else [*lines, *_describe_table(dataset)]


def _where_evaluated(spec: RunSpec) -> str:
    if spec.has_simulator:
        return f"{spec.environment} with {spec.physics} physics"
    if isinstance(spec.algorithm, MOPOConfig) and spec.algorithm.model_eval_horizon:
        return f"evaluation {IN_THE_MODEL}"
    return "no evaluation during training (no simulator)"


def closing_line(spec: RunSpec) -> str | None:
    """Return what is to be said about the evaluations of a finished run; None for a simulator."""
    if spec.has_simulator:
        return None
    if isinstance(spec.algorithm, MOPOConfig) and spec.algorithm.model_eval_horizon:
        return f"every return above is a return {IN_THE_MODEL}."
    return "nothing has been evaluated (no simulator): mopo-tf2 evaluate does so from the data."


def _describe_table(dataset: Dataset) -> list[str]:
    """Return lines that say which column was what, and which ones the networks will mind."""
    columns, bounds, lines = dataset.columns, dataset.action_bounds, []
    if columns is not None:
        ends = f"terminal {columns.terminals}" if columns.terminals else "never terminal"
        successors = (
            f"the next row of the same {columns.episode}"
            if columns.next_observations is None
            else f"columns {', '.join(columns.next_observations)}"
        )
        lines.append(
            f"observations {', '.join(columns.observations)}; actions "
            f"{', '.join(columns.actions)}; reward {columns.rewards}; {ends}; successors: "
            f"{successors}."
        )
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

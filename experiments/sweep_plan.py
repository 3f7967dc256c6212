"""What a sweep consists of: from options to trials, all checked before anything starts."""

import dataclasses
import itertools
import json
import math
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from mopo_tf2.config import EnsembleConfig, MOPOConfig
from mopo_tf2.config_fields import flatten
from mopo_tf2.configs.methods import DEFAULT_METHOD
from mopo_tf2.data import catalog, minari
from mopo_tf2.errors import InputError

from .run_folder import RunFolder
from .run_spec import RunSpec, build_spec, named_spec, require_same, settings_of_methods
from .run_spec import spec_from_dict as to_spec

SWEEP_FILE = "sweep.json"
GRIDS = {"shipped": {"rollout_length": "1,5", "penalty_coeff": "0.5,1,2,5"}}
"""Named grids; the values that the original's configurations choose from."""
MAX_TRIALS = 10_000
_OF_THE_MODEL = (
    *(field.name for field in dataclasses.fields(EnsembleConfig)),
    *("next_observations", "pool_max_size", "min_pool_size"),
)
"""Fields that the training of an ensemble depends on; the others are the policy's."""
_Point = Mapping[str, str]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Trial:
    """One run of a sweep."""

    folder: str  # Of the run, relative to the sweep's.
    task: str  # As the user named it.
    settings: _Point  # What the grid sets here, as text.
    spec: RunSpec  # The run, but for the place of its ensemble; see ``spec_in``.
    model_folder: str | None = None  # Of the trial that trains its ensemble; None: it trains one.
    model_only: bool = False  # Stop once the ensemble is trained.

    def spec_in(self, out: Path) -> RunSpec:
        """Return the run with its ensemble in ``out``, where the sweep's folder lies now."""
        if self.model_folder is None:
            return self.spec
        return dataclasses.replace(self.spec, model=os.path.abspath(out / self.model_folder))

    def is_finished(self, out: Path) -> bool:
        """Whether nothing is left to do for it in ``out``."""
        n_epochs = self.spec.algorithm.n_epochs
        return RunFolder(out / self.folder).is_finished(n_epochs, model_only=self.model_only)


def plan_trials(
    tasks: Sequence[str],
    seeds: int,
    *,
    algorithms: Sequence[str] = (),
    datasets: Sequence[str] = (),
    code: Mapping[str, str | None] | None = None,
    settings: _Point | None = None,
    grid: Sequence[str] = (),
    share_model: bool = False,
) -> list[Trial]:
    """Return the trials of a sweep, by task, method, grid point and seed.

    Args:
        tasks: names of configurations.
        seeds: how many; 0 to ``seeds`` - 1.
        algorithms: methods that every task is trained with; empty: the configuration's own.
        datasets: ``PATH`` for all tasks, ``TASK=PATH`` for one.
        code: ``CODE_FIELDS`` of all tasks; None leaves a task's own.
        settings: values by ``FIELD`` (of every method that has it) or ``METHOD.FIELD``, as text.
        grid: ``KEY=V1,V2``, with keys as in ``settings``, or the name of a grid.
        share_model: train an ensemble once for all that would train the same one, and first.

    Raises:
        InputError: if a task, a field, a value or an option is invalid.

    Original: examples/instrument.py:generate_experiment
    """
    if seeds < 1 or not tasks:
        raise InputError(f"a sweep needs --tasks or --suite, and --seeds 1 or more, got {seeds}.")
    methods = {task: list(algorithms) or [named_spec(task).method] for task in tasks}
    every = list(dict.fromkeys(itertools.chain(*methods.values())))
    own = settings_of_methods(settings or {}, every)
    axes = _axes(grid, settings or {}, every)
    pairs = [(task, method) for task in tasks for method in methods[task]]
    count = seeds * sum(math.prod(map(len, axes[method].values())) for _, method in pairs)
    if count > MAX_TRIALS:
        raise InputError(f"{count:,} trials are too many, a sweep may have {MAX_TRIALS:,}.")
    data = _datasets(datasets, tasks)

    def make_spec(task: str, method: str, point: _Point) -> RunSpec:
        changes = {**(code or {}), "dataset": data.get(task, data.get("")), "method": method}
        spec = build_spec(task, changes, {**own[method], **point})
        # A trial may run in another folder, so that a path must be absolute; an id is left.
        if catalog.find(spec.dataset) is None and not spec.dataset.startswith(minari.PREFIX):
            path = os.path.abspath(Path(spec.dataset).expanduser())
            spec = dataclasses.replace(spec, dataset=path)
        return spec

    trials = []
    for task, method in pairs:
        for values in itertools.product(*axes[method].values()):
            point = dict(zip(axes[method], values, strict=True))
            spec = make_spec(task, method, point)
            for seed in range(seeds):
                # A file's own method is not in its folder's name.
                folder = _folder(task, method if algorithms else DEFAULT_METHOD, point, seed)
                run = dataclasses.replace(spec, seed=seed)
                trials.append(Trial(folder=folder, task=task, settings=point, spec=run))
    _require_distinct(trials)
    return _with_shared_models(trials, make_spec) if share_model else trials


def read_plan(out: Path) -> list[Trial]:
    """Return the trials of a ``sweep.json`` of either version; InputError if it has none."""
    path = out / SWEEP_FILE
    try:
        trials = json.loads(path.read_text(encoding="utf-8"))["trials"]
        return [Trial(**{**trial, "spec": to_spec(trial["spec"], path)}) for trial in trials]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path} holds no sweep that can be resumed: {error}") from error


def check_folder(out: Path, trials: Sequence[Trial], *, resume: bool) -> None:
    """Raise InputError unless these trials may go into ``out``.

    A resumed sweep may have more trials and epochs than before, and changes nothing else.
    """
    runs = [RunFolder(out / trial.folder) for trial in trials]
    if not resume and ((out / SWEEP_FILE).exists() or any(run.is_run for run in runs)):
        raise InputError(f"{out} holds a sweep or runs: add --resume, or choose another --out.")
    now = {trial.folder: trial for trial in trials}
    for before in read_plan(out) if resume else []:
        if before.folder not in now:
            raise InputError(f"{out} is a sweep with {before.folder}: ask for it, or choose --out.")
        require_same(before.spec_in(out), now[before.folder].spec_in(out), out / before.folder)
    for run, trial in zip(runs, trials, strict=True):
        asked, done = trial.spec.algorithm.n_epochs, run.last_row()[0]
        if asked < done:
            raise InputError(f"--epochs {asked} is less than the {done} that {run} has done.")


def _require_distinct(trials: Sequence[Trial]) -> None:
    first: dict[str, Trial] = {}
    for trial in trials:
        for key in (trial.folder, repr(trial.spec)):
            if (other := first.setdefault(key, trial)) is not trial:
                raise InputError(f"{other.folder} and {trial.folder} are the same run: leave one.")


def _axes(
    grid: Sequence[str], settings: _Point, methods: Sequence[str]
) -> dict[str, dict[str, list[str]]]:
    """Return the values of each field of the grid, by method."""
    given: dict[str, str] = {}
    for text in grid:
        key, separator, values = text.partition("=")
        named = {key.strip(): values} if separator else GRIDS.get(text, {})
        if not named or not all(name and _split(some) for name, some in named.items()):
            raise InputError(f"--grid expects KEY=V1,V2 or {' or '.join(GRIDS)}, got '{text}'.")
        for name in named:
            if name in given or name in settings:
                raise InputError(f"--grid {text}: {name} is set twice; give each field once.")
        given.update(named)
    own = settings_of_methods(given, methods)
    return {m: {name: _split(values) for name, values in own[m].items()} for m in methods}


def _split(values: str) -> list[str]:
    """Split at commas; where a value has commas itself, at semicolons."""
    parts = values.split(";" if ";" in values else ",")
    return [part.strip() for part in parts if part.strip()]


def _datasets(texts: Sequence[str], tasks: Sequence[str]) -> dict[str, str]:
    """Return the datasets by task; "" is for all other tasks."""
    chosen: dict[str, str] = {}
    for text in texts:
        task, separator, dataset = text.partition("=")
        if not separator or (task not in tasks and Path(text).exists()):
            task, dataset = "", text
        elif task not in tasks:
            raise InputError(f"--dataset {text}: the tasks of this sweep are {', '.join(tasks)}.")
        if task in chosen or not dataset:
            raise InputError(f"--dataset {text}: give one dataset for all, and one TASK=PATH each.")
        chosen[task] = dataset
    return chosen


def _folder(task: str, method: str, point: _Point, seed: int, prefix: str = "") -> str:
    name = Path(task).stem if task.endswith(".json") else task
    name = name if method == DEFAULT_METHOD else f"{name}-{method}"
    label = ",".join(f"{key}={value.replace(',', 'x')}" for key, value in point.items())
    return str(Path(name, label, f"{prefix}seed_{seed}"))


def _with_shared_models(
    trials: Sequence[Trial], make_spec: Callable[[str, str, _Point], RunSpec]
) -> list[Trial]:
    """Put a trial that trains the ensemble before all that would train the same one."""
    groups: dict[str, list[Trial]] = {}
    for trial in trials:
        if isinstance(trial.spec.algorithm, MOPOConfig) and trial.spec.model is None:
            values = flatten(trial.spec.algorithm)
            key = [trial.task, trial.spec.seed, *(values[name] for name in _OF_THE_MODEL)]
            groups.setdefault(repr(key), []).append(trial)
    models: dict[str, Trial] = {}
    folders: dict[str, str] = {}
    for group in [group for group in groups.values() if len(group) > 1]:
        task, method, seed = group[0].task, group[0].spec.method, group[0].spec.seed
        point = {key: value for key, value in group[0].settings.items() if key in _OF_THE_MODEL}
        # Methods that differ from MOPO in the penalty alone train MOPO's ensemble.
        own = set(type(group[0].spec.algorithm).FIXED) & set(_OF_THE_MODEL)
        folder = _folder(task, method if own else DEFAULT_METHOD, point, seed, "model_")
        if folder in models:
            folder = _folder(task, method, point, seed, "model_")
        spec = dataclasses.replace(make_spec(task, method, point), seed=seed)
        models[folder] = Trial(folder=folder, task=task, settings=point, spec=spec, model_only=True)
        folders.update({trial.folder: folder for trial in group})
    if not models:
        raise InputError("--share-model: no two trials train the same ensemble: leave it out.")
    using = [dataclasses.replace(t, model_folder=folders.get(t.folder)) for t in trials]
    return [*models.values(), *using]

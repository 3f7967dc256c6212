"""What a sweep consists of: from options to trials, all checked before anything starts."""

import dataclasses
import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..files import write_json
from ..run_spec import (
    Overrides,
    RunSpec,
    build_spec,
    method_folder,
    named_spec,
    spec_from_dict,
    spec_to_dict,
)
from ..sweeps.options import (
    absolute_dataset,
    parse_datasets,
    parse_grid,
    require_distinct,
)
from mopo_tf2.config import EnsembleConfig, MOPOConfig
from mopo_tf2.config_fields import flatten
from mopo_tf2.configs.d4rl import TASKS
from mopo_tf2.errors import InputError

SWEEP_FILE = "sweep.json"
SUITES = {"d4rl": tuple(TASKS)}
_MAY_CHANGE = ("n_epochs", "checkpoint_frequency")
_OF_THE_MODEL = (
    *(field.name for field in dataclasses.fields(EnsembleConfig)),
    *("next_observations", "pool_max_size", "min_pool_size"),
)
"""Fields that the training of an ensemble depends on; the others are the policy's."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class SweepRequest:
    """What the user asks for; see ``mopo-tf2 sweep --help``.

    Attributes:
        tasks: names of configurations.
        algorithms: names of methods, each of which every task is trained with; empty: the
            configuration's own.
        seeds: how many; 0 to ``seeds`` - 1.
        datasets: ``PATH`` for all tasks, ``TASK=PATH`` for one.
        settings: fields of every trial.
        grid: ``KEY=V1,V2`` or the name of a grid.
        share_model: train an ensemble once for all trials that would train the same one.
    """

    tasks: Sequence[str]
    seeds: int
    datasets: Sequence[str] = ()
    settings: Mapping[str, str] = dataclasses.field(default_factory=dict)
    grid: Sequence[str] = ()
    share_model: bool = False
    algorithms: Sequence[str] = ()


@dataclasses.dataclass(frozen=True, kw_only=True)
class Trial:
    """One run of a sweep.

    Attributes:
        folder: of the run, relative to the sweep's.
        task: as the user named it.
        settings: what the grid sets here, as text.
        spec: the run; its ``model`` is set by ``model_folder`` once it is known where that is.
        model_folder: of the trial that trains this one's ensemble, relative; None: it trains one.
        model_only: stop once the ensemble is trained.
    """

    folder: str
    task: str
    settings: Mapping[str, str]
    spec: RunSpec
    model_folder: str | None = None
    model_only: bool = False


def plan_trials(request: SweepRequest) -> list[Trial]:
    """Return the trials of a sweep, by task, method, grid point and seed.

    Shared ensembles come first.

    Raises:
        InputError: if a task, a field, a value or an option is unfit.
    """
    if request.seeds < 1:
        raise InputError(f"--seeds must be at least 1, got {request.seeds}.")
    require_distinct([_task_folder(task) for task in request.tasks], "--tasks gives")
    named = [named_spec(task) for task in request.tasks]  # names the nearest
    if not named:
        raise InputError("a sweep needs tasks: give --tasks NAMES or --suite d4rl.")
    datasets = parse_datasets(request.datasets, request.tasks)
    require_distinct(list(request.algorithms), "--algorithms gives")
    points = list(_points(parse_grid(request.grid, request.settings)))
    trials = [
        Trial(
            folder=str(
                Path(method_folder(_task_folder(task), method), _label(point), f"seed_{seed}")
            ),
            task=task,
            settings=point,
            spec=_spec(request, datasets, task, seed, point, method),
        )
        for task in request.tasks
        for method in (request.algorithms or (None,))
        for point in points
        for seed in range(request.seeds)
    ]
    _require_different_points(trials, request.seeds, len(points))
    return _with_shared_models(request, datasets, trials) if request.share_model else trials


def write_plan(out: Path, request: SweepRequest, trials: Sequence[Trial]) -> None:
    """Write ``sweep.json``, atomically."""
    write_json(
        out / SWEEP_FILE,
        {
            "asked": dataclasses.asdict(request),
            "trials": [
                {**dataclasses.asdict(trial), "spec": spec_to_dict(trial.spec)} for trial in trials
            ],
        },
    )


def read_plan(out: Path) -> list[Trial]:
    """Read the trials of ``sweep.json``.

    Raises:
        InputError: if it is missing or not of this kind.
    """
    path = out / SWEEP_FILE
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        return [
            Trial(**{**trial, "spec": spec_from_dict(trial["spec"], path)})
            for trial in values["trials"]
        ]
    except FileNotFoundError as error:
        raise InputError(f"{out} holds no sweep: expected {path}.") from error
    except InputError:
        raise
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path} is damaged or not of this project: {error}.") from error


def check_folder(out: Path, trials: Sequence[Trial], *, resume: bool) -> None:
    """Make sure that a sweep may go into ``out``.

    A sweep that is resumed may have more tasks, seeds and epochs than before.

    Raises:
        InputError: if ``out`` holds a sweep or runs and ``resume`` is False, or holds none or
            another one and it is True.
    """
    if resume:
        now = {trial.folder: trial for trial in trials}
        for before in read_plan(out):
            _require_same_trial(out, before, now.get(before.folder))
        return
    if (out / SWEEP_FILE).exists():
        raise InputError(
            f"{out} holds a sweep already: continue it with --resume, or choose another --out."
        )
    for trial in trials:
        if (out / trial.folder / "config.json").exists():
            raise InputError(f"{out / trial.folder} holds a run already: choose another --out.")


def _require_same_trial(out: Path, before: Trial, now: Trial | None) -> None:
    if now is None:
        raise InputError(
            f"{out} holds another sweep, with {before.folder}, which this one has not: "
            "choose another --out."
        )
    for name, (old, new) in _differences(before, now).items():
        raise InputError(
            f"{out} holds another sweep: {before.folder} has {name} = {old} there and {new} here; "
            f"choose another --out (only {' and '.join(_MAY_CHANGE)} may change)."
        )


def _differences(before: Trial, now: Trial) -> dict[str, tuple[Any, Any]]:
    old, new = (
        {
            **spec_to_dict(trial.spec),
            "algorithm": None,
            **flatten(trial.spec.algorithm),
            "model_folder": trial.model_folder,
        }
        for trial in (before, now)
    )
    return {
        name: (old[name], new[name])
        for name in old
        if old[name] != new[name] and name not in _MAY_CHANGE
    }


def _spec(
    request: SweepRequest,
    datasets: Mapping[str, str],
    task: str,
    seed: int,
    point: Mapping[str, str],
    method: str | None,
) -> RunSpec:
    overrides = Overrides(
        dataset=datasets.get(task),
        seed=seed,
        method=method,
        settings={**request.settings, **point},
    )
    spec = build_spec(task, overrides)
    return dataclasses.replace(spec, dataset=absolute_dataset(spec.dataset))


def _with_shared_models(
    request: SweepRequest, datasets: Mapping[str, str], trials: Sequence[Trial]
) -> list[Trial]:
    """Put a trial that trains the ensemble before each group that would train the same one."""
    groups: dict[str, list[Trial]] = {}
    for trial in trials:
        groups.setdefault(_model_folder(trial), []).append(trial)
    if all(len(group) == 1 or group[0].spec.model for group in groups.values()):
        raise InputError(
            "--share-model: no two trials train the same ensemble; give a --grid over fields of "
            "the policy, or several of the --algorithms that have MOPO's, or leave it out."
        )
    models, others = [], []
    for folder, group in groups.items():
        if len(group) == 1 or group[0].spec.model:
            others += group
            continue
        first = group[0]
        point = {key: value for key, value in first.settings.items() if key in _OF_THE_MODEL}
        spec = _spec(request, datasets, first.task, first.spec.seed, point, first.spec.method)
        models.append(
            Trial(folder=folder, task=first.task, settings=point, spec=spec, model_only=True)
        )
        others += [dataclasses.replace(trial, model_folder=folder) for trial in group]
    order = {trial.folder: place for place, trial in enumerate(trials)}
    return models + sorted(others, key=lambda trial: order[trial.folder])


def _model_folder(trial: Trial) -> str:
    """Return the folder of the ensemble that a trial trains, or would if it shared none.

    The methods that differ from MOPO in the penalty alone train MOPO's ensemble.
    """
    if not isinstance(trial.spec.algorithm, MOPOConfig):
        return trial.folder
    point = {key: value for key, value in trial.settings.items() if key in _OF_THE_MODEL}
    fixed = set(type(trial.spec.algorithm).FIXED)
    method = trial.spec.method if fixed & set(_OF_THE_MODEL) else None
    name = method_folder(_task_folder(trial.task), method)
    return str(Path(name, _label(point), f"model_seed_{trial.spec.seed}"))


def _points(grid: Mapping[str, Sequence[str]]) -> Iterator[dict[str, str]]:
    for values in itertools.product(*grid.values()):
        yield dict(zip(grid, values, strict=True))


def _label(point: Mapping[str, str]) -> str:
    """Return the folder name of a grid point; empty without a grid."""
    return ",".join(f"{key}={value.replace(',', 'x')}" for key, value in point.items())


def _task_folder(task: str) -> str:
    return Path(task).stem if task.endswith(".json") else task


def _require_different_points(trials: Sequence[Trial], seeds: int, points: int) -> None:
    """Refuse a grid of which two points are one, written differently (1 and 1.0)."""
    first = [trial for trial in trials[: seeds * points] if trial.spec.seed == 0]
    for one, other in itertools.combinations(first, 2):
        if one.spec == other.spec:
            raise InputError(
                f"--grid: {_label(one.settings)} and {_label(other.settings)} are the same."
            )

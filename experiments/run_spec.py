"""What defines one run, and the parts that are made from it."""

import dataclasses
import importlib.metadata
import json
import math
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gymnasium

from mopo_tf2 import config_fields as configuration
from mopo_tf2.config import LoopConfig
from mopo_tf2.configs.d4rl import find_task
from mopo_tf2.configs.methods import DEFAULT_METHOD, convert_config, find_method
from mopo_tf2.data import catalog
from mopo_tf2.data.datasets import Dataset, load_dataset
from mopo_tf2.data.validation import validate
from mopo_tf2.dynamics.termination import find_termination_fn
from mopo_tf2.errors import InputError
from mopo_tf2.evaluation.environments import EnvironmentInfo, environment_info, make_environment
from mopo_tf2.types import TerminationFn

_VERSIONED = ("tensorflow", "keras", "numpy", "gymnasium", "mujoco", "tensorflow-probability")


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunSpec:
    """Everything that decides what a run computes.

    Attributes:
        name: the configuration's name.
        dataset: an id or a path, see ``mopo_tf2.data.datasets.load_dataset``.
        environment: a built-in task, or ``module:function``.
        termination: a domain, or ``module:function``.
        physics: "d4rl" or "gymnasium", of a built-in task.
        seed: of every random stream.
        algorithm: every coefficient.
        method: a name of ``mopo_tf2.configs.methods.METHODS``.
        model: a run folder whose ensemble is used instead of training one, or None.
    """

    name: str
    dataset: str
    environment: str
    termination: str
    physics: str
    seed: int
    algorithm: LoopConfig
    method: str = DEFAULT_METHOD
    model: str | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Overrides:
    """What the command line may change in a configuration; None leaves it as it is."""

    dataset: str | None = None
    environment: str | None = None
    termination: str | None = None
    physics: str | None = None
    seed: int | None = None
    method: str | None = None
    model: str | None = None
    settings: Mapping[str, str] = dataclasses.field(default_factory=dict)


def method_folder(name: str, method: str | None) -> str:
    """Return how the folder of a configuration's runs is called: with the method, if not MOPO."""
    return name if method in (None, DEFAULT_METHOD) else f"{name}-{method}"


def named_spec(name: str) -> RunSpec:
    """Return the run that a shipped configuration, a dataset id or a JSON file describes.

    Raises:
        InputError: if there is none, or the file is unfit.
    """
    if name.endswith(".json"):
        return read_spec(Path(name))
    task = find_task(name)
    return RunSpec(
        name=name,
        dataset=task.dataset_id,
        environment=task.domain,
        termination=task.domain,
        physics="d4rl",
        seed=0,
        algorithm=task.config(),
    )


def build_spec(name: str, overrides: Overrides) -> RunSpec:
    """Return the run ``name`` with ``overrides`` applied.

    Raises:
        InputError: if a name, a field or a value is unfit.

    Original: examples/development/__init__.py:get_variant_spec
    """
    return apply_overrides(named_spec(name), overrides)


def apply_overrides(spec: RunSpec, overrides: Overrides) -> RunSpec:
    """Return ``spec`` with everything that ``overrides`` names changed.

    Raises:
        InputError: if a field or a value is unfit.
    """
    changes = {
        field: getattr(overrides, field)
        for field in (
            *("dataset", "environment", "termination", "physics", "seed", "method", "model"),
        )
        if getattr(overrides, field) is not None
    }
    if overrides.seed is not None and not 0 <= overrides.seed < 2**32:
        raise InputError(f"--seed must lie in [0, 2**32), got {overrides.seed}.")
    algorithm = convert_config(spec.algorithm, overrides.method or spec.method)
    algorithm = configuration.replace(algorithm, overrides.settings)
    return dataclasses.replace(spec, **changes, algorithm=algorithm)


def read_spec(path: Path) -> RunSpec:
    """Read the ``config.json`` of a run, or a file of the same form.

    Raises:
        InputError: if it is missing, no JSON, or has unknown or missing fields.
    """
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise InputError(f"expected a configuration file {path}, found none.") from error
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read as JSON: {error}.") from error
    return spec_from_dict(values, path)


def spec_from_dict(values: Any, path: Path) -> RunSpec:
    """Return the run that ``values``, the content of a ``config.json``, describe.

    Args:
        values: as ``spec_to_dict`` gives them, or more (what a run recorded about itself).
        path: where they are from, for messages.

    Raises:
        InputError: if there are unknown or missing fields.
    """
    if not isinstance(values, dict) or not isinstance(values.get("algorithm"), dict):
        raise InputError(f"{path}: expected an object with the key 'algorithm'.")
    # What a run records about itself, beside what defines it.
    defining = {key: value for key, value in values.items() if key != "recorded"}
    method = defining.get("method", DEFAULT_METHOD)
    algorithm = configuration.from_dict(find_method(str(method)), defining.pop("algorithm"))
    defaults = {"name": path.stem, "physics": "d4rl", "seed": 0, "algorithm": algorithm}
    known = {field.name for field in dataclasses.fields(RunSpec)}
    unknown = sorted(set(defining) - known)
    if unknown:
        raise InputError(f"{path}: unknown key {unknown[0]!r}; known: {', '.join(sorted(known))}.")
    try:
        return RunSpec(**{**defaults, **defining})
    except TypeError as error:
        raise InputError(f"{path}: {error}.") from error


@dataclasses.dataclass(frozen=True, kw_only=True)
class Parts:
    """What a run is made of, checked against each other.

    Attributes:
        environments: one per evaluation episode.
        environment_info: what they are.
        termination_fn: of the model's rollouts.
        reference_scores: returns of a random and an expert policy; nan if unknown.
    """

    environments: list[gymnasium.Env[Any, Any]]
    environment_info: EnvironmentInfo
    termination_fn: TerminationFn
    reference_scores: tuple[float, float]


def make_parts(spec: RunSpec) -> Parts:
    """Make environments and termination function of a run.

    Raises:
        InputError: if one of them is unfit.

    Original: examples/development/main.py:ExperimentRunner._build
    """
    termination_fn = find_termination_fn(spec.termination)
    count = spec.algorithm.eval_n_episodes
    environments = [
        make_environment(spec.environment, physics=spec.physics) for _ in range(max(count, 1))
    ]
    info = environment_info(environments[0], spec.environment, physics=spec.physics)
    return Parts(
        environments=environments[:count],
        environment_info=info,
        termination_fn=termination_fn,
        reference_scores=reference_scores_of(spec),
    )


def reference_scores_of(spec: RunSpec) -> tuple[float, float]:
    """Return D4RL's reference returns of the run's task; nan for a task that D4RL has not."""
    try:
        return catalog.reference_scores(spec.environment)
    except InputError:
        return (math.nan, math.nan)


def load_data(spec: RunSpec, info: EnvironmentInfo) -> Dataset:
    """Load the run's dataset and check it against the task.

    Raises:
        InputError: if it cannot be had or is unfit.

    Warns:
        UserWarning: if actions lie outside [-1, 1], where the policy acts.
    """
    config = spec.algorithm
    dataset = load_dataset(
        spec.dataset,
        next_observations=config.next_observations,  # type: ignore[arg-type]
        obs_dim=info.obs_dim,
        act_dim=info.act_dim,
        max_size=config.pool_max_size,
    )
    if (
        dataset.task is not None
        and ":" not in spec.environment
        and dataset.task != spec.environment
    ):
        raise InputError(
            f"{spec.dataset} is data of {dataset.task}, the configuration {spec.name} is for "
            f"{spec.environment}: choose a configuration of {dataset.task}."
        )
    validate(
        dataset.transitions,
        source=spec.dataset,
        obs_dim=info.obs_dim,
        act_dim=info.act_dim,
        action_low=-1.0,
        action_high=1.0,
        min_rows=config.min_pool_size,
    )
    return dataset


def spec_to_dict(spec: RunSpec) -> dict[str, Any]:
    """Return a run as nested plain values that JSON can hold."""
    values = {
        field.name: getattr(spec, field.name)
        for field in dataclasses.fields(spec)
        if field.name != "algorithm"
    }
    return {**values, "algorithm": configuration.to_dict(spec.algorithm)}


def config_json(spec: RunSpec, info: EnvironmentInfo, dataset: Dataset) -> dict[str, Any]:
    """Return the content of ``config.json``: the run, and what it was made with."""
    return {
        **spec_to_dict(spec),
        "recorded": {
            "dataset": {
                "name": dataset.name,
                "sha256": dataset.sha256,
                "rows_in_file": dataset.rows_in_file,
                "transitions": len(dataset.transitions.rewards),
            },
            "environment": dataclasses.asdict(info),
            "versions": {
                "python": platform.python_version(),
                **{name: importlib.metadata.version(name) for name in _VERSIONED},
            },
        },
    }


def flat_parameters(spec: RunSpec, dataset: Dataset) -> dict[str, Any]:
    """Return the flat ``params.json`` by which viskit groups runs."""
    return {
        "config": spec.name,
        "dataset": dataset.name,
        "task": spec.environment,
        "termination": spec.termination,
        "physics": spec.physics,
        "seed": spec.seed,
        "method": spec.method,
        "model_from": spec.model or "none",
        **configuration.flatten(spec.algorithm),
    }

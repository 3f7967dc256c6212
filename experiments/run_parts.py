"""What a run is made from, checked against each other, and what it records of that."""

import dataclasses
import importlib.metadata
import math
import platform
from typing import Any

import gymnasium

from .run_spec import RunSpec, spec_to_dict
from mopo_tf2 import config_fields as configuration
from mopo_tf2.configs.own import NO_ENVIRONMENT
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
from mopo_tf2.types import TerminationFn

_VERSIONED = ("tensorflow", "keras", "numpy", "gymnasium", "mujoco", "tensorflow-probability")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Parts:
    """What a run is made of, checked against each other.

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
    """Make environments and termination function of a run.

    Raises:
        InputError: if one of them is unfit.

    Original: examples/development/main.py:ExperimentRunner._build
    """
    termination_fn = find_termination_fn(spec.termination)
    if spec.environment == NO_ENVIRONMENT:
        return Parts(
            environments=[],
            environment_info=None,
            termination_fn=termination_fn,
            reference_scores=reference_scores_of(spec),
        )
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


def load_data(spec: RunSpec, info: EnvironmentInfo | None) -> Dataset:
    """Load the run's dataset and check it against the task, if there is one.

    Raises:
        InputError: if it cannot be had or is unfit.

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
    elif (
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
        action_low=-1.0,
        action_high=1.0,
        min_rows=config.min_pool_size,
    )
    return dataset


def config_json(spec: RunSpec, info: EnvironmentInfo | None, dataset: Dataset) -> dict[str, Any]:
    """Return the content of ``config.json``: the run, and what it was made with."""
    columns, bounds = dataset.columns, dataset.action_bounds
    if info is None:
        sizes = (dataset.transitions.observations.shape[1], dataset.transitions.actions.shape[1])
        info = no_environment_info(*sizes, (bounds.low, bounds.high) if bounds else None)
    return {
        **spec_to_dict(spec),
        "recorded": {
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

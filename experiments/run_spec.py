"""What defines one run: from a name, a file and options."""

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mopo_tf2 import config_fields as configuration
from mopo_tf2.config import LoopConfig
from mopo_tf2.configs.d4rl import find_task
from mopo_tf2.configs.methods import DEFAULT_METHOD, convert_config, find_method
from mopo_tf2.configs.ood import OOD_TASKS
from mopo_tf2.configs.own import NO_ENVIRONMENT, OWN, own_config
from mopo_tf2.errors import InputError


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunSpec:
    """Everything that decides what a run computes.

    Attributes:
        name: the configuration's name.
        dataset: an id or a path, see ``mopo_tf2.data.datasets.load_dataset``.
        environment: a built-in task, ``module:function``, or "none".
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


NAMED_FIELDS = ("dataset", "environment", "termination", "physics", "seed", "method", "model")
"""Fields of ``RunSpec`` that have an option of their own, and that a resumed run must agree in."""


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
    if name == OWN:
        return RunSpec(
            name=OWN,
            dataset="",
            environment=NO_ENVIRONMENT,
            termination="never",
            physics=NO_ENVIRONMENT,
            seed=0,
            algorithm=own_config(),
        )
    task = find_task(name)
    return RunSpec(
        name=name,
        dataset=task.dataset_id,
        environment=task.environment,
        termination=task.domain,
        physics="d4rl",
        seed=0,
        algorithm=task.config(),
    )


def build_spec(name: str, overrides: Overrides) -> RunSpec:
    """Return the run ``name`` with ``overrides`` applied.

    Raises:
        InputError: if a name, a field or a value is unfit, or there are no data.

    Original: examples/development/__init__.py:get_variant_spec
    """
    spec = apply_overrides(named_spec(name), overrides)
    if not spec.dataset:
        task = OOD_TASKS.get(name.replace("-", "_"))
        how = f": {task.recipe}" if task else ""
        raise InputError(f"{name} has no data of its own: name yours with --dataset FILE{how}.")
    return spec


def apply_overrides(spec: RunSpec, overrides: Overrides) -> RunSpec:
    """Return ``spec`` with everything that ``overrides`` names changed.

    Raises:
        InputError: if a field or a value is unfit.
    """
    changes = {
        field: getattr(overrides, field)
        for field in NAMED_FIELDS
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


def spec_to_dict(spec: RunSpec) -> dict[str, Any]:
    """Return a run as nested plain values that JSON can hold."""
    values = {
        field.name: getattr(spec, field.name)
        for field in dataclasses.fields(spec)
        if field.name != "algorithm"
    }
    return {**values, "algorithm": configuration.to_dict(spec.algorithm)}

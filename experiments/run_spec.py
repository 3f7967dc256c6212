"""What a run is: from a configuration's name, a file and the options of the command line."""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mopo_tf2 import config_fields
from mopo_tf2.config import LoopConfig
from mopo_tf2.config_fields import require
from mopo_tf2.config_values import convert
from mopo_tf2.configs.d4rl import find_task
from mopo_tf2.configs.methods import DEFAULT_METHOD, METHODS, convert_config, find_method
from mopo_tf2.configs.ood import OOD_TASKS
from mopo_tf2.configs.own import NEVER, NO_ENVIRONMENT, OWN, own_config
from mopo_tf2.errors import InputError

CODE_FIELDS = ("environment", "termination")
"""Fields that may be a module:function."""
MAY_CHANGE = ("n_epochs", "checkpoint_frequency")
"""Fields in which a resumed run may differ from the run that it continues."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunSpec:
    """Everything that decides what a run computes."""

    name: str  # Of the configuration.
    dataset: str  # An id or a path, see ``mopo_tf2.data.datasets.load_dataset``.
    environment: str  # A built-in task, Gymnasium's id, ``module:function``, or "none".
    termination: str  # A domain, or ``module:function``.
    physics: str = "d4rl"  # Or "gymnasium".
    seed: int = 0  # Of every random stream.
    algorithm: LoopConfig  # Every coefficient.
    method: str = DEFAULT_METHOD
    model: str | None = None  # A run folder whose ensemble is used instead of training one.

    def __post_init__(self) -> None:
        require(0 <= self.seed < 2**32, f"seed must lie in [0, 2**32), got {self.seed}.")

    @property
    def has_simulator(self) -> bool:
        """Whether the policy can be evaluated in an environment."""
        return self.environment != NO_ENVIRONMENT

    @property
    def folder_name(self) -> str:
        """How the folder of such runs is called: the configuration, and the method if not MOPO."""
        name = Path(self.name).stem if self.name.endswith(".json") else self.name
        return name if self.method == DEFAULT_METHOD else f"{name}-{self.method}"


def build_spec(
    name: str, changes: Mapping[str, Any] | None = None, settings: Mapping[str, str] | None = None
) -> RunSpec:
    """Return the run that a configuration's name describes, with changes applied.

    Data that name their environment (Minari's) are evaluated in it, with its physics, where neither
    ``changes`` nor a file say otherwise.

    Args:
        name: a shipped configuration, a dataset id, "own", or a file of the form of config.json.
        changes: fields of ``RunSpec`` by name; None leaves a field as it is.
        settings: fields of the algorithm's configuration by flat name, as text.

    Raises:
        InputError: if a name, a field or a value is invalid, no dataset is named, or the data name
            an environment that is not to be made, or is not that of the configuration.

    Original: examples/development/__init__.py:get_variant_spec
    """
    spec = changed_spec(named_spec(name), changes or {}, settings or {})
    task = OOD_TASKS.get(name.replace("-", "_"))
    how = f": {task.recipe}" if task else ""
    own = f"{name} has no dataset of its own: name one with --dataset FILE{how}."
    require(spec.dataset != "", own)
    return spec if name.endswith(".json") else _following_data(spec, changes or {}, settings or {})


def _following_data(
    spec: RunSpec, changes: Mapping[str, Any], settings: Mapping[str, str]
) -> RunSpec:
    """Return ``spec`` evaluated as its data say, but for what the user says (D-155)."""
    from mopo_tf2.data import minari
    from mopo_tf2.evaluation.environments import TASKS, task_of_data
    from mopo_tf2.evaluation.gymnasium_tasks import is_gymnasium_task, robot_of

    asked, physics = changes.get("environment"), changes.get("physics")
    if is_gymnasium_task(spec.environment):
        require(physics != "d4rl", f"{spec.environment} has Gymnasium's physics: leave --physics.")
        return dataclasses.replace(spec, physics="gymnasium")
    if not spec.dataset.startswith(minari.PREFIX) or asked not in (None, *TASKS):
        return spec
    named = minari.read_environment(spec.dataset.removeprefix(minari.PREFIX))
    if named is None:
        return spec
    decided = asked is not None or (physics is not None and spec.has_simulator)
    try:
        task, own_physics = task_of_data(named)
    except InputError as error:
        if decided:
            return spec
        raise InputError(
            f"{spec.dataset} names an environment that no dataset may have made: "
            f"{str(error).rstrip('.')}; name one with --environment (your own as module:function)."
        ) from error
    if decided:
        follows = physics is None and task == asked
        return dataclasses.replace(spec, physics=own_physics) if follows else spec
    if spec.has_simulator:
        require(
            spec.environment in (task, robot_of(task)),
            f"{spec.dataset} is data of {task}, the configuration {spec.name} is for "
            f"{spec.environment}: choose a configuration of {task}, or {OWN}.",
        )
        return dataclasses.replace(spec, environment=task, physics=own_physics)
    require(
        physics in (None, own_physics) or task in TASKS,
        f"{task} has Gymnasium's physics: leave --physics.",
    )
    found: dict[str, Any] = {"environment": task, "physics": physics or own_physics}
    # Arguments may change when an episode ends.
    if changes.get("termination") is None and not task.endswith(")"):
        found["termination"] = _termination_of(robot_of(task), spec.termination)
    longest = named.max_episode_steps
    return dataclasses.replace(spec, **found, algorithm=_simulated(spec, longest, settings))


def _termination_of(robot: str, otherwise: str) -> str:
    from mopo_tf2.dynamics.termination import TERMINATION_FUNCTIONS

    return robot if robot in TERMINATION_FUNCTIONS else otherwise


def _simulated(spec: RunSpec, longest: int | None, settings: Mapping[str, str]) -> LoopConfig:
    """Return the coefficients for evaluation in a simulator with episodes of ``longest`` steps."""
    values = {"eval_n_episodes": LoopConfig.eval_n_episodes, "max_path_length": longest}
    given = settings_of_methods(settings, [spec.method])[spec.method]
    own = {k: str(v) for k, v in values.items() if v is not None and k not in given}
    return config_fields.replace(spec.algorithm, own)


def named_spec(name: str) -> RunSpec:
    """Return the run that a name describes, unchanged; its dataset may be "" (see ``build_spec``).

    InputError if there is no such configuration, dataset id or file.
    """
    if name.endswith(".json"):
        return read_spec(Path(name))
    if name == OWN:
        return RunSpec(
            name=OWN,
            dataset="",
            environment=NO_ENVIRONMENT,
            termination=NEVER,
            physics=NO_ENVIRONMENT,
            algorithm=own_config(),
        )
    task = find_task(name)
    return RunSpec(
        name=name,
        dataset=task.dataset_id,
        environment=task.environment,
        termination=task.domain,
        algorithm=task.config(),
    )


def changed_spec(spec: RunSpec, changes: Mapping[str, Any], settings: Mapping[str, str]) -> RunSpec:
    """Return ``spec`` with ``changes`` and ``settings`` applied; see ``build_spec``.

    InputError also if ``spec`` has code of its own that ``changes`` do not name.
    """
    given = {name: value for name, value in changes.items() if value is not None}
    method = given.get("method", spec.method)
    own = settings_of_methods(settings, [method])[method]
    algorithm = config_fields.replace(convert_config(spec.algorithm, method), own)
    changed = dataclasses.replace(spec, **given, algorithm=algorithm)
    code = {name: getattr(changed, name) for name in CODE_FIELDS}
    require_named(code, given, f"the configuration {spec.name}")
    return changed


def require_named(
    fields: Mapping[str, str], named: Mapping[str, str | None], source: object
) -> None:
    """Refuse code of a run's own that the user has not named: a folder of somebody else is data.

    Args:
        fields: values of ``CODE_FIELDS``.
        named: what the user gave for them on the command line.
        source: the folder or file, for the message.

    Raises:
        InputError: if a value is a module:function that was not given.
    """
    for name, value in fields.items():
        require(
            ":" not in value or named.get(name) == value,
            f"{source} names {value} as its {name}, and that code would be run: if you trust it, "
            f"add --{name} {value}.",
        )


def settings_of_methods(
    settings: Mapping[str, str], methods: Sequence[str]
) -> dict[str, dict[str, str]]:
    """Return the settings, values by key as text, that concern each method.

    A key ``METHOD.FIELD`` sets the field of that method. A plain key sets the field of every
    method that has it. InputError if a key concerns no method; it names the nearest field.
    """
    fields = {method: set(config_fields.field_names(find_method(method))) for method in methods}
    chosen: dict[str, dict[str, str]] = {method: {} for method in methods}
    for key, value in settings.items():
        method, dot, field = key.rpartition(".")
        if dot and method not in methods:
            trained = f"this run trains {', '.join(methods)}" if method in METHODS else "no method"
            raise InputError(f"{key}: '{method}' is not trained here; {trained}.")
        having = [name for name in methods if field in fields[name]]
        # What a method fixes is not a setting of it; if all of them do, their error says so.
        free = [name for name in having if field not in find_method(name).FIXED]
        owners = [method] if dot else free or having
        if not owners or field not in fields[owners[0]]:
            known = fields[method] if dot else set().union(*fields.values())
            owner = f"the configuration of {method}" if dot else "the configuration"
            raise config_fields.unknown_field(owner, field, sorted(known))
        for name in owners:
            # A key that names the method counts more than a plain one, whatever their order.
            if dot or f"{name}.{field}" not in settings:
                chosen[name][field] = value
    return chosen


def require_same(saved: RunSpec, wanted: RunSpec, where: Path) -> None:
    """Raise InputError if the run ``saved`` in ``where`` cannot be resumed as ``wanted``."""
    before, now = (
        {**spec_to_dict(spec), "algorithm": None, **config_fields.flatten(spec.algorithm)}
        for spec in (saved, wanted)
    )
    for name in before:
        require(
            name in MAY_CHANGE or before[name] == now.get(name),
            f"{where} is a run with {name} = {before[name]}, not {now.get(name)}: choose another "
            f"--out (a resumed run may change {' and '.join(MAY_CHANGE)}).",
        )


def read_spec(path: Path) -> RunSpec:
    """Read the ``config.json`` of a run, or a file of the same form; see ``spec_from_dict``."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise InputError(f"expected a configuration file {path}, found none.") from error
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read as JSON: {error}.") from error
    return spec_from_dict(values, path)


def spec_from_dict(values: Any, path: Path) -> RunSpec:
    """Return the run that ``values``, the content of the file ``path``, describe.

    What a run recorded about itself is ignored. InputError if fields are unknown, missing or
    invalid.
    """
    whole = isinstance(values, dict) and isinstance(values.get("algorithm"), dict)
    require(whole, f"{path}: expected an object with the key 'algorithm'.")
    kinds = {field.name: field.type for field in dataclasses.fields(RunSpec)}
    given = {"name": path.stem, **values}
    given.pop("recorded", None)
    known = ", ".join(sorted(kinds))
    for name in sorted(given):
        require(name in kinds, f"{path}: unknown key {name!r}; known: {known}.")
    for name in ("dataset", "environment", "termination"):
        require(name in given, f"{path}: missing key {name!r}; known: {known}.")
    algorithm = given.pop("algorithm")
    try:
        plain = {name: convert(name, value, kinds[name]) for name, value in given.items()}
        method = find_method(plain.get("method", DEFAULT_METHOD))
        return RunSpec(**plain, algorithm=config_fields.from_dict(method, algorithm))
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def spec_to_dict(spec: RunSpec) -> dict[str, Any]:
    """Return a run as nested plain values that JSON can hold."""
    return {**vars(spec), "algorithm": config_fields.to_dict(spec.algorithm)}

"""Configurations: frozen, validated, closed. Field names are the original's where it has one."""

import dataclasses
import difflib
import json
import math
import typing
from collections.abc import Mapping
from typing import Any, TypeVar

from mopo_tf2.config_values import convert
from mopo_tf2.errors import InputError

T = TypeVar("T")


class UnknownFieldError(InputError, TypeError):
    """A configuration was given a field that it does not have."""


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise InputError(message)


def _require_positive(config: Any, *names: str) -> None:
    for name in names:
        value = getattr(config, name)
        _require(value is None or value > 0, f"{name} must be positive, got {value}.")


@dataclasses.dataclass(frozen=True, kw_only=True)
class EnsembleConfig:
    """The dynamics ensemble and its training.

    Original: mopo/models/constructor.py:construct_model; mopo/models/bnn.py:BNN.train
    """

    num_networks: int = 7
    """E, members of the ensemble."""
    num_elites: int = 5
    """Members with the lowest hold-out loss, from which rollouts sample."""
    hidden_dim: int = 200
    """Units of each hidden layer."""
    num_hidden_layers: int = 4
    """Hidden layers of the trunk."""
    separate_mean_var: bool = True
    """Mean and variance in heads of their own on the last hidden layer (Q-01); else one head."""
    deterministic: bool = False
    """Train on the squared error alone (Q-12) and average the members in rollouts (Q-24)."""
    weight_decays: tuple[float, ...] = (2.5e-5, 5e-5, 7.5e-5, 7.5e-5, 1e-4)
    """c of c * sum(w^2) / 2 per layer, the last for the heads (Q-03)."""
    model_lr: float = 1e-3
    """Adam's learning rate."""
    model_batch_size: int = 256
    """Rows per member and gradient step."""
    model_holdout_ratio: float = 0.2
    """Share of rows held out for early stopping and for the choice of elites (Q-06)."""
    model_max_holdout: int = 1000
    """Upper bound on the held-out rows (Q-06)."""
    model_max_epochs: int | None = None
    """Stop after this many epochs at the latest; None: only by early stopping."""
    model_max_epochs_since_update: int = 5
    """Early stopping: stop once more epochs than this passed without an improvement (Q-09)."""
    model_loaded_max_epochs: int = 0
    """Further epochs for a model that is loaded instead of trained; the original's 1 (D-14)."""
    max_model_t: float | None = None
    """Stop the training after this many seconds, at the end of an epoch; None: never."""
    model_steps_per_call: int = 32
    """Gradient steps per compiled call: speed only, no effect on the numbers."""

    def __post_init__(self) -> None:
        _require_positive(self, "num_networks", "hidden_dim", "num_hidden_layers", "model_lr")
        _require_positive(self, "model_batch_size", "model_max_epochs", "max_model_t")
        _require_positive(self, "model_max_holdout", "model_steps_per_call")
        _require(
            1 <= self.num_elites <= self.num_networks,
            f"num_elites must lie in [1, num_networks = {self.num_networks}], "
            f"got {self.num_elites}.",
        )
        _require(
            len(self.weight_decays) == self.num_hidden_layers + 1,
            f"weight_decays must have num_hidden_layers + 1 = {self.num_hidden_layers + 1} "
            f"entries, got {len(self.weight_decays)}.",
        )
        _require(
            0.0 <= self.model_holdout_ratio < 1.0,
            f"model_holdout_ratio must lie in [0, 1), got {self.model_holdout_ratio}.",
        )
        _require(
            self.model_max_epochs_since_update >= 0,
            f"model_max_epochs_since_update must not be negative, "
            f"got {self.model_max_epochs_since_update}.",
        )
        _require(
            self.model_loaded_max_epochs >= 0,
            f"model_loaded_max_epochs must not be negative, got {self.model_loaded_max_epochs}.",
        )
        # D-11: the original loops forever here (or fails with a KeyError, Q-11).
        _require(
            self.model_holdout_ratio > 0.0 or self.model_max_epochs is not None,
            "model_holdout_ratio = 0 leaves no rows for early stopping: "
            "set model_max_epochs, or a model_holdout_ratio above 0.",
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class SACConfig:
    """Soft actor-critic. Original: mopo/algorithms/mopo.py:MOPO.__init__."""

    hidden_layer_sizes: tuple[int, ...] = (256, 256)
    """Hidden units of the policy and of each critic."""
    lr: float = 3e-4
    """Adam's learning rate, for policy, critics and temperature."""
    batch_size: int = 256
    """Rows of one gradient step."""
    discount: float = 0.99
    """gamma, per simulator step."""
    tau: float = 5e-3
    """Share of the critics that moves into the target critics."""
    target_update_interval: int = 1
    """Gradient steps between two moves of the target critics."""
    target_entropy: float | str = -3.0
    """H, nats: -3 on every shipped task (Q-43); 'auto' is minus the action size."""
    reward_scale: float = 1.0
    """Factor on the rewards in the critics' target."""
    updates_per_call: int = 100
    """Gradient steps per compiled call: speed only, no effect on the numbers."""

    def __post_init__(self) -> None:
        _require_positive(self, "lr", "batch_size", "target_update_interval", "updates_per_call")
        for name in ("discount", "tau"):
            value = getattr(self, name)
            _require(0.0 <= value <= 1.0, f"{name} must lie in [0, 1], got {value}.")
        _require(
            bool(self.hidden_layer_sizes) and min(self.hidden_layer_sizes) > 0,
            f"hidden_layer_sizes must be positive numbers, got {self.hidden_layer_sizes}.",
        )
        _require(
            not isinstance(self.target_entropy, str) or self.target_entropy == "auto",
            f"target_entropy must be a number or 'auto', got {self.target_entropy!r}.",
        )

    def entropy_target(self, act_dim: int) -> float:
        """Return H in nats for actions of size ``act_dim``."""
        if isinstance(self.target_entropy, str):
            return -float(act_dim)
        return self.target_entropy


@dataclasses.dataclass(frozen=True, kw_only=True)
class MOPOConfig:
    """MOPO: model, rollouts, policy, loop. Values that differ per task have no default.

    D-33: fields of the original that have no effect offline are left out (Q-81).

    Original: mopo/algorithms/mopo.py:MOPO.__init__; examples/development/base.py:get_variant_spec
    """

    rollout_length: int
    """h, model steps per branched rollout."""
    penalty_coeff: float
    """lambda, reward units per unit of u(s, a); 0 for no penalty."""
    penalty_learned_var: bool = True
    """u is the largest learned std of the members (Q-20); else their disagreement (Q-21)."""
    rollout_batch_size: int = 50_000
    """Rollouts started at a time."""
    rollout_chunk_size: int = 2_500
    """Rows per compiled call in rollouts: speed and memory only, no effect on the draws."""
    real_ratio: float = 0.05
    """Share of each SAC batch that comes from the dataset (Q-45)."""
    epoch_length: int = 1000
    """Timesteps of one epoch."""
    n_epochs: int = 1000
    """Epochs of policy training (Q-80)."""
    train_every_n_steps: int = 1
    """Timesteps between two rounds of SAC updates."""
    n_train_repeat: int = 1
    """SAC updates per round."""
    model_train_freq: int = 1000
    """Timesteps between two rounds of model rollouts."""
    model_retain_epochs: int = 5
    """Epochs of rollouts that the model pool holds (Q-26)."""
    eval_n_episodes: int = 10
    """Evaluation episodes per epoch; 0 for none."""
    eval_deterministic: bool = True
    """Evaluate tanh(mean); else sample."""
    max_path_length: int = 1000
    """Longest evaluation episode, in steps (Q-85)."""
    min_pool_size: int = 1000
    """Refuse datasets with fewer rows (Q-88)."""
    pool_max_size: int | None = 1_000_000
    """Keep the LAST rows of a larger dataset (Q-60); None keeps all."""
    next_observations: str = "shift"
    """'shift': the next row's, on terminal rows too (Q-61); 'drop': leave terminal rows out;
    'file': the file's own next_observations."""
    checkpoint_frequency: int = 20
    """Epochs between two checkpoints."""
    ensemble: EnsembleConfig = dataclasses.field(default_factory=EnsembleConfig)
    """The dynamics ensemble."""
    sac: SACConfig = dataclasses.field(default_factory=SACConfig)
    """The policy optimiser."""

    def __post_init__(self) -> None:
        _require_positive(self, "rollout_length", "rollout_batch_size", "rollout_chunk_size")
        _require_positive(self, "epoch_length", "n_epochs", "train_every_n_steps", "n_train_repeat")
        _require_positive(self, "model_train_freq", "model_retain_epochs", "max_path_length")
        _require_positive(self, "min_pool_size", "pool_max_size", "checkpoint_frequency")
        _require(
            0.0 <= self.real_ratio <= 1.0, f"real_ratio must lie in [0, 1], got {self.real_ratio}."
        )
        _require(
            math.isfinite(self.penalty_coeff) and self.penalty_coeff >= 0.0,
            f"penalty_coeff must be finite and not negative, got {self.penalty_coeff}.",
        )
        _require(
            self.eval_n_episodes >= 0,
            f"eval_n_episodes must not be negative, got {self.eval_n_episodes}.",
        )
        _require(
            self.model_pool_capacity > 0,
            f"the model pool would hold no rows: raise epoch_length ({self.epoch_length}) or "
            f"rollout_batch_size ({self.rollout_batch_size}), "
            f"or lower model_train_freq ({self.model_train_freq}).",
        )
        choices = ("shift", "drop", "file")
        _require(
            self.next_observations in choices,
            f"next_observations must be one of {', '.join(choices)}, "
            f"got {self.next_observations!r}.",
        )

    @property
    def model_pool_capacity(self) -> int:
        """Rows of the model pool.

        Original: mopo/algorithms/mopo.py:MOPO._reallocate_model_pool
        """
        rollouts_per_epoch = self.rollout_batch_size * self.epoch_length / self.model_train_freq
        return self.model_retain_epochs * int(self.rollout_length * rollouts_per_epoch)


def to_dict(config: Any) -> dict[str, Any]:
    """Return a configuration as nested plain values that JSON can hold."""
    return typing.cast(dict[str, Any], json.loads(json.dumps(dataclasses.asdict(config))))


def from_dict(cls: type[T], values: Mapping[str, Any]) -> T:
    """Build ``cls`` from nested plain values, as ``to_dict`` gives them.

    Raises:
        UnknownFieldError: if a key is not a field; names the nearest one (D-32: the original
            swallows unknown keys, Q-82).
        InputError: if a value has the wrong type or is out of range, or a field is missing.
    """
    fields = {field.name: field for field in dataclasses.fields(cls)}  # type: ignore[arg-type]
    hints = typing.get_type_hints(cls)
    arguments: dict[str, Any] = {}
    for name, value in values.items():
        if name not in fields:
            raise UnknownFieldError(_unknown_field(cls.__name__, name, list(fields)))
        hint = hints[name]
        if dataclasses.is_dataclass(hint):
            if not isinstance(value, Mapping):
                raise InputError(f"{name} expects fields with values, got {value!r}.")
            arguments[name] = from_dict(typing.cast(type[Any], hint), value)
        else:
            arguments[name] = convert(name, value, hint)
    missing = [
        field.name
        for field in fields.values()
        if field.name not in arguments
        and field.default is dataclasses.MISSING
        and field.default_factory is dataclasses.MISSING
    ]
    if missing:
        raise InputError(f"{cls.__name__} needs a value for {', '.join(missing)}.")
    return cls(**arguments)


def _unknown_field(owner: str, name: str, known: list[str]) -> str:
    nearest = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    hint = f" Did you mean '{nearest[0]}'?" if nearest else f" Its fields: {', '.join(known)}."
    return f"{owner} has no field '{name}'.{hint}"


def flatten(config: MOPOConfig) -> dict[str, Any]:
    """Return every field of ``config`` and of its parts in one flat dict; names are unique."""
    values = to_dict(config)
    return {
        **{name: value for name, value in values.items() if not isinstance(value, dict)},
        **values["ensemble"],
        **values["sac"],
    }


def replace(config: MOPOConfig, settings: Mapping[str, Any]) -> MOPOConfig:
    """Return ``config`` with the flat ``settings`` applied; strings are parsed by field type.

    Raises:
        UnknownFieldError: if no part of the configuration has such a field.
        InputError: if a value does not fit its field.
    """
    values = to_dict(config)
    parts = {"ensemble": EnsembleConfig, "sac": SACConfig}
    owners = {f.name: "" for f in dataclasses.fields(MOPOConfig) if f.name not in parts}
    for part, cls in parts.items():
        owners.update({field.name: part for field in dataclasses.fields(cls)})
    for name, value in settings.items():
        if name not in owners:
            raise UnknownFieldError(_unknown_field("the configuration", name, list(owners)))
        (values[owners[name]] if owners[name] else values)[name] = value
    return from_dict(MOPOConfig, values)


def parse_settings(settings: list[str]) -> dict[str, str]:
    """Split 'KEY=VALUE' strings.

    Raises:
        InputError: if one has no '=' or no key, or a key comes twice.
    """
    parsed: dict[str, str] = {}
    for setting in settings:
        name, separator, value = setting.partition("=")
        name = name.strip()
        if not separator or not name:
            raise InputError(f"--set expects KEY=VALUE, got '{setting}'.")
        if name in parsed:
            raise InputError(f"--set gives {name} twice; give each field once.")
        parsed[name] = value.strip()
    return parsed

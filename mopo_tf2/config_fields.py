"""Validated configuration classes: conversion to and from plain values, changes by flat name."""

import dataclasses
import difflib
import json
import typing
from collections.abc import Mapping
from typing import Any, TypeVar

from mopo_tf2.config_values import convert
from mopo_tf2.errors import InputError

T = TypeVar("T")


class UnknownFieldError(InputError, TypeError):
    """A configuration was given a field that it does not have."""


def require(condition: bool, message: str) -> None:
    """Raise InputError with ``message`` unless ``condition`` holds."""
    if not condition:
        raise InputError(message)


def require_positive(config: Any, *names: str) -> None:
    """Raise InputError for the first field of ``names`` that is neither None nor positive."""
    for name in names:
        value = getattr(config, name)
        require(value is None or value > 0, f"{name} must be positive, got {value}.")


def require_within(config: Any, low: float, high: float, *names: str) -> None:
    """Raise InputError for the first field of ``names`` outside [low, high]."""
    for name in names:
        value = getattr(config, name)
        require(low <= value <= high, f"{name} must lie in [{low:g}, {high:g}], got {value}.")


def parts(cls: type[Any]) -> dict[str, type[Any]]:
    """Return the fields of the configuration class ``cls`` that are configurations themselves."""
    hints = typing.get_type_hints(cls)
    names = [field.name for field in dataclasses.fields(cls)]
    return {name: hints[name] for name in names if dataclasses.is_dataclass(hints[name])}


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
            raise unknown_field(cls.__name__, name, list(fields))
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


def unknown_field(owner: str, name: str, known: list[str]) -> UnknownFieldError:
    """Return the error of a field that ``owner`` does not have; it names the nearest one."""
    nearest = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    hint = f" Did you mean '{nearest[0]}'?" if nearest else f" Its fields: {', '.join(known)}."
    return UnknownFieldError(f"{owner} has no field '{name}'.{hint}")


def flatten(config: Any) -> dict[str, Any]:
    """Return every field of ``config`` and of its parts in one flat dict; names are unique."""
    nested = parts(type(config))
    values = to_dict(config)
    flat = {name: value for name, value in values.items() if name not in nested}
    for part in nested:
        flat.update(values[part])
    return flat


def field_names(cls: type[Any]) -> dict[str, str]:
    """Return the part that each field of ``cls`` belongs to, by its flat name; "" for none."""
    nested = parts(cls)
    owners = {field.name: "" for field in dataclasses.fields(cls) if field.name not in nested}
    for part, part_cls in nested.items():
        owners.update({field.name: part for field in dataclasses.fields(part_cls)})
    return owners


def replace(config: T, settings: Mapping[str, Any]) -> T:
    """Return ``config`` with the flat ``settings`` applied; strings are parsed by field type.

    Raises:
        UnknownFieldError: if no part of the configuration has such a field.
        InputError: if a value does not fit its field.
    """
    cls, values = type(config), to_dict(config)
    owners = field_names(cls)
    for name, value in settings.items():
        if name not in owners:
            raise unknown_field("the configuration", name, list(owners))
        (values[owners[name]] if owners[name] else values)[name] = value
    return from_dict(cls, values)


def parse_settings(settings: list[str]) -> dict[str, str]:
    """Split 'KEY=VALUE' strings.

    Raises:
        InputError: if one has no '=' or no key, or a key is given twice.
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

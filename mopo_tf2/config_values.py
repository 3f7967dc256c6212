"""Conversion of field values from files and command lines."""

import math
import typing
from typing import Any

from mopo_tf2.errors import InputError


def convert(name: str, value: Any, hint: Any) -> Any:
    """Return ``value`` converted to the type of the field ``name``; text may be written freely.

    Args:
        name: of the field, for messages.
        value: plain value or text.
        hint: the field's type: bool, int, float, str, a tuple of one of them, or one of these or
            None.

    Raises:
        InputError: if it cannot be converted.
    """
    options = typing.get_args(hint) if typing.get_origin(hint) is not tuple else ()
    kinds = [kind for kind in options if kind is not type(None)] or [hint]
    is_none = value is None or (isinstance(value, str) and value.lower() in ("none", "null"))
    if is_none and type(None) in options:
        return None
    for kind in kinds:
        try:
            return _convert_to(kind, value)
        except (ValueError, TypeError, OverflowError):
            continue
    expected = " or ".join(_kind_name(kind) for kind in kinds)
    optional = " or none" if type(None) in options else ""
    raise InputError(f"{name} expects {expected}{optional}, got {value!r}.")


def _kind_name(kind: Any) -> str:
    if typing.get_origin(kind) is tuple:
        return f"numbers ({_kind_name(typing.get_args(kind)[0])}) separated by commas"
    names = {bool: "true or false", int: "a whole number", float: "a number", str: "text"}
    return names[kind]


def _convert_to(kind: Any, value: Any) -> Any:
    """Return ``value`` as ``kind``. Raises ValueError or TypeError if it is not one."""
    if typing.get_origin(kind) is tuple:
        if isinstance(value, str):
            value = [item for item in value.strip("()[] ").split(",") if item.strip()]
        return tuple(_convert_to(typing.get_args(kind)[0], item) for item in value)
    if kind is bool:
        return _to_bool(value)
    if isinstance(value, bool):
        raise TypeError(f"invalid value {value!r}")
    if kind is int:
        return _to_int(value)
    if kind is float:
        number = float(value)
        if not math.isfinite(number):
            raise ValueError(f"invalid value {value!r}")
        return number
    if not isinstance(value, str):
        raise TypeError(f"invalid value {value!r}")
    return value


def _to_bool(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    words = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
    if not isinstance(value, str) or value.lower() not in words:
        raise ValueError(f"invalid value {value!r}")
    return words[value.lower()]


def _to_int(value: Any) -> int:
    try:
        return int(value) if isinstance(value, int | str) else _to_int(str(value))
    except ValueError:
        number = float(value)  # the original writes 5e4 for a whole number
        if not number.is_integer():
            raise
        return int(number)

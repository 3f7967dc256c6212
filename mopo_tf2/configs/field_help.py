"""The configurations' fields as help text, from the dataclasses themselves."""

import ast
import dataclasses
import inspect
import itertools
import textwrap
from collections.abc import Collection
from typing import Any

from mopo_tf2.config import LoopConfig, OfflineSACConfig
from mopo_tf2.config_fields import parts
from mopo_tf2.configs.methods import METHODS


def field_docs(cls: type[Any]) -> dict[str, str]:
    """Return the string below each field of ``cls``, inherited ones too, on one line by name."""
    docs: dict[str, str] = {}
    for ancestor in reversed(cls.__mro__):
        if dataclasses.is_dataclass(ancestor):
            docs.update(_own_docs(ancestor))
    return docs


def _own_docs(cls: type[Any]) -> dict[str, str]:
    tree = ast.parse(textwrap.dedent(inspect.getsource(cls)))
    body = tree.body[0].body  # type: ignore[attr-defined]
    names = {field.name for field in dataclasses.fields(cls)}
    docs = {}
    for node, following in itertools.pairwise(body):
        if isinstance(node, ast.AnnAssign) and isinstance(following, ast.Expr):
            name, text = ast.unparse(node.target), following.value.value  # type: ignore[attr-defined]
            if name in names:
                docs[name] = " ".join(text.split())
    return docs


def field_help() -> str:
    """Return one paragraph per method: its fields, their defaults and meanings.

    A field is described once, at the first method that has it, and again where another method gives
    it another meaning or default. What a method's definition fixes is named as such.
    """
    lines = ["fields for --set, with their defaults:"]
    said: set[str] = set()
    titled: list[tuple[str, type[LoopConfig]]] = [
        ("every method", LoopConfig),
        ("methods that end in SAC", OfflineSACConfig),
        *((f"--algorithm {name}", cls) for name, cls in METHODS.items()),
    ]
    for title, cls in titled:
        paragraph = [line for part in ("", *parts(cls)) for line in _new_fields(cls, part, said)]
        fixed = ", ".join(f"{name} = {value}" for name, value in cls.FIXED.items())
        if fixed:
            paragraph.insert(0, f"  by definition: {fixed}")
        if paragraph:
            lines += [f"\n {title}", *paragraph]
    return "\n".join(lines)


def class_help(cls: type[Any], leave_out: Collection[str] = ()) -> str:
    """Return the fields of one configuration class and of its parts, but those of ``leave_out``."""
    lines = []
    for owner in (cls, *parts(cls).values()):
        docs = field_docs(owner)
        for field in dataclasses.fields(owner):
            if field.name not in parts(owner) and field.name not in leave_out:
                lines += _field_lines(field, docs[field.name])
    return "\n".join(lines)


def _field_text(field: "dataclasses.Field[object]", doc: str) -> str:
    return f"{field.name} = {_default(field)}: {doc}"


def _field_lines(field: "dataclasses.Field[object]", doc: str) -> list[str]:
    text = _field_text(field, doc)
    return textwrap.wrap(text, 98, initial_indent="  ", subsequent_indent="      ")


def _new_fields(cls: type[LoopConfig], part: str, said: set[str]) -> list[str]:
    """Describe the fields of ``cls``, or of its part ``part``, that were not said yet."""
    owner = parts(cls)[part] if part else cls
    docs, lines = field_docs(owner), []
    for field in dataclasses.fields(owner):
        if field.name in parts(owner) or field.name in cls.FIXED:
            continue
        text = _field_text(field, docs[field.name])
        if text not in said:
            said.add(text)
            lines += _field_lines(field, docs[field.name])
    return lines


def _default(field: "dataclasses.Field[object]") -> str:
    if field.default is dataclasses.MISSING:
        return "(per task)"
    if isinstance(field.default, tuple):
        return ",".join(str(value) for value in field.default)
    return "none" if field.default is None else str(field.default)

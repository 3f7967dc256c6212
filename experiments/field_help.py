"""The configuration's fields as help text, from the dataclasses themselves."""

import ast
import dataclasses
import inspect
import itertools
import textwrap

from mopo_tf2.config import EnsembleConfig, MOPOConfig, SACConfig


def field_docs(cls: type) -> dict[str, str]:
    """Return the string below each field of ``cls``, by field name, on one line."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(cls)))
    body = tree.body[0].body  # type: ignore[attr-defined]
    docs = {}
    for node, following in itertools.pairwise(body):
        if isinstance(node, ast.AnnAssign) and isinstance(following, ast.Expr):
            text = following.value.value  # type: ignore[attr-defined]
            docs[ast.unparse(node.target)] = " ".join(text.split())
    return docs


def field_help() -> str:
    """Return one paragraph per part of the configuration: field, default, meaning."""
    lines = ["fields for --set, with their defaults:"]
    for title, cls in (("MOPO", MOPOConfig), ("ensemble", EnsembleConfig), ("SAC", SACConfig)):
        docs = field_docs(cls)
        lines.append(f"\n {title}")
        for field in dataclasses.fields(cls):
            if field.name not in ("ensemble", "sac"):
                text = f"{field.name} = {_default(field)}: {docs[field.name]}"
                lines += textwrap.wrap(text, 98, initial_indent="  ", subsequent_indent="      ")
    return "\n".join(lines)


def _default(field: "dataclasses.Field[object]") -> str:
    if field.default is dataclasses.MISSING:
        return "(per task)"
    if isinstance(field.default, tuple):
        return ",".join(str(value) for value in field.default)
    return "none" if field.default is None else str(field.default)

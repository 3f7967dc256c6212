"""User-defined functions, named as ``module:function``."""

import importlib
import os
import sys
from collections.abc import Callable
from typing import Any

from mopo_tf2.errors import InputError


def import_function(reference: str, purpose: str) -> Callable[..., Any]:
    """Import the function that ``reference`` names as ``module:function``.

    Modules in the current folder are found as well: it is appended to the module search path.

    Args:
        reference: for example ``my_package.tasks:make_reacher``.
        purpose: what the function is for, for messages: "task", "termination function".

    Raises:
        InputError: if there is no such module or function, or importing the module fails.
    """
    module_name, _, name = reference.partition(":")
    if not module_name or not name.isidentifier():
        raise InputError(
            f"{purpose} {reference!r}: expected module:function, as in my_module:make."
        )
    folder = os.getcwd()
    if "" not in sys.path and folder not in sys.path:
        sys.path.append(folder)
    try:
        module = importlib.import_module(module_name)
    except Exception as error:  # whatever the user's module raises while it is imported
        if isinstance(error, ModuleNotFoundError) and _is_part(error.name, module_name):
            raise InputError(
                f"{purpose} {reference!r}: no module {error.name!r}; run from the folder that "
                "holds it, or install it."
            ) from error
        raise InputError(
            f"{purpose} {reference!r}: importing {module_name!r} raised {one_line(error)}"
        ) from error
    function = getattr(module, name, None)
    if not callable(function):
        found = "none" if function is None else f"a {type(function).__name__}"
        raise InputError(
            f"{purpose} {reference!r}: expected a function {name!r} in module {module_name!r}, "
            f"found {found}."
        )
    checked: Callable[..., Any] = function
    return checked


def _is_part(missing: str | None, module_name: str) -> bool:
    return missing is not None and (module_name + ".").startswith(missing + ".")


def one_line(error: Exception) -> str:
    """Return type and message of ``error`` without line breaks."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__

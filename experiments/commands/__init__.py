"""The commands, one file a verb or family of verbs: options, help, and the call of what is below.

Nothing heavy is imported before a command runs, so that help and errors of input come at once.
"""

import argparse
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mopo_tf2.config_fields import parse_settings, require


def add_command(
    commands: Any,
    function: Callable[[argparse.Namespace], int],
    *,
    name: str | None = None,
    epilog: str | Callable[[], str] | None = None,
) -> argparse.ArgumentParser:
    """Add one command to the parser; its help is the docstring of ``function``.

    Args:
        commands: the subparsers of ``mopo-tf2``.
        function: takes the options, returns the exit code.
        name: of the command; the function's, if None.
        epilog: end of the command's help, or a function that composes it.
    """
    text = inspect.getdoc(function) or ""
    first, *_ = text.splitlines()
    parser: argparse.ArgumentParser = commands.add_parser(
        name or function.__name__.replace("_", "-"),
        help=first.rstrip("."),
        description=text,
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(command=function)
    return parser


def add_settings(add: Callable[..., Any], help: str) -> None:
    """Add ``--set KEY=VALUE ...``, repeatable; see ``config_fields.parse_settings``."""
    several: Any = {"nargs": "+", "action": "extend", "default": []}
    add("--set", dest="settings", metavar="KEY=VALUE", help=help, **several)


def add_loggers(add: Callable[..., Any]) -> None:
    """Add ``--logger NAME ...``; see ``loggers``."""
    help = "where the numbers of each epoch go beside progress.csv: tensorboard (the default), "
    help += "wandb, mlflow (docs/logging.md)"
    choices: Any = {"choices": ("tensorboard", "wandb", "mlflow"), "default": ["tensorboard"]}
    add("--logger", nargs="+", metavar="NAME", help=help, **choices)


def read_settings(options: argparse.Namespace) -> dict[str, str]:
    """Return the values of ``--set``, and of ``--epochs`` if the command has it, by key.

    Raises:
        InputError: if one is not KEY=VALUE, or is given twice.
    """
    settings = parse_settings(options.settings)
    if getattr(options, "epochs", None) is not None:
        twice = "n_epochs" in settings
        require(not twice, "--epochs is short for --set n_epochs: give one of them.")
        settings["n_epochs"] = str(options.epochs)
    return settings


def add_runs(add: Callable[..., Any]) -> None:
    """Add the folders of runs, and ``--paper``; see ``published.read_published``."""
    add("runs", type=Path, nargs="+", metavar="DIR", help="run folders, or folders of runs")
    add(
        "--paper",
        default="mopo-table1",
        metavar="mopo-table1|mopo-table2|...|FILE.csv|none",
        help="published numbers (mopo-table1); a file has the columns dataset or task, method, "
        "score or return, source",
    )


def whole(least: int) -> Callable[[str], int]:
    """Return the ``type`` of options that are whole numbers from ``least`` on."""

    def parse(text: str) -> int:
        if not text.isdecimal() or int(text) < least:
            expected = f"expected a whole number from {least} on"
            raise argparse.ArgumentTypeError(f"{expected}, got '{text}'")
        return int(text)

    return parse

"""The commands, one file a verb or family of verbs: options, help, and the call of what is below.

Nothing heavy is imported before a command runs, so that help and errors of input come at once.
"""

import argparse
from collections.abc import Callable
from typing import Any

from mopo_tf2.config_fields import parse_settings, require

PAPERS = "mopo-table1|mopo-table2|...|FILE.csv|none"


def add_command(
    commands: Any, name: str, function: Callable[[argparse.Namespace], int], help: str, **texts: Any
) -> argparse.ArgumentParser:
    """Add one command, whose ``function`` takes the options and returns the exit code.

    ``help`` is its line in the list of commands. ``texts`` are the ``description`` (``help``
    otherwise) and ``epilog`` of its own help; the epilog may be a function that composes it.
    """
    parser: argparse.ArgumentParser = commands.add_parser(
        name,
        help=help,
        description=texts.get("description", help),
        epilog=texts.get("epilog"),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(command=function)
    return parser


def add_settings(add: Callable[..., Any], help: str) -> None:
    """Add ``--set KEY=VALUE ...``, repeatable; see ``config_fields.parse_settings``."""
    several: Any = {"nargs": "+", "action": "extend", "default": []}
    add("--set", dest="settings", metavar="KEY=VALUE", help=help, **several)


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

"""The commands, one file a verb or family of verbs: options, help, and the call of what is below.

Nothing heavy is imported before a command runs, so that help and errors of input come at once.
"""

import argparse
from collections.abc import Callable
from typing import Any

PAPERS = "mopo-table1|mopo-table2|...|FILE.csv|none"


def add_command(
    commands: Any, name: str, function: Callable[[argparse.Namespace], int], help: str, **texts: Any
) -> argparse.ArgumentParser:
    """Add one command to the parser.

    Args:
        commands: the subparsers of ``mopo-tf2``.
        name: of the command.
        function: takes the options, returns the exit code.
        help: one line for the list of commands.
        texts: ``description`` (``help`` otherwise) and ``epilog`` of the command's own help; the
            epilog may be a function that composes it.
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
    add(
        "--set",
        dest="settings",
        metavar="KEY=VALUE",
        nargs="+",
        action="extend",
        default=[],
        help=help,
    )

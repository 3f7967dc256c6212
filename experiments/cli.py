"""The command line: which commands there are, and how they end."""

import argparse
import contextlib
import difflib
import errno
import os
import sys
import warnings
from collections.abc import Sequence
from typing import Any, NoReturn

import shtab

from mopo_tf2 import __version__
from mopo_tf2.errors import DivergenceError, InputError, printable

from .commands import data, demo, diagnose, evaluate, export, results, sweep, tf1, train, view
from .film import set_graphics_aside

_EPILOG = """examples:
  mopo-tf2 list
  mopo-tf2 train halfcheetah_mixed --dataset halfcheetah-sac-replay-v0 --seed 0
  mopo-tf2 train hopper-medium-v2 --epochs 500 --set penalty_coeff=2.5 rollout_length=1
  mopo-tf2 evaluate runs/halfcheetah_mixed/seed_0 --episodes 20
  mopo-tf2 plot runs/halfcheetah_mixed

mopo-tf2 COMMAND --help says more. Completion for your shell:
  mopo-tf2 --print-completion bash > ~/.local/share/bash-completion/completions/mopo-tf2
"""


class _Parser(argparse.ArgumentParser):
    """Answers wrong usage in one line, with exit code 2 and the nearest name."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"error: {message} ({self.prog} --help explains).\n")

    def format_help(self) -> str:
        """Return the help; an epilog that takes time to compose is a function."""
        if callable(self.epilog):
            self.epilog = self.epilog()
        return super().format_help()

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        choices = list(action.choices) if action.choices is not None else []
        if not choices or value in choices:
            return
        what = "command" if isinstance(action, argparse._SubParsersAction) else "choice"
        near = difflib.get_close_matches(str(value), map(str, choices), n=1, cutoff=0.5)
        hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(map(str, choices))}"
        raise argparse.ArgumentError(None, f"no {what} '{value}': {hint}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return its exit code.

    0 done, 1 diverged or the machine failed (a full disk), 2 invalid input, 130 interrupted.
    """
    parser = make_parser()
    options = parser.parse_args(arguments)
    if options.command is None:
        parser.print_help()
        return 0
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    warnings.showwarning = _show_warning
    set_graphics_aside()
    try:
        code = int(options.command(options) or 0)
        print(end="", flush=True)  # A full disk shows here. Closed output is None.
        return code
    except InputError as error:
        return _fail(str(error), 2)
    except DivergenceError as error:
        return _fail(str(error), 1)
    except OSError as error:
        return _fail_with_the_machine(error)
    except MemoryError:
        return _fail("the memory of this machine is used up: give less data, or lower sizes.", 1)
    except KeyboardInterrupt as stopped:
        if not str(stopped):
            return _fail("interrupted.", 130)
        print(stopped, flush=True)  # A run or collection says what it kept.
        return 130


def _fail(message: str, code: int) -> int:
    print(f"error: {printable(message)}", file=sys.stderr, flush=True)
    return code


def _fail_with_the_machine(error: OSError) -> int:
    """Report what the system refused: a name that no file can have, or a write."""
    if error.errno in (errno.ENAMETOOLONG, errno.EINVAL, errno.ELOOP):
        return _fail(f"{error.filename!r} cannot be the name of a file: {error.strerror}.", 2)
    if error.filename is None:  # Most likely standard output: nothing more can be said to it.
        with contextlib.suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if isinstance(error, BrokenPipeError):  # Its reader is gone, as in ``| head``.
            return 1
    where = "" if error.filename is None else f"{error.filename}: "
    return _fail(f"{where}{error.strerror or error}.", 1)


def _show_warning(message: Any, category: type[Warning], *_: Any, **__: Any) -> None:
    if issubclass(category, UserWarning):
        print(f"warning: {printable(str(message))}", file=sys.stderr, flush=True)


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of every command."""
    parser = _Parser(
        prog="mopo-tf2",
        description="Model-based offline policy optimization (Yu et al. 2020).",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"mopo-tf2 {__version__}")
    shtab.add_argument_to(parser, help="print a completion script for a shell and exit")
    parser.set_defaults(command=None)
    commands = parser.add_subparsers(metavar="COMMAND")
    # In the order of their use.
    for family in (train, demo, sweep, evaluate, diagnose, export, data, results, view, tf1):
        family.add_parsers(commands)
    return parser

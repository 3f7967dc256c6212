"""The command line: which commands and options there are, and how they end."""

import argparse
import os
import sys
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from . import commands as command_functions
from .cli_data import add_collect, add_join, add_relabel
from .cli_fqe import add_fqe
from .cli_results import add_plot, add_report, add_view
from .cli_sweep import add_sweep
from .cli_table import add_table
from .field_help import field_help
from mopo_tf2.configs.methods import DEFAULT_METHOD, METHODS
from mopo_tf2.errors import DivergenceError, InputError

_EPILOG = """examples:
  mopo-tf2 train halfcheetah_mixed --dataset halfcheetah-sac-replay-v0 --seed 0
  mopo-tf2 train hopper-medium-v2 --epochs 500 --set penalty_coeff=2.5 rollout_length=1
  mopo-tf2 train halfcheetah_mixed --algorithm mbpo --dataset halfcheetah-sac-replay-v0
  mopo-tf2 evaluate runs/halfcheetah_mixed/seed_0 --episodes 20
  mopo-tf2 plot runs/halfcheetah_mixed/seed_*

mopo-tf2 COMMAND --help says more. Docs: README.md.
"""


class _Parser(argparse.ArgumentParser):
    """Answers wrong usage in one line, with exit code 2."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: error: {message} ({self.prog} --help explains).\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return its exit code: 0, 1 diverged, 2 unfit input, 130 interrupted."""
    options = _parser().parse_args(arguments)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    warnings.showwarning = _show_warning
    try:
        return int(options.command(options) or 0)
    except InputError as error:
        return _fail(str(error), 2)
    except DivergenceError as error:
        return _fail(str(error), 1)
    except BrokenPipeError:
        # The reader of our output is gone (``| head``); nothing more can be said to it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        return _fail("interrupted.", 130)


def _fail(message: str, code: int) -> int:
    print(f"error: {' '.join(message.split())}", file=sys.stderr, flush=True)
    return code


def _show_warning(message: Any, category: type[Warning], *_: Any, **__: Any) -> None:
    if issubclass(category, UserWarning):
        print(f"warning: {message}", file=sys.stderr, flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="mopo-tf2",
        description="Model-based offline policy optimisation (Yu et al. 2020).",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    _add_train(commands)
    _add_train_model(commands)
    add_sweep(commands)
    _add_evaluate(commands)
    add_fqe(commands)
    add_collect(commands)
    add_relabel(commands)
    add_join(commands)
    add_plot(commands)
    add_table(commands)
    add_report(commands)
    add_view(commands)
    _add_demo(commands)
    _add_parity_curves(commands)
    _add_import_tf1(commands)
    _add_export_tf1(commands)
    return parser


def _add(
    commands: Any, name: str, function: Callable[[argparse.Namespace], int | None], **kwargs: Any
) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(
        name,
        description=kwargs.pop("description", kwargs.get("help")),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        **kwargs,
    )
    parser.set_defaults(command=function)
    return parser


def _add_run_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add(
        "config",
        metavar="CONFIG",
        help="a shipped configuration (halfcheetah_mixed), a D4RL id (halfcheetah-medium-v2), "
        "halfcheetah_jump or ant_angle (their data are to be made: mopo-tf2 collect --help), own "
        "(your data and no simulator: docs/own_data.md), or a .json file of the form of a run's "
        "config.json",
    )
    add(
        "--dataset",
        metavar="ID|PATH",
        help="data to train on instead of the configuration's own: a D4RL id, "
        "halfcheetah-sac-replay-v0 (ships), minari:ID, a file in D4RL's format, or a .csv with "
        "columns obs_NAME, action_NAME, reward, terminal, episode",
    )
    add(
        "--algorithm",
        metavar="NAME",
        help=f"method to train: {', '.join(METHODS)} (default {DEFAULT_METHOD})",
    )
    add("--seed", type=int, help="seed of everything random (default 0)")
    add("--out", type=Path, metavar="FOLDER", help="run folder (default runs/CONFIG/seed_SEED)")
    add("--device", choices=("auto", "cpu", "gpu"), default="auto", help="where to compute")
    add(
        "--tf32",
        action="store_true",
        help="let a GPU round the factors of matrix products (faster; parity is checked without)",
    )
    add(
        "--environment",
        metavar="TASK",
        help="evaluate in this task instead: halfcheetah, hopper, walker2d, ant, halfcheetah-jump, "
        "ant-angle, your own module:function that makes a Gymnasium environment, or none: evaluate "
        "in the learned model",
    )
    add(
        "--termination",
        metavar="NAME",
        help="termination function of the model's rollouts: a domain (hopper, hopper_intended, "
        "never, ...) or your own module:function",
    )
    add("--physics", choices=("d4rl", "gymnasium"), help="of the built-in tasks (default d4rl)")
    add(
        "--set",
        dest="settings",
        metavar="KEY=VALUE",
        nargs="+",
        action="extend",
        default=[],
        help="set fields of the configuration; they are listed below",
    )


def _add_train(commands: Any) -> None:
    parser = _add(
        commands,
        "train",
        command_functions.train,
        help="train a policy, with MOPO or another method",
        epilog=field_help(),
    )
    _add_run_options(parser)
    parser.add_argument("--epochs", type=int, help="short for --set n_epochs=EPOCHS")
    parser.add_argument(
        "--model", type=Path, metavar="RUN", help="use the ensemble of this run; train none"
    )
    parser.add_argument(
        "--resume", action="store_true", help="continue the run in --out from its last checkpoint"
    )


def _add_train_model(commands: Any) -> None:
    parser = _add(
        commands,
        "train-model",
        command_functions.train_model,
        help="train the ensemble only, for train --model",
        epilog=field_help(),
    )
    _add_run_options(parser)


def _add_evaluate(commands: Any) -> None:
    parser = _add(
        commands,
        "evaluate",
        command_functions.evaluate,
        help="run a run's policy in its real environment",
        description="Runs a run's policy in its real environment; of a run without one "
        "(environment none): in the learned model, and by fitted-Q evaluation.",
    )
    parser.add_argument("run", type=Path, metavar="RUN", help="run folder")
    parser.add_argument("--episodes", type=int, default=10, help="number of episodes (10)")
    parser.add_argument("--seed", type=int, default=0, help="of the episodes' resets (0)")
    parser.add_argument("--video", type=Path, metavar="FILE.mp4", help="film the first episode")


def _add_demo(commands: Any) -> None:
    parser = _add(
        commands,
        "demo",
        command_functions.demo,
        help="train for some minutes on the dataset that ships, and show the result",
    )
    parser.add_argument(
        "--out", type=Path, default=Path("runs/demo"), help="folder (runs/demo); made anew"
    )


def _add_parity_curves(commands: Any) -> None:
    parser = _add(
        commands,
        "parity-curves",
        command_functions.parity_curves,
        help="compare learning curves with the original's; exit 1 if they are at fault",
    )
    add = parser.add_argument
    add("reference", type=Path, metavar="REFERENCE", help="run folder of the original, or of many")
    add("runs", type=Path, nargs="+", metavar="RUN", help="run folders, of different seeds")
    add("--out", type=Path, default=Path("parity-curves.png"), help="PNG (parity-curves.png)")


def _add_import_tf1(commands: Any) -> None:
    parser = _add(
        commands,
        "import-tf1",
        command_functions.import_tf1,
        help="make a run folder of a model or a policy that the original saved",
        description="Reads NAME.mat or NAME_0.mat (.nns beside it or not) and checkpoint.pkl; "
        "train --model takes the model, evaluate the policy.",
    )
    add = parser.add_argument
    add("folder", type=Path, metavar="FOLDER", help="folder with the original's files")
    add("--out", type=Path, required=True, metavar="RUN", help="run folder to make")
    add("--name", help="of the model, if there are several")
    add("--environment", metavar="TASK", help="the policy's task, if the checkpoint names none")


def _add_export_tf1(commands: Any) -> None:
    parser = _add(
        commands,
        "export-tf1",
        command_functions.export_tf1,
        help="write a run's model as the original's files",
    )
    add = parser.add_argument
    add("run", type=Path, metavar="RUN", help="run folder")
    add("--out", type=Path, required=True, metavar="FOLDER", help="folder to write into")
    add("--name", required=True, help="of the files NAME.mat and NAME.nns")


if __name__ == "__main__":
    sys.exit(main())

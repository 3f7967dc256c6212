"""The command line: mopo-tf2 train | train-model | evaluate | collect | plot | demo."""

import argparse
import os
import sys
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from experiments.field_help import field_help
from mopo_tf2.config import parse_settings
from mopo_tf2.errors import DivergenceError, InputError

if TYPE_CHECKING:
    from experiments.run_spec import Overrides

_EPILOG = """examples:
  mopo-tf2 train halfcheetah_mixed --dataset halfcheetah-sac-replay-v0 --seed 0
  mopo-tf2 train hopper-medium-v2 --epochs 500 --set penalty_coeff=2.5 rollout_length=1
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
    _add_evaluate(commands)
    _add_collect(commands)
    _add_plot(commands)
    _add_demo(commands)
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
        help="a shipped configuration (halfcheetah_mixed), a D4RL id (halfcheetah-medium-v2), or "
        "a .json file of the form of a run's config.json",
    )
    add(
        "--dataset",
        metavar="ID|PATH",
        help="data to train on instead of the configuration's own: a D4RL id, "
        "halfcheetah-sac-replay-v0 (ships), minari:ID, or a file in D4RL's format",
    )
    add("--seed", type=int, help="seed of everything random (default 0)")
    add("--out", type=Path, metavar="FOLDER", help="run folder (default runs/CONFIG/seed_SEED)")
    add("--device", choices=("auto", "cpu", "gpu"), default="auto", help="where to compute")
    add(
        "--environment",
        metavar="TASK",
        help="evaluate in this task instead: halfcheetah, hopper, walker2d, ant, or your own "
        "module:function that makes a Gymnasium environment",
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
        _train,
        help="train MOPO: the ensemble, then the policy",
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
        _train_model,
        help="train the ensemble only, for train --model",
        epilog=field_help(),
    )
    _add_run_options(parser)


def _add_evaluate(commands: Any) -> None:
    parser = _add(
        commands, "evaluate", _evaluate, help="run a run's policy in its real environment"
    )
    parser.add_argument("run", type=Path, metavar="RUN", help="run folder")
    parser.add_argument("--episodes", type=int, default=10, help="number of episodes (10)")
    parser.add_argument("--seed", type=int, default=0, help="of the episodes' resets (0)")
    parser.add_argument("--video", type=Path, metavar="FILE.mp4", help="film the first episode")


def _add_collect(commands: Any) -> None:
    parser = _add(commands, "collect", _collect, help="write a D4RL-format dataset from a task")
    add = parser.add_argument
    add("task", metavar="TASK", help="halfcheetah, hopper, walker2d, ant, or module:function")
    add("--out", type=Path, required=True, metavar="FILE", help="HDF5 file to write")
    add("--n", type=int, required=True, help="number of transitions")
    add("--policy", default="random", metavar="random|RUN", help="uniform actions, or a run's")
    add("--seed", type=int, default=0, help="of resets and actions (0)")
    add("--physics", choices=("d4rl", "gymnasium"), default="d4rl", help="(d4rl)")
    add("--max-path-length", type=int, default=1000, help="steps of an episode (1000)")


def _add_plot(commands: Any) -> None:
    parser = _add(commands, "plot", _plot, help="draw learning curves, mean and spread over seeds")
    add = parser.add_argument
    add("runs", type=Path, nargs="+", metavar="RUN", help="run folders")
    add("--out", type=Path, default=Path("curves.png"), help="PNG, PDF or SVG (curves.png)")
    add(
        "--key",
        default="evaluation/return-average",
        help="column of progress.csv (evaluation/return-average)",
    )
    add(
        "--reference",
        nargs="*",
        default=[],
        metavar="LABEL=CSV",
        help="progress.csv files drawn beside the runs",
    )


def _add_demo(commands: Any) -> None:
    parser = _add(
        commands,
        "demo",
        _demo,
        help="train for some minutes on the dataset that ships, and show the result",
    )
    parser.add_argument(
        "--out", type=Path, default=Path("runs/demo"), help="folder (runs/demo); made anew"
    )


def _overrides(options: argparse.Namespace) -> "Overrides":
    """Gather what the options change in a configuration."""
    from experiments.run_spec import Overrides

    settings = parse_settings(options.settings)
    if getattr(options, "epochs", None) is not None:
        if "n_epochs" in settings:
            raise InputError("--epochs is short for --set n_epochs: give one of them.")
        settings["n_epochs"] = str(options.epochs)
    model = getattr(options, "model", None)
    return Overrides(
        dataset=options.dataset,
        environment=options.environment,
        termination=options.termination,
        physics=options.physics,
        seed=options.seed,
        model=None if model is None else str(model),
        settings=settings,
    )


def _default_folder(options: argparse.Namespace, kind: str) -> Path:
    return Path("runs", Path(options.config).stem, f"{kind}_{options.seed or 0}")


def _train(options: argparse.Namespace) -> int:
    from experiments.device import use_device
    from experiments.exports import with_model_architecture
    from experiments.run import Interrupted, resume_run, start_run
    from experiments.run_spec import build_spec

    overrides = _overrides(options)
    folder = options.out or _default_folder(options, "seed")
    use_device(options.device)
    try:
        if options.resume:
            algorithm = resume_run(folder, options.config, overrides)
        else:
            spec = with_model_architecture(
                build_spec(options.config, overrides), set(overrides.settings)
            )
            algorithm = start_run(spec, folder)
    except Interrupted as interrupted:
        print(interrupted, flush=True)
        return 130
    print(
        f"{algorithm.epoch} epochs done. Look at it with: mopo-tf2 plot {folder}, "
        f"mopo-tf2 evaluate {folder}",
        flush=True,
    )
    return 0


def _train_model(options: argparse.Namespace) -> int:
    from experiments.device import use_device
    from experiments.run import Interrupted, start_run
    from experiments.run_spec import build_spec

    spec = build_spec(options.config, _overrides(options))
    folder = options.out or _default_folder(options, "model")
    use_device(options.device)
    try:
        algorithm = start_run(spec, folder, model_only=True)
    except Interrupted as interrupted:
        print(interrupted, flush=True)
        return 130
    print(
        f"hold-out loss {algorithm.model_metrics['model/val_loss']:.4g}, elites "
        f"{algorithm.ensemble.elites}. Use it with: mopo-tf2 train {spec.name} --model {folder}",
        flush=True,
    )
    return 0


def _evaluate(options: argparse.Namespace) -> int:
    from experiments.evaluate import evaluate_run

    print(evaluate_run(options.run, options.episodes, options.seed, options.video), flush=True)
    return 0


def _collect(options: argparse.Namespace) -> int:
    from experiments.collect_task import collect_task

    print(
        collect_task(
            options.task,
            options.out,
            options.n,
            policy=options.policy,
            seed=options.seed,
            physics=options.physics,
            max_path_length=options.max_path_length,
        ),
        flush=True,
    )
    return 0


def _plot(options: argparse.Namespace) -> int:
    from experiments.plots import plot_learning_curves

    references = []
    for reference in options.reference:
        label, separator, path = reference.partition("=")
        if not separator:
            raise InputError(f"--reference expects LABEL=CSV, got '{reference}'.")
        references.append((label, Path(path)))
    print(plot_learning_curves(options.runs, options.out, key=options.key, reference=references))
    return 0


def _demo(options: argparse.Namespace) -> int:
    from experiments.demo import run_demo

    return run_demo(options.out)


if __name__ == "__main__":
    sys.exit(main())

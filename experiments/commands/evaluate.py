"""``mopo-tf2 evaluate`` and ``fqe``."""

import argparse
import sys
from pathlib import Path
from typing import Any

from mopo_tf2.config_fields import require
from mopo_tf2.configs.own import NO_ENVIRONMENT
from mopo_tf2.errors import InputError, printable
from mopo_tf2.files import ensure_writable_folder

from ..run_spec import CODE_FIELDS
from . import add_command, whole


def add_parsers(commands: Any) -> None:
    """Add the commands to the parser."""
    evaluates, estimates = add_command(commands, evaluate), add_command(commands, fqe)
    for add, seeded in (
        (evaluates.add_argument, "the episodes' resets"),
        (estimates.add_argument, "initial weights and batches"),
    ):
        add("run", type=Path, metavar="RUN", help="run folder of any method")
        add("--seed", type=whole(0), default=0, help=f"of {seeded} (0)")
        add("--json", action="store_true", help="print every number as a JSON object")
    add = evaluates.add_argument
    add("--episodes", type=whole(1), default=10, help="number of episodes (10)")
    add("--environment", metavar="TASK", help="the run's own task, if it is a module:function")
    help = "the run's own termination function, if it is a module:function"
    add("--termination", metavar="NAME", help=help)
    add("--video", type=Path, metavar="FILE", help="film the first episode: .mp4 or .gif")
    add = estimates.add_argument
    add("--dataset", metavar="ID|PATH", help="data other than the run's, as those held out")
    add("--steps", type=int, help="gradient steps (10000)")
    add("--discount", type=float, help="gamma, below 1 (the one that the policy was trained for)")
    add("--critics", dest="num_critics", type=int, metavar="CRITICS", help="number of critics (5)")


def evaluate(options: argparse.Namespace) -> int:
    """Run a run's policy in its environment.

    Without one (environment none) run it in the learned model, and estimate it by fitted-Q
    evaluation.
    """
    from ..film import SUFFIXES, film
    from ..run_folder import RunFolder

    video = options.video
    if video is not None:
        require(video.suffix.lower() in SUFFIXES, f"--video expects .mp4 or .gif, got {video}.")
        task = RunFolder(options.run).policy_metadata()["environment"]
        require(task != NO_ENVIRONMENT, f"{options.run} has no simulator: leave --video out.")
        ensure_writable_folder(video.parent)
    from ..evaluation import evaluate_run, text, to_json

    named = {name: getattr(options, name) for name in CODE_FIELDS}
    numbers, actions = evaluate_run(options.run, options.episodes, options.seed, named)
    print(to_json(numbers) if options.json else text(numbers), flush=True)
    if video is None:
        return 0
    try:
        frames = film(numbers, actions, video)
    except (InputError, OSError) as error:  # the evaluation is not lost
        print(f"error: {printable(str(error))}", file=sys.stderr, flush=True)
        return 1
    print(f"{frames} frames -> {video}", file=sys.stderr if options.json else sys.stdout)
    return 0


def fqe(options: argparse.Namespace) -> int:
    """Estimate a run's policy from logged data alone, by fitted-Q evaluation.

    Fitted-Q evaluation (Le, Voloshin and Yue 2019): the discounted return of a run's policy over
    an endless horizon, learned from data with no simulator and no model. Several critics give an
    interval; it does not say how other data would change it.
    """
    from ..evaluation import fitted_q_of_run, text, to_json

    given = {name: getattr(options, name) for name in ("steps", "discount", "num_critics")}
    settings = {name: value for name, value in given.items() if value is not None}
    numbers = fitted_q_of_run(options.run, options.dataset, settings, options.seed)
    print(to_json(numbers) if options.json else text(numbers), flush=True)
    return 0

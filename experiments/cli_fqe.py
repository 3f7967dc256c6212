"""``mopo-tf2 fqe``."""

import argparse
from pathlib import Path
from typing import Any


def add_fqe(commands: Any) -> None:
    """Add ``fqe`` to the subparsers of the command line."""
    parser = commands.add_parser(
        "fqe",
        help="estimate a run's policy from logged data alone, by fitted-Q evaluation",
        description="Fitted-Q evaluation (Le, Voloshin and Yue 2019): the discounted return of a "
        "run's policy over an endless horizon, learned from data with no simulator and no model. "
        "Several critics that differ in their initial weights give the interval; it says how sure "
        "the fit is, not how other data would change it.",
    )
    add = parser.add_argument
    add("run", type=Path, metavar="RUN", help="run folder, of any algorithm")
    add("--dataset", metavar="ID|PATH", help="data other than the run's, as those held out")
    add("--steps", type=int, help="gradient steps (10000)")
    add("--discount", type=float, help="gamma, below 1 (the run's own)")
    add("--critics", type=int, help="number of critics (5)")
    add("--seed", type=int, default=0, help="of initial weights and batches (0)")
    parser.set_defaults(command=fqe)


def fqe(options: argparse.Namespace) -> int:
    """Print a fitted-Q evaluation."""
    from mopo_tf2.device import use_device

    use_device()
    from .evaluate_own import fitted_q_of_run

    named = {
        "steps": options.steps,
        "discount": options.discount,
        "num_critics": options.critics,
    }
    settings = {name: value for name, value in named.items() if value is not None}
    print(fitted_q_of_run(options.run, options.dataset, settings, options.seed), flush=True)
    return 0

"""``mopo-tf2 sweep``: its options, and what it hands on."""

import argparse
from pathlib import Path
from typing import Any

from mopo_tf2.config_fields import parse_settings
from mopo_tf2.configs.methods import DEFAULT_METHOD, METHODS
from mopo_tf2.errors import InputError

_HELP = """Trains each task with each seed (and each point of a grid) on Ray Tune.

Every trial is a run folder as `mopo-tf2 train` writes it, in OUT/TASK/seed_N (with a grid:
OUT/TASK/rollout_length=1,penalty_coeff=0.5/seed_N), with its own checkpoints, status.json and
trial.log. A trial whose process or machine dies is tried again, elsewhere if need be, from its
last checkpoint. Ctrl-C lets each trial end its epoch and write one. A sweep that ended early, in
whatever way, goes on with the same command and --resume: what is finished is not run again;
tasks, seeds and epochs may be added."""
_EPILOG = """examples:
  mopo-tf2 sweep --suite d4rl --seeds 3 --out runs/table1
  mopo-tf2 sweep --suite d4rl --seeds 3 --out runs/table1 --resume
  mopo-tf2 sweep --tasks hopper_mixed walker2d_mixed --seeds 3 --epochs 500 --out runs/mixed
  mopo-tf2 sweep --tasks hopper_mixed --algorithms mopo mbpo bc --seeds 3 --out runs/methods
  mopo-tf2 sweep --tasks hopper_mixed --seeds 2 --grid shipped --share-model --out runs/grid
  mopo-tf2 sweep --tasks halfcheetah_mixed hopper_mixed --seeds 2 --out runs/own \\
      --dataset halfcheetah_mixed=cheetah.hdf5 --dataset hopper_mixed=hopper.hdf5 \\
      --set real_ratio=0.1 --grid rollout_length=1,5 --grid "hidden_layer_sizes=256,256;400,400"

on a cluster: OUT and the datasets must be seen by all nodes under the same path. Start Ray on the
first node with `ray start --head`, on the others with `ray start --address=FIRST:6379`, and run
the sweep on one of them with --address auto. Ray asks for a token between the nodes if one lies
in ~/.ray/auth_token: it must be the same on all of them.

the fields for --set and --grid are listed by: mopo-tf2 train --help
exit code: 0 all finished, 1 some failed, 2 unfit input (nothing ran), 130 interrupted.
"""


def add_sweep(commands: Any) -> None:
    """Add the command to the subparsers of ``mopo-tf2``."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "sweep",
        help="train many tasks and seeds on Ray Tune, on one machine or a cluster",
        description=_HELP,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(command=sweep)
    _add_what(parser.add_argument_group("what to run"))
    _add_where(parser.add_argument_group("where to run"))


def sweep(options: argparse.Namespace) -> int:
    """Run a sweep."""
    from .sweeps.plan import SUITES, SweepRequest
    from .sweeps.ray_session import Resources
    from .sweeps.sweep import run_sweep

    settings = parse_settings(options.settings)
    if options.epochs is not None:
        if "n_epochs" in settings:
            raise InputError("--epochs is short for --set n_epochs: give one of them.")
        settings["n_epochs"] = str(options.epochs)
    suite = SUITES[options.suite] if options.suite else ()
    request = SweepRequest(
        tasks=[*suite, *options.tasks],
        seeds=options.seeds,
        datasets=options.dataset,
        settings=settings,
        grid=options.grid,
        share_model=options.share_model,
        algorithms=options.algorithms,
    )
    resources = Resources(
        address=options.address,
        cpus=options.cpus_per_trial,
        gpus=options.gpus_per_trial,
        max_failures=options.max_failures,
    )
    return run_sweep(request, options.out, resources, resume=options.resume)


def _add_what(group: Any) -> None:
    add = group.add_argument
    add(
        "--tasks",
        nargs="+",
        action="extend",
        default=[],
        metavar="NAME",
        help="configurations, as in mopo-tf2 train: halfcheetah_mixed, hopper-medium-v2, my.json",
    )
    add(
        "--algorithms",
        nargs="+",
        action="extend",
        default=[],
        metavar="NAME",
        help=f"train every task with each of these: {', '.join(METHODS)} ({DEFAULT_METHOD})",
    )
    add("--suite", choices=("d4rl",), help="the twelve configurations of the paper's Table 1")
    add("--seeds", type=int, required=True, metavar="N", help="seeds 0 to N - 1")
    add(
        "--dataset",
        action="append",
        default=[],
        metavar="[TASK=]PATH",
        help="data of one task, or of all; otherwise each configuration's own; repeatable",
    )
    add("--epochs", type=int, metavar="N", help="short for --set n_epochs=N")
    add(
        "--set",
        dest="settings",
        nargs="+",
        action="extend",
        default=[],
        metavar="KEY=VALUE",
        help="set fields of every trial's configuration",
    )
    add(
        "--grid",
        nargs="+",
        action="extend",
        default=[],
        metavar="KEY=V1,V2",
        help="run every combination of these values; repeatable. The name `shipped` stands for "
        "rollout_length=1,5 penalty_coeff=0.5,1,2,5",
    )
    add(
        "--share-model",
        action="store_true",
        help="train an ensemble once for the trials of a grid that differ in the policy only",
    )


def _add_where(group: Any) -> None:
    add = group.add_argument
    add("--out", type=Path, required=True, metavar="DIR", help="folder of the sweep")
    add("--resume", action="store_true", help="go on with the sweep in --out")
    add("--address", metavar="RAY", help="a Ray cluster's, or auto; otherwise this machine")
    add("--cpus-per-trial", type=int, default=1, metavar="N", help="and its threads (1)")
    add("--gpus-per-trial", type=float, default=0.0, metavar="N", help="0.5: two share one (0)")
    add(
        "--max-failures",
        type=int,
        default=3,
        metavar="N",
        help="how often a trial whose process or machine died is tried again (3)",
    )

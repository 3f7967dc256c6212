"""``mopo-tf2 sweep``."""

import argparse
import os
from pathlib import Path
from typing import Any

from mopo_tf2.config_fields import require
from mopo_tf2.configs.d4rl import TASKS
from mopo_tf2.configs.methods import DEFAULT_METHOD, METHODS

from ..run_spec import CODE_FIELDS
from . import add_command, add_loggers, add_settings, read_settings

_EPILOG = """examples:
  mopo-tf2 sweep --suite d4rl --seeds 3 --out runs/table1
  mopo-tf2 sweep --suite d4rl --seeds 3 --out runs/table1 --resume
  mopo-tf2 sweep --tasks hopper_mixed --algorithms mopo mbpo bc --seeds 3 --out runs/methods \\
      --set mopo.penalty_coeff=2 bc.policy_lr=1e-4 n_epochs=500
  mopo-tf2 sweep --tasks hopper_mixed --seeds 2 --grid shipped --share-model --out runs/grid
  mopo-tf2 sweep --tasks halfcheetah_mixed hopper_mixed --seeds 2 --out runs/own \\
      --dataset halfcheetah_mixed=cheetah.hdf5 --dataset hopper_mixed=hopper.hdf5 \\
      --grid rollout_length=1,5 --grid "hidden_layer_sizes=256,256;400,400"

on a cluster: OUT and the datasets must have the same path on all machines. Start Ray on the first
with `ray start --head`, on the others with `ray start --address=FIRST:6379`, and run the sweep on
one of them with --address auto. If Ray uses a token (~/.ray/auth_token), it must be the same on
all machines.

mopo-tf2 train --help lists the fields for --set and --grid.
exit code: 0 all finished, 1 some failed, 2 invalid input (nothing ran), 130 interrupted.
"""


def add_parsers(commands: Any) -> None:
    """Add the command to the parser."""
    parser = add_command(commands, sweep, epilog=_EPILOG)
    add = parser.add_argument_group("what to run").add_argument
    several: Any = {"nargs": "+", "action": "extend", "default": []}
    add("--tasks", metavar="NAME", help="configurations, as in mopo-tf2 train", **several)
    add("--suite", choices=("d4rl",), help="the twelve configurations of the paper's Table 1")
    methods = f"{', '.join(METHODS)} ({DEFAULT_METHOD})"
    add("--algorithms", metavar="NAME", help=f"train every task with each of: {methods}", **several)
    add("--seeds", type=int, required=True, metavar="N", help="seeds 0 to N - 1")
    help = "data of one task, or of all; otherwise each configuration's own; repeatable"
    add("--dataset", action="append", default=[], metavar="[TASK=]PATH", help=help)
    add("--environment", metavar="TASK", help="of all tasks, as in mopo-tf2 train")
    add("--termination", metavar="NAME", help="of all tasks, as in mopo-tf2 train")
    add("--epochs", type=int, metavar="N", help="short for --set n_epochs=N")
    add_settings(add, "set a field of every algorithm that has it; ALGORITHM.KEY=VALUE: of one")
    help = "run every combination of these values; `shipped`: rollout_length=1,5 "
    help += "penalty_coeff=0.5,1,2,5; repeatable, keys as in --set"
    add("--grid", metavar="KEY=V1,V2", help=help, **several)
    help = "train an ensemble once for the trials that would train the same one"
    add("--share-model", action="store_true", help=help)
    add = parser.add_argument_group("where to run").add_argument
    add("--out", required=True, metavar="DIR", help="folder of the sweep")
    add("--resume", action="store_true", help="continue the sweep in --out")
    add("--address", metavar="RAY", help="HOST:PORT of a Ray cluster, or auto (this machine)")
    add("--cpus-per-trial", type=int, default=1, metavar="N", help="and its threads (1)")
    add("--gpus-per-trial", type=float, default=0.0, metavar="N", help="0.5: two share one (0)")
    help = "how often a trial whose process or machine died is retried (3)"
    add("--max-failures", type=int, default=3, metavar="N", help=help)
    add_loggers(add)


def sweep(options: argparse.Namespace) -> int:
    """Train many tasks, algorithms and seeds on Ray, on one machine or a cluster.

    Every trial is a run folder as `mopo-tf2 train` writes it, in OUT/TASK/seed_N (with a grid:
    OUT/TASK/rollout_length=1,penalty_coeff=0.5/seed_N), with its own checkpoints, status.json and
    trial.log. A trial whose process or machine dies is retried from its last checkpoint, on another
    machine if need be. Ctrl-C lets each trial end its epoch and write a checkpoint. However a sweep
    ended, the same command with --resume continues it: what is finished is not run again; tasks,
    seeds and epochs may be added.
    """
    from ..sweep import Resources, run_sweep
    from ..sweep_plan import plan_trials

    cpus, gpus, cores = options.cpus_per_trial, options.gpus_per_trial, os.cpu_count() or 1
    require(options.out.strip() != "", "--out is empty: give the folder of the sweep.")
    fits = cpus >= 1 and (cpus <= cores or options.address is not None)
    require(fits, f"--cpus-per-trial {cpus}: expected 1 or more, of {cores} cores here.")
    whole = gpus >= 0 and (gpus <= 1 or gpus % 1 == 0)
    require(whole, f"--gpus-per-trial {gpus:g}: expected 0, a share of one, or a number.")
    failures = options.max_failures
    require(failures >= 0, f"--max-failures {failures}: expected 0 or more.")
    trials = plan_trials(
        [*(TASKS if options.suite else ()), *options.tasks],
        options.seeds,
        algorithms=options.algorithms,
        datasets=options.dataset,
        code={name: getattr(options, name) for name in CODE_FIELDS},
        settings=read_settings(options),
        grid=options.grid,
        share_model=options.share_model,
    )
    resources = Resources(options.address, cpus, gpus, failures, tuple(options.logger))
    return run_sweep(trials, Path(options.out), resources, resume=options.resume)

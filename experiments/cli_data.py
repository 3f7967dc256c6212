"""``mopo-tf2 collect``, ``relabel`` and ``join``: the commands that make datasets."""

import argparse
from pathlib import Path
from typing import Any

from mopo_tf2.config_fields import parse_settings

_COLLECT_EPILOG = """the four kinds of D4RL's data, from nothing:
  mopo-tf2 collect hopper --out random.hdf5 --n 1000000
  mopo-tf2 collect hopper --policy sac --steps 300000 --save replay --out mixed.hdf5
  mopo-tf2 collect hopper --policy sac --steps 300000 --save policy --n 1000000 --out medium.hdf5
  mopo-tf2 collect hopper --policy sac --steps 3000000 --save policy --n 1000000 --out expert.hdf5
  mopo-tf2 join medium.hdf5 expert.hdf5 --out medium-expert.hdf5

--policy sac keeps FILE.run beside FILE: the returns of its episodes (episodes.csv), and the
trained policy, which --policy FILE.run and mopo-tf2 evaluate FILE.run take. Ctrl-C stops at the end
of the episode; the same command goes on from there, and after a kill from the last checkpoint.
"""


def add_collect(commands: Any) -> None:
    """Add ``collect`` to the subparsers of the command line."""
    from .field_help import class_help
    from mopo_tf2.configs.online_sac import OnlineSACConfig

    parser = commands.add_parser(
        "collect",
        help="write a D4RL-format dataset from a task",
        description="Write a D4RL-format dataset: random actions, a trained policy's, or what SAC "
        "sees while it learns in the task.",
        epilog=f"{_COLLECT_EPILOG}\nfields for --set, with their defaults:\n"
        + class_help(OnlineSACConfig, leave_out=("steps", "max_path_length")),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add(
        "task",
        metavar="TASK",
        help="halfcheetah, hopper, walker2d, ant, halfcheetah-capped (data of halfcheetah-jump), "
        "ant-straight (data of ant-angle), or module:function",
    )
    add("--out", type=Path, required=True, metavar="FILE", help="HDF5 file to write")
    add("--n", type=int, help="number of transitions (of --save policy: --steps)")
    add(
        "--policy",
        default="random",
        metavar="random|RUN|sac",
        help="uniform actions, a run's policy, or SAC trained in the task now",
    )
    add("--steps", type=int, help="environment steps of --policy sac")
    add(
        "--save",
        choices=("replay", "policy"),
        help="of --policy sac: all it saw in order of time (mixed), or rollouts of the trained "
        "policy, sampled as D4RL's (medium) (replay)",
    )
    add("--seed", type=int, default=0, help="of resets, actions and training (0)")
    add("--physics", choices=("d4rl", "gymnasium"), default="d4rl", help="(d4rl)")
    add("--max-path-length", type=int, default=1000, help="steps of an episode (1000)")
    add(
        "--set",
        dest="settings",
        metavar="KEY=VALUE",
        nargs="+",
        action="extend",
        default=[],
        help="set fields of SAC; they are listed below",
    )
    parser.set_defaults(command=collect)


def collect(options: argparse.Namespace) -> int:
    """Write a dataset."""
    from .collect_task import SACOptions, collect_task
    from .interrupts import Interrupted

    settings = parse_settings(options.settings)
    sac = None
    if options.steps is not None or options.save is not None or settings:
        sac = SACOptions(steps=options.steps, save=options.save or "replay", settings=settings)
    try:
        summary = collect_task(
            options.task,
            options.out,
            options.n,
            policy=options.policy,
            seed=options.seed,
            physics=options.physics,
            max_path_length=options.max_path_length,
            sac=sac,
        )
    except Interrupted as interrupted:
        print(interrupted, flush=True)
        return 130
    print(summary, flush=True)
    return 0


def add_relabel(commands: Any) -> None:
    """Add ``relabel`` to the subparsers of the command line."""
    from mopo_tf2.configs.ood import OOD_TASKS

    tasks = [task.environment for task in OOD_TASKS.values()]
    parser = commands.add_parser(
        "relabel",
        help="give a dataset the rewards of another task",
        description="Write a dataset with the rewards of another task with the same dynamics, and "
        "print mean and maximum return of its episodes before and after.",
    )
    add = parser.add_argument
    add("file", type=Path, metavar="FILE", help="dataset that mopo-tf2 collect wrote")
    add("--task", required=True, help=f"task whose rewards to give: {' or '.join(tasks)}")
    add("--out", type=Path, required=True, metavar="FILE", help="HDF5 file to write")
    parser.set_defaults(command=relabel)


def relabel(options: argparse.Namespace) -> int:
    """Relabel a dataset."""
    from .relabel import relabel as relabel_file

    print(relabel_file(options.file, options.task, options.out), flush=True)
    return 0


def add_join(commands: Any) -> None:
    """Add ``join`` to the subparsers of the command line."""
    parser = commands.add_parser(
        "join",
        help="put datasets of one task one after the other",
        description="Write the rows of several datasets of one task into one, whole episodes "
        "apart (medium-expert, for one).",
    )
    parser.add_argument("files", type=Path, nargs="+", metavar="FILE", help="datasets")
    parser.add_argument(
        "--out", type=Path, required=True, metavar="FILE", help="HDF5 file to write"
    )
    parser.set_defaults(command=join)


def join(options: argparse.Namespace) -> int:
    """Join datasets."""
    from .relabel import join as join_files

    print(join_files(options.files, options.out), flush=True)
    return 0

"""``mopo-tf2 collect``, ``relabel`` and ``join``: the commands that make datasets."""

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mopo_tf2.config_fields import parse_settings, replace, require
from mopo_tf2.configs.field_help import class_help
from mopo_tf2.configs.online_sac import OnlineSACConfig
from mopo_tf2.configs.ood import OOD_TASKS
from mopo_tf2.errors import InputError

from . import add_command, add_settings, whole

_EPILOG = """the four kinds of D4RL's data, from nothing:
  mopo-tf2 collect hopper --out random.hdf5 --n 1000000
  mopo-tf2 collect hopper --policy sac --steps 300000 --save replay --out mixed.hdf5
  mopo-tf2 collect hopper --policy sac --steps 300000 --save policy --n 1000000 --out medium.hdf5
  mopo-tf2 collect hopper --policy sac --steps 3000000 --save policy --n 1000000 --out expert.hdf5
  mopo-tf2 join medium.hdf5 expert.hdf5 --out medium-expert.hdf5

--policy sac keeps FILE.run beside FILE: the returns of its episodes (episodes.csv), and the trained
policy, which --policy FILE.run and mopo-tf2 evaluate FILE.run take. Ctrl-C stops at the end of the
episode; the same command continues from there, and after a kill from the last checkpoint.

fields for --set, with their defaults:
"""


def add_parsers(commands: Any) -> None:
    """Add the commands to the parser."""
    fields = ("steps", "max_path_length")
    parser = add_command(
        commands, collect, epilog=lambda: _EPILOG + class_help(OnlineSACConfig, fields)
    )
    add = parser.add_argument
    add(
        "task",
        metavar="TASK",
        help="halfcheetah, hopper, walker2d, ant, halfcheetah-capped (data of halfcheetah-jump), "
        "ant-straight (data of ant-angle), or module:function",
    )
    add("--out", type=Path, required=True, metavar="FILE", help="HDF5 file to write")
    add("--n", type=whole(1), help="number of transitions (of --save policy: --steps)")
    add(
        "--policy",
        default="random",
        metavar="random|RUN|sac",
        help="uniform actions, a run's policy, or SAC trained in the task now (random)",
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
    add("--max-path-length", type=whole(1), default=1000, help="steps of an episode (1000)")
    add_settings(add, "set fields of SAC; they are listed below")

    tasks = " or ".join(task.environment for task in OOD_TASKS.values())
    add = add_command(commands, relabel).add_argument
    add("file", type=Path, metavar="FILE", help="dataset that mopo-tf2 collect wrote")
    add("--task", required=True, help=f"task whose rewards to give: {tasks}")
    add("--out", type=Path, required=True, metavar="FILE", help="HDF5 file to write")

    add = add_command(commands, join).add_argument
    add("files", type=Path, nargs="+", metavar="FILE", help="datasets, at least two")
    add("--out", type=Path, required=True, metavar="FILE", help="HDF5 file to write")


def collect(options: argparse.Namespace) -> int:
    """Write a D4RL-format dataset from a task.

    Its data: random actions, a trained policy's, or what SAC sees while it learns in the task.
    """
    settings, is_sac = parse_settings(options.settings), options.policy == "sac"
    given = options.steps is not None or options.save is not None or bool(settings)
    belong = "--steps, --save and --set belong to --policy sac, which needs --steps."
    require(options.steps is not None if is_sac else not given, belong)
    require(is_sac or options.n is not None, "--n, the number of transitions, is missing.")
    config = _sac_config(options, settings) if is_sac else None
    from .. import collection
    from ..training import Interrupted

    how = {"n": options.n, "seed": options.seed, "physics": options.physics}
    try:
        if config is None:
            how |= {"policy": options.policy, "max_path_length": options.max_path_length}
            summary = collection.collect(options.task, options.out, **how)
        else:
            how["save"] = options.save or "replay"
            summary = collection.collect_sac(options.task, options.out, config, **how)
    except Interrupted as interrupted:
        print(interrupted, flush=True)
        return 130
    print(summary, flush=True)
    return 0


def _sac_config(options: argparse.Namespace, settings: Mapping[str, str]) -> OnlineSACConfig:
    of_rollouts = "--n is the number of rollout steps of --save policy; leave it out."
    require(options.save == "policy" or options.n is None, of_rollouts)
    own = {"steps": str(options.steps), "max_path_length": str(options.max_path_length)}
    for name in own.keys() & settings.keys():
        raise InputError(f"give --{name.replace('_', '-')} instead of --set {name}.")
    # Through settings, so that a warm-up below --steps can be set with it.
    return replace(OnlineSACConfig(steps=10**9), {**own, **settings})


def relabel(options: argparse.Namespace) -> int:
    """Give a dataset the rewards of another task with the same dynamics.

    Prints mean and maximum return of its episodes before and after.
    """
    from ..collection import relabel as relabel_file

    print(relabel_file(options.file, options.task, options.out), flush=True)
    return 0


def join(options: argparse.Namespace) -> int:
    """Append datasets of one task to each other.

    Each with whole episodes (medium-expert, for example).
    """
    from ..collection import join as join_files

    print(join_files(options.files, options.out), flush=True)
    return 0

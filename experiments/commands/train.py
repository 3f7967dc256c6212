"""``mopo-tf2 list``, ``train`` and ``train-model``."""

import argparse
import functools
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mopo_tf2.config import MOPOConfig
from mopo_tf2.config_fields import require
from mopo_tf2.configs.methods import DEFAULT_METHOD, METHODS, TITLES
from mopo_tf2.errors import InputError

from ..run_spec import RunSpec, build_spec, changed_spec
from . import add_command, add_loggers, add_settings, read_settings

if TYPE_CHECKING:
    from mopo_tf2.algorithms.offline import OfflineAlgorithm

    from ..run_folder import RunFolder


def add_parsers(commands: Any) -> None:
    """Add the commands to the parser."""
    add_command(commands, list_all, name="list")
    parser = add_command(commands, train, epilog=_fields)
    _add_run_options(parser)
    add = parser.add_argument
    help = "train several seeds one after the other: a count (seeds 0 to N - 1), or the seeds "
    help += "themselves; --out then holds a folder seed_N for each"
    add("--seeds", type=int, nargs="+", metavar="N", help=help)
    add("--epochs", type=int, metavar="N", help="short for --set n_epochs=N")
    add("--model", metavar="RUN", help="use the ensemble of this run; train none")
    add("--resume", action="store_true", help="continue the run in --out from its last checkpoint")
    parser = add_command(commands, train_model, epilog=_fields)
    _add_run_options(parser)
    parser.add_argument(
        "--resume", action="store_true", help="continue the ensemble in --out from its checkpoint"
    )


def _fields() -> str:
    from mopo_tf2.configs.field_help import field_help

    return field_help()


def _add_run_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    help = "a shipped configuration (halfcheetah_mixed), a D4RL id (halfcheetah-medium-v2), "
    help += "halfcheetah_jump or ant_angle (make their data with mopo-tf2 collect), own (your data "
    help += "and no simulator: docs/own_data.md), or a .json file of the form of a run's "
    help += "config.json; mopo-tf2 list shows them"
    add("config", metavar="CONFIG", help=help)
    help = "data to train on instead of the configuration's own: a D4RL id, "
    help += "halfcheetah-sac-replay-v0 (ships), minari:ID, a file in D4RL's format, or a .csv with "
    help += "columns obs_NAME, action_NAME, reward, terminal, episode; D4RL's missing files are "
    help += "downloaded, from the folders in $MOPO_D4RL_MIRROR first"
    add("--dataset", metavar="ID|PATH", help=help)
    help = f"method to train: {', '.join(METHODS)} (default {DEFAULT_METHOD})"
    add("--algorithm", metavar="NAME", help=help)
    add("--seed", type=int, help="seed of everything random (default 0)")
    add("--out", type=Path, metavar="FOLDER", help="run folder (default runs/CONFIG/seed_SEED)")
    add("--device", choices=("auto", "cpu", "gpu"), default="auto", help="where to compute (auto)")
    help = "let a GPU round the factors of matrix products (faster; parity is checked without)"
    add("--tf32", action="store_true", help=help)
    help = "evaluate in this task instead: halfcheetah, hopper, walker2d, ant, halfcheetah-jump, "
    help += "ant-angle, an id of Gymnasium's (Pendulum-v1), your own module:function that makes a "
    help += "Gymnasium environment, or none (evaluate in the learned model)"
    add("--environment", metavar="TASK", help=help)
    help = "termination function of the model's rollouts: a domain (hopper, hopper_intended, "
    help += "never, ...) or your own module:function"
    add("--termination", metavar="NAME", help=help)
    help = "of the built-in tasks (default: what the data name, minari:ID; else d4rl)"
    add("--physics", choices=("d4rl", "gymnasium"), help=help)
    add_loggers(add)
    add_settings(add, "set fields of the configuration, listed below")


def _changes(options: argparse.Namespace) -> dict[str, Any]:
    """Return what the options change in a run's specification; None for nothing."""
    names = ("dataset", "environment", "termination", "physics", "seed")
    given = {name: getattr(options, name) for name in names}
    return {**given, "method": options.algorithm, "model": getattr(options, "model", None)}


def train(options: argparse.Namespace) -> int:
    """Train a policy, with MOPO or another method."""
    from ..run_folder import RunFolder

    settings, changes, seeds = read_settings(options), _changes(options), _seeds(options)
    # Everything that is said wrong is found before the first seed trains.
    specs = [build_spec(options.config, {**changes, "seed": seed}, settings) for seed in seeds]
    several = len(seeds) > 1
    for seed, spec in zip(seeds, specs, strict=True):
        folder = RunFolder(_folder(options, spec, "seed", several))
        if several and options.resume and folder.is_finished(spec.algorithm.n_epochs):
            print(f"{folder} is finished.", flush=True)
            continue
        options.seed = seed  # As if it were the only one.
        resume = options.resume and (folder.is_run or not several)
        algorithm = _start_or_resume(options, spec, folder, resume=resume)
        print(
            f"{algorithm.epoch} epochs done. Look at it with: mopo-tf2 plot {folder}, "
            f"mopo-tf2 evaluate {folder}",
            flush=True,
        )
    return 0


def _seeds(options: argparse.Namespace) -> list[int | None]:
    """Return the seeds to train; [None] for the configuration's own."""
    if options.seeds is None:
        return [options.seed]
    require(options.seed is None, "--seed and --seeds: give one of them.")
    if len(options.seeds) == 1:
        (count,) = options.seeds
        require(1 <= count <= 1000, f"--seeds expects a count from 1 to 1000, got {count}.")
        return list(range(count))
    twice = len(set(options.seeds)) < len(options.seeds)
    require(not twice, f"--seeds gives a seed twice: {' '.join(map(str, options.seeds))}.")
    return list(options.seeds)


def _folder(options: argparse.Namespace, spec: RunSpec, kind: str, several: bool = False) -> Path:
    if options.out is None:
        return Path("runs", spec.folder_name, f"{kind}_{spec.seed}")
    own = str(options.out).strip(".")
    require(bool(own), f"--out expects a folder of its own, got '{options.out}'.")
    return Path(options.out, f"{kind}_{spec.seed}") if several else Path(options.out)


def _start_or_resume(
    options: argparse.Namespace,
    spec: RunSpec,
    folder: "RunFolder",
    *,
    resume: bool,
    model_only: bool = False,
) -> "OfflineAlgorithm":
    """Train ``spec`` from the start; with ``resume`` what the options make of the run there."""
    from mopo_tf2.device import use_device

    from ..training import train_run, with_model_architecture

    settings = read_settings(options)
    if resume:
        # What is not given now stays as the run has it.
        spec = changed_spec(folder.spec, {**_changes(options), "name": spec.name}, settings)
    else:
        spec = with_model_architecture(spec, set(settings))
    prepare = functools.partial(use_device, options.device, tf32=options.tf32)
    how: Any = {"resume": resume, "model_only": model_only, "loggers": options.logger}
    return train_run(spec, folder, **how, prepare=prepare)


def train_model(options: argparse.Namespace) -> int:
    """Train the ensemble only, for train --model."""
    # D-72: on the rows that train uses; the original's script takes d4rl's raw ones.
    from ..run_folder import RunFolder

    spec = build_spec(options.config, _changes(options), read_settings(options))
    require(
        isinstance(spec.algorithm, MOPOConfig),
        f"train-model trains MOPO's ensemble, which {TITLES[spec.method]} does not have: use "
        "mopo-tf2 train.",
    )
    folder = RunFolder(_folder(options, spec, "model"))
    algorithm = _start_or_resume(options, spec, folder, resume=options.resume, model_only=True)
    dataset = "" if options.dataset is None else f" --dataset {options.dataset}"
    print(
        f"hold-out loss {algorithm.model_metrics['model/val_loss']:.4g}. "
        f"Use it with: mopo-tf2 train {spec.name}{dataset} --model {folder}",
        flush=True,
    )
    return 0


def list_all(options: argparse.Namespace) -> int:
    """List configurations, datasets found and missing, and methods."""
    from mopo_tf2.configs.d4rl import TASKS
    from mopo_tf2.configs.ood import OOD_TASKS
    from mopo_tf2.configs.own import OWN
    from mopo_tf2.data import catalog
    from mopo_tf2.data.datasets import d4rl_folders, resolve

    print("configurations (mopo-tf2 train NAME; also by dataset id, v0 to v2):")
    for name, task in TASKS.items():
        h, penalty = task.rollout_length, task.penalty_coeff
        print(f"  {name:28} h = {h}, penalty {penalty:<4} data {task.dataset_id}")
    for name, ood in OOD_TASKS.items():
        print(f"  {name:28} evaluated in {ood.environment}, data made in {ood.collection_task}")
    print(f"  {OWN:28} your own data, no simulator")
    missing = []
    print("\ndatasets found:")
    for dataset_id in catalog.datasets():
        try:
            print(f"  {dataset_id:32} {resolve(dataset_id, allow_download=False)[0]}")
        except InputError:
            missing.append(dataset_id)
    folders = " or ".join(map(str, d4rl_folders()))
    print(f"\ndatasets not found in {folders} (train downloads them):")
    for i in range(0, len(missing), 3):
        print("  " + "".join(f"{name:34}" for name in missing[i : i + 3]).rstrip())
    print("\nmethods (--algorithm NAME):")
    for method, title in TITLES.items():
        print(f"  {method:28} {title}")
    return 0

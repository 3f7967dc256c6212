"""``mopo-tf2 list``, ``train``, ``train-model`` and ``demo``."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mopo_tf2.config import MOPOConfig
from mopo_tf2.config_fields import parse_settings
from mopo_tf2.configs.methods import DEFAULT_METHOD, METHODS, TITLES
from mopo_tf2.errors import InputError

from . import add_command, add_settings

if TYPE_CHECKING:
    from ..run_folder import RunFolder
    from ..run_spec import RunSpec

_DEMO_SETTINGS = {"model_max_epochs": "20", "n_epochs": "10"}
"""What makes the demo short; everything else is the original's full-size configuration."""


def add_parsers(commands: Any) -> None:
    """Add the commands to the parser."""
    add_command(commands, list_all, name="list")
    parser = add_command(commands, train, epilog=_fields)
    _add_run_options(parser)
    add = parser.add_argument
    add(
        "--seeds",
        type=int,
        nargs="+",
        metavar="N",
        help="train several seeds one after the other: a count (seeds 0 to N - 1), or the seeds "
        "themselves; --out then holds a folder seed_N for each",
    )
    add("--epochs", type=int, metavar="N", help="short for --set n_epochs=N")
    add("--model", metavar="RUN", help="use the ensemble of this run; train none")
    add("--resume", action="store_true", help="continue the run in --out from its last checkpoint")
    parser = add_command(commands, train_model, epilog=_fields)
    _add_run_options(parser)
    parser.add_argument("--resume", action="store_true", help="start the ensemble in --out again")
    parser = add_command(commands, demo)
    parser.add_argument(
        "--out", type=Path, default=Path("runs/demo"), help="folder (runs/demo); made anew"
    )


def _fields() -> str:
    from mopo_tf2.configs.field_help import field_help

    return field_help()


def _add_run_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add(
        "config",
        metavar="CONFIG",
        help="a shipped configuration (halfcheetah_mixed), a D4RL id (halfcheetah-medium-v2), "
        "halfcheetah_jump or ant_angle (make their data with mopo-tf2 collect), own (your data and "
        "no simulator: docs/own_data.md), or a .json file of the form of a run's config.json; "
        "mopo-tf2 list shows them",
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
    add("--device", choices=("auto", "cpu", "gpu"), default="auto", help="where to compute (auto)")
    add(
        "--tf32",
        action="store_true",
        help="let a GPU round the factors of matrix products (faster; parity is checked without)",
    )
    add(
        "--environment",
        metavar="TASK",
        help="evaluate in this task instead: halfcheetah, hopper, walker2d, ant, halfcheetah-jump, "
        "ant-angle, your own module:function that makes a Gymnasium environment, or none (evaluate "
        "in the learned model)",
    )
    add(
        "--termination",
        metavar="NAME",
        help="termination function of the model's rollouts: a domain (hopper, hopper_intended, "
        "never, ...) or your own module:function",
    )
    add("--physics", choices=("d4rl", "gymnasium"), help="of the built-in tasks (default d4rl)")
    add_settings(add, "set fields of the configuration, listed below")


def _changes(options: argparse.Namespace) -> dict[str, Any]:
    """Return what the options change in a run's specification; None for nothing."""
    names = ("dataset", "environment", "termination", "physics", "seed")
    given = {name: getattr(options, name) for name in names}
    return {**given, "method": options.algorithm, "model": getattr(options, "model", None)}


def _settings(options: argparse.Namespace) -> dict[str, str]:
    settings = parse_settings(options.settings)
    if getattr(options, "epochs", None) is not None:
        if "n_epochs" in settings:
            raise InputError("--epochs is short for --set n_epochs: give one of them.")
        settings["n_epochs"] = str(options.epochs)
    return settings


def _prepare(options: argparse.Namespace) -> None:
    from mopo_tf2.device import use_device

    use_device(options.device, tf32=options.tf32)


def train(options: argparse.Namespace) -> int:
    """Train a policy, with MOPO or another method."""
    from ..run_folder import RunFolder
    from ..run_spec import build_spec

    settings = _settings(options)
    seeds = _seeds(options)
    # Everything that is said wrong is found before the first seed trains.
    specs = [build_spec(options.config, {**_changes(options), "seed": s}, settings) for s in seeds]
    folders = [_folder(options, spec, "seed", len(seeds) > 1) for spec in specs]
    if options.out is not None and not str(options.out).strip("."):
        raise InputError(f"--out expects a folder of its own, got '{options.out}'.")
    for spec, path in zip(specs, folders, strict=True):
        folder = RunFolder(path)
        several = len(seeds) > 1
        if several and options.resume and folder.is_finished(spec.algorithm.n_epochs):
            print(f"{folder} is finished.", flush=True)
            continue
        code = _train_one(options, spec, folder, start=not options.resume or several)
        if code:
            return code
    return 0


def _train_one(
    options: argparse.Namespace, spec: "RunSpec", folder: "RunFolder", *, start: bool
) -> int:
    """Train one run; with ``start``, a folder without a run is started even by --resume."""
    from ..training import (
        Interrupted,
        closing_line,
        resume_run,
        start_run,
        with_model_architecture,
    )

    settings = _settings(options)
    try:
        if options.resume and (folder.is_run or not start):
            changes = {**_changes(options), "seed": spec.seed if start else options.seed}
            algorithm = resume_run(
                folder, changes, settings, name=options.config, prepare=lambda: _prepare(options)
            )
        else:
            chosen = with_model_architecture(spec, set(settings))
            algorithm = start_run(chosen, folder, prepare=lambda: _prepare(options))
    except Interrupted as interrupted:
        print(interrupted, flush=True)
        return 130
    remark = closing_line(folder.spec)
    if remark is not None:
        print(remark, flush=True)
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
    if options.seed is not None:
        raise InputError("--seed and --seeds: give one of them.")
    seeds: list[int | None] = list(options.seeds)
    if len(seeds) == 1:
        if not 1 <= options.seeds[0] <= 1000:
            raise InputError(f"--seeds expects a count from 1 to 1000, got {options.seeds[0]}.")
        return list(range(options.seeds[0]))
    if len(set(seeds)) < len(seeds):
        raise InputError(f"--seeds gives a seed twice: {' '.join(map(str, seeds))}.")
    return seeds


def _folder(options: argparse.Namespace, spec: "RunSpec", kind: str, several: bool) -> Path:
    if options.out is None:
        return Path("runs", spec.folder_name, f"{kind}_{spec.seed}")
    return Path(options.out, f"{kind}_{spec.seed}") if several else Path(options.out)


def train_model(options: argparse.Namespace) -> int:
    """Train the ensemble only, for train --model."""
    from ..run_folder import RunFolder
    from ..run_spec import build_spec

    settings, changes = _settings(options), _changes(options)
    spec = build_spec(options.config, changes, settings)
    if not isinstance(spec.algorithm, MOPOConfig):
        raise InputError(
            f"train-model trains MOPO's ensemble, which {TITLES[spec.method]} does not have: use "
            "mopo-tf2 train."
        )
    from ..training import Interrupted, resume_run, start_run

    folder = RunFolder(_folder(options, spec, "model", several=False))
    try:
        if options.resume:
            algorithm = resume_run(
                folder,
                changes,
                settings,
                name=options.config,
                model_only=True,
                prepare=lambda: _prepare(options),
            )
        else:
            algorithm = start_run(spec, folder, model_only=True, prepare=lambda: _prepare(options))
    except Interrupted as interrupted:
        print(interrupted, flush=True)
        return 130
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
    found, missing = [], []
    for dataset_id in catalog.datasets():
        try:
            found.append((dataset_id, resolve(dataset_id, allow_download=False)[0]))
        except InputError:
            missing.append(dataset_id)
    print("\ndatasets found:")
    for dataset_id, path in found:
        print(f"  {dataset_id:32} {path}")
    folders = " or ".join(map(str, d4rl_folders()))
    print(f"\ndatasets not found in {folders} (train downloads them):")
    print(_columns(missing))
    print("\nmethods (--algorithm NAME):")
    for method, title in TITLES.items():
        print(f"  {method:28} {title}")
    return 0


def _columns(names: Sequence[str], width: int = 34) -> str:
    rows = [names[i : i + 3] for i in range(0, len(names), 3)]
    return "\n".join("  " + "".join(f"{name:{width}}" for name in row).rstrip() for row in rows)


def demo(options: argparse.Namespace) -> int:
    """Train for some minutes on the dataset that ships, and show the result."""
    import shutil

    from mopo_tf2.data.catalog import SHIPPED_ID

    from ..run_folder import RETURN, RunFolder
    from ..run_spec import build_spec

    spec = build_spec("halfcheetah_mixed", {"dataset": SHIPPED_ID}, _DEMO_SETTINGS)
    folder = RunFolder(options.out)
    if folder.path.exists() and (not folder.path.is_dir() or any(folder.path.iterdir())):
        if not folder.is_run or folder.spec != spec:
            raise InputError(f"{folder} exists and is not a former demo: choose another --out.")
        shutil.rmtree(folder.path)
    print(
        f"demo: MOPO with its full-size networks on {SHIPPED_ID} (100,899 real transitions), cut "
        f"short: {_DEMO_SETTINGS['model_max_epochs']} epochs of model training and "
        f"{spec.algorithm.n_epochs} epochs of policy training. It takes some minutes.",
        flush=True,
    )
    from mopo_tf2.device import use_device

    from ..plots import plot
    from ..training import Interrupted, start_run

    try:
        start_run(spec, folder, prepare=use_device)
    except Interrupted as interrupted:
        print(interrupted, flush=True)
        return 130
    curve = folder.path / "curves.png"
    plot([folder.path], curve)
    progress = folder.progress()
    returns, scores = progress[RETURN], progress["evaluation/normalized-score"]
    print(
        f"\nreturn of the policy in HalfCheetah: {returns.iloc[0]:.0f} after the first epoch, "
        f"{returns.iloc[-1]:.0f} after the last (normalized score {scores.iloc[0]:.1f} -> "
        f"{scores.iloc[-1]:.1f}; the episodes of the data return 2,438 on average).\n"
        f"learning curve: {curve}\n"
        f"table:          {folder.path / 'progress.csv'}\n"
        f"policy, model:  {folder.path / 'policy'}, {folder.path / 'model'}\n\n"
        "the full run (the paper's configuration):\n"
        f"  .venv/bin/mopo-tf2 train halfcheetah_mixed --dataset {SHIPPED_ID}\n"
        f"watch this policy: .venv/bin/mopo-tf2 evaluate {folder}",
        flush=True,
    )
    return 0

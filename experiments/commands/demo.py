"""``mopo-tf2 demo``: from random steps to a cheetah that runs."""

import argparse
import shutil
import sys
from pathlib import Path
from typing import Any

from mopo_tf2.config_fields import require
from mopo_tf2.errors import InputError
from mopo_tf2.files import write_bytes

from ..run_spec import RunSpec, build_spec
from . import add_command

_CONFIG, _STEPS, _SEED = "halfcheetah_random", 100_000, 1
_SHORTER = {"model_max_epochs": "15", "n_epochs": "20"}
"""What makes the demo short; everything else is the paper's configuration, at full size."""


def add_parsers(commands: Any) -> None:
    """Add the command to the parser."""
    add = add_command(commands, demo).add_argument
    help = "folder (runs/demo); made anew"
    add("--out", type=Path, default=Path("runs/demo"), metavar="FOLDER", help=help)
    add("--seed", type=int, default=_SEED, help=f"of the data and of the training ({_SEED})")


def demo(options: argparse.Namespace) -> int:
    """Collect random steps in HalfCheetah, train on them for some minutes, and show the result."""
    from mopo_tf2.device import use_device

    from ..collection import collect
    from ..run_folder import RunFolder
    from ..training import train_run

    folder, data = RunFolder(options.out), options.out / "random.hdf5"
    changes = {"dataset": str(data), "seed": options.seed}
    spec = build_spec(_CONFIG, changes, _SHORTER)
    _make_anew(folder, data, spec)
    print(
        f"1. {_STEPS:,} steps of HalfCheetah with random actions; no other data. "
        f"2. An ensemble of dynamics models, {_SHORTER['model_max_epochs']} epochs. "
        f"3. MOPO's policy, {_SHORTER['n_epochs']} epochs of the paper's 1000. Some minutes.",
        flush=True,
    )
    print(collect("halfcheetah", data, _STEPS, seed=options.seed), flush=True)
    train_run(spec, folder, prepare=use_device)
    _show(folder, data)
    return 0


def _make_anew(folder: Any, data: Path, spec: RunSpec) -> None:
    """Remove a former demo, whole or interrupted, and nothing else."""
    path = folder.path
    if path.exists():
        require(path.is_dir(), f"{path} is a file: choose another --out.")
        former = folder.is_run and folder.spec == spec
        former = former or {*path.iterdir()} <= {data}  # Interrupted before its training.
        require(former, f"{folder} exists and is not a former demo: choose another --out.")
        shutil.rmtree(path)
    path.mkdir(parents=True)


def _show(folder: Any, data: Path) -> None:
    """Print what the policy returns beside the data; draw the curve and, if possible, a film."""
    from mopo_tf2.evaluation.metrics import episode_returns

    from ..collection import read_dataset
    from ..evaluation import evaluate_run, text
    from ..film import film
    from ..plots import plot

    columns, _ = read_dataset(data)
    returns = episode_returns(columns["rewards"], columns["terminals"], columns["timeouts"])
    levels = {"mean": float(returns.mean()), "best": float(returns.max())}
    epochs, curve = folder.spec.algorithm.n_epochs, folder.path / "curves.png"
    reference = [
        (f"the data, {name}", _level(value, epochs, folder.path / f"data_{name}.csv"))
        for name, value in levels.items()
    ]
    plot([folder.path], curve, reference=reference)
    numbers, actions = evaluate_run(folder.path, 10, 0)
    print(f"\n{text(numbers)}")
    print(f"the data: return {levels['mean']:.0f} on average, {levels['best']:.0f} at best")
    print(f"learning curve, with these as lines: {curve}", flush=True)
    try:
        film(numbers, actions, folder.path / "film.mp4")
        print(f"film of an episode: {folder.path / 'film.mp4'}")
    except (InputError, OSError) as error:
        print(f"no film: {error}")
    command = sys.argv[0] if sys.argv[0].endswith("mopo-tf2") else "mopo-tf2"
    print(
        f"\nten times the data, and the paper's number of epochs:\n"
        f"  {command} collect halfcheetah --n 1000000 --out random.hdf5\n"
        f"  {command} train {_CONFIG} --dataset random.hdf5",
        flush=True,
    )


def _level(value: float, epochs: int, out: Path) -> Path:
    """Write a curve that stays at ``value``, as ``plot --reference`` reads it; return ``out``."""
    from ..run_folder import RETURN

    rows = [f"{epoch},{value}\n" for epoch in range(epochs)]
    write_bytes(out, f"epoch,{RETURN}\n{''.join(rows)}".encode())
    return out

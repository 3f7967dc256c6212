"""``mopo-tf2 import-tf1``, ``export-tf1`` and ``parity-curves``: the original's files and runs."""

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mopo_tf2 import config_fields
from mopo_tf2.config import EnsembleConfig
from mopo_tf2.config_fields import require
from mopo_tf2.data.catalog import EPISODE_STEPS
from mopo_tf2.errors import InputError
from mopo_tf2.files import ensure_writable_folder

from . import add_command

if TYPE_CHECKING:
    from mopo_tf2.tf1_files import SavedModel, SavedPolicy

    from ..run_folder import RunFolder

_POLICY, _MODELS = "checkpoint.pkl", "models"


def add_parsers(commands: Any) -> None:
    """Add the commands to the parser."""
    add = add_command(commands, import_tf1).add_argument
    add("folder", type=Path, metavar="FOLDER", help="folder with the original's files")
    add("--out", type=Path, required=True, metavar="RUN", help="run folder to make")
    add("--name", help="of the model, if there are several")
    add("--environment", metavar="TASK", help="the policy's task, if the checkpoint names none")

    add = add_command(commands, export_tf1).add_argument
    add("run", type=Path, metavar="RUN", help="run folder")
    add("--out", type=Path, required=True, metavar="FOLDER", help="folder to write into")
    add("--name", required=True, help="of the files NAME.mat and NAME.nns (the original's: BNN)")

    add = add_command(commands, parity_curves).add_argument
    add("reference", type=Path, metavar="REFERENCE", help="run folder of the original, or of many")
    add("runs", type=Path, nargs="+", metavar="RUN", help="run folders, of different seeds")
    add("--out", type=Path, default=Path("parity-curves.png"), help="PNG (parity-curves.png)")


def parity_curves(options: argparse.Namespace) -> int:
    """Draw learning curves beside the original's."""
    from mopo_tf2.parity import curve_report

    print(curve_report.parity_curves(options.reference, options.runs, options.out), flush=True)
    return 0


def import_tf1(options: argparse.Namespace) -> int:
    """Make a run folder of a model or a policy that the original saved.

    Read a model (NAME.mat or NAME_0.mat, with or without .nns, in FOLDER or its models) and a
    policy (checkpoint.pkl, in FOLDER or its last checkpoint_N); one of both is enough. train
    --model takes the model, evaluate and collect --policy take the policy.
    """
    from mopo_tf2.tf1_files import read_model, read_policy

    from ..run_folder import RunFolder

    folder, run = options.folder, RunFolder(options.out)
    require(folder.is_dir(), f"expected a folder of the original's files, {folder} is none.")
    is_new = not (run.holds_something() or run.has_model or run.has_policy)
    require(is_new, f"{run} holds a run already: choose another --out.")
    place, path = _find_model(folder, options.name), _find_policy(folder)
    model = read_model(*place) if place else None
    policy = read_policy(path) if path else None
    if model is None and policy is None:
        raise InputError(
            f"{folder} holds nothing to import: expected a model (.mat, here or in {_MODELS}) or a "
            f"policy ({_POLICY}, here or in checkpoint_N)."
        )
    variant = policy.variant if policy else {}
    task = options.environment or (_task_of(variant, folder) if policy else None)
    _require_same_sizes(model, policy, task)
    ensure_writable_folder(run.path)
    if model and place:
        print(f"model {place[1]}: {_write_model(model, run, variant)}", flush=True)
    if policy:
        print(_write_policy(policy, task, run), flush=True)
    return 0


def _find_model(folder: Path, name: str | None) -> tuple[Path, str] | None:
    places = (folder, folder / _MODELS)
    found = [path for place in places for path in sorted(place.glob("*.mat"))]
    if name is None:
        names = ", ".join(path.stem for path in found)
        require(len(found) < 2, f"{folder} holds several models: choose one by --name: {names}.")
    else:
        found = [path for path in found if path.stem in (name, f"{name}_0")]
        missing = f"{folder} holds no model {name}: expected {name}.mat or {name}_0.mat."
        require(bool(found), missing)
    return (found[0].parent, name or found[0].stem) if found else None


def _find_policy(folder: Path) -> Path | None:
    if (folder / _POLICY).is_file():
        return folder / _POLICY
    paths = folder.glob(f"checkpoint_*/{_POLICY}")
    epochs = {path: path.parent.name.removeprefix("checkpoint_") for path in paths}
    found = [path for path, epoch in epochs.items() if epoch.isdecimal()]
    return max(found, key=lambda path: int(epochs[path]), default=None)


def _task_of(variant: Mapping[str, Any], folder: Path) -> str:
    from mopo_tf2.evaluation.environments import TASKS

    domain = str(_nested(variant, "environment_params", "evaluation", "domain")).lower()
    known = f"one of {', '.join(TASKS)}, or your own module:function"
    require(domain in TASKS, f"{folder} names no built-in task: give --environment, {known}.")
    return domain


def _nested(values: Any, *keys: str) -> Any:
    """Return ``values[key][key]...``; None where there is no such thing."""
    for key in keys:
        values = values.get(key) if isinstance(values, Mapping) else None
    return values


def _require_same_sizes(
    model: "SavedModel | None", policy: "SavedPolicy | None", task: str | None
) -> None:
    from mopo_tf2.evaluation.environments import environment_info, make_environment

    parts: dict[str, Any] = {"the model": model, "the policy": policy}
    if task is not None:
        parts[task] = environment_info(make_environment(task), task)
    sizes = {name: (part.obs_dim, part.act_dim) for name, part in parts.items() if part}
    said = ", ".join(f"{name} has {o} and {a}" for name, (o, a) in sizes.items())
    require(len(set(sizes.values())) == 1, f"observation and action sizes differ: {said}.")


def _write_model(model: "SavedModel", run: "RunFolder", variant: Mapping[str, Any]) -> str:
    members, depth = model.num_networks, model.num_hidden_layers
    settings, decays = _nested(variant, "algorithm_params", "kwargs"), model.weight_decays
    num_elites, assumed = _nested(settings, "num_elites"), ""
    if decays is None:
        decays = EnsembleConfig().weight_decays
        decays = decays if len(decays) == depth + 1 else (0.0,) * (depth + 1)
        assumed = f"  no .nns beside it: swish layers and the weight decays {decays} assumed.\n"
    is_count = isinstance(num_elites, int) and 1 <= num_elites <= members
    config = EnsembleConfig(
        num_networks=members,
        num_elites=num_elites if is_count else members,
        hidden_dim=model.hidden_dim,
        num_hidden_layers=depth,
        separate_mean_var=model.separate_mean_var,
        deterministic=_nested(settings, "deterministic") is True,
        weight_decays=decays,
    )
    metadata = {
        "obs_dim": model.obs_dim,
        "act_dim": model.act_dim,
        "ensemble": config_fields.to_dict(config),
        # the original saves neither elites nor hold-out losses.
        "elites": list(range(members)),
        "val_loss": None,
        "dataset": _nested(settings, "pool_load_path"),
        "seed": _nested(variant, "run_params", "seed"),
    }
    run.write_model(model.arrays, metadata)
    heads = "heads for mean and variance" if model.separate_mean_var else "one head"
    return (
        f"{members} networks of {depth} x {model.hidden_dim} with {heads}, {model.obs_dim} "
        f"observation and {model.act_dim} action dimensions -> {run}\n"
        f"  the original saves neither elites nor hold-out losses: all {members} members are "
        f"elites, the hold-out loss is unknown.\n{assumed}"
        f"  use it with: mopo-tf2 train CONFIG --model {run}"
    )


def _write_policy(policy: "SavedPolicy", task: str | None, run: "RunFolder") -> str:
    from mopo_tf2.device import use_device

    use_device()
    from mopo_tf2.networks.gaussian_policy import GaussianPolicy

    length = _nested(policy.variant, "sampler_params", "kwargs", "max_path_length")
    sizes = ("obs_dim", "act_dim", "hidden_layer_sizes")
    arrays = {str(i): weights for i, weights in enumerate(policy.policy)}
    made = GaussianPolicy.from_exported(arrays, {name: getattr(policy, name) for name in sizes})
    metadata = {
        "environment": task,
        "physics": "d4rl",
        "max_path_length": length if isinstance(length, int) else EPISODE_STEPS,
        "epoch": "unknown" if policy.epochs is None else policy.epochs,
        "seed": _nested(policy.variant, "run_params", "seed"),
    }
    run.write_policy(made, metadata)
    hidden = " x ".join(map(str, policy.hidden_layer_sizes))
    return (
        f"{_POLICY}: policy of epoch {metadata['epoch']}, hidden layers {hidden}, for {task} -> "
        f"{run}\n  use it with: mopo-tf2 evaluate {run}"
    )


def export_tf1(options: argparse.Namespace) -> int:
    """Write a run's model as the original's files."""
    from mopo_tf2.tf1_files import write_model

    from ..run_folder import RunFolder

    arrays, metadata = RunFolder(options.run).load_model()
    path = options.out / f"{options.name}.mat"
    require(not path.exists(), f"{path} exists already: choose another --name or --out.")
    config = config_fields.from_dict(EnsembleConfig, metadata["ensemble"])
    ensure_writable_folder(options.out)
    written = write_model(options.out, options.name, arrays, config.weight_decays)
    names = ", ".join(path.name for path in written)
    print(f"{config.num_networks} networks -> {names} in {options.out}")
    print(f"not in the original's format: the elites, here {metadata['elites']}.", flush=True)
    return 0

"""From the original's files to a run folder, and from a run's model to the original's files."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .exports import MODEL_FILE, POLICY_FILE
from .files import ensure_writable_folder
from mopo_tf2 import config_fields as configuration
from mopo_tf2.checkpoints import load_arrays, save_arrays
from mopo_tf2.config import EnsembleConfig
from mopo_tf2.errors import InputError
from mopo_tf2.evaluation.environments import TASKS, environment_info, make_environment
from mopo_tf2.tf1_files import SavedModel, SavedPolicy, read_model, read_policy, write_model

_POLICY = "checkpoint.pkl"
_MODELS = "models"
_CHECKPOINT = re.compile(r"checkpoint_(\d+)")
_MAX_PATH_LENGTH = 1000


def import_tf1(
    folder: Path, out: Path, *, name: str | None = None, environment: str | None = None
) -> str:
    """Make a run folder of what the original saved in ``folder``; return what was done as text.

    Looked for: a model NAME.mat or NAME_0.mat in ``folder`` or its ``models``; a policy in
    ``checkpoint.pkl`` in ``folder`` or in the last of its ``checkpoint_N``. One of both is enough.
    ``evaluate`` takes the folder that has a policy, ``train --model`` the one that has a model.

    Args:
        folder: a run folder of the original, or any that holds such files.
        out: the run folder to make; must not hold a run.
        name: of the model; needed if there are several.
        environment: the policy's task; needed if the checkpoint names none that is built in.

    Raises:
        InputError: if there is nothing to import, a file is damaged, model, policy and task are not
            of the same sizes, or ``out`` holds a run.
    """
    if not folder.is_dir():
        raise InputError(f"expected a folder of the original's files, {folder} is none.")
    holding = [file for file in ("config.json", MODEL_FILE, POLICY_FILE) if (out / file).exists()]
    if holding:
        raise InputError(f"{out} holds a run already ({holding[0]}): choose another --out.")
    model_place, policy_path = _find_model(folder, name), _find_policy(folder)
    if model_place is None and policy_path is None:
        raise InputError(
            f"{folder} holds nothing to import: expected a model (.mat, here or in {_MODELS}) or a "
            f"policy ({_POLICY}, here or in checkpoint_N)."
        )
    model = None if model_place is None else read_model(*model_place)
    policy = None if policy_path is None else read_policy(policy_path)
    if policy is not None:
        environment = environment or _environment_of(policy, folder)
    _require_same_sizes(model, policy, environment)
    ensure_writable_folder(out)
    lines = []
    if model is not None and model_place is not None:
        lines += _write_model_of(model, out, {} if policy is None else policy.variant)
        lines[0] = f"model {model_place[1]}: {lines[0]}"
    if policy is not None and environment is not None:
        lines += _write_policy_of(policy, environment, out)
    return "\n".join(lines)


def export_tf1(run: Path, out: Path, name: str) -> str:
    """Write the model of a run as the original's loader reads it; return what was done as text.

    Args:
        run: a run folder with a model.
        out: folder for NAME.mat, NAME.nns and, with a variance head, NAME_var.nns.
        name: of the model; the original's own is BNN.

    Raises:
        InputError: if the run has no model, the name is unfit, or the files are there already.
    """
    if not (run / MODEL_FILE).is_file():
        raise InputError(f"expected a run folder with a model, found no {run / MODEL_FILE}.")
    arrays, metadata = load_arrays(run / MODEL_FILE)
    if (out / f"{name}.mat").exists():
        raise InputError(f"{out / name}.mat is there already: choose another --name or --out.")
    try:
        config = configuration.from_dict(EnsembleConfig, metadata["ensemble"])
        elites = list(metadata["elites"])
    except KeyError as error:
        raise InputError(f"{run / MODEL_FILE} does not hold a model: {error} is missing.") from (
            error
        )
    ensure_writable_folder(out)
    written = write_model(out, name, arrays, config.weight_decays)
    return (
        f"{config.num_networks} networks -> {', '.join(path.name for path in written)} in {out}\n"
        f"not in the original's format (Q-14): which members are elites, here {elites}."
    )


def _find_model(folder: Path, name: str | None) -> tuple[Path, str] | None:
    """Return folder and name of the model to read, None if there is none."""
    places = [place for place in (folder, folder / _MODELS) if place.is_dir()]
    if name is not None:
        for place in places:
            if any((place / f"{stem}.mat").is_file() for stem in (name, f"{name}_0")):
                return place, name
        raise InputError(f"{folder} holds no model {name}: expected {name}.mat or {name}_0.mat.")
    found = [path for place in places for path in sorted(place.glob("*.mat"))]
    if len(found) > 1:
        names = ", ".join(path.stem for path in found)
        raise InputError(f"{folder} holds several models: choose one of them by --name: {names}.")
    return (found[0].parent, found[0].stem) if found else None


def _find_policy(folder: Path) -> Path | None:
    """Return the policy's file, that of the last checkpoint if there are several."""
    if (folder / _POLICY).is_file():
        return folder / _POLICY
    numbered = {
        int(match.group(1)): path
        for path in folder.glob(f"checkpoint_*/{_POLICY}")
        if (match := _CHECKPOINT.fullmatch(path.parent.name))
    }
    return numbered[max(numbered)] if numbered else None


def _environment_of(policy: SavedPolicy, folder: Path) -> str:
    domain = str(_nested(policy.variant, "environment_params", "evaluation", "domain")).lower()
    if domain not in TASKS:
        raise InputError(
            f"the checkpoint in {folder} names no built-in task: say with --environment which it "
            f"is, one of {', '.join(TASKS)}, or your own module:function."
        )
    return domain


def _nested(values: Any, *keys: str) -> Any:
    """Return ``values[key][key]...``; None where there is no such thing."""
    for key in keys:
        values = values.get(key) if isinstance(values, Mapping) else None
    return values


def _require_same_sizes(
    model: SavedModel | None, policy: SavedPolicy | None, environment: str | None
) -> None:
    sizes = {}
    if model is not None:
        sizes["the model"] = (model.obs_dim, model.act_dim)
    if policy is not None:
        sizes["the policy"] = (policy.obs_dim, policy.act_dim)
    if environment is not None:
        info = environment_info(make_environment(environment), environment)
        sizes[environment] = (info.obs_dim, info.act_dim)
    if len(set(sizes.values())) > 1:
        said = ", ".join(f"{what} has {o} and {a}" for what, (o, a) in sizes.items())
        raise InputError(f"observation and action sizes differ: {said}.")


def _write_model_of(model: SavedModel, out: Path, variant: Mapping[str, Any]) -> list[str]:
    """Write the model's file; return what is to be said of it."""
    members, depth = model.num_networks, model.num_hidden_layers
    settings = _nested(variant, "algorithm_params", "kwargs")
    num_elites = _nested(settings, "num_elites")
    if not isinstance(num_elites, int) or not 1 <= num_elites <= members:
        num_elites = members
    decays = model.weight_decays
    if decays is None:
        usual = EnsembleConfig().weight_decays
        decays = usual if len(usual) == depth + 1 else (0.0,) * (depth + 1)
    config = EnsembleConfig(
        num_networks=members,
        num_elites=num_elites,
        hidden_dim=model.hidden_dim,
        num_hidden_layers=depth,
        separate_mean_var=model.separate_mean_var,
        deterministic=_nested(settings, "deterministic") is True,
        weight_decays=decays,
    )
    metadata = {
        "obs_dim": model.obs_dim,
        "act_dim": model.act_dim,
        "ensemble": configuration.to_dict(config),
        "elites": list(range(members)),  # not saved
        "val_loss": None,  # not saved
        "dataset": _nested(settings, "pool_load_path"),
        "seed": _nested(variant, "run_params", "seed"),
    }
    save_arrays(out / MODEL_FILE, model.arrays, metadata)
    heads = "heads for mean and variance" if model.separate_mean_var else "one head"
    lines = [
        f"{members} networks of {depth} x {model.hidden_dim} with {heads}, {model.obs_dim} "
        f"observation and {model.act_dim} action dimensions -> {out / MODEL_FILE}",
        f"  the original saves neither elites nor hold-out losses (Q-14): all {members} members "
        "are elites, val_loss is nan.",
    ]
    if model.weight_decays is None:
        lines.append(f"  no .nns beside it: swish layers and the weight decays {decays} assumed.")
    lines.append(f"  use it with: mopo-tf2 train CONFIG --model {out}")
    return lines


def _write_policy_of(policy: SavedPolicy, environment: str, out: Path) -> list[str]:
    """Write the policy's file; return what is to be said of it."""
    length = _nested(policy.variant, "sampler_params", "kwargs", "max_path_length")
    metadata = {
        "obs_dim": policy.obs_dim,
        "act_dim": policy.act_dim,
        "hidden_layer_sizes": list(policy.hidden_layer_sizes),
        "environment": environment,
        "physics": "d4rl",
        "max_path_length": length if isinstance(length, int) else _MAX_PATH_LENGTH,
        "epoch": "unknown" if policy.epochs is None else policy.epochs,
        "seed": _nested(policy.variant, "run_params", "seed"),
    }
    arrays = {str(i): weights for i, weights in enumerate(policy.policy)}
    save_arrays(out / POLICY_FILE, arrays, metadata)
    sizes = " x ".join(str(size) for size in policy.hidden_layer_sizes)
    return [
        f"{_POLICY}: policy of epoch {metadata['epoch']}, hidden layers {sizes}, for {environment} "
        f"-> {out / POLICY_FILE}",
        f"  use it with: mopo-tf2 evaluate {out}",
    ]

"""The policy and the model of a run, as files that other commands read."""

import dataclasses
import math
from pathlib import Path
from typing import Any

from .run_spec import RunSpec
from mopo_tf2 import config_fields as configuration
from mopo_tf2.algorithms.mopo import MOPO
from mopo_tf2.algorithms.offline import OfflineAlgorithm
from mopo_tf2.checkpoints import load_arrays, save_arrays
from mopo_tf2.config import EnsembleConfig, MOPOConfig
from mopo_tf2.config_fields import UnknownFieldError
from mopo_tf2.dynamics.ensemble import GaussianEnsemble
from mopo_tf2.errors import InputError
from mopo_tf2.networks.acting import ExportablePolicy
from mopo_tf2.networks.bcq_policy import BCQPolicy
from mopo_tf2.networks.gaussian_policy import GaussianPolicy
from mopo_tf2.networks.unsquashed_policy import UnsquashedGaussianPolicy
from mopo_tf2.types import PolicyFn

POLICY_FILE = Path("policy", "policy.npz")
MODEL_FILE = Path("model", "model.npz")
_POLICY_KINDS: dict[str, type[ExportablePolicy]] = {
    policy.kind: policy for policy in (GaussianPolicy, BCQPolicy, UnsquashedGaussianPolicy)
}
_ARCHITECTURE = (
    "num_networks",
    "num_elites",
    "hidden_dim",
    "num_hidden_layers",
    "separate_mean_var",
    "deterministic",
    "weight_decays",
)


def export_policy(run: Path, spec: RunSpec, algorithm: OfflineAlgorithm) -> None:
    """Write the present policy and what is needed to evaluate it.

    Original: mopo/algorithms/mopo.py:MOPO._log_policy
    """
    arrays, description = algorithm.policy.exported()
    metadata = {
        **description,
        "kind": algorithm.policy.kind,
        "method": spec.method,
        "environment": spec.environment,
        "physics": spec.physics,
        "max_path_length": spec.algorithm.max_path_length,
        "epoch": algorithm.epoch,
        "seed": spec.seed,
    }
    save_arrays(run / POLICY_FILE, arrays, metadata)


def export_model(run: Path, spec: RunSpec, algorithm: MOPO) -> None:
    """Write the trained ensemble: weights, scaler, bounds, elites.

    Original: mopo/algorithms/mopo.py:MOPO._log_model
    """
    ensemble = algorithm.ensemble
    val_loss = algorithm.model_metrics["model/val_loss"]
    metadata = {
        "obs_dim": ensemble.obs_dim,
        "act_dim": ensemble.act_dim,
        "ensemble": configuration.to_dict(ensemble.config),
        "elites": ensemble.elites,
        "val_loss": val_loss if math.isfinite(val_loss) else None,
        "dataset": spec.dataset,
        "seed": spec.seed,
    }
    arrays = {name: variable.numpy() for name, variable in ensemble.named_variables().items()}
    save_arrays(run / MODEL_FILE, arrays, metadata)


@dataclasses.dataclass(frozen=True)
class SavedPolicy:
    """A policy that a run exported.

    policy:   the network.
    metadata: kind, environment, physics, max_path_length, epoch, seed.
    """

    policy: ExportablePolicy
    metadata: dict[str, Any]

    def acting(self, rows: int = 1, seed: int = 0) -> PolicyFn:
        """Return the policy as evaluation runs it; see ``ExportablePolicy.acting``."""
        return self.policy.acting(rows, seed)


def load_policy(run: Path) -> SavedPolicy:
    """Read the policy that the run folder ``run`` exported.

    Raises:
        InputError: if there is none, or it is damaged.
    """
    _require_run(run, POLICY_FILE, "policy")
    arrays, metadata = load_arrays(run / POLICY_FILE)
    try:
        # Exports of before there were other kinds name none.
        policy = _POLICY_KINDS[metadata.get("kind", "gaussian")].from_exported(arrays, metadata)
    except (KeyError, ValueError) as error:
        raise InputError(f"{run / POLICY_FILE} does not hold a policy: {error}.") from error
    return SavedPolicy(policy, metadata)


def with_model_architecture(spec: RunSpec, explicit: set[str]) -> RunSpec:
    """Return ``spec`` with the ensemble's sizes taken from the model that it loads, if any.

    Args:
        spec: of a run.
        explicit: fields that the user set; these must agree with the model.

    Raises:
        InputError: if there is no such model, or a field set by the user contradicts it.
    """
    if spec.model is None:
        return spec
    if not isinstance(spec.algorithm, MOPOConfig):
        raise InputError(
            f"--model gives an ensemble of MOPO's kind, for which {spec.method} has no use: "
            "leave it out, or choose another --algorithm."
        )
    run = Path(spec.model)
    _require_run(run, MODEL_FILE, "model")
    _, metadata = load_arrays(run / MODEL_FILE)
    saved = configuration.from_dict(EnsembleConfig, metadata["ensemble"])
    for name in _ARCHITECTURE:
        wanted, present = getattr(spec.algorithm.ensemble, name), getattr(saved, name)
        if name in explicit and wanted != present:
            raise InputError(
                f"--set {name}={wanted} contradicts the model of {run}, which has {present}: "
                "leave it out, or train another model."
            )
    taken = {name: getattr(saved, name) for name in _ARCHITECTURE}
    ensemble = dataclasses.replace(spec.algorithm.ensemble, **taken)
    return dataclasses.replace(
        spec, algorithm=dataclasses.replace(spec.algorithm, ensemble=ensemble)
    )


def load_model(run: Path, ensemble: GaussianEnsemble) -> float:
    """Put the model that ``run`` exported into ``ensemble``; return its hold-out loss.

    Raises:
        InputError: if there is none, it is damaged, or it is of another task.
    """
    _require_run(run, MODEL_FILE, "model")
    arrays, metadata = load_arrays(run / MODEL_FILE)
    try:
        found = (metadata["obs_dim"], metadata["act_dim"])
        if found != (ensemble.obs_dim, ensemble.act_dim):
            raise InputError(
                f"the model of {run} has {found[0]} observation and {found[1]} action dimensions, "
                f"the task has {ensemble.obs_dim} and {ensemble.act_dim}."
            )
        for name, variable in ensemble.named_variables().items():
            variable.assign(arrays[name])
        ensemble.elites = list(metadata["elites"])
        # a model imported from the original has none.
        return math.nan if metadata["val_loss"] is None else float(metadata["val_loss"])
    except (KeyError, UnknownFieldError) as error:
        raise InputError(f"{run / MODEL_FILE} does not hold a model: {error}.") from error


def _require_run(run: Path, file: Path, what: str) -> None:
    if not run.is_dir():
        raise InputError(f"expected a run folder {run}, found none.")
    if not (run / file).is_file():
        raise InputError(f"{run} holds no {what} yet: expected {run / file}.")

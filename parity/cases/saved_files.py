"""Files that the original itself saved: models (.mat, .nns) and run checkpoints (.pkl)."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import scipy.io

from mopo_tf2.networks.gaussian_policy import GaussianPolicy
from mopo_tf2.tf1_files import SavedModel, read_model, read_policy, write_model

from ..comparison import Comparison, compare, compare_values
from ..loading import (
    ENSEMBLE_ARRAYS,
    SAC_ARRAYS,
    build_ensemble,
    compare_layers,
    hidden_sizes,
    load_ensemble,
)
from ..recording import Recording
from ..registry import Case

MODEL_FILES = "bnn_checkpoint_files/"
RUN_FILES = "run_checkpoint_files/"


def _replay_model(recording: Recording) -> Iterator[Comparison]:
    for name in recording.prefixes("inputs"):
        matrix = recording.files[f"{MODEL_FILES}{name}_0.mat"]
        saved = read_model(matrix.parent, name)
        for array, values in saved.arrays.items():
            yield compare(recording, f"{name}/{array}", values, "exact", "arrays read from .mat")
        ensemble = build_ensemble(saved.arrays)
        yield from load_ensemble(ensemble, saved.arrays, name)
        mean, variance = ensemble.predict(recording[f"{name}/inputs"])
        yield compare(recording, f"{name}/mean", mean.numpy(), "forward", "predictions")
        yield compare(recording, f"{name}/var", variance.numpy(), "variance", "predictions")
        with tempfile.TemporaryDirectory() as folder:
            yield from _write_again(recording, name, saved, Path(folder))


def _write_again(
    recording: Recording, name: str, saved: SavedModel, folder: Path
) -> Iterator[Comparison]:
    """Write the model as the original would and compare arrays, their order, and text."""
    write_model(folder, name, saved.arrays, saved.weight_decays or ())
    original = recording.files[f"{MODEL_FILES}{name}_0.mat"]
    theirs, ours = scipy.io.loadmat(original), scipy.io.loadmat(folder / f"{name}.mat")
    entries = [entry for entry in theirs if not entry.startswith("__")]
    found = [entry for entry in ours if not entry.startswith("__")]
    group = "written again: .mat"
    yield compare_values(np.array(entries), np.array(found), "exact", group, "names")
    for entry in entries:
        yield compare_values(theirs[entry], ours.get(entry, ()), "exact", group, entry)
    for text in sorted(original.parent.glob(f"{name}_0*.nns")):
        written = folder / text.name.replace("_0", "", 1)
        theirs_text, ours_text = (
            np.array(path.read_text(encoding="utf-8").splitlines()) for path in (text, written)
        )
        yield compare_values(theirs_text, ours_text, "exact", "written again: .nns", text.name)


def _replay_run(recording: Recording) -> Iterator[Comparison]:
    saved = read_policy(recording.files[f"{RUN_FILES}checkpoint.pkl"])
    group = "arrays read from checkpoint.pkl"
    yield from compare_layers(recording, "policy", list(saved.policy), "exact", group)
    for critic, weights in enumerate(saved.critics):
        yield from compare_layers(recording, f"q{critic + 1}", list(weights), "exact", group)
    sizes = np.array(saved.hidden_layer_sizes)
    yield compare_values(np.array(hidden_sizes(recording)), sizes, "exact", group, "hidden sizes")
    policy = GaussianPolicy(saved.act_dim, saved.hidden_layer_sizes)
    policy.build((None, saved.obs_dim))
    policy.set_weights(saved.policy)
    actions = policy.mode(recording["observations"]).numpy()
    yield compare(recording, "deterministic_actions", actions, "forward", "deterministic actions")


CASES = [
    Case(
        name="bnn_checkpoint",
        replay=_replay_model,
        inputs=("*/inputs",),
        compared=(*(f"*/{array}" for array in ENSEMBLE_ARRAYS), "*/mean", "*/var"),
        side_files=MODEL_FILES,
    ),
    Case(
        name="run_checkpoint",
        replay=_replay_run,
        inputs=("observations", "hidden_layer_sizes"),
        compared=(*SAC_ARRAYS[:3], "deterministic_actions"),
        side_files=RUN_FILES,
    ),
]

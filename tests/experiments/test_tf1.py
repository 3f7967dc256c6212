"""The original's files as run folders, and back: what it predicted, the imported predict too."""

import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest

from experiments.run_folder import RunFolder, put_model
from mopo_tf2.config import EnsembleConfig
from mopo_tf2.config_fields import from_dict
from mopo_tf2.dynamics.ensemble import GaussianEnsemble
from tests.experiments.tiny_runs import mopo, refused

PARITY = Path(__file__).parents[2] / "parity"
MODELS = PARITY / "recordings" / "bnn_checkpoint_files"
RUN = PARITY / "recordings" / "run_checkpoint_files"
REFERENCE = PARITY / "reference_curves" / "halfcheetah_mixed-sac_replay-seed0"


def imported(folder, out, *options):
    """Import the files in ``folder``; return what the command said."""
    answer = mopo("import-tf1", folder, "--out", out, *options)
    assert answer.code == 0, answer.err
    assert "Q-" not in answer.out  # the ledger's numbers are not for users
    return answer.out


def loaded(run):
    """The ensemble of a run folder, as ``train --model`` makes it."""
    _, metadata = RunFolder(run).load_model()
    ensemble = GaussianEnsemble(11, 3, from_dict(EnsembleConfig, metadata["ensemble"]))
    return ensemble, put_model(RunFolder(run), ensemble)


def write_checkpoint(folder, scale=0.0, **variant):
    """Write a policy of Hopper's sizes as the original does."""
    folder.mkdir(parents=True, exist_ok=True)
    weights = [np.full(shape, scale, np.float32) for shape in ((11, 4), (4,), (4, 6), (6,))]
    content = {"policy_weights": weights, "variant": variant}
    (folder / "checkpoint.pkl").write_bytes(pickle.dumps(content))


@pytest.mark.parametrize("name", ["joint", "separate"])
def test_imported_model_predicts_what_the_original_predicted(tmp_path, name):
    imported(MODELS, tmp_path / "run", "--name", name)
    ensemble, val_loss = loaded(tmp_path / "run")
    with np.load(PARITY / "recordings" / "bnn_checkpoint.npz") as recorded:
        mean, var = ensemble.predict(recorded[f"{name}/inputs"])
        np.testing.assert_allclose(mean, recorded[f"{name}/mean"], rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(var, recorded[f"{name}/var"], rtol=1e-5, atol=1e-7)
    assert ensemble.elites == [0, 1, 2]
    assert np.isnan(val_loss)


def test_imported_policy_acts_as_the_original_acted(tmp_path):
    run = tmp_path / "run"
    imported(RUN, run)
    assert [path.name for path in run.iterdir()] == ["policy"]
    policy, metadata = RunFolder(run).load_policy()
    with np.load(PARITY / "recordings" / "run_checkpoint.npz") as recorded:
        actions = policy.acting(1, 0)(recorded["observations"])
        np.testing.assert_allclose(actions, recorded["deterministic_actions"], rtol=1e-5, atol=1e-6)
    found = [metadata[name] for name in ("environment", "physics", "max_path_length", "seed")]
    assert found == ["halfcheetah", "d4rl", 1000, 81]
    collected = ("collect", "halfcheetah", "--n", "2", "--out", tmp_path / "x.hdf5")
    assert mopo(*collected, "--policy", run).code == 0


@pytest.mark.parametrize("name", ["joint_0", "separate_0"])
def test_exported_files_are_those_that_were_imported(tmp_path, name):
    imported(MODELS, tmp_path / "run", "--name", name)
    answer = mopo("export-tf1", tmp_path / "run", "--out", tmp_path / "files", "--name", name)
    assert answer.code == 0, answer.err
    names = {path.name for path in MODELS.glob(f"{name}*")}
    assert {path.name for path in (tmp_path / "files").iterdir()} == names
    for file in names:
        ours, theirs = ((folder / file).read_bytes() for folder in (tmp_path / "files", MODELS))
        header = 128 if file.endswith(".mat") else 0  # a .mat begins with its date
        assert ours[header:] == theirs[header:]


def test_model_and_last_policy_of_a_training_folder_are_found(tmp_path):
    folder = tmp_path / "trial"
    shutil.copytree(MODELS, folder / "models", ignore=shutil.ignore_patterns("joint*"))
    variant = {
        "environment_params": {"evaluation": {"domain": "Hopper"}},
        "algorithm_params": {"kwargs": {"num_elites": 2}},
    }
    write_checkpoint(folder / "checkpoint_20", 0.0, **variant)
    write_checkpoint(folder / "checkpoint_100", 1.0, **variant)
    imported(folder, tmp_path / "run")
    policy, metadata = RunFolder(tmp_path / "run").load_policy()
    assert metadata["environment"] == "hopper"
    assert max(np.max(weights) for weights in policy.exported()[0].values()) == 1.0
    ensemble, _ = loaded(tmp_path / "run")
    assert (ensemble.config.num_elites, ensemble.elites) == (2, [0, 1, 2])


def test_weight_decays_are_assumed_for_a_model_without_text(tmp_path):
    shutil.copyfile(MODELS / "joint_0.mat", tmp_path / "BNN_0.mat")
    assert "assumed" in imported(tmp_path, tmp_path / "run")
    ensemble, _ = loaded(tmp_path / "run")
    assert ensemble.config.weight_decays == (2.5e-5, 5e-5, 7.5e-5, 7.5e-5, 1e-4)


def test_task_of_a_checkpoint_that_names_none_is_given(tmp_path):
    write_checkpoint(tmp_path)
    out = tmp_path / "run"
    assert "give --environment" in refused("import-tf1", tmp_path, "--out", out)
    imported(tmp_path, out, "--environment", "hopper")
    assert RunFolder(out).policy_metadata()["environment"] == "hopper"


def damaged(folder):
    folder.mkdir()
    (folder / "BNN_0.mat").write_bytes((MODELS / "joint_0.mat").read_bytes()[:5000])


@pytest.mark.parametrize(
    ("make", "options", "message"),
    [
        (lambda folder: None, [], "expected a folder of the original's files"),
        (lambda folder: folder.mkdir(), [], "expected a model (.mat"),
        (damaged, [], "damaged"),
        (lambda folder: shutil.copytree(MODELS, folder), [], "--name: joint_0, separate_0"),
        (lambda folder: shutil.copytree(MODELS, folder), ["--name", "x"], "holds no model x"),
        (write_checkpoint, ["--environment", "walker2d"], "walker2d has 17 and 6"),
    ],
)
def test_what_cannot_be_imported_is_refused_and_leaves_no_folder(tmp_path, make, options, message):
    make(tmp_path / "files")
    out = tmp_path / "run"
    assert message in refused("import-tf1", tmp_path / "files", "--out", out, *options)
    assert not out.exists()


def test_export_needs_a_model_and_nothing_is_overwritten(tmp_path):
    run, files = tmp_path / "run", ("--out", tmp_path / "files", "--name", "BNN")
    assert "holds no model" in refused("export-tf1", tmp_path, *files)
    imported(MODELS, run, "--name", "joint")
    again = ("import-tf1", MODELS, "--out", run, "--name", "separate")
    assert "holds a run already" in refused(*again)
    assert mopo("export-tf1", run, *files).code == 0
    assert "exists already" in refused("export-tf1", run, *files)

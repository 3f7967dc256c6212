"""The original's files as run folders, and back: what it predicted, the imported predict too."""

import json
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest

from experiments.cli import main
from experiments.exports import load_model, load_policy, with_model_architecture
from experiments.run_spec import named_spec
from experiments.tf1_folders import export_tf1, import_tf1
from mopo_tf2.checkpoints import load_arrays
from mopo_tf2.dynamics.ensemble import GaussianEnsemble
from mopo_tf2.errors import InputError

RECORDINGS = Path(__file__).parents[2] / "parity" / "recordings"
MODELS = RECORDINGS / "bnn_checkpoint_files"
RUN = RECORDINGS / "run_checkpoint_files"


def loaded(run):
    """The ensemble of a run folder, as ``train --model`` makes it."""
    spec = named_spec("hopper_medium")
    spec = spec.__class__(**{**vars(spec), "model": str(run)})
    ensemble = GaussianEnsemble(11, 3, with_model_architecture(spec, set()).algorithm.ensemble)
    return ensemble, load_model(run, ensemble)


@pytest.mark.parametrize("name", ["joint", "separate"])
def test_imported_model_predicts_what_the_original_predicted(tmp_path, name):
    import_tf1(MODELS, tmp_path / "run", name=name)
    ensemble, val_loss = loaded(tmp_path / "run")
    with np.load(RECORDINGS / "bnn_checkpoint.npz") as recorded:
        mean, var = ensemble.predict(recorded[f"{name}/inputs"])
        np.testing.assert_allclose(mean, recorded[f"{name}/mean"], rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(var, recorded[f"{name}/var"], rtol=1e-5, atol=1e-7)
    assert ensemble.elites == [0, 1, 2]
    assert np.isnan(val_loss)


def test_imported_policy_acts_as_the_original_acted(tmp_path):
    import_tf1(RUN, tmp_path / "run")
    saved = load_policy(tmp_path / "run")
    with np.load(RECORDINGS / "run_checkpoint.npz") as recorded:
        actions = saved.acting()(recorded["observations"])
        np.testing.assert_allclose(actions, recorded["deterministic_actions"], rtol=1e-5, atol=1e-6)
    assert saved.metadata["environment"] == "halfcheetah"
    assert saved.metadata["max_path_length"] == 1000
    assert saved.metadata["seed"] == 81


def test_metadata_of_an_imported_model_is_strict_json(tmp_path):
    import_tf1(MODELS, tmp_path / "run", name="joint")
    _, metadata = load_arrays(tmp_path / "run" / "model" / "model.npz")
    assert json.loads(json.dumps(metadata, allow_nan=False))["val_loss"] is None


@pytest.mark.parametrize("name", ["joint_0", "separate_0"])
def test_exported_files_are_those_that_were_imported(tmp_path, name):
    import_tf1(MODELS, tmp_path / "run", name=name)
    export_tf1(tmp_path / "run", tmp_path / "files", name)
    names = {path.name for path in MODELS.glob(f"{name}*")}
    assert {path.name for path in (tmp_path / "files").iterdir()} == names
    for file in names:
        ours, theirs = ((folder / file).read_bytes() for folder in (tmp_path / "files", MODELS))
        header = 128 if file.endswith(".mat") else 0  # a .mat begins with its date
        assert ours[header:] == theirs[header:]


def test_model_and_policy_of_a_training_folder_are_found(tmp_path):
    """A run folder of the original: models/BNN_0.mat, checkpoint_20 and checkpoint_100."""
    folder = tmp_path / "trial"
    (folder / "models").mkdir(parents=True)
    for number, scale in ((20, 0.0), (100, 1.0)):
        checkpoint = folder / f"checkpoint_{number}"
        checkpoint.mkdir()
        weights = [np.full(shape, scale, np.float32) for shape in ((11, 4), (4,), (4, 6), (6,))]
        variant = {
            "environment_params": {"evaluation": {"domain": "Hopper"}},
            "algorithm_params": {"kwargs": {"num_elites": 2}},
        }
        content = {"policy_weights": weights, "variant": variant}
        (checkpoint / "checkpoint.pkl").write_bytes(pickle.dumps(content))
    for file in MODELS.glob("separate*"):
        shutil.copyfile(file, folder / "models" / file.name.replace("separate", "BNN"))
    import_tf1(folder, tmp_path / "run")
    saved = load_policy(tmp_path / "run")
    assert saved.metadata["environment"] == "hopper"
    assert saved.policy.get_weights()[0].max() == 1.0
    ensemble, _ = loaded(tmp_path / "run")
    assert (ensemble.config.num_elites, ensemble.elites) == (2, [0, 1, 2])


def test_model_without_text_is_said_to_have_assumed_decays(tmp_path):
    shutil.copyfile(MODELS / "joint_0.mat", tmp_path / "BNN_0.mat")
    assert "assumed" in import_tf1(tmp_path, tmp_path / "run")
    ensemble, _ = loaded(tmp_path / "run")
    assert ensemble.config.weight_decays == (2.5e-5, 5e-5, 7.5e-5, 7.5e-5, 1e-4)


def test_checkpoint_that_names_no_task_needs_one(tmp_path):
    weights = [np.zeros(shape, np.float32) for shape in ((11, 4), (4,), (4, 6), (6,))]
    (tmp_path / "checkpoint.pkl").write_bytes(pickle.dumps({"policy_weights": weights}))
    with pytest.raises(InputError, match="--environment"):
        import_tf1(tmp_path, tmp_path / "run")
    import_tf1(tmp_path, tmp_path / "run", environment="hopper")
    assert load_policy(tmp_path / "run").metadata["environment"] == "hopper"


def test_task_of_other_sizes_is_refused(tmp_path):
    with pytest.raises(InputError, match="hopper has 11 and 3"):
        import_tf1(RUN, tmp_path / "run", environment="hopper")
    assert not (tmp_path / "run").exists()


def test_several_models_need_a_name(tmp_path):
    with pytest.raises(InputError, match="--name: joint_0, separate_0"):
        import_tf1(MODELS, tmp_path / "run")


@pytest.mark.parametrize("make", [lambda p: None, lambda p: p.mkdir(), lambda p: p.write_text("")])
def test_folder_without_the_originals_files_is_refused(tmp_path, make):
    make(tmp_path / "empty")
    with pytest.raises(InputError, match="expected a"):
        import_tf1(tmp_path / "empty", tmp_path / "run")


def test_run_folder_in_use_is_refused(tmp_path):
    import_tf1(MODELS, tmp_path / "run", name="joint")
    with pytest.raises(InputError, match="holds a run already"):
        import_tf1(MODELS, tmp_path / "run", name="separate")


def test_damaged_model_leaves_no_run_folder(tmp_path):
    (tmp_path / "BNN_0.mat").write_bytes((MODELS / "joint_0.mat").read_bytes()[:5000])
    with pytest.raises(InputError, match="damaged"):
        import_tf1(tmp_path, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_export_does_not_overwrite(tmp_path):
    import_tf1(MODELS, tmp_path / "run", name="joint")
    export_tf1(tmp_path / "run", tmp_path / "files", "BNN")
    with pytest.raises(InputError, match="there already"):
        export_tf1(tmp_path / "run", tmp_path / "files", "BNN")


def test_export_of_a_run_without_a_model_is_refused(tmp_path):
    with pytest.raises(InputError, match="found no"):
        export_tf1(tmp_path, tmp_path / "files", "BNN")


def test_commands_import_and_export(tmp_path, capsys):
    run, files = str(tmp_path / "run"), str(tmp_path / "files")
    assert main(["import-tf1", str(MODELS), "--out", run, "--name", "joint"]) == 0
    assert main(["export-tf1", run, "--out", files, "--name", "BNN"]) == 0
    assert "elites" in capsys.readouterr().out
    assert main(["import-tf1", files, "--out", run]) == 2

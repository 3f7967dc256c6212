"""Ensembles that the original saved: read and written back, refused when unfit.

That the arrays are those of the original is compared by parity.
"""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import scipy.io

from mopo_tf2.errors import InputError
from mopo_tf2.tf1_files import read_model, write_model

FILES = Path(__file__).parents[2] / "parity" / "recordings" / "bnn_checkpoint_files"
DECAYS = (2.5e-5, 5e-5, 7.5e-5, 7.5e-5, 1e-4)


def entries(path):
    return {k: v for k, v in scipy.io.loadmat(path).items() if not k.startswith("__")}


@pytest.fixture
def folder(tmp_path):
    shutil.copytree(FILES, tmp_path / "files", copy_function=shutil.copyfile)
    return tmp_path / "files"


@pytest.mark.parametrize(("name", "separate"), [("joint", False), ("separate", True)])
@pytest.mark.parametrize("with_structure", [True, False])
def test_structure_is_told_from_the_shapes(folder, name, separate, with_structure):
    if not with_structure:
        for path in folder.glob("*.nns"):
            path.unlink()
    model = read_model(folder, name)
    assert (model.num_networks, model.num_hidden_layers, model.hidden_dim) == (3, 4, 16)
    assert (model.obs_dim, model.act_dim, model.separate_mean_var) == (11, 3, separate)
    assert model.weight_decays == (DECAYS if with_structure else None)


def test_name_without_timestep_is_preferred(folder):
    shutil.copyfile(folder / "separate_0.mat", folder / "joint.mat")
    assert read_model(folder, "joint").separate_mean_var
    assert not read_model(folder, "joint_0").separate_mean_var


@pytest.mark.parametrize("name", ["joint_0", "separate_0"])
def test_round_trip_writes_the_files_of_the_original_and_no_others(tmp_path, name):
    model = read_model(FILES, name)
    written = {path.name for path in write_model(tmp_path, name, model.arrays, model.weight_decays)}
    assert written == {path.name for path in FILES.glob(f"{name}*")}
    assert written == {path.name for path in tmp_path.iterdir()}
    again = read_model(tmp_path, name)
    assert list(again.arrays) == list(model.arrays)
    for array, other in zip(again.arrays.values(), model.arrays.values(), strict=True):
        np.testing.assert_array_equal(array, other)


def test_text_that_does_not_repeat_the_head_is_read_too(folder):
    lines = (folder / "joint_0.nns").read_text().splitlines()
    (folder / "joint_0.nns").write_text("\n".join([*lines[::2], lines[-1]]))
    assert read_model(folder, "joint").weight_decays == DECAYS


def test_no_weight_decay_is_written_as_none_and_read_as_zero(tmp_path):
    model = read_model(FILES, "separate")
    write_model(tmp_path, "m", model.arrays, (0.0, *DECAYS[1:]))
    assert "weight_decay=None" in (tmp_path / "m.nns").read_text().splitlines()[0]
    assert read_model(tmp_path, "m").weight_decays == (0.0, *DECAYS[1:])


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        ("joint_0.nns", "output_dim=16", "output_dim=17", "disagree"),
        ("joint_0.nns", "ensemble_size=3", "ensemble_size=4", "disagree"),
        ("joint_0.nns", "'swish'", "'ReLU'", "disagree"),
        ("separate_0_var.nns", "input_dim=16", "input_dim=15", "disagree"),
        ("separate_0_var.nns", "0.0001", "0.001", "only one decay"),
        ("joint_0.nns", "FC", "__import__('os').system('true')", "line 1: expected FC"),
    ],
)
def test_text_that_does_not_fit_the_arrays_is_refused(folder, file, old, new, message):
    path = folder / file
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(InputError, match=message):
        read_model(folder, file.split("_")[0])


def test_missing_files_are_named(folder):
    (folder / "separate_0_var.nns").unlink()
    with pytest.raises(InputError, match=r"expected separate_0_var\.nns"):
        read_model(folder, "separate")
    with pytest.raises(InputError, match=r"BNN\.mat or BNN_0\.mat"):
        read_model(folder, "BNN")


@pytest.mark.parametrize("size", [0, 60, 200, 9000])
def test_truncated_mat_is_refused(folder, size):
    path = folder / "joint_0.mat"
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(InputError, match=r"joint_0\.mat"):
        read_model(folder, "joint")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda e: e.pop("5"), "entries 0, 1, 2"),
        (lambda e: e.update({"2": e["2"] * np.nan}), "finite numbers"),
        (lambda e: e.update({"2": "text"}), "finite numbers"),
        (lambda e: e.update({"4": e["4"][:, :, :-1]}), "not the shapes"),
        (lambda e: e.update({"13": e["13"][:, :-1]}), "not the shapes"),
        (lambda e: [e.pop(k) for k in list(e) if int(k) > 5], "two layers"),
        (lambda e: e.clear(), "got 0 entries"),
    ],
)
def test_mat_of_another_kind_is_refused(folder, change, message):
    content = entries(folder / "joint_0.mat")
    change(content)
    scipy.io.savemat(folder / "joint_0.mat", content)
    with pytest.raises(InputError, match=message):
        read_model(folder, "joint")


@pytest.mark.parametrize("name", ["../m", "", ".hidden", "a b", "a/b"])
def test_name_that_is_no_file_name_is_refused(tmp_path, name):
    with pytest.raises(InputError, match="name"):
        write_model(tmp_path, name, read_model(FILES, "joint").arrays, DECAYS)


def test_interrupted_writing_leaves_nothing_behind(tmp_path, monkeypatch):
    def fail(source, target):
        raise OSError("disk full")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="disk full"):
        write_model(tmp_path, "m", read_model(FILES, "joint").arrays, DECAYS)
    assert list(tmp_path.iterdir()) == []

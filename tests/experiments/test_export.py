"""Exported policies: what every format computes and says of itself, and what is refused."""

import json
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from experiments.export import open_artefact
from experiments.run_folder import RunFolder
from experiments.run_spec import build_spec
from mopo_tf2 import __version__
from mopo_tf2.evaluation.episodes import rescale_actions
from mopo_tf2.networks import graph as module
from mopo_tf2.networks.bcq_policy import BCQPolicy, Perturbation
from mopo_tf2.networks.gaussian_policy import GaussianPolicy
from mopo_tf2.networks.q_function import QFunctions
from mopo_tf2.networks.unsquashed_policy import UnsquashedGaussianPolicy
from mopo_tf2.networks.variational_autoencoder import ActionDecoder
from tests.experiments.tiny_runs import mopo, refused

DEPLOY = Path(__file__).parents[2] / "docs" / "deploy.md"
METHODS = ("mopo", "bcq", "morel")
"""One of each class of policy: that of MOPO is also that of MBPO, SAC and BC."""
FILES = {
    "savedmodel": "policy",
    "onnx": "policy.onnx",
    "litert": "policy.tflite",
    "numpy": "policy.npz",
}
ROWS, NAMES = 10_000, ["pressure", "demand", "flow"]
BOUNDS = {"low": [0.0, -1.0], "high": [9.0, 0.3]}
LOW, HIGH = (np.array(bound, np.float32) for bound in BOUNDS.values())
RANDOMS = np.random.RandomState(0)
OBSERVATIONS = RANDOMS.normal(size=(ROWS, 3)).astype(np.float32)
RECORDED = {
    "dataset": {
        "name": "pump.csv",
        "sha256": "ab12",
        "columns": {"observations": NAMES, "actions": ["level", "speed"]},
        "action_bounds": BOUNDS,
    }
}


def make_policy(method):
    """A small policy of a method's class with weights that move its actions over their range."""
    sizes = (None, 3), (None, 2)
    if method == "bcq":
        decoder = ActionDecoder(2, (8,), seed=1)
        decoder.build(sizes[0], (None, 4))
        perturbation = Perturbation(2, (8,), phi=0.1, seed=2)
        critic = QFunctions((8,), num_critics=1, seed=3)
        for network in (perturbation, critic):
            network.build(*sizes)
        return BCQPolicy(decoder, perturbation, critic, num_actions=5)
    kind = UnsquashedGaussianPolicy if method == "morel" else GaussianPolicy
    policy = kind(2, (8, 8), seed=4)
    policy.build(sizes[0])
    if method == "morel":
        policy.standardise(np.array([0.1, -0.2, 0.3]), np.array([0.5, 2.0, 1.0]))
        last = policy.network.dense_layers[-1].kernel
        last.assign(60.0 * last.value)
    return policy


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A run folder of each method, trained for no step."""
    folder = tmp_path_factory.mktemp("runs")
    for method in METHODS:
        spec = build_spec("own", {"dataset": "pump.csv", "method": method, "seed": 7})
        run = RunFolder(folder / method)
        run.write_spec(spec, RECORDED)
        about = {"environment": "none", "physics": "none", "max_path_length": 5}
        run.write_policy(make_policy(method), {**about, "method": method, "epoch": 3, "seed": 7})
    return folder


def exported(run, form, out, *options):
    """Export a run; return the file's function and what the command said."""
    if form in ("onnx", "litert"):
        pytest.importorskip("onnxruntime" if form == "onnx" else "ai_edge_litert")
        pytest.importorskip("onnx" if form == "onnx" else "ai_edge_litert.interpreter")
    answer = mopo("export", run, "--format", form, "--out", out, *options)
    assert answer.code == 0, answer.err
    return open_artefact(out, form), answer.out


def assert_acts_alike(actions, expected, policy):
    """Compare with 1e-6 of the actions' range; BCQ may choose another of two equal candidates."""
    errors = (np.abs(actions - expected) / (HIGH - LOW)).max(axis=1)
    others = np.flatnonzero(errors > 1e-6)
    if isinstance(policy, BCQPolicy) and len(others):
        unit = [2.0 * (a[others] - LOW) / (HIGH - LOW) - 1.0 for a in (actions, expected)]
        values = [policy.critic(OBSERVATIONS[others], a.astype(np.float32)) for a in unit]
        np.testing.assert_allclose(*values, atol=2e-6)
        assert len(others) < 10
        others = others[:0]
    assert len(others) == 0, errors.max()
    assert (actions >= np.array(BOUNDS["low"])).all()
    assert (actions <= np.array(BOUNDS["high"])).all()


@pytest.mark.parametrize("form", FILES)
@pytest.mark.parametrize("method", METHODS)
def test_a_file_acts_as_evaluation_does_in_the_units_of_the_data(runs, tmp_path, method, form):
    act, said = exported(runs / method, form, tmp_path / FILES[form], "--seed", "2")
    actions = act({"observations": OBSERVATIONS})
    policy, _ = RunFolder(runs / method).load_policy()
    expected = rescale_actions(policy.acting(1000, seed=2)(OBSERVATIONS), LOW, HIGH)
    assert np.ptp(expected, axis=0).min() > 0.05
    assert actions.dtype == np.float32
    assert_acts_alike(actions, expected, policy)
    assert act({"observations": OBSERVATIONS[:1]}).shape == (1, 2)
    assert "level in [0, 9], speed in [-1, 0.3]" in said


@pytest.mark.parametrize(("method", "form"), [*((m, "numpy") for m in METHODS), ("bcq", "onnx")])
def test_a_stochastic_file_acts_as_the_policy_with_the_same_latents(runs, tmp_path, method, form):
    act, _ = exported(runs / method, form, tmp_path / "file", "--stochastic")
    policy, _ = RunFolder(runs / method).load_policy()
    shape = [size or ROWS for size in policy.latent_shape]
    latents = RANDOMS.normal(size=shape).astype(np.float32)
    tensors = tf.constant(OBSERVATIONS), tf.constant(latents)
    if method == "bcq":
        units = policy.best_actions(*tensors)
    else:
        units = policy.sample(*tensors)
        units = tf.clip_by_value(units, -1.0, 1.0) if method == "morel" else units[0]
    expected = rescale_actions(np.asarray(units), LOW, HIGH)
    actions = act({"observations": OBSERVATIONS, "latents": latents})
    assert_acts_alike(actions, expected, policy)


def metadata_of(path, form):
    """Read the metadata of a file as its users do."""
    if form == "numpy":
        with np.load(path, allow_pickle=False) as file:
            return json.loads(str(file["metadata"]))
    if form == "savedmodel":
        return json.loads((path / "assets" / "metadata.json").read_text())
    if form == "litert":
        return json.loads(zipfile.ZipFile(path).read("metadata.json"))
    import onnxruntime

    properties = onnxruntime.InferenceSession(path).get_modelmeta().custom_metadata_map
    return json.loads(properties["metadata"])


@pytest.mark.parametrize("form", FILES)
def test_a_file_says_what_it_is(runs, tmp_path, form):
    exported(runs / "bcq", form, tmp_path / FILES[form], "--seed", "2")
    assert metadata_of(tmp_path / FILES[form], form) == {
        **{"format_version": 1, "mopo_tf2": __version__, "method": "bcq", "task": "none"},
        **{"dataset": "pump.csv", "dataset_sha256": "ab12", "epoch": 3, "seed": 7},
        **{"observations": NAMES, "actions": ["level", "speed"]},
        **{"action_low": [0.0, -1.0], "action_high": [9.0, 0.3], "seed_of_latents": 2},
        "inputs": {"observations": ["batch", 3]},
    }


def test_bounds_of_a_simulator_and_numbered_columns_are_taken_without_those_of_the_data(
    runs, tmp_path
):
    run, simulated = RunFolder(runs / "mopo"), RunFolder(tmp_path / "run")
    bounds = {"action_low": [-2.0, -3.0], "action_high": [2.0, 3.0]}
    simulated.write_spec(run.spec, {"dataset": {"name": "x"}, "environment": bounds})
    simulated.write_policy(*run.load_policy())
    exported(simulated, "numpy", tmp_path / "policy.npz")
    found = metadata_of(tmp_path / "policy.npz", "numpy")
    assert {name: found[name] for name in bounds} == bounds
    assert found["observations"] == ["observation_0", "observation_1", "observation_2"]
    assert found["actions"] == ["action_0", "action_1"]


@pytest.mark.parametrize("form", ["numpy", "savedmodel"])
@pytest.mark.parametrize("method", METHODS)
def test_a_file_that_computes_something_else_is_not_kept(runs, tmp_path, monkeypatch, method, form):
    wrong = module.OPERATIONS["add"]._replace(numpy=np.subtract, tensorflow=tf.subtract)
    monkeypatch.setitem(module.OPERATIONS, "add", wrong)
    out = tmp_path / FILES[form]
    answer = mopo("export", runs / method, "--format", form, "--out", out)
    assert answer.code == 1
    assert "other actions than the policy" in answer.err
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_exported_is_refused_and_leaves_nothing(runs, tmp_path, monkeypatch):
    out = tmp_path / "policy.npz"
    arguments = ("--format", "numpy", "--out", out)
    assert "holds no policy yet" in refused("export", tmp_path, *arguments)
    assert "did you mean onnx" in refused("export", runs / "mopo", "--format", "onx")
    policy, about = RunFolder(runs / "mopo").load_policy()
    unknown = RunFolder(tmp_path / "run")
    unknown.write_policy(policy, about)
    assert "does not record the bounds of its 2 actions" in refused("export", unknown, *arguments)
    for form, package in (("onnx", "onnx"), ("litert", "ai_edge_litert.interpreter")):
        monkeypatch.setitem(sys.modules, package, None)
        line = refused("export", runs / "mopo", "--format", form, "--out", out)
        assert "pip install 'mopo-tf2[export]'" in line
    assert not out.exists()
    out.write_text("mine")
    assert "exists already" in refused("export", runs / "mopo", *arguments)
    assert out.read_text() == "mine"


@pytest.mark.parametrize("method", METHODS)
def test_the_example_of_the_documentation_runs_with_numpy_alone(runs, tmp_path, method):
    act, _ = exported(runs / method, "numpy", tmp_path / "policy.npz")
    (example,) = re.findall(r"```python\n(# NumPy.*?)```", DEPLOY.read_text(), re.DOTALL)
    np.save(tmp_path / "observations.npy", OBSERVATIONS)
    program = (
        f"{example}\nimport sys\n"
        "np.save('actions.npy', act(np.load('observations.npy')))\n"
        "sys.exit('tensorflow' in sys.modules or 'mopo_tf2' in sys.modules)\n"
    )
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    actions = np.load(tmp_path / "actions.npy")
    np.testing.assert_array_equal(actions, act({"observations": OBSERVATIONS}))

"""A run's policy as a file that needs nothing of this project."""

import contextlib
import importlib
import json
import tempfile
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mopo_tf2 import __version__
from mopo_tf2.config_fields import require
from mopo_tf2.device import silent_stderr, use_device
from mopo_tf2.errors import DivergenceError, InputError, printable
from mopo_tf2.evaluation.environments import TASKS, environment_info, make_environment
from mopo_tf2.evaluation.episodes import rescale_actions
from mopo_tf2.files import ensure_writable_folder, replacing
from mopo_tf2.types import FloatArray

from .run_folder import CONFIG, RunFolder

if TYPE_CHECKING:
    from mopo_tf2.networks.acting import ExportablePolicy
    from mopo_tf2.networks.graph import Graph

Numbers = dict[str, Any]
Inputs = Mapping[str, FloatArray]
Artefact = Callable[[Inputs], FloatArray]
"""An opened file: from inputs by name to actions [B, A]."""

FORMAT_VERSION = 1
METADATA = "metadata.json"
"""Name of the metadata in a SavedModel's assets and in a LiteRT file."""
_PACKAGES = {"onnx": ("onnx", "onnxruntime"), "litert": ("ai_edge_litert.interpreter",)}
_OPSET, _IR_VERSION = 17, 8  # Of 2022, so that older runtimes read the file.
_ROWS, _TOLERANCE, _SHARE = 100, 1e-4, 0.9


def export_policy(
    run: Path, form: str, out: Path, *, stochastic: bool = False, seed: int = 0
) -> Numbers:
    """Write the policy of a run to ``out`` and compare the file with the policy.

    Args:
        run: folder of a run of any method.
        form: "savedmodel", "onnx", "litert" or "numpy".
        out: file, or folder of a SavedModel, to write.
        stochastic: let the file take standard normal latents as a second input.
        seed: of the latents that a BCQ policy keeps if it is not stochastic.

    Returns:
        The metadata, and ``error``: the largest difference from the policy on random rows, as a
        share of the range of the actions.

    Raises:
        InputError: if the run has no policy, or does not say what its actions are in the user's
            units; if ``out`` exists or cannot be written; if an optional package is missing.
        DivergenceError: if the policy's actions are not finite, or the file computes others.
    """
    folder = RunFolder(run)
    about = folder.policy_metadata()
    bounds = _action_bounds(folder, about)
    require(not out.exists(), f"{out} exists already: choose another --out.")
    _require_packages(form)
    ensure_writable_folder(out.parent)
    use_device()
    policy, _ = folder.load_policy()
    graph, unit_actions = policy.graph(stochastic=stochastic, seed=seed)
    graph.rescale(unit_actions, *bounds)
    inputs = {name: [size or "batch" for size in shape] for name, shape in graph.inputs.items()}
    metadata = {**_metadata(folder, about, bounds), "inputs": inputs}
    if policy.latent_shape[0] and not stochastic:
        metadata["seed_of_latents"] = seed
    with replacing(out, folder=form == "savedmodel") as temporary:
        _WRITERS[form](graph, json.dumps(metadata), temporary)
        error = _difference(open_artefact(temporary, form), policy, graph, bounds, seed)
    return {**metadata, "error": error}


def _require_packages(form: str) -> None:
    """Refuse a format whose packages are missing; the runtime checks what was written."""
    try:
        for name in _PACKAGES.get(form, ()):
            importlib.import_module(name)
    except ImportError as error:
        raise InputError(
            f"--format {form} needs optional packages: pip install 'mopo-tf2[export]' ({error})."
        ) from error


# What is exported.


def _action_bounds(folder: RunFolder, about: Mapping[str, Any]) -> tuple[FloatArray, FloatArray]:
    """Return what -1 and 1 are in the units of the run's data, or else of its simulator."""
    recorded, task = folder.recorded, about["environment"]
    bounds = recorded.get("dataset", {}).get("action_bounds")
    simulator = recorded.get("environment", {})
    if not simulator and task in TASKS:  # A policy of the original.
        simulator = vars(environment_info(make_environment(task), task))
    if bounds is None:
        bounds = {name: simulator.get(f"action_{name}") for name in ("low", "high")}
    with contextlib.suppress(KeyError, TypeError, ValueError):
        low, high = (np.asarray(bounds[name], np.float64) for name in ("low", "high"))
        is_range = np.isfinite([low, high]).all() and (low < high).all()
        if is_range and low.shape == high.shape == (about["act_dim"],):
            return low, high
    raise InputError(
        f"{folder} does not record the bounds of its {about['act_dim']} actions: expected them in "
        f"{folder.path / CONFIG}, where train writes them."
    )


def _metadata(
    folder: RunFolder, about: Mapping[str, Any], bounds: tuple[FloatArray, FloatArray]
) -> Numbers:
    data = folder.recorded.get("dataset", {})
    columns = data.get("columns")
    named = columns if isinstance(columns, dict) else {}
    names = {
        "observations": [f"observation_{i}" for i in range(about["obs_dim"])],
        "actions": [f"action_{i}" for i in range(about["act_dim"])],
    }
    return {
        "format_version": FORMAT_VERSION,
        "mopo_tf2": __version__,
        "method": about.get("method"),
        "task": about["environment"],
        "dataset": data.get("name"),
        "dataset_sha256": data.get("sha256"),
        "epoch": about.get("epoch"),
        "seed": about.get("seed"),
        **{kind: list(named.get(kind) or default) for kind, default in names.items()},
        **{
            f"action_{end}": bound.tolist()
            for end, bound in zip(("low", "high"), bounds, strict=True)
        },
    }


# The formats. Each writer takes the graph, the metadata as JSON, and the path.


def _write_numpy(graph: "Graph", metadata: str, path: Path) -> None:
    with path.open("wb") as file:
        texts: Any = {"metadata": metadata, "steps": json.dumps(graph.steps)}
        np.savez(file, allow_pickle=False, **texts, **graph.constants)


def _write_savedmodel(graph: "Graph", metadata: str, path: Path) -> None:
    import tensorflow as tf

    module = tf.Module()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, METADATA)
        file.write_text(metadata, encoding="utf-8")
        module.metadata = tf.saved_model.Asset(str(file))
        act = _concrete(graph)
        tf.saved_model.save(module, str(path), signatures={"serving_default": act})


def _concrete(graph: "Graph") -> Any:
    import tensorflow as tf

    specs = {name: tf.TensorSpec(shape, name=name) for name, shape in graph.inputs.items()}

    def act(**inputs: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"actions": graph.run("tensorflow", inputs)}

    return tf.function(act, autograph=False).get_concrete_function(**specs)


def _write_litert(graph: "Graph", metadata: str, path: Path) -> None:
    import tensorflow as tf

    with tempfile.TemporaryDirectory() as folder, silent_stderr():
        _write_savedmodel(graph, metadata, Path(folder))
        path.write_bytes(tf.lite.TFLiteConverter.from_saved_model(folder).convert())
    # The format's own way of taking files along: a ZIP archive behind the model.
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(METADATA, metadata)


def _write_onnx(graph: "Graph", metadata: str, path: Path) -> None:
    import onnx
    from onnx import helper, numpy_helper

    from mopo_tf2.networks.graph import OPERATIONS

    nodes, constants = [], dict(graph.constants)
    for operation, operands, result in graph.steps:
        kind, attributes = OPERATIONS[operation].onnx, dict[str, Any]()
        if operation == "expand":
            constants["axis"] = np.array([1])
            operands = [*operands, "axis"]
        elif operation == "best":
            values, rows = operands
            index = f"{result}_index"
            nodes.append(helper.make_node("ArgMax", [values], [index], axis=1, keepdims=0))
            kind, operands, attributes = "GatherND", [rows, index], {"batch_dims": 1}
        nodes.append(helper.make_node(kind, operands, [result], **attributes))
    actions = {"actions": (None, len(json.loads(metadata)["actions"]))}
    inputs, outputs = (
        [
            helper.make_tensor_value_info(
                name, onnx.TensorProto.FLOAT, [s or "batch" for s in shape]
            )
            for name, shape in shapes.items()
        ]
        for shapes in (graph.inputs, actions)
    )
    initializers = [numpy_helper.from_array(array, name) for name, array in constants.items()]
    model = helper.make_model(
        helper.make_graph(nodes, "policy", inputs, outputs, initializers),
        producer_name="mopo_tf2",
        producer_version=__version__,
        ir_version=_IR_VERSION,
        opset_imports=[helper.make_opsetid("", _OPSET)],
    )
    helper.set_model_props(model, {"metadata": metadata})
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, path)


_WRITERS: dict[str, Callable[["Graph", str, Path], None]] = {
    "savedmodel": _write_savedmodel,
    "onnx": _write_onnx,
    "litert": _write_litert,
    "numpy": _write_numpy,
}


# Reading back.


def open_artefact(path: Path, form: str) -> Artefact:
    """Return an exported file as a function that its runtime computes."""
    return _READERS[form](path)


def _open_numpy(path: Path) -> Artefact:
    from mopo_tf2.networks.graph import Graph

    graph = Graph({})
    with np.load(path, allow_pickle=False) as file:
        graph.steps = json.loads(str(file["steps"]))
        graph.constants = {name: file[name] for name in file.files}
    return lambda inputs: np.asarray(graph.run("numpy", inputs))


def _open_savedmodel(path: Path) -> Artefact:
    import tensorflow as tf

    loaded = tf.saved_model.load(str(path))
    signature = loaded.signatures["serving_default"]

    def act(inputs: Inputs, loaded: Any = loaded) -> FloatArray:  # it holds the variables
        tensors = {name: tf.constant(value) for name, value in inputs.items()}
        return np.asarray(signature(**tensors)["actions"])

    return act


def _open_onnx(path: Path) -> Artefact:
    from onnxruntime import InferenceSession

    session = InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return lambda inputs: np.asarray(session.run(["actions"], dict(inputs))[0])


def _open_litert(path: Path) -> Artefact:
    from ai_edge_litert.interpreter import Interpreter

    with silent_stderr():
        interpreter = Interpreter(str(path))
        interpreter.allocate_tensors()
        runner = interpreter.get_signature_runner()
    return lambda inputs: np.asarray(runner(**inputs)["actions"])


_READERS: dict[str, Callable[[Path], Artefact]] = {
    "savedmodel": _open_savedmodel,
    "onnx": _open_onnx,
    "litert": _open_litert,
    "numpy": _open_numpy,
}


def _difference(
    artefact: Artefact,
    policy: "ExportablePolicy",
    graph: "Graph",
    bounds: tuple[FloatArray, FloatArray],
    seed: int,
) -> float:
    """Return the largest difference from ``acting`` on random rows, as a share of the range.

    Rows at which rounding decides between two actions of BCQ may differ at will, but are few.
    """
    observations = np.random.RandomState(0).standard_normal((_ROWS, policy.obs_dim))
    inputs = {"observations": observations.astype(np.float32)}
    if "latents" in graph.inputs:
        inputs["latents"] = policy.acting_latents(_ROWS, seed)
    expected = rescale_actions(policy.acting(_ROWS, seed)(inputs["observations"]), *bounds)
    if not np.isfinite(expected).all():
        raise DivergenceError("the policy's actions are not finite: its weights have diverged.")
    low, high = bounds
    errors = (np.abs(artefact(inputs) - expected) / (high - low)).max(axis=1)
    if not np.quantile(errors, _SHARE) <= _TOLERANCE:
        raise DivergenceError(
            f"the file would compute other actions than the policy, by up to {errors.max():.2g} of "
            "their range: nothing was written. Please report this."
        )
    return float(errors.max())


def text(numbers: Numbers, out: Path) -> str:
    """Return what ``export_policy`` wrote and found as text."""
    ranges = zip(numbers["actions"], numbers["action_low"], numbers["action_high"], strict=True)
    shapes = (f"{name} {json.dumps(shape)}" for name, shape in numbers["inputs"].items())
    lines = [
        f"policy of epoch {numbers['epoch']} ({numbers['method']}, {numbers['dataset']}) -> {out}",
        f"input {', '.join(shapes)}: {', '.join(numbers['observations'])}",
        f"output {', '.join(f'{name} in [{low:g}, {high:g}]' for name, low, high in ranges)}",
        f"differs from the policy by at most {numbers['error']:.1g} of the actions' range "
        f"({_ROWS} random rows)",
    ]
    return "\n".join(map(printable, lines))

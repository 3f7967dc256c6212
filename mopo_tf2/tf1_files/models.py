"""The original's ensembles: a ``.mat`` of arrays, and the ``.nns`` texts beside it."""

import dataclasses
import io
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.io

from mopo_tf2.errors import InputError
from mopo_tf2.files import write_bytes
from mopo_tf2.tf1_files.structure import Layer, read_weight_decays, structure_texts

Arrays = dict[str, npt.NDArray[np.float32]]

HIDDEN_ACTIVATION = "swish"


@dataclasses.dataclass(frozen=True, kw_only=True)
class SavedModel:
    """An ensemble that the original saved.

    Attributes:
        arrays: float32, by the names and in the order of ``GaussianEnsemble.named_variables``.
        num_networks: E.
        hidden_dim: units of each hidden layer.
        num_hidden_layers: hidden layers of the trunk.
        separate_mean_var: whether mean and variance have separate heads.
        obs_dim: O.
        act_dim: A.
        weight_decays: per layer, the last for the heads; None if there is no ``.nns``.
    """

    arrays: Arrays
    num_networks: int
    hidden_dim: int
    num_hidden_layers: int
    separate_mean_var: bool
    obs_dim: int
    act_dim: int
    weight_decays: tuple[float, ...] | None = None


def read_model(folder: Path, name: str) -> SavedModel:
    """Read ``NAME.mat`` or, if it is missing, ``NAME_0.mat``, with the ``.nns`` files beside it.

    The shapes determine the structure; the ``.nns`` must agree.

    Args:
        folder: where the files are.
        name: the model's name.

    Raises:
        InputError: if there is no such file, it is damaged, or it holds another kind of ensemble.

    Original: mopo/models/bnn.py:BNN.load_params; mopo/models/bnn.py:BNN._load_structure
    """
    candidates = [folder / f"{stem}.mat" for stem in (name, f"{name}_0")]
    path = next((path for path in candidates if path.is_file()), None)
    if path is None:
        raise InputError(f"expected {candidates[0]} or {candidates[1].name}, found neither.")
    model = _model_of_arrays(_read_mat(path), path)
    layers = _layers(model, (0.0,) * (model.num_hidden_layers + 1))
    decays = read_weight_decays(path, layers, separate=model.separate_mean_var)
    return dataclasses.replace(model, weight_decays=decays)


def write_model(
    folder: Path, name: str, arrays: Mapping[str, npt.NDArray[Any]], weight_decays: Sequence[float]
) -> list[Path]:
    """Write an ensemble for the original's loader: ``NAME.mat`` and ``NAME.nns``.

    An ensemble with a variance head also has ``NAME_var.nns``. With one head for both, the text
    repeats the last layer after each hidden one, as in the original (Q-14).

    Args:
        folder: created if it is missing.
        name: the model's name.
        arrays: by the names of ``GaussianEnsemble.named_variables``.
        weight_decays: per layer, the last for the heads.

    Returns:
        The files, each written atomically; the ``.mat`` last.

    Raises:
        InputError: if the name or the arrays are invalid.
        OSError: if the folder cannot be written to.

    Original: mopo/models/bnn.py:BNN.save
    """
    if not re.fullmatch(r"[\w.-]+", name) or name.startswith("."):
        raise InputError(f"a model's name is letters, digits, '_', '-' and '.', got {name!r}.")
    model = _model_of_arrays(dict(enumerate(arrays.values())), f"the ensemble for {name}.mat")
    if list(arrays) != list(model.arrays):
        raise InputError(f"the ensemble for {name}.mat has arrays of other names: {list(arrays)}.")
    if len(weight_decays) != model.num_hidden_layers + 1:
        raise InputError(
            f"expected {model.num_hidden_layers + 1} weight decays, got {len(weight_decays)}."
        )
    folder.mkdir(parents=True, exist_ok=True)
    texts = structure_texts(_layers(model, weight_decays), separate=model.separate_mean_var)
    contents = {f"{name}{suffix}": text.encode() for suffix, text in texts.items()}
    mat = io.BytesIO()
    scipy.io.savemat(mat, {str(i): array for i, array in enumerate(model.arrays.values())})
    contents[f"{name}.mat"] = mat.getvalue()
    for file_name, content in contents.items():
        write_bytes(folder / file_name, content)
    return [folder / file_name for file_name in contents]


def _read_mat(path: Path) -> dict[int, npt.NDArray[Any]]:
    """Return the entries "0", "1", ... of a ``.mat`` by number."""
    try:
        content = scipy.io.loadmat(path)
    except Exception as error:  # the parser raises many types on damaged bytes
        raise InputError(
            f"{path} is damaged or not a .mat file ({type(error).__name__}: {error})."
        ) from error
    entries = {name: value for name, value in content.items() if not name.startswith("__")}
    if set(entries) != {str(i) for i in range(len(entries))}:
        raise InputError(
            f"{path} is not a model of the original: expected the entries 0, 1, 2, ..., got "
            f"{', '.join(sorted(entries)[:6]) or 'none'}."
        )
    return {int(name): value for name, value in entries.items()}


def _model_of_arrays(entries: Mapping[int, npt.NDArray[Any]], source: Path | str) -> SavedModel:
    """Determine an ensemble's structure from its arrays in the original's order.

    Original: mopo/models/bnn.py:BNN.finalize (nonoptvars, then optvars)
    """
    arrays = [np.asarray(entries[i]) for i in range(len(entries))]
    for i, array in enumerate(arrays):
        if array.dtype.kind != "f" or not np.isfinite(array).all():
            raise InputError(f"{source}: entry {i} must hold finite numbers, got {array.dtype}.")
    if len(arrays) < 8 or len(arrays) % 2:
        raise InputError(
            f"{source}: expected mean and std of the inputs, weights and biases of two layers or "
            f"more, and two bounds, got {len(arrays)} entries."
        )
    weights = arrays[2:-2:2]
    if any(array.ndim != 3 for array in weights) or arrays[0].ndim != 2 or arrays[-1].ndim != 2:
        raise InputError(f"{source}: {_shapes(arrays)} are not the shapes of an ensemble.")
    members, inputs, hidden = weights[0].shape
    outputs = arrays[-1].shape[1]
    separate = weights[-1].shape[2] == outputs
    depth = len(weights) - 1 - separate
    sizes = [inputs, *[hidden] * depth]
    units = [hidden] * depth + ([outputs, outputs] if separate else [2 * outputs])
    sizes += [hidden] * (len(units) - len(sizes))
    expected: list[tuple[int, ...]] = [(1, inputs)] * 2
    for rows, columns in zip(sizes, units, strict=True):
        expected += [(members, rows, columns), (members, 1, columns)]
    expected += [(1, outputs)] * 2
    if depth < 1 or [array.shape for array in arrays] != expected:
        raise InputError(
            f"{source}: {_shapes(arrays)} are not the shapes of an ensemble with hidden layers of "
            "one size and one or two heads."
        )
    obs_dim = outputs - 1
    if obs_dim < 1 or inputs <= obs_dim:
        raise InputError(
            f"{source} predicts {outputs} numbers from {inputs}: expected (reward, delta "
            "observation) from (observation, action)."
        )
    names = _names(depth, separate)
    return SavedModel(
        arrays={n: a.astype(np.float32) for n, a in zip(names, arrays, strict=True)},
        num_networks=members,
        hidden_dim=hidden,
        num_hidden_layers=depth,
        separate_mean_var=separate,
        obs_dim=obs_dim,
        act_dim=inputs - obs_dim,
    )


def _names(depth: int, separate: bool) -> list[str]:
    """Return the names of ``GaussianEnsemble.named_variables``, in its order."""
    layers = [f"layers/{i}" for i in range(depth + 1)] + ["var_layers/0"] * separate
    parameters = [f"{layer}/{kind}" for layer in layers for kind in ("weights", "biases")]
    return ["scaler/mu", "scaler/sigma", *parameters, "max_logvar", "min_logvar"]


def _shapes(arrays: Sequence[npt.NDArray[Any]]) -> str:
    return ", ".join(str(array.shape).replace(" ", "") for array in arrays)


def _layers(model: SavedModel, decays: Sequence[float]) -> list[Layer]:
    """Return the trunk and the head or heads; each head has D units in the text."""
    hidden, members = model.hidden_dim, model.num_networks
    inputs = [model.obs_dim + model.act_dim, *[hidden] * (model.num_hidden_layers - 1)]
    trunk = [
        Layer(hidden, rows, HIDDEN_ACTIVATION, decay, members)
        for rows, decay in zip(inputs, decays[:-1], strict=True)
    ]
    head = Layer(1 + model.obs_dim, hidden, None, decays[-1], members)
    return [*trunk, head, *[head] * model.separate_mean_var]

"""The original's run checkpoints: the weights of policy and critics in ``checkpoint.pkl``."""

import dataclasses
import io
import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from mopo_tf2.data.unpickling import Placeholder, load_pickle, placeholders_for_the_rest
from mopo_tf2.errors import InputError

Weights = tuple[npt.NDArray[np.float32], ...]


@dataclasses.dataclass(frozen=True, kw_only=True)
class SavedPolicy:
    """The policy and critics that the original saved in a run.

    Attributes:
        policy: kernel, bias, kernel, bias, ... float32; the last layer gives [shift, log scale].
        critics: likewise for each Q(s, a); empty if they are not in the file.
        hidden_layer_sizes: of the policy.
        obs_dim: O.
        act_dim: A.
        epochs: number of policy-training epochs done; None if it is not in the file.
        variant: the run's configuration as the original resolved it, nested; empty if unknown.
    """

    policy: Weights
    critics: tuple[Weights, ...]
    hidden_layer_sizes: tuple[int, ...]
    obs_dim: int
    act_dim: int
    epochs: int | None = None
    variant: Mapping[str, Any] = dataclasses.field(default_factory=dict)


def read_policy(path: Path) -> SavedPolicy:
    """Read a ``checkpoint.pkl`` without running any of the pickle (D-62).

    NumPy arrays and plain containers are read; objects of the original's and of Keras' classes
    become placeholders. The critics are HDF5 files inside the pickle.

    Raises:
        InputError: if the file is missing or damaged, or holds no policy.

    Original: examples/development/main.py:ExperimentRunner.picklables;
        softlearning/utils/keras.py:PicklableKerasModel.__getstate__
    """
    content = load_pickle(path, admit=placeholders_for_the_rest)
    found = content.get("policy_weights") if isinstance(content, dict) else None
    if not isinstance(found, (list, tuple)):
        raise InputError(
            f"{path} is not a run checkpoint of the original: expected a dict with policy_weights."
        )
    policy = _network(found, f"the policy of {path}")
    outputs = policy[-1].shape[0]
    if outputs % 2:
        raise InputError(
            f"{path}: the policy gives {outputs} numbers; expected shift and log scale, an even "
            "count."
        )
    sizes = (policy[0].shape[0], outputs // 2)
    critics = content.get("Qs", ())
    return SavedPolicy(
        policy=policy,
        critics=tuple(_critic(critic, sum(sizes), path) for critic in _as_sequence(critics)),
        hidden_layer_sizes=tuple(kernel.shape[1] for kernel in policy[:-2:2]),
        obs_dim=sizes[0],
        act_dim=sizes[1],
        epochs=_epochs(content.get("algorithm")),
        variant=content["variant"] if isinstance(content.get("variant"), dict) else {},
    )


def _as_sequence(value: Any) -> Sequence[Any]:
    return value if isinstance(value, (list, tuple)) else ()


def _network(arrays: Sequence[Any], source: str) -> Weights:
    """Check that ``arrays`` are kernel, bias, kernel, bias, ... of one network."""
    weights = []
    for array in arrays:
        if not isinstance(array, np.ndarray) or array.dtype.kind != "f":
            raise InputError(f"{source} must hold arrays of floats, got {type(array).__name__}.")
        # A plain array that owns its memory: the pickle's arrays are of a subclass.
        weights.append(np.array(array, np.float32, subok=False))
    shapes = [weight.shape for weight in weights]
    kernels, biases = shapes[::2], shapes[1::2]
    fit = len(kernels) == len(biases) >= 2 and all(len(kernel) == 2 for kernel in kernels)
    if fit:
        fit = [(kernel[1],) for kernel in kernels] == biases
        fit = fit and all(a[1] == b[0] for a, b in itertools.pairwise(kernels))
    if not fit:
        raise InputError(f"{source}: {shapes} are not kernels and biases of a network.")
    if not all(np.isfinite(weight).all() for weight in weights):
        raise InputError(f"{source} has weights that are not finite.")
    return tuple(weights)


def _critic(saved: Any, inputs: int, path: Path) -> Weights:
    """Read a pickled Keras model: its state is the bytes of the HDF5 file that Keras saved."""
    state = saved.state if isinstance(saved, Placeholder) else None
    data = state.get("model_str") if isinstance(state, dict) else None
    if not isinstance(data, bytes):
        raise InputError(f"{path}: a critic is not a pickled Keras model; got {saved!r}.")
    source = f"a critic of {path}"
    try:
        with h5py.File(io.BytesIO(data), "r") as file:
            arrays = [_dataset(file, name) for name in _weight_names(file["model_weights"])]
    except InputError:
        raise
    except Exception as error:  # the library raises many types on damaged bytes
        raise InputError(f"{source} is not a Keras file ({type(error).__name__}: {error}).") from (
            error
        )
    weights = _network(arrays, source)
    if (weights[0].shape[0], weights[-1].shape[0]) != (inputs, 1):
        raise InputError(
            f"{source} maps {weights[0].shape[0]} numbers to {weights[-1].shape[0]}; expected "
            f"{inputs} (observation and action) to 1."
        )
    return weights


def _weight_names(group: h5py.Group) -> list[str]:
    """Return the paths of the weights in Keras's order, that of ``get_weights``."""
    names = []
    for layer in _texts(group.attrs["layer_names"]):
        names += [
            f"{group.name}/{layer}/{weight}"
            for weight in _texts(group[layer].attrs["weight_names"])
        ]
    return names


def _texts(names: Any) -> list[str]:
    return [name.decode() if isinstance(name, bytes) else str(name) for name in names]


def _dataset(file: h5py.File, name: str) -> npt.NDArray[Any]:
    parts = name.strip("/").split("/")
    paths = ["/".join(parts[:end]) for end in range(1, len(parts) + 1)]
    # HDF5 can link to other files; a checkpoint must not.
    if any(not isinstance(file.get(path, getlink=True), h5py.HardLink) for path in paths):
        raise InputError(f"a critic refers to data outside itself ({name}); refused.")
    dataset = file[name]
    if dataset.external is not None or dataset.is_virtual:
        raise InputError(f"a critic refers to data outside itself ({name}); refused.")
    return np.asarray(dataset[()])


def _epochs(algorithm: Any) -> int | None:
    """Return the epochs done of a pickled algorithm; its own ``_epoch`` counts from 0.

    Original: softlearning/algorithms/rl_algorithm.py:RLAlgorithm.__getstate__
    """
    state = algorithm.state if isinstance(algorithm, Placeholder) else None
    if not isinstance(state, dict):
        return None
    epoch, steps = state.get("_epoch"), state.get("_num_train_steps")
    if not isinstance(epoch, int) or not isinstance(steps, int):
        return None
    return epoch + 1 if steps else 0

"""Run checkpoints of the original: weights come in, nothing of the pickle runs."""

import builtins
import io
import itertools
import os
import pickle
from pathlib import Path

import h5py
import numpy as np
import pytest

from mopo_tf2.data.unpickling import Placeholder, load_pickle, placeholders_for_the_rest
from mopo_tf2.errors import InputError
from mopo_tf2.tf1_files import read_policy

RECORDINGS = Path(__file__).parents[2] / "parity" / "recordings"
CHECKPOINT = RECORDINGS / "run_checkpoint_files" / "checkpoint.pkl"
REST = {"admit": placeholders_for_the_rest}


def weights(inputs=5, hidden=(4, 3), outputs=4):
    sizes = [inputs, *hidden, outputs]
    arrays = []
    for rows, columns in itertools.pairwise(sizes):
        arrays += [np.ones((rows, columns), np.float32), np.zeros(columns, np.float32)]
    return arrays


class PicklableKerasModel:
    """Pickles as the original's: by NEWOBJ and a state."""

    def __init__(self, data):
        self.model_str = data


def write(tmp_path, content, protocol=3):
    path = tmp_path / "checkpoint.pkl"
    path.write_bytes(content if isinstance(content, bytes) else pickle.dumps(content, protocol))
    return path


def keras_file(edit=None):
    """An HDF5 file as Keras saves a Q-function with layers named by what they are."""
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        group = file.create_group("model_weights")
        group.attrs["layer_names"] = [b"input", b"second", b"first"]
        kernels = {"input": (), "second": weights(7, (3,), 1)[:2], "first": weights(7, (3,), 1)[2:]}
        for layer, arrays in kernels.items():
            names = [f"{layer}/{kind}:0" for kind in ("kernel", "bias")][: len(arrays)]
            group.create_group(layer).attrs["weight_names"] = [name.encode() for name in names]
            for name, array in zip(names, arrays, strict=True):
                group[layer][name] = array
        if edit is not None:
            edit(group)
    return buffer.getvalue()


def test_recorded_checkpoint_is_read_with_its_configuration():
    saved = read_policy(CHECKPOINT)
    assert (saved.obs_dim, saved.act_dim, saved.hidden_layer_sizes) == (17, 6, (32, 32))
    assert all(type(array) is np.ndarray for array in saved.policy)
    assert [len(critic) for critic in saved.critics] == [6, 6]
    assert saved.variant["environment_params"]["evaluation"]["domain"] == "halfcheetah"
    assert saved.epochs == 0


def test_keras_file_is_read_in_the_order_of_its_layer_names(tmp_path):
    content = {"policy_weights": weights(), "Qs": (PicklableKerasModel(keras_file()),)}
    saved = read_policy(write(tmp_path, content))
    (critic,) = saved.critics
    assert [array.shape for array in critic] == [(7, 3), (3,), (3, 1), (1,)]
    assert (saved.epochs, saved.obs_dim, saved.act_dim) == (None, 5, 2)


@pytest.mark.parametrize(
    ("name", "target"),
    [
        ("first/first/bias:0", h5py.ExternalLink("other.h5", "/x")),
        ("first/first/bias:0", h5py.SoftLink("/model_weights/second")),
        ("first/first", h5py.ExternalLink("other.h5", "/x")),
    ],
)
def test_critic_that_points_elsewhere_is_refused(tmp_path, name, target):
    def link(group):
        del group[name]
        group[name] = target

    content = {"policy_weights": weights(), "Qs": (PicklableKerasModel(keras_file(link)),)}
    with pytest.raises(InputError, match="outside itself"):
        read_policy(write(tmp_path, content))


@pytest.mark.parametrize("data", [b"", b"\x89HDF\r\n\x1a\n", keras_file()[:500], "text", None])
def test_damaged_critic_is_refused(tmp_path, data):
    content = {"policy_weights": weights(), "Qs": (PicklableKerasModel(data),)}
    with pytest.raises(InputError, match="critic"):
        read_policy(write(tmp_path, content))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param(CHECKPOINT.read_bytes()[:30000], "truncated", id="truncated"),
        ([1, 2], "policy_weights"),
        ({"variant": {}}, "policy_weights"),
        ({"policy_weights": weights()[:3]}, "not kernels and biases"),
        ({"policy_weights": weights()[:2]}, "not kernels and biases"),
        ({"policy_weights": weights()[::-1]}, "not kernels and biases"),
        ({"policy_weights": weights(outputs=3)}, "even"),
        ({"policy_weights": [1, 2]}, "arrays of floats"),
        ({"policy_weights": [array * np.nan for array in weights()]}, "not finite"),
    ],
)
def test_file_without_a_policy_is_refused(tmp_path, content, message):
    with pytest.raises(InputError, match=message):
        read_policy(write(tmp_path, content))


class Calls:
    """Pickles as a call of ``function``."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_commands_in_a_checkpoint_become_placeholders_and_do_not_run(tmp_path, protocol):
    marker = tmp_path / "ran"
    content = {
        "policy_weights": weights(),
        "algorithm": [
            Calls(os.system, f"touch {marker}"),
            Calls(builtins.eval, f"open({str(marker)!r}, 'w')"),
            Calls(open, str(marker), "w"),
        ],
    }
    path = write(tmp_path, content, protocol)
    saved = read_policy(path)
    assert (saved.obs_dim, saved.critics) == (5, ())
    assert not marker.exists()
    read = load_pickle(path, **REST)["algorithm"]
    assert all(isinstance(item, Placeholder) for item in read)
    assert read[0].arguments == (f"touch {marker}",)


def test_call_of_what_a_getattr_gives_does_not_run(tmp_path):
    """By hand: getattr(os, 'system')('touch ran'), then a state and items for the result."""
    marker = tmp_path / "ran"
    content = (
        b"(dS'policy_weights'\nI0\nsS'x'\n"
        b"cbuiltins\ngetattr\n(cos\n__dict__\nS'system'\ntR"  # a placeholder, not a class
        b"(S'touch " + str(marker).encode() + b"'\ntR"  # called
        b"(dS'__class__'\nI1\nsb"  # given a state
        b"(S'key'\nS'value'\nu"  # given items
        b"s."
    )
    read = load_pickle(write(tmp_path, content), **REST)
    assert isinstance(read["x"], Placeholder)
    assert not marker.exists()


def test_state_set_on_a_placeholders_class_is_refused(tmp_path):
    content = b"cos\nsystem\n(dS'__setstate__'\nI1\nsb."
    with pytest.raises(InputError, match="not a pickle that can be read"):
        load_pickle(write(tmp_path, content), **REST)


class DictOfTheirs(dict):
    """A container of a class that is not installed."""


@pytest.mark.parametrize("protocol", [2, 4])
def test_what_a_checkpoint_holds_beside_weights_is_inert(tmp_path, protocol):
    objects = np.array([Calls(os.getcwd), {"a": 1}], dtype=object)
    content = {"theirs": DictOfTheirs(a=1, b=2), "objects": objects}
    read = load_pickle(write(tmp_path, content, protocol), **REST)
    assert isinstance(read["theirs"], Placeholder)
    assert np.asarray(read["objects"]).size == 0

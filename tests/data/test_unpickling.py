"""The unpickler lets numbers in and nothing else."""

import collections
import decimal
import gzip
import os
import pickle

import numpy as np
import pytest

from mopo_tf2.data.unpickling import load_pickle, numpy_and_containers
from mopo_tf2.errors import InputError


def write(path, content, *, zipped=False):
    path.write_bytes(gzip.compress(content) if zipped else content)
    return path


@pytest.mark.parametrize(("protocol", "zipped"), [*((n, False) for n in range(6)), (2, True)])
def test_arrays_scalars_and_containers_come_back_equal(tmp_path, protocol, zipped):
    value = {
        "float32": np.arange(6, dtype=np.float32).reshape(2, 3),
        "fortran": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        "big endian": np.arange(3, dtype=">i4"),
        "bool": np.array([True, False]),
        "empty": np.zeros((0, 4), dtype=np.float32),
        "scalar": np.float64(1.5),
        "others": [1, (2.5, "text", b"bytes", None), {3}, frozenset({4}), 1 + 2j],
        "ordered": collections.OrderedDict(a=1),
    }
    path = write(tmp_path / "file.pkl", pickle.dumps(value, protocol=protocol), zipped=zipped)
    read = load_pickle(path)
    assert list(read) == list(value)
    for name in ("float32", "fortran", "big endian", "bool", "empty"):
        # NumPy itself swaps foreign byte orders to the native one on reading.
        assert np.asarray(read[name]).dtype.str[1:] == value[name].dtype.str[1:]
        np.testing.assert_array_equal(np.asarray(read[name]), value[name])
    for name in ("scalar", "others", "ordered"):
        assert read[name] == value[name]


def test_pickle_of_python_2_is_read(tmp_path):
    # cPickle.dumps({'rewards': numpy.array([1., 2.])}, 2) under Python 2.7, written out by hand.
    raw = np.array([1.0, 2.0]).tobytes()
    content = (
        b"\x80\x02}U\x07rewardscnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U"
        b"\x01b\x87R(K\x01K\x02\x85cnumpy\ndtype\nU\x02f8K\x00K\x01\x87R(K\x03U\x01<NNNJ\xff\xff"
        b"\xff\xffJ\xff\xff\xff\xffK\x00tb\x89U\x10" + raw + b"tbs."
    )
    np.testing.assert_array_equal(
        load_pickle(write(tmp_path / "a.pkl", content))["rewards"], [1, 2]
    )


class Command:
    """Pickles as a call of os.system."""

    def __init__(self, command):
        self.command = command

    def __reduce__(self):
        return os.system, (self.command,)


@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_command_in_a_pickle_is_refused_by_name_and_does_not_run(tmp_path, protocol):
    marker = tmp_path / "ran"
    trajectory = {"observations": np.zeros(2), "env_infos": {"qpos": Command(f"touch {marker}")}}
    content = pickle.dumps([trajectory], protocol=protocol)
    with pytest.raises(InputError, match=f"{os.system.__module__}.system.*Nothing of it was run"):
        load_pickle(write(tmp_path / "file.pkl", content))
    assert not marker.exists()


@pytest.mark.parametrize("module", ["builtins", "__builtin__"])
def test_builtins_that_do_things_are_refused(module):
    for name in ("eval", "exec", "getattr", "__import__", "open", "type", "object", "map"):
        with pytest.raises(InputError, match=name):
            numpy_and_containers(module, name)


@pytest.mark.parametrize(
    "value",
    [
        np.array([decimal.Decimal(1), None], dtype=object),
        np.zeros(2, dtype=[("a", "f4")]),
        np.array(["text"]),
        np.ma.masked_array([1.0], [True]),
    ],
)
def test_arrays_of_anything_but_numbers_are_refused(tmp_path, value):
    with pytest.raises(InputError, match=r"numbers|asks for"):
        load_pickle(write(tmp_path / "file.pkl", pickle.dumps(value, protocol=2)))


def test_forged_flags_of_a_dtype_are_ignored(tmp_path):
    # Flags 63 would tell NumPy that the bytes are object pointers.
    content = pickle.dumps(np.zeros(1), protocol=2)
    honest = b"J\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00t"
    assert content.count(honest) == 1
    forged = content.replace(honest, honest[:-2] + b"\x3ft")
    array = np.asarray(load_pickle(write(tmp_path / "file.pkl", forged)))
    assert array.dtype.flags == np.dtype(np.float64).flags


CUT = pickle.dumps([1.5] * 1000)[:-20]


def built_twice():
    content = pickle.dumps(np.zeros(3), protocol=2)
    return content[:-1] + content[content.index(b"(K\x01K\x03\x85") : -1] + b"."


def shorter_than_its_shape():
    content = pickle.dumps(np.zeros(8, dtype=np.uint8), protocol=3)
    assert content.count(b"K\x08\x85") == 1
    return content.replace(b"K\x08\x85", b"K\xff\x85")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (built_twice(), "twice"),
        (shorter_than_its_shape(), "not a pickle that can be read"),
        # A dotted name cannot reach through an admitted one.
        (b"\x80\x04\x8c\x08builtins\x8c\x0fdict.fromkeys.x\x93.", r"dict.fromkeys"),
        # No codec but that of text.
        (b"\x80\x02c_codecs\nencode\nX\x01\x00\x00\x00aX\x03\x00\x00\x00zip\x86R.", "zip"),
    ],
    ids=["built twice", "too short", "dotted name", "codec"],
)
def test_forged_pickles_are_refused(tmp_path, content, message):
    with pytest.raises(InputError, match=message):
        load_pickle(write(tmp_path / "file.pkl", content))


@pytest.mark.parametrize("content", [None, b"", b"hello", CUT, gzip.compress(CUT, mtime=0)[:-12]])
def test_missing_and_damaged_files_are_refused_by_their_path(tmp_path, content):
    if content is not None:
        write(tmp_path / "file.pkl", content)
    with pytest.raises(InputError, match=r"file.pkl"):
        load_pickle(tmp_path / "file.pkl")


def test_policy_decides_what_a_name_stands_for(tmp_path):
    content = pickle.dumps(decimal.Decimal("1.5"), protocol=2)
    read = load_pickle(
        write(tmp_path / "file.pkl", content), admit=lambda module, name: lambda text: (name, text)
    )
    assert read == ("Decimal", "1.5")

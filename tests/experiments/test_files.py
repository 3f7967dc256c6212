import hashlib
import json
import os
import stat

import numpy as np
import pytest

from experiments.files import ensure_writable_folder, file_sha256, replacing, write_json
from mopo_tf2.errors import InputError


def test_json_is_written_and_nothing_else_is_left_in_the_folder(tmp_path):
    path = tmp_path / "config.json"
    write_json(path, {"a": {"b": [1, 2.5, None]}, "path": tmp_path, "n": np.float32(0.5)})
    assert json.loads(path.read_text()) == {
        "a": {"b": [1, 2.5, None]},
        "path": str(tmp_path),
        "n": 0.5,
    }
    assert [entry.name for entry in tmp_path.iterdir()] == ["config.json"]


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_json_without_a_form_for_the_value_leaves_the_old_file(tmp_path, value):
    path = tmp_path / "config.json"
    write_json(path, {"old": 1})
    with pytest.raises(ValueError, match="JSON compliant"):
        write_json(path, {"new": value})
    assert json.loads(path.read_text()) == {"old": 1}
    assert len(list(tmp_path.iterdir())) == 1


def test_interrupted_writing_leaves_the_old_file_and_no_temporary_one(tmp_path):
    path = tmp_path / "curve.png"
    path.write_bytes(b"old")

    def write_half():
        with replacing(path) as temporary:
            temporary.write_bytes(b"half of the n")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_half()
    assert path.read_bytes() == b"old"
    assert len(list(tmp_path.iterdir())) == 1


def test_replaced_file_keeps_its_suffix_while_it_is_temporary(tmp_path):
    with replacing(tmp_path / "curve.pdf") as temporary:
        assert temporary.suffix == ".pdf"
        assert temporary.parent == tmp_path


@pytest.mark.skipif(os.name == "nt", reason="POSIX permissions")
def test_replaced_file_has_the_permissions_of_a_new_file(tmp_path):
    ordinary = tmp_path / "ordinary"
    ordinary.touch()
    with replacing(tmp_path / "replaced"):
        pass
    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("ordinary", "replaced")]
    assert modes[0] == modes[1]


def test_folder_is_made_with_its_parents_and_is_empty(tmp_path):
    folder = ensure_writable_folder(tmp_path / "runs" / "first")
    assert folder == tmp_path / "runs" / "first"
    assert list(folder.iterdir()) == []


def test_folder_that_is_a_file_is_an_input_error(tmp_path):
    (tmp_path / "taken").touch()
    with pytest.raises(InputError, match=r"Expected a folder, but .*taken is a file"):
        ensure_writable_folder(tmp_path / "taken")


def test_folder_below_a_file_is_an_input_error_in_one_line(tmp_path):
    (tmp_path / "taken").touch()
    with pytest.raises(InputError, match="Cannot make the folder") as caught:
        ensure_writable_folder(tmp_path / "taken" / "run")
    assert "\n" not in str(caught.value)


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="needs a folder nobody can write in")
def test_folder_that_cannot_be_written_in_is_an_input_error():
    with pytest.raises(InputError, match="Cannot write in the folder"):
        ensure_writable_folder("/proc/self")


def test_sha256_is_that_of_the_bytes(tmp_path):
    path = tmp_path / "data"
    path.write_bytes(b"abc")
    # FIPS 180-2, appendix B.1.
    assert file_sha256(path) == ("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
    path.write_bytes(b"x" * 3_000_000)
    assert file_sha256(path) == hashlib.sha256(b"x" * 3_000_000).hexdigest()

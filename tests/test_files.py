"""Files that are either whole or not there."""

import json
from pathlib import Path

import numpy as np
import pytest

from mopo_tf2.errors import InputError
from mopo_tf2.files import ensure_writable_folder, write_json


def test_json_holds_plain_values_only_and_a_refusal_keeps_the_file(tmp_path):
    path = tmp_path / "file.json"
    write_json(path, {"path": Path("a/b"), "array": np.arange(2), "number": np.float32(0.5)})
    before = path.read_bytes()
    assert json.loads(before) == {"path": "a/b", "array": [0, 1], "number": 0.5}
    for value, error in ((object(), TypeError), (float("nan"), ValueError)):
        with pytest.raises(error):
            write_json(path, {"value": value})
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("failing", ["mkdir", "write"])
def test_a_folder_that_cannot_be_made_or_written_in_is_refused(tmp_path, monkeypatch, failing):
    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    target = "pathlib.Path.mkdir" if failing == "mkdir" else "tempfile.TemporaryFile"
    monkeypatch.setattr(target, refuse)
    with pytest.raises(InputError, match="Permission denied"):
        ensure_writable_folder(tmp_path / "new")

"""Missing, extra and damaged files, and the command line around them."""

import hashlib
import json
import shutil

import numpy as np
import pytest

from parity.__main__ import RECORDINGS, main
from parity.recording import RecordingSet
from parity.registry import all_cases
from parity.runner import run_cases


def run(*arguments):
    return main([str(argument) for argument in arguments])


def flip_a_byte(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def edit_manifest(folder, **entry):
    """Change what the manifest says of the case scaler."""
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["cases"]["scaler"].update(entry)
    (folder / "manifest.json").write_text(json.dumps(manifest))


def test_intact_cases_pass(small_set, capsys):
    assert run("--recordings", small_set, "--case", "scaler", "replay_pool", "variants") == 0
    printed = capsys.readouterr().out
    assert "pass: 3 of 3 cases passed" in printed
    assert "\x1b[" not in printed
    assert "MISS" not in printed


def not_an_npz(folder):
    (folder / "scaler.npz").write_bytes(b"nothing")
    edit_manifest(folder, sha256=hashlib.sha256(b"nothing").hexdigest())


@pytest.mark.parametrize(
    ("case", "damage", "told"),
    [
        (
            "variants",
            lambda folder: flip_a_byte(folder / "variants.json"),
            "variants.json differs from its hash",
        ),
        ("scaler", lambda folder: (folder / "scaler.npz").unlink(), "cannot be read: No such file"),
        (
            "fc_layer",
            lambda folder: shutil.copy(RECORDINGS / "fc_layer.npz", folder),
            "does not list the case fc_layer",
        ),
        ("scaler", not_an_npz, "scaler.npz cannot be read"),
        ("scaler", lambda folder: edit_manifest(folder, file="../x.npz"), "outside the folder"),
    ],
    ids=["side file", "missing", "not listed", "no npz", "outside"],
)
def test_damaged_set_is_a_miss_that_says_what_is_wrong(small_set, capsys, case, damage, told):
    damage(small_set)
    assert run("--recordings", small_set, "--case", case) == 1
    assert told in capsys.readouterr().out


def test_whole_run_reports_missing_and_extra_cases_and_files(small_set):
    np.savez(small_set / "new_case.npz", array=np.zeros(1))
    (small_set / "stray.bin").write_bytes(b"")
    few = {name: all_cases()[name] for name in ("scaler", "variants", "fc_layer")}
    report = run_cases(RecordingSet(small_set), few)
    passed = {result.name: result.passed for result in report.results}
    assert passed == {
        "scaler": True,
        "variants": True,
        "fc_layer": False,  # missing in the set
        "new_case": False,  # known to nobody
        "replay_pool": False,  # known, but not to these cases
        "stray.bin": False,
    }
    assert not report.passed


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "it has no manifest.json"),
        ("{", "cannot be read"),
        ("[]", "is no manifest"),
        ('{"cases": []}', "is no manifest"),
    ],
)
def test_unfit_folder_is_an_error_in_one_line(tmp_path, capsys, content, message):
    if content is not None:
        (tmp_path / "manifest.json").write_text(content)
    assert run("--recordings", tmp_path) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.startswith("error: ")
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("option", "told"),
    [
        (["--recordings", "none"], "there is no folder"),
        (["--case", "sac_update"], "no case sac_update: there are fc_layer, "),
        (["--case", "scaler", "--json", "none/report.json"], "its folder does not exist"),
    ],
)
def test_options_that_name_nothing_are_errors_before_anything_runs(
    tmp_path, monkeypatch, capsys, option, told
):
    monkeypatch.chdir(tmp_path)
    assert run(*option) == 2
    captured = capsys.readouterr()
    assert told in captured.err
    assert captured.out == ""


def test_list_names_every_case(capsys):
    assert run("--list") == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 36
    assert any(line.startswith("whole_epoch ") and "seed to final" in line for line in lines)


def test_json_holds_the_table(small_set, tmp_path):
    flip_a_byte(small_set / "replay_pool.npz")
    target = tmp_path / "report.json"
    arguments = ("--recordings", small_set, "--case", "scaler", "replay_pool", "--json", target)
    assert run(*arguments) == 1
    report = json.loads(target.read_text())
    assert report["passed"] is False
    assert [case["passed"] for case in report["cases"]] == [True, False]
    fit = next(row for row in report["cases"][0]["rows"] if row["group"] == "fit")
    assert (fit["values"], fit["passed"], fit["rung"]) == (12, True, "op")
    assert not list(tmp_path.glob(".report*"))

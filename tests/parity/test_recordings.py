"""Missing, extra and damaged files, and the command line around them."""

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from parity.__main__ import RECORDINGS, main
from parity.recording import RecordingSet
from parity.registry import all_cases
from parity.runner import run_cases


def run(*arguments: object) -> int:
    return main([str(argument) for argument in arguments])


def manifest_of(folder: Path) -> dict[str, dict[str, dict[str, str]]]:
    loaded: dict[str, dict[str, dict[str, str]]] = json.loads(
        (folder / "manifest.json").read_text()
    )
    return loaded


def flip_a_byte(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def test_intact_cases_pass(small_set: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--recordings", small_set, "--case", "scaler", "replay_pool", "variants") == 0
    printed = capsys.readouterr().out
    assert "pass: 3 of 3 cases passed" in printed
    assert "\x1b[" not in printed
    assert "MISS" not in printed


def test_flipped_byte_is_a_miss_that_names_the_file(
    small_set: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flip_a_byte(small_set / "scaler.npz")
    assert run("--recordings", small_set, "--case", "scaler", "replay_pool") == 1
    printed = capsys.readouterr().out
    assert "scaler.npz differs from its hash" in printed
    assert "1 of 2 cases passed" in printed


def test_flipped_byte_of_a_side_file_is_a_miss(
    small_set: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flip_a_byte(small_set / "variants.json")
    assert run("--recordings", small_set, "--case", "variants") == 1
    assert "variants.json differs from its hash" in capsys.readouterr().out


def test_missing_file_is_a_miss(small_set: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (small_set / "scaler.npz").unlink()
    assert run("--recordings", small_set, "--case", "scaler") == 1
    assert "scaler.npz cannot be read: No such file" in capsys.readouterr().out


def test_case_that_the_manifest_does_not_list_is_a_miss(
    small_set: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copy(RECORDINGS / "fc_layer.npz", small_set)
    assert run("--recordings", small_set, "--case", "fc_layer") == 1
    assert "does not list the case fc_layer" in capsys.readouterr().out


def test_arrays_of_a_file_that_is_no_npz_are_a_miss_even_if_its_hash_fits(
    small_set: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (small_set / "scaler.npz").write_bytes(b"nothing")
    manifest = manifest_of(small_set)
    manifest["cases"]["scaler"]["sha256"] = hashlib.sha256(b"nothing").hexdigest()
    (small_set / "manifest.json").write_text(json.dumps(manifest))
    assert run("--recordings", small_set, "--case", "scaler") == 1
    assert "scaler.npz cannot be read" in capsys.readouterr().out


def test_whole_run_reports_missing_and_extra_cases_and_files(small_set: Path) -> None:
    np.savez(small_set / "new_case.npz", array=np.zeros(1))
    (small_set / "stray.bin").write_bytes(b"")
    cases = all_cases()
    few = {name: cases[name] for name in ("scaler", "variants", "fc_layer")}
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


def test_manifest_cannot_lead_outside_the_folder(
    small_set: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    manifest = manifest_of(small_set)
    manifest["cases"]["scaler"]["file"] = "../scaler.npz"
    (small_set / "manifest.json").write_text(json.dumps(manifest))
    assert run("--recordings", small_set, "--case", "scaler") == 1
    assert "outside the folder" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "it has no manifest.json"),
        ("{", "cannot be read"),
        ("[]", "is no manifest"),
        ('{"cases": []}', "is no manifest"),
    ],
)
def test_unfit_folder_is_an_error_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str | None, message: str
) -> None:
    if content is not None:
        (tmp_path / "manifest.json").write_text(content)
    assert run("--recordings", tmp_path) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.startswith("error: ")
    assert error.count("\n") == 1


def test_folder_that_is_not_there_is_an_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("--recordings", tmp_path / "none") == 2
    assert "there is no folder" in capsys.readouterr().err


def test_unknown_case_is_an_error_that_names_the_known_ones(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run("--case", "sac_update") == 2
    error = capsys.readouterr().err
    assert "no case sac_update: there are" in error
    assert "sac_updates" in error


def test_case_without_a_name_is_bad_usage() -> None:
    with pytest.raises(SystemExit) as stopped:
        run("--case")
    assert stopped.value.code == 2


def test_list_names_every_case(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--list") == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 27
    assert any(
        line.startswith("whole_epoch ") and "seed to final weights" in line for line in lines
    )


def test_json_holds_the_table(small_set: Path, tmp_path: Path) -> None:
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


def test_json_into_a_folder_that_is_not_there_is_an_error_before_anything_runs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("--case", "scaler", "--json", tmp_path / "none" / "report.json") == 2
    captured = capsys.readouterr()
    assert "its folder does not exist" in captured.err
    assert captured.out == ""

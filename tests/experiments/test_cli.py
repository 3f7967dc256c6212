"""What the command line accepts, lists and refuses: one line, exit code 2, nothing written."""

import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from mopo_tf2 import __main__ as module
from mopo_tf2 import __version__
from mopo_tf2.config import EnsembleConfig, MOPOConfig, SACConfig
from mopo_tf2.configs.field_help import field_docs, field_help
from tests.experiments.tiny_runs import mopo, refused, write_random_dataset

SHIPPED = "halfcheetah-sac-replay-v0"
HEAVY = ("tensorflow", "keras", "pandas", "matplotlib", "gymnasium", "h5py", "ray")


def drop_rewards(file: h5py.File) -> None:
    del file["rewards"]


def spoil_one(file: h5py.File) -> None:
    file["observations"][7, 2] = np.nan


def other_robot(file: h5py.File) -> None:
    narrow = file["observations"][:, :11]
    del file["observations"]
    file["observations"] = narrow


@pytest.mark.parametrize(
    ("change", "rows", "named"),
    [
        (drop_rewards, 1200, ["rewards"]),
        (spoil_one, 1200, ["observations", "2", "row 7"]),
        (other_robot, 1200, ["11", "17"]),
        (len, 50, ["min_pool_size"]),
        (len, 0, ["empty"]),
    ],
)
def test_invalid_data_are_refused_before_anything_is_written(
    tmp_path: Path, change: Callable[[h5py.File], Any], rows: int, named: list[str]
) -> None:
    data, out = write_random_dataset(tmp_path / "data.hdf5", rows), tmp_path / "run"
    with h5py.File(data, "a") as file:
        change(file)
    line = refused("train", "halfcheetah_mixed", "--dataset", data, "--out", out)
    assert all(word in line for word in named), line
    assert not out.exists()


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["trian"], ["did you mean train"]),
        (["train", "halfcheetah_mixd"], ["halfcheetah_mixed"]),
        (["train", "owm"], ["own"]),
        (["train", "halfcheetah_mixed", "--set", "rollout_len=3"], ["rollout_length"]),
        (["train", "halfcheetah_mixed", "--set", "n_epochs=many"], ["whole number", "many"]),
        (["train", "halfcheetah_mixed", "--set", "real_ratio=2"], ["real_ratio", "[0, 1]"]),
        (["train", "halfcheetah_mixed", "--set", "real_ratio"], ["KEY=VALUE"]),
        (["train", "halfcheetah_mixed", "--set", "bc.policy_lr=1"], ["bc", "not trained here"]),
        (["train", "halfcheetah_mixed", "--epochs", "3", "--set", "n_epochs=4"], ["--epochs"]),
        (["train", "halfcheetah_mixed", "--dataset", "nope.hdf5"], ["nope.hdf5"]),
        (["train", "halfcheetah_mixed", "--seed", "-1"], ["seed"]),
        (["train", "halfcheetah_mixed", "--seed", "1", "--seeds", "2"], ["--seeds"]),
        (["train", "halfcheetah_mixed", "--seeds", "1", "1"], ["twice"]),
        (["train", "halfcheetah_mixed", "--out", ""], ["--out"]),
        (["train", "halfcheetah_mixed", "--dataset", SHIPPED, "--termination", "no"], ["hopper"]),
        (["train", "halfcheetah_mixed", "--dataset", SHIPPED, "--environment", "no:no"], ["no"]),
        (["train", "halfcheetah_mixed", "--model", "nowhere"], ["nowhere"]),
        (["train", "halfcheetah_mixed", "--resume"], ["holds no run"]),
        (["train"], ["CONFIG"]),
        (["train", "own"], ["--dataset"]),
        (["train", "hopper_mixed", "--algorithm", "bc", "--model", "runs"], ["BC does not use"]),
        (["train", "hopper_mixed", "--algorithm", "mroel"], ["did you mean morel"]),
        (["train-model", "hopper_mixed", "--algorithm", "bcq"], ["BCQ does not have"]),
    ],
)
def test_wrong_words_are_answered_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], named: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    line = refused(*arguments)
    assert all(word in line for word in named), line
    assert list(tmp_path.iterdir()) == []


def test_an_unwritable_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    out = tmp_path / "file" / "run"
    assert "file" in refused("train", "halfcheetah_mixed", "--dataset", SHIPPED, "--out", out)


def loaded_by(*arguments: str) -> tuple[int, set[str]]:
    """Run a command in a process of its own; return its exit code and the heavy modules loaded."""
    program = (
        "import sys\nfrom mopo_tf2.experiments.cli import main\n"
        "try:\n    code = main(sys.argv[1:])\nexcept SystemExit as ended:\n    code = ended.code\n"
        f"print('loaded:', *(name for name in {HEAVY} if name in sys.modules))\nsys.exit(code)\n"
    )
    command = [sys.executable, "-c", program, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.returncode, set(done.stdout.strip().splitlines()[-1].split()[1:])


@pytest.mark.parametrize("arguments", [["--help"], ["train", "nonsense"], ["train", "--help"]])
def test_help_and_mistyped_names_load_nothing_heavy(arguments: list[str]) -> None:
    _, loaded = loaded_by(*arguments)
    assert loaded == set()


def test_errors_of_data_are_found_without_tensorflow(tmp_path: Path) -> None:
    data = write_random_dataset(tmp_path / "data.hdf5", rows=50)
    code, loaded = loaded_by("train", "halfcheetah_mixed", "--dataset", str(data))
    assert code == 2
    assert not loaded & {"tensorflow", "keras", "matplotlib"}


@pytest.mark.parametrize(
    ("arguments", "named"), [([], "mopo-tf2 COMMAND --help"), (["--version"], __version__)]
)
def test_help_and_version_are_answers(arguments: list[str], named: str) -> None:
    answer = mopo(*arguments)
    assert answer.code == 0
    assert named in answer.out


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_completion_scripts_name_the_commands(shell: str) -> None:
    answer = mopo("--print-completion", shell)
    assert answer.code == 0
    assert "train-model" in answer.out


def test_list_names_configurations_datasets_and_methods(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "hopper_medium.hdf5").touch()
    monkeypatch.setenv("D4RL_DATASET_DIR", str(tmp_path))
    found, missing = mopo("list").out.split("datasets not found")
    for name in ("halfcheetah_mixed", "ant_angle", "own", SHIPPED, "hopper-medium-v0"):
        assert f"  {name} " in found
    assert "hopper-medium-v2" in missing
    assert "mopo-true-penalty" in missing


def test_every_field_of_the_configuration_is_explained() -> None:
    text = field_help()
    for cls in (MOPOConfig, EnsembleConfig, SACConfig):
        for name, meaning in field_docs(cls).items():
            assert meaning, name
            if name not in ("ensemble", "sac"):
                assert f"{name} = " in text
    assert "by definition: penalty_coeff = 0.0" in text


def test_python_m_mopo_tf2_is_the_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = signal.getsignal(signal.SIGINT)
    monkeypatch.setattr(sys, "argv", ["mopo-tf2"])
    assert module.main() == 0
    assert "usage: mopo-tf2" in capsys.readouterr().out
    assert signal.getsignal(signal.SIGINT) is before


def test_help_of_collect_lists_the_fields_of_online_sac() -> None:
    assert "warm_up = 5000" in mopo("collect", "--help").out

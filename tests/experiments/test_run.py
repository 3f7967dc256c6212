"""Runs through the real command line: reproducible, resumable, refusing."""

import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from experiments.exports import MODEL_FILE, POLICY_FILE
from experiments.run import _say_what_runs
from experiments.run_spec import Overrides, build_spec, named_spec, read_spec
from mopo_tf2.checkpoints import checkpoints, load_arrays
from tests.experiments.tiny_runs import (
    mopo,
    progress_without_times,
    start_mopo,
    train_arguments,
)

EPOCHS = 5


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small dataset that the command line itself collected."""
    path = tmp_path_factory.mktemp("data") / "random.hdf5"
    answer = mopo("collect", "halfcheetah", "--out", path, "--n", "1200")
    assert answer.code == 0, answer.err
    return path


@pytest.fixture(scope="module")
def whole_run(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny run that nothing disturbed."""
    out = tmp_path_factory.mktemp("runs") / "whole"
    answer = mopo(*train_arguments(data, out, epochs=EPOCHS))
    assert answer.code == 0, answer.err
    return out


def wait_for(condition: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    """Wait until ``condition()`` holds while the process runs."""
    end = time.monotonic() + 400.0
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)


def rows(run: Path) -> int:
    """Number of whole rows of a progress.csv that is being written."""
    path = run / "progress.csv"
    return path.read_text().count("\n") - 1 if path.exists() else 0


def assert_same_run(run: Path, other: Path) -> None:
    """Compare two runs: every row but the times, and every array of the last checkpoint."""
    table, expected = progress_without_times(run), progress_without_times(other)
    assert table.equals(expected), table.compare(expected)
    arrays, counters = load_arrays(checkpoints(run / "checkpoints")[-1])
    wanted, wanted_counters = load_arrays(checkpoints(other / "checkpoints")[-1])
    assert arrays.keys() == wanted.keys()
    for name, array in arrays.items():
        np.testing.assert_array_equal(array, wanted[name], err_msg=name)
    assert counters["random_host"] == wanted_counters["random_host"]
    assert counters["epoch"] == wanted_counters["epoch"]


def test_a_run_folder_holds_what_its_users_read(whole_run: Path) -> None:
    for name in ("config.json", "params.json", "variant.json", "progress.csv"):
        assert (whole_run / name).is_file(), name
    assert (whole_run / "model_holdout.csv").read_text().count("\n") == 3
    assert list((whole_run / "tensorboard").iterdir())
    assert (whole_run / POLICY_FILE).is_file()
    assert (whole_run / MODEL_FILE).is_file()
    assert [path.name for path in checkpoints(whole_run / "checkpoints")] == [
        "epoch_00004.npz",
        "epoch_00005.npz",
    ]
    table = progress_without_times(whole_run)
    assert list(table["epoch"]) == [0, 1, 2, 3, 4]
    assert list(table["train-steps"]) == [60, 120, 180, 240, 300]
    assert np.isfinite(table.to_numpy(dtype=float)).all()
    assert table["training/return-average"].equals(table["evaluation/return-average"])


def test_the_same_seed_gives_the_same_run(data: Path, whole_run: Path, tmp_path: Path) -> None:
    answer = mopo(*train_arguments(data, tmp_path / "again", epochs=EPOCHS))
    assert answer.code == 0, answer.err
    assert_same_run(tmp_path / "again", whole_run)


def test_a_run_killed_then_interrupted_and_resumed_equals_one_never_disturbed(
    data: Path, whole_run: Path, tmp_path: Path
) -> None:
    out = tmp_path / "disturbed"
    process = start_mopo(*train_arguments(data, out, epochs=EPOCHS))
    wait_for(lambda: rows(out) >= 3, process)  # past the checkpoint of epoch 2
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert checkpoints(out / "checkpoints")[-1].name == "epoch_00002.npz"

    resumed = start_mopo("train", "halfcheetah_mixed", "--out", out, "--resume")
    wait_for(lambda: rows(out) == 2, resumed)  # cut back to the checkpoint
    wait_for(lambda: rows(out) >= 3, resumed)
    resumed.send_signal(signal.SIGINT)
    stdout, stderr = resumed.communicate(timeout=200)
    assert "Traceback" not in stderr
    if resumed.returncode == 0:
        pytest.fail("the run ended before Ctrl-C reached it")
    assert resumed.returncode == 130
    advice = stdout.strip().splitlines()[-1].partition("with: mopo-tf2 ")[2]
    assert advice == f"train halfcheetah_mixed --out {out} --resume"

    answer = mopo(*advice.split())
    assert answer.code == 0, answer.err
    assert "resuming" in answer.out
    assert_same_run(out, whole_run)


@pytest.mark.parametrize(
    ("option", "named"),
    [(("--set", "penalty_coeff=3"), "penalty_coeff"), (("--seed", "1"), "seed")],
)
def test_a_resumed_run_cannot_become_another_one(
    whole_run: Path, option: tuple[str, str], named: str
) -> None:
    answer = mopo("train", "halfcheetah_mixed", "--out", whole_run, "--resume", *option)
    assert answer.code == 2
    assert named in answer.err


def test_a_folder_that_holds_a_run_is_refused(data: Path, whole_run: Path) -> None:
    before = (whole_run / "progress.csv").read_bytes()
    answer = mopo(*train_arguments(data, whole_run, epochs=EPOCHS))
    assert answer.code == 2
    assert "--resume" in answer.err
    assert (whole_run / "progress.csv").read_bytes() == before


def test_a_model_trained_once_serves_other_runs(
    data: Path, whole_run: Path, tmp_path: Path
) -> None:
    out = tmp_path / "reuse"
    answer = mopo(*train_arguments(data, out, epochs=1), "--model", whole_run)
    assert answer.code == 0, answer.err
    arrays, metadata = load_arrays(out / MODEL_FILE)
    wanted, wanted_metadata = load_arrays(whole_run / MODEL_FILE)
    assert metadata["elites"] == wanted_metadata["elites"]
    for name, array in wanted.items():
        np.testing.assert_array_equal(arrays[name], array, err_msg=name)


def test_settings_that_contradict_a_loaded_model_are_refused(
    data: Path, whole_run: Path, tmp_path: Path
) -> None:
    answer = mopo(
        *("train", "halfcheetah_mixed", "--dataset", data, "--out", tmp_path / "no"),
        *("--model", whole_run, "--set", "hidden_dim=32"),
    )
    assert answer.code == 2
    assert "hidden_dim" in answer.err
    assert not (tmp_path / "no").exists()


def test_train_model_leaves_a_model_and_no_policy_epochs(data: Path, tmp_path: Path) -> None:
    settings = train_arguments(data, tmp_path, epochs=1)[8:]
    answer = mopo(
        *("train-model", "halfcheetah_mixed", "--dataset", data, "--out", tmp_path / "model"),
        *settings,
    )
    assert answer.code == 0, answer.err
    assert (tmp_path / "model" / MODEL_FILE).is_file()
    assert not (tmp_path / "model" / "progress.csv").exists()


def test_evaluate_says_return_and_length(whole_run: Path) -> None:
    answer = mopo("evaluate", whole_run, "--episodes", "2", "--seed", "3")
    assert answer.code == 0, answer.err
    assert f"policy of epoch {EPOCHS}, 2 episodes, seed 3" in answer.out
    assert "return " in answer.out
    assert mopo("evaluate", whole_run, "--episodes", "2", "--seed", "3").out == answer.out


def test_a_runs_policy_collects_data_of_its_own_task_only(whole_run: Path, tmp_path: Path) -> None:
    out = tmp_path / "policy.hdf5"
    answer = mopo("collect", "halfcheetah", "--out", out, "--n", "50", "--policy", whole_run)
    assert answer.code == 0, answer.err
    assert out.is_file()
    wrong = mopo("collect", "hopper", "--out", tmp_path / "x", "--n", "5", "--policy", whole_run)
    assert wrong.code == 2
    assert not (tmp_path / "x").exists()


def test_a_users_own_task_and_termination_function_train(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "own_task.py").write_text(
        "from mopo_tf2.evaluation.environments import make_environment\n"
        "def make(render_mode=None):\n"
        "    return make_environment('halfcheetah', render_mode=render_mode)\n"
        "def ends(observations, actions, next_observations):\n"
        "    return next_observations[:, :1] > 0.05\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    answer = mopo(
        *train_arguments(data, tmp_path / "own", epochs=1),
        *("--environment", "own_task:make", "--termination", "own_task:ends"),
    )
    assert answer.code == 0, answer.err
    assert read_spec(tmp_path / "own" / "config.json").termination == "own_task:ends"
    table = progress_without_times(tmp_path / "own")
    assert table["model/mean_rollout_length"].iloc[0] < 2.0  # some rollouts ended early
    assert np.isnan(table["evaluation/normalized-score"].iloc[0])


def test_a_runs_config_json_describes_the_same_run(whole_run: Path) -> None:
    path = whole_run / "config.json"
    assert build_spec(str(path), Overrides()) == read_spec(path)
    assert read_spec(path).algorithm.ensemble.hidden_dim == 16


def test_rows_that_are_left_out_are_said(capsys: pytest.CaptureFixture[str]) -> None:
    spec = named_spec("hopper_medium_expert")
    _say_what_runs(spec, Path("runs"), 1_000_000)
    assert "are kept" not in capsys.readouterr().out
    _say_what_runs(spec, Path("runs"), 1_999_998)
    assert "the last 1,000,000 of 1,999,998 rows are kept" in capsys.readouterr().out

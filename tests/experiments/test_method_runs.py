"""Every kind of policy through the command line: trained, stopped, resumed, evaluated, compared."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from experiments.logging import read_progress
from mopo_tf2.checkpoints import load_checkpoint
from tests.algorithms.tiny_methods import LOOP, TINY
from tests.eager import eagerly
from tests.experiments.tiny_runs import mopo

METHODS = ("sac", "bc", "bcq", "morel")
"""One of each way to train and of each kind of policy; the variants of MOPO run MOPO's code."""


@pytest.fixture(scope="module", autouse=True)
def without_compilation() -> Iterator[None]:
    with eagerly():
        yield


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "random.hdf5"
    assert mopo("collect", "halfcheetah", "--n", "200", "--out", path).code == 0
    return path


def words(method: str, data: Path, out: Path, epochs: int) -> list[str]:
    settings = {**LOOP, **TINY[method], "n_epochs": epochs, "checkpoint_frequency": 1}
    texts = {
        name: ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
        for name, value in settings.items()
    }
    return [
        *("train", "halfcheetah_mixed", "--algorithm", method, "--dataset", str(data)),
        *("--out", str(out), "--set", *(f"{name}={text}" for name, text in texts.items())),
    ]


@pytest.fixture(scope="module", params=METHODS)
def runs(
    request: pytest.FixtureRequest, data: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, Path, Path]:
    """A method, a run of two epochs, and one of one epoch that was resumed to two."""
    method, folder = request.param, tmp_path_factory.mktemp(request.param)
    whole, parts = folder / "whole", folder / "parts"
    for arguments in (
        words(method, data, whole, 2),
        words(method, data, parts, 1),
        [*words(method, data, parts, 2), "--resume"],
    ):
        answer = mopo(*arguments)
        assert answer.code == 0, answer.err
    return method, whole, parts


def test_a_resumed_run_is_the_undisturbed_one(runs: tuple[str, Path, Path]) -> None:
    _, whole, parts = runs
    frames = [read_progress(folder) for folder in (whole, parts)]
    columns = [name for name in frames[0] if not name.startswith("times/")]
    np.testing.assert_array_equal(frames[0][columns], frames[1][columns])
    checkpoints = [load_checkpoint(folder / "checkpoints") for folder in (whole, parts)]
    arrays = [checkpoint[0] for checkpoint in checkpoints if checkpoint is not None]
    assert set(arrays[0]) == set(arrays[1])
    for name, array in arrays[0].items():
        np.testing.assert_array_equal(array, arrays[1][name], err_msg=name)


def test_the_policy_is_evaluated_from_its_folder(runs: tuple[str, Path, Path]) -> None:
    method, whole, _ = runs
    answer = mopo("evaluate", whole, "--episodes", "2")
    assert answer.code == 0, (method, answer.err)
    assert "policy of epoch 2, 2 episodes" in answer.out


def test_the_policy_collects_data(runs: tuple[str, Path, Path], tmp_path: Path) -> None:
    _, whole, _ = runs
    out = tmp_path / "rollouts.hdf5"
    answer = mopo("collect", "halfcheetah", "--policy", whole, "--n", "20", "--out", out)
    assert answer.code == 0, answer.err
    assert out.is_file()


def test_fitted_q_evaluation_takes_the_policy(runs: tuple[str, Path, Path]) -> None:
    _, whole, _ = runs
    answer = mopo("fqe", whole, "--steps", "20", "--critics", "2")
    assert answer.code == 0, answer.err
    assert "discounted return" in answer.out


def test_a_run_is_not_resumed_as_another_method(
    runs: tuple[str, Path, Path], data: Path, tmp_path: Path
) -> None:
    method, whole, _ = runs
    other = "bc" if method != "bc" else "sac"
    answer = mopo(*words(other, data, whole, 2), "--resume")
    assert answer.code == 2
    assert f"is a run with method {method}, not {other}" in answer.err


def test_a_model_is_refused_by_methods_that_have_no_use_for_it(data: Path, tmp_path: Path) -> None:
    answer = mopo(*words("bc", data, tmp_path / "run", 1), "--model", tmp_path)
    assert answer.code == 2
    assert "for which bc has no use" in answer.err
    assert not (tmp_path / "run").exists()


def test_an_ensemble_is_not_trained_for_a_method_without_one(tmp_path: Path) -> None:
    answer = mopo("train-model", "halfcheetah_mixed", "--algorithm", "bcq", "--out", tmp_path)
    assert answer.code == 2
    assert "bcq has not" in answer.err


def test_an_unknown_method_is_refused(tmp_path: Path) -> None:
    answer = mopo("train", "halfcheetah_mixed", "--algorithm", "td3", "--out", tmp_path / "run")
    assert answer.code == 2
    assert "no algorithm 'td3'" in answer.err

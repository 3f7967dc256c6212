"""Evaluations of a run's policy: with a simulator, in the model, from the data alone."""

import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from experiments import evaluation as module
from experiments.evaluation import _score, evaluate_run, fitted_q_of_run, to_json
from experiments.run_folder import RunFolder
from experiments.run_spec import build_spec
from mopo_tf2.configs.fitted_q import FittedQConfig
from mopo_tf2.data.catalog import reference_scores
from mopo_tf2.errors import DivergenceError, InputError
from mopo_tf2.evaluation.environments import make_environment
from tests.eager import eagerly
from tests.experiments.conftest import EPOCHS
from tests.experiments.tiny_runs import TINY_SETTINGS, mopo, refused

SHORT = ("--steps", "10", "--critics", "2")
"""A fitted-Q evaluation that takes no time."""


def parsed(text):
    """What was printed, which must be one strict JSON object."""
    return json.loads(text, parse_constant=pytest.fail)


def test_evaluate_tells_the_same_in_words_and_as_json(tiny_run):
    arguments = ("evaluate", tiny_run, "--episodes", "3", "--seed", "3")
    answer = mopo(*arguments)
    assert answer.code == 0, answer.err
    heading, returns, lengths, score = answer.out.splitlines()
    assert heading == f"halfcheetah (d4rl physics), policy of epoch {EPOCHS}, 3 episodes, seed 3"
    assert lengths == "episode length 30 +- 0 (min 30, max 30)"
    assert score == ("no normalized score: D4RL's scores belong to episodes of 1000 steps, not 30")
    found = parsed(mopo(*arguments, "--json").out)
    assert f"(min {min(found['returns']):.4g}, max {max(found['returns']):.4g})" in returns
    assert found["evaluation/return-average"] == pytest.approx(np.mean(found["returns"]))
    assert found["evaluation/return-std"] == pytest.approx(np.std(found["returns"]))
    assert found["lengths"] == [30, 30, 30]
    names = ("environment", "physics", "epoch", "episodes", "seed", "max_path_length")
    assert [found[name] for name in names] == ["halfcheetah", "d4rl", EPOCHS, 3, 3, 30]


@pytest.mark.parametrize(
    ("task", "horizon", "physics", "score"),
    [
        ("hopper", 1000, "d4rl", 100.0),
        ("hopper", 999, "d4rl", None),
        ("hopper", 1000, "gymnasium", None),
        ("x", 1000, "own", None),
    ],
)
def test_score_is_d4rls_for_whole_episodes_of_its_tasks(task, horizon, physics, score):
    found = _score(reference_scores("hopper")[1], task, horizon, physics)
    assert parsed(to_json(found))["evaluation/normalized-score"] == score
    assert bool(found["note"]) is (score is None)


def test_actions_are_those_of_the_first_episode(tiny_run):
    numbers, actions = evaluate_run(tiny_run, 2, 0)
    environment = make_environment("halfcheetah")
    environment.reset(seed=numbers["reset_seed"])
    rewards = [float(environment.step(action)[1]) for action in actions]
    assert sum(rewards) == numbers["returns"][0]


def test_a_policy_that_diverged_is_told_in_one_line(tiny_run, monkeypatch):
    policy, _ = RunFolder(tiny_run).load_policy()
    diverged = lambda self, rows, seed: lambda observations: np.full((rows, 6), np.nan)  # noqa: E731
    monkeypatch.setattr(type(policy), "acting", diverged)
    with pytest.raises(DivergenceError, match="not finite in 2 of 2 episodes"):
        evaluate_run(tiny_run, 2, 0)


def test_a_film_that_cannot_be_drawn_does_not_lose_the_evaluation(tiny_run, tmp_path, monkeypatch):
    def fail(episode, actions, out):
        # MuJoCo's choice of graphics is for the film's process, not for this one.
        assert "MUJOCO_GL" not in os.environ
        raise InputError("cannot draw halfcheetah: no screen.")

    monkeypatch.setenv("MUJOCO_GL", "osmesa")
    monkeypatch.setattr("experiments.film.film", fail)
    answer = mopo("evaluate", tiny_run, "--episodes", "2", "--video", tmp_path / "a.mp4", "--json")
    assert answer.code == 1
    assert len(parsed(answer.out)["returns"]) == 2
    assert answer.err.splitlines()[-1] == "error: cannot draw halfcheetah: no screen."


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["nowhere"], "expected a run folder nowhere"),
        (["."], "holds no policy yet"),
        ([".", "--episodes", "0"], "--episodes: expected a whole number from 1"),
        ([".", "--seed", "-1"], "--seed: expected a whole number from 0"),
        ([".", "--video", "a.avi"], ".mp4 or .gif, got a.avi"),
    ],
)
def test_invalid_options_are_refused_before_tensorflow_is_loaded(
    tmp_path, monkeypatch, options, named
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(module, "use_device", None)  # TensorFlow is not loaded
    assert named in refused("evaluate", *options)


def test_evaluation_and_collection_are_imported_without_tensorflow():
    program = "import sys, experiments.evaluation, experiments.collection; "
    program += "sys.exit('tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


@pytest.fixture(scope="module")
def pump(tmp_path_factory):
    """A run on a table whose actions lie in [0, 9], with a model and no simulator."""
    folder = tmp_path_factory.mktemp("own")
    values = np.random.RandomState(0).uniform(0, 9, (300, 4))
    table = pd.DataFrame(values, columns=["obs_a", "obs_b", "action_c", "reward"])
    table = table.assign(terminal=0, episode=np.arange(300) // 30)
    table.to_csv(folder / "pump.csv", index=False)
    bounds = {"action_low": [0.0], "action_high": [9.0]}
    (folder / "pump.csv.columns.json").write_text(json.dumps(bounds))
    answer = mopo(
        *("train", "own", "--dataset", folder / "pump.csv", "--out", folder / "run"),
        *("--epochs", "1", "--set", *TINY_SETTINGS, "model_eval_horizon=5"),
    )
    assert answer.code == 0, answer.err
    return folder


@pytest.fixture
def short_fqe(monkeypatch):
    """Let evaluate take ten steps of fitted-Q evaluation, not compiled."""
    short = lambda **settings: FittedQConfig(**{"steps": 10, **settings})  # noqa: E731
    monkeypatch.setattr(module, "FittedQConfig", short)
    with eagerly():
        yield


def as_method(run, method, out):
    """Write the policy of a run as one that another method has trained."""
    spec = build_spec("own", {"dataset": RunFolder(run).spec.dataset, "method": method})
    RunFolder(out).write_spec(spec, RunFolder(run).recorded)
    RunFolder(out).write_policy(*RunFolder(run).load_policy())
    return out


def test_model_and_data_are_both_asked(pump, short_fqe):
    answer = mopo("evaluate", pump / "run", "--episodes", "3")
    assert answer.code == 0, answer.err
    assert "nothing here is a return of the real process" in answer.out
    assert "in the learned model, no simulator (3 episodes of at most 5 steps" in answer.out
    assert "fitted-Q evaluation (" in answer.out
    found = parsed(mopo("evaluate", pump / "run", "--episodes", "3", "--json").out)
    assert np.isfinite(found["model"]["model_evaluation/return-average"])
    assert found["mean"] == pytest.approx(np.mean(found["values"]))


def test_a_run_without_a_model_is_estimated_from_its_data(pump, tmp_path, short_fqe):
    answer = mopo("evaluate", as_method(pump / "run", "sac", tmp_path))
    assert "sac keeps no model" in answer.out
    assert "fitted-Q evaluation" in answer.out
    assert "has no simulator" in refused("evaluate", tmp_path, "--video", "a.mp4")


def test_fqe_takes_other_data_with_the_same_bounds_only(pump, tmp_path):
    table, columns = tmp_path / "held_out.csv", tmp_path / "held_out.csv.columns.json"
    shutil.copyfile(pump / "pump.csv", table)
    shutil.copyfile(pump / "pump.csv.columns.json", columns)
    arguments = ("fqe", pump / "run", "--dataset", table, *SHORT)
    answer = mopo(*arguments, "--discount", "0.5")
    assert answer.code == 0, answer.err
    assert f"rows of {table}, 10 steps" in answer.out
    assert "(gamma 0.5; 2 critics from" in answer.out
    columns.write_text(json.dumps({"action_low": [0.0], "action_high": [10.0]}))
    assert "trained with action_low [0.0], action_high [9.0]" in refused(*arguments)
    assert "discount must lie in [0, 1)" in refused(*arguments, "--discount", "1")


def test_data_that_changed_since_the_training_are_pointed_out(pump, tmp_path):
    run = RunFolder(as_method(pump / "run", "mopo", tmp_path))
    run.write_spec(run.spec, {"dataset": {**run.recorded["dataset"], "sha256": "0" * 64}})
    assert "pump.csv has changed since the training" in mopo("fqe", run.path, *SHORT).out


def test_discount_is_the_one_that_the_policy_was_trained_for(pump, tmp_path):
    run = as_method(pump / "run", "morel", tmp_path)
    with eagerly():
        found = fitted_q_of_run(run, None, {"steps": 10, "num_critics": 1}, 0)
    assert found["config"]["discount"] == 0.999

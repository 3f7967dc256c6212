"""Runs through the real command line: reproducible, resumable, refusing."""

import json
import signal
from pathlib import Path
from typing import Any

import gymnasium
import h5py
import numpy as np
import pandas as pd
import pytest

from experiments.run_folder import RunFolder
from experiments.run_spec import build_spec
from experiments.training import _opening_lines
from mopo_tf2.checkpoints import checkpoints
from mopo_tf2.data.datasets import load_dataset
from tests.data.minari_sets import box, env_spec, random_episodes, write
from tests.eager import eagerly
from tests.experiments.conftest import EPOCHS
from tests.experiments.tiny_runs import (
    TINY_SETTINGS,
    assert_same_run,
    method_words,
    mopo,
    progress_without_times,
    refused,
    settings_words,
    start_mopo,
    train_arguments,
    wait_for,
    write_random_dataset,
)

CONSOLE = {
    **{"mopo": "Q loss", "sac": "Q loss", "bc": "policy loss", "bcq": "VAE loss"},
    "morel": "surrogate gain",
}
"""One method of each way to train and of each kind of policy, and what its lines show beside a
return; the variants of MOPO run MOPO's code."""
Runs = tuple[str, Path, Path, str]


def rows(run: Path) -> int:
    """Number of whole rows of a progress.csv that is being written."""
    return RunFolder(run).last_row()[0]


def stop_at(monkeypatch: pytest.MonkeyPatch, writer: str) -> None:
    """Make Ctrl-C come when ``writer`` of the run folder first writes something."""
    write = getattr(RunFolder, writer)

    def write_and_stop(*arguments: Any) -> None:
        write(*arguments)
        monkeypatch.undo()
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(RunFolder, writer, write_and_stop)


# MOPO.


def test_a_run_folder_holds_what_its_users_read(tiny_run: Path) -> None:
    for name in ("config.json", "params.json", "variant.json", "policy", "model"):
        assert (tiny_run / name).exists(), name
    assert len(RunFolder(tiny_run).holdout()) == 2
    assert list((tiny_run / "tensorboard").iterdir())
    found = [path.name for path in checkpoints(tiny_run / "checkpoints")]
    assert found == ["epoch_00004.npz", "epoch_00005.npz"]
    table = progress_without_times(tiny_run)
    assert list(table["epoch"]) == [0, 1, 2, 3, 4]
    assert list(table["train-steps"]) == [60, 120, 180, 240, 300]
    # Its episodes are cut at 30 steps, to which D4RL's reference returns do not belong.
    assert table.pop("evaluation/normalized-score").isna().all()
    assert np.isfinite(table.to_numpy(dtype=float)).all()
    assert table["training/return-average"].equals(table["evaluation/return-average"])


def test_a_checkpoint_does_not_hold_the_dataset(tiny_run: Path, data: Path) -> None:
    saved = RunFolder(tiny_run).load_checkpoint()
    rows_of_data = len(load_dataset(str(data)).transitions.rewards)
    assert saved is not None
    assert all(array.shape[:1] != (rows_of_data,) for array in saved[0].values())


def test_a_run_killed_then_interrupted_and_resumed_equals_one_never_disturbed(
    few_rows: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, whole, epochs = tmp_path / "disturbed", tmp_path / "whole", 150
    often = "checkpoint_frequency=7"
    process = start_mopo(*method_words("bc", few_rows, out, epochs)[:-1], often)
    wait_for(lambda: rows(out) >= 9, process)
    process.kill()
    process.communicate()
    assert 9 <= rows(out) < epochs
    with (out / "progress.csv").open("a") as file:
        file.write("9.0,12")  # A row that was being written.

    stop_at(monkeypatch, "write_row")
    stopped = mopo("train", "halfcheetah_mixed", "--out", out, "--resume", "--algorithm", "bc")
    assert (stopped.code, stopped.err) == (130, "")
    checkpoint = RunFolder(out).load_checkpoint()
    assert checkpoint is not None
    assert rows(out) == checkpoint[1]["epoch"] < epochs
    advice = stopped.out.strip().splitlines()[-1].partition("with: mopo-tf2 ")[2]
    assert advice == f"train halfcheetah_mixed --algorithm bc --out {out} --resume"

    answer = mopo(*advice.split())
    assert answer.code == 0, answer.err
    assert f"resuming {out} after epoch {checkpoint[1]['epoch']}" in answer.out
    assert mopo(*method_words("bc", few_rows, whole, epochs)[:-1], often).code == 0
    assert_same_run(out, whole)


@pytest.mark.parametrize(
    ("option", "named"),
    [
        (("--set", "penalty_coeff=3"), "penalty_coeff"),
        (("--seed", "1"), "seed = 0, not 1"),
        (("--algorithm", "bc"), "method = mopo, not bc"),
    ],
)
def test_a_resumed_run_cannot_become_another_one(
    tiny_run: Path, option: tuple[str, str], named: str
) -> None:
    line = refused("train", "halfcheetah_mixed", "--out", tiny_run, "--resume", *option)
    assert named in line


def test_a_run_whose_data_changed_is_not_resumed(tmp_path: Path) -> None:
    data, out = write_random_dataset(tmp_path / "data.hdf5", rows=120), tmp_path / "run"
    with eagerly():
        assert mopo(*method_words("bc", data, out, 1)).code == 0
    with h5py.File(data, "a") as file:
        file["rewards"][3] = 0.5
    line = refused(*method_words("bc", data, out, 2), "--resume")
    assert "has changed since" in line
    assert rows(out) == 1


def test_a_folder_that_holds_a_run_is_refused(data: Path, tiny_run: Path) -> None:
    before = (tiny_run / "progress.csv").read_bytes()
    assert "--resume" in refused(*train_arguments(data, tiny_run, epochs=EPOCHS))
    assert (tiny_run / "progress.csv").read_bytes() == before


def test_a_folder_has_one_writer(data: Path, tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    with folder.lock():
        line = refused(*train_arguments(data, tmp_path, epochs=1))
    assert "in use by another process" in line
    assert not folder.is_run


def test_a_model_trained_once_serves_other_runs(
    few_rows: Path, tiny_run: Path, tmp_path: Path
) -> None:
    with eagerly():
        words = method_words("mopo", few_rows, tmp_path / "run", 1)
        own = ("hidden_dim=", "num_networks=", "num_elites=")  # those of the model
        words = [word for word in words if not word.startswith(own)]
        answer = mopo(*words, "--model", tiny_run)
    assert answer.code == 0, answer.err
    arrays, metadata = RunFolder(tmp_path / "run").load_model()
    wanted, wanted_metadata = RunFolder(tiny_run).load_model()
    assert metadata["elites"] == wanted_metadata["elites"]
    for name, array in wanted.items():
        np.testing.assert_array_equal(arrays[name], array, err_msg=name)
    line = refused(
        *("train", "halfcheetah_mixed", "--dataset", few_rows, "--out", tmp_path / "no"),
        *("--model", tiny_run, "--set", "hidden_dim=32"),
    )
    assert "hidden_dim" in line
    assert not (tmp_path / "no").exists()


@pytest.fixture(scope="module")
def only_model(data: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[RunFolder, str]:
    """What train-model left and printed, with the settings of ``tiny_run``."""
    out = tmp_path_factory.mktemp("runs") / "model"
    arguments = ("train-model", "halfcheetah_mixed", "--dataset", data, "--out", out)
    with eagerly():
        answer = mopo(*arguments, "--set", *TINY_SETTINGS)
    assert answer.code == 0, answer.err
    return RunFolder(out), answer.out


def test_train_model_leaves_a_model_and_the_command_that_uses_it(
    data: Path, only_model: tuple[RunFolder, str]
) -> None:
    folder, said = only_model
    assert folder.has_model
    assert rows(folder.path) == 0
    assert "epochs, seed" not in said
    advice = said.strip().splitlines()[-1]
    assert advice.endswith(f"train halfcheetah_mixed --dataset {data} --model {folder}")


def test_train_model_trains_on_the_rows_that_train_uses(
    tiny_run: Path, only_model: tuple[RunFolder, str]
) -> None:
    folder, _ = only_model
    ours, of_train = folder.load_model()[0], RunFolder(tiny_run).load_model()[0]
    # Mean and std of the training rows; one row more or less changes them.
    for name in ("scaler/mu", "scaler/sigma"):
        np.testing.assert_array_equal(ours[name], of_train[name], err_msg=name)


def test_an_interrupted_train_model_advises_train_model(
    few_rows: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = ("halfcheetah_mixed", "--dataset", few_rows, "--out", tmp_path, "--set")
    stop_at(monkeypatch, "write_holdout")
    with eagerly():
        answer = mopo("train-model", *arguments, *settings_words("mopo", 1))
    assert (answer.code, answer.err) == (130, "")
    assert not RunFolder(tmp_path).has_model
    assert f"mopo-tf2 train-model halfcheetah_mixed --out {tmp_path} --resume" in answer.out


def test_a_users_own_task_and_termination_function_train(
    few_rows: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
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
    with eagerly():
        answer = mopo(
            *method_words("mopo", few_rows, tmp_path / "own", 1),
            *("--environment", "own_task:make", "--termination", "own_task:ends"),
        )
    assert answer.code == 0, answer.err
    assert RunFolder(tmp_path / "own").spec.termination == "own_task:ends"
    table = progress_without_times(tmp_path / "own")
    assert table["model/mean_rollout_length"].iloc[0] < 2.0  # some rollouts ended early


def test_a_runs_config_json_describes_the_same_run(tiny_run: Path) -> None:
    assert build_spec(str(tiny_run / "config.json")) == RunFolder(tiny_run).spec


def test_what_is_odd_about_the_settings_is_announced(data: Path, tmp_path: Path) -> None:
    def lines(*described: Any) -> str:
        return "\n".join(
            _opening_lines(build_spec(*described), RunFolder(tmp_path), dataset, False)
        )

    dataset = load_dataset(str(data))
    limits = [{"pool_max_size": str(len(dataset.transitions.rewards) + more)} for more in (-1, 0)]
    kept = [lines("halfcheetah_mixed", {}, limit) for limit in limits]
    assert ["keeping the last 1,187 of 1,188" in text for text in kept] == [True, False]
    assert "medium-expert" in lines("hopper-expert-v2")
    assert "not in the MOPO paper" not in lines("hopper_medium_expert")


# Every method, and data without a simulator.


@pytest.fixture(scope="module", params=CONSOLE)
def runs(
    request: pytest.FixtureRequest, few_rows: Path, tmp_path_factory: pytest.TempPathFactory
) -> Runs:
    """A method, a run of two epochs, one of one epoch extended to two, and what was printed."""
    method, folder = request.param, tmp_path_factory.mktemp(request.param)
    whole, parts = folder / "whole", folder / "parts"
    extended = [*method_words(method, few_rows, parts, 2), "--resume"]
    with eagerly():
        answers = [
            mopo(*method_words(method, few_rows, whole, 2)),
            mopo(*method_words(method, few_rows, parts, 1)),
            mopo(*extended),
        ]
    assert [answer.code for answer in answers] == [0, 0, 0], answers
    return method, whole, parts, answers[0].out


def test_an_extended_run_is_the_undisturbed_one_and_asks_for_its_new_end(
    runs: Runs, few_rows: Path
) -> None:
    method, whole, parts, _ = runs
    assert_same_run(parts, whole)
    less = refused(*method_words(method, few_rows, parts, 1), "--resume")
    assert "less than the 2 epochs" in less
    assert RunFolder(parts).spec.algorithm.n_epochs == RunFolder(parts).facts().epochs_asked == 2


def test_every_method_shows_a_loss_and_a_return(runs: Runs) -> None:
    method, _, _, printed = runs
    line = next(line for line in printed.splitlines() if line.startswith("epoch 2/2"))
    assert "return " in line
    assert CONSOLE[method] in line


def test_the_policy_of_any_method_is_read_back(runs: Runs) -> None:
    method, whole, _, _ = runs
    policy, metadata = RunFolder(whole).load_policy()
    actions = policy.acting(3, 0)(np.zeros((3, 17), np.float32))
    assert actions.shape == (3, 6)
    assert (metadata["method"], metadata["epoch"]) == (method, 2)


def test_the_same_seed_gives_the_same_run_among_several(few_rows: Path, tmp_path: Path) -> None:
    arguments = method_words("bc", few_rows, tmp_path / "several", 1)
    with eagerly():
        assert mopo(*method_words("bc", few_rows, tmp_path / "one", 1)).code == 0
        assert mopo(*arguments, "--seeds", "1", "0").code == 0
    assert_same_run(tmp_path / "several" / "seed_0", tmp_path / "one")
    assert RunFolder(tmp_path / "several" / "seed_1").spec.seed == 1
    again = mopo(*arguments, "--seeds", "1", "0", "--resume")
    assert again.code == 0
    assert again.out.count("is finished") == 2


@pytest.fixture(scope="module")
def pump(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A run on a table of logs without a simulator, and what its training printed."""
    folder = tmp_path_factory.mktemp("pump")
    random_state, rows_of_data = np.random.RandomState(0), 150
    pd.DataFrame(
        {
            "episode": np.arange(rows_of_data) // 50,
            "obs_pressure": random_state.uniform(500.0, 900.0, rows_of_data),
            "obs_demand": random_state.normal(size=rows_of_data),
            "action_level": random_state.uniform(-1.0, 1.0, rows_of_data),
            "reward": random_state.normal(size=rows_of_data),
            "terminal": 0,
        }
    ).to_csv(folder / "pump.csv", index=False)
    with eagerly():
        answer = mopo(
            *("train", "own", "--dataset", folder / "pump.csv", "--out", folder / "run"),
            *("--set", *settings_words("mopo", 1), "model_eval_horizon=5"),
        )
    assert answer.code == 0, answer.err
    return folder / "run", answer.out


def test_training_without_a_simulator_says_where_its_returns_are_from(
    pump: tuple[Path, str],
) -> None:
    run, printed = pump
    first, columns, units, *_ = printed.splitlines()
    assert "in the learned model, no simulator" in first
    assert "observations obs_pressure, obs_demand; actions action_level" in columns
    assert "obs_pressure (up to" in units
    assert "return in the learned model, no simulator:" in printed
    table = RunFolder(run).progress()
    assert np.isfinite(table["model_evaluation/return-average"]).all()
    assert table["evaluation/return-average"].isna().all()


# Data that name their environment.


def minari_words(dataset_id: str, config: str, out: Path, *more: str) -> list[str]:
    settings = [w for w in settings_words("bc", 1) if not w.startswith("max_path_length")]
    data = ["--algorithm", "bc", "--dataset", f"minari:{dataset_id}"]
    return ["train", config, *data, "--out", str(out), *more, "--set", *settings]


@pytest.mark.parametrize(
    ("named", "more", "first_line", "second_line", "score"),
    [
        (
            "Hopper-v5",
            (),
            "hopper with gymnasium physics (the data's own, Hopper-v5)",
            "no normalized score: D4RL's scores belong to its own physics, not to gymnasium.",
            False,
        ),
        (
            "Hopper-v5",
            ("--physics", "d4rl"),
            "hopper with d4rl physics (not the data's own, Hopper-v5)",
            "",
            True,
        ),
        ("Hopper-v2", (), "hopper with d4rl physics (the data's own, Hopper-v2)", "", True),
    ],
    ids=["v5", "v5 in other physics", "v2"],
)
def test_where_data_are_evaluated_is_said_and_recorded(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    named: str,
    more: tuple[str, ...],
    first_line: str,
    second_line: str,
    score: bool,
) -> None:
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "sets"))
    metadata = {"env_spec": env_spec(named)}
    write("mujoco/hopper/medium-v0", box(11), box(3, 1.0), random_episodes(11, 3), metadata)
    with eagerly():
        answer = mopo(
            *minari_words("mujoco/hopper/medium-v0", "hopper_medium", tmp_path / "run", *more)
        )
    assert answer.code == 0, answer.err
    lines = answer.out.splitlines()
    assert first_line in lines[0]
    assert (second_line in lines[1]) or not second_line
    run = RunFolder(tmp_path / "run")
    same = "not the data's" not in first_line
    assert run.recorded["dataset"]["environment"] == named
    assert run.recorded["environment"]["same_as_data"] is same
    assert run.progress()["evaluation/normalized-score"].notna().all() == score
    assert run.progress()["evaluation/return-average"].notna().all()
    text = mopo("table", tmp_path / "run", "--include-unfinished", "--metric", "return").out
    assert (f"its data are of {named}" in text) is not same
    text = mopo("table", tmp_path / "run").out
    assert ("D4RL's scores belong to its own physics" in text) is not score


def test_a_task_of_gymnasium_trains_from_its_data_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "sets"))
    environment = gymnasium.make("Pendulum-v1", max_episode_steps=12)
    assert environment.spec is not None
    environment.action_space.seed(0)
    episodes = []
    for seed in range(10):
        observations, ended = [environment.reset(seed=seed)[0]], False
        actions = [environment.action_space.sample() for _ in range(12)]
        for action in actions:
            observation, _, terminated, truncated, _ = environment.step(action)
            observations.append(observation)
            ended = terminated or truncated
        assert ended
        episodes.append((observations, actions, False))
    kinds = environment.observation_space, environment.action_space
    write("classic/pendulum-v0", *kinds, episodes, {"env_spec": environment.spec.to_json()})
    with eagerly():
        answer = mopo(*minari_words("classic/pendulum-v0", "own", tmp_path / "run"))
    assert answer.code == 0, answer.err
    assert (
        "120 transitions of minari:classic/pendulum-v0, Pendulum-v1 (the data's own" in answer.out
    )
    run = RunFolder(tmp_path / "run")
    assert (run.spec.environment, run.spec.physics) == ("Pendulum-v1", "gymnasium")
    assert run.spec.algorithm.max_path_length == 12
    assert run.recorded["dataset"]["action_bounds"] == {"low": [-2.0], "high": [2.0]}
    assert run.progress()["evaluation/episode-length-avg"].iloc[0] == 12
    found = json.loads(mopo("evaluate", tmp_path / "run", "--episodes", "1", "--json").out)
    assert (found["environment"], found["lengths"]) == ("Pendulum-v1", [12])
    assert found["note"] == "no normalized score: D4RL has no reference returns for Pendulum-v1"


def test_a_simulator_with_other_action_bounds_than_the_data_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "sets"))
    metadata = {"env_spec": env_spec("Pendulum-v1")}
    write("any/pendulum-v0", box(3), box(1, 1.5), random_episodes(3, 1, bound=1.5), metadata)
    line = refused(*minari_words("any/pendulum-v0", "own", tmp_path / "run"))
    assert "has actions from [-1.5] to [1.5], Pendulum-v1 from [-2.0] to [2.0]" in line
    assert not (tmp_path / "run").exists()

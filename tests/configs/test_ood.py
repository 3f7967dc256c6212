"""The configurations of the paper's own tasks."""

from pathlib import Path

import pytest

from experiments.run_parts import make_parts, reference_scores_of
from experiments.run_spec import Overrides, build_spec
from mopo_tf2.configs.d4rl import find_task
from mopo_tf2.configs.ood import OOD_TASKS
from mopo_tf2.dynamics.termination import TERMINATION_FUNCTIONS
from mopo_tf2.errors import InputError
from mopo_tf2.evaluation.environments import TASKS
from mopo_tf2.evaluation.ood_tasks import RELABELLINGS
from tests.experiments.tiny_runs import mopo


@pytest.mark.parametrize("name", OOD_TASKS)
def test_parts_that_a_configuration_names_exist(name: str) -> None:
    task = OOD_TASKS[name]
    assert task.environment in TASKS
    assert task.domain in TERMINATION_FUNCTIONS
    assert task.collection_task in RELABELLINGS[task.environment].family


@pytest.mark.parametrize("name", ["halfcheetah_jump", "halfcheetah-jump"])
def test_a_configuration_is_found_by_both_spellings(name: str) -> None:
    assert find_task(name) == OOD_TASKS["halfcheetah_jump"]


def test_a_name_that_looks_alike_is_answered_with_the_nearest() -> None:
    with pytest.raises(InputError, match="did you mean ant_angle"):
        find_task("ant_angel")


@pytest.mark.parametrize("name", OOD_TASKS)
def test_a_run_evaluates_in_the_task_and_has_no_reference_scores(name: str) -> None:
    spec = build_spec(name, Overrides(dataset="data.hdf5", settings={"eval_n_episodes": "1"}))
    parts = make_parts(spec)
    task = OOD_TASKS[name]
    assert (spec.environment, spec.termination) == (task.environment, task.domain)
    assert parts.environment_info.obs_dim == {"halfcheetah_jump": 18, "ant_angle": 27}[name]
    scores = reference_scores_of(spec)
    assert all(score != score for score in scores)  # nan


@pytest.mark.parametrize("name", OOD_TASKS)
def test_without_data_the_commands_that_make_them_are_named(tmp_path: Path, name: str) -> None:
    answer = mopo("train", name, "--out", tmp_path / "run")
    assert answer.code == 2
    assert len(answer.err.strip().splitlines()) == 1
    task = OOD_TASKS[name]
    for words in (
        f"{name} has no data of its own: name yours with --dataset FILE",
        f"mopo-tf2 collect {task.collection_task} --policy sac --steps",
        f"mopo-tf2 relabel {task.collection_task}.hdf5 --task {task.environment}",
        f"mopo-tf2 train {name} --dataset {task.environment}.hdf5",
    ):
        assert words in answer.err
    assert list(tmp_path.iterdir()) == []

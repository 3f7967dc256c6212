"""The configurations of the paper's own tasks."""

import pytest

from mopo_tf2.configs.d4rl import find_task
from mopo_tf2.configs.ood import OOD_TASKS
from mopo_tf2.dynamics.termination import TERMINATION_FUNCTIONS
from mopo_tf2.evaluation.environments import TASKS
from mopo_tf2.evaluation.ood_tasks import RELABELLINGS


@pytest.mark.parametrize("name", OOD_TASKS)
def test_parts_that_a_configuration_names_exist(name: str) -> None:
    task = OOD_TASKS[name]
    assert task.environment in TASKS
    assert task.domain in TERMINATION_FUNCTIONS
    assert task.collection_task in RELABELLINGS[task.environment].family
    for words in (f"collect {task.collection_task}", f"--task {task.environment}", f"train {name}"):
        assert words in task.recipe


@pytest.mark.parametrize("name", ["halfcheetah_jump", "halfcheetah-jump"])
def test_a_configuration_is_found_by_both_spellings(name: str) -> None:
    assert find_task(name) == OOD_TASKS["halfcheetah_jump"]

"""The shipped configurations and their names."""

import pytest

from mopo_tf2.config_fields import flatten
from mopo_tf2.configs.d4rl import CONFIGURATIONS, EXPERT_TASKS, TASKS, find_task
from mopo_tf2.configs.methods import METHODS, convert_config
from mopo_tf2.configs.ood import OOD_TASKS
from mopo_tf2.data.catalog import find
from mopo_tf2.dynamics.termination import TERMINATION_FUNCTIONS
from mopo_tf2.errors import InputError


def test_every_configuration_has_data_of_d4rl_and_a_termination_function():
    assert len(TASKS) == 12
    for task in (*TASKS.values(), *EXPERT_TASKS.values()):
        for version in ("v0", "v1", "v2"):
            assert find(task.dataset_id.replace("v0", version)) is not None
        assert task.domain in TERMINATION_FUNCTIONS


@pytest.mark.parametrize(
    "name", ["halfcheetah_mixed", "halfcheetah-medium-replay-v0", "halfcheetah-mixed-v0"]
)
def test_one_configuration_has_several_names(name):
    assert find_task(name) == TASKS["halfcheetah_mixed"]


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_later_versions_have_the_hyper_parameters_of_v0_and_their_own_data(version):
    task = find_task(f"hopper-medium-{version}")
    assert task.dataset_id == f"hopper-medium-{version}"
    assert (task.rollout_length, task.penalty_coeff) == (5, 5.0)
    mixed = find_task(f"walker2d-mixed-{version}")  # the former name
    assert mixed.dataset_id == f"walker2d-medium-replay-{version}"


@pytest.mark.parametrize("domain", ["halfcheetah", "hopper", "walker2d"])
def test_expert_data_have_the_settings_of_medium_expert(domain):
    expert = find_task(f"{domain}-expert-v2")
    assert (expert.name, expert.dataset_id) == (f"{domain}_expert", f"{domain}-expert-v2")
    assert expert.config() == TASKS[f"{domain}_medium_expert"].config()
    assert "not in the MOPO paper" in expert.note
    assert find_task(expert.name) == EXPERT_TASKS[expert.name]


def test_only_what_the_original_does_not_have_bears_a_note():
    noted = {name for name in CONFIGURATIONS if name != "own" and find_task(name).note}
    assert noted == {*EXPERT_TASKS, *OOD_TASKS}


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("hoper-medium-v2", "hopper-medium-v2"),
        ("walker_mixed", "walker2d_mixed"),
        ("ant_angel", "ant_angle"),
        ("halfcheeta_jump", "halfcheetah_jump"),
        ("owm", "own"),
        ("hopper-medium-v3", "hopper-medium-v0"),
        ("hopper-medium-v0-v0", "hopper-medium-v0"),
        ("xyz", ""),
    ],
)
def test_an_unknown_name_is_an_error_that_names_the_nearest(name, nearest):
    with pytest.raises(InputError, match=f"no configuration '{name}': did you mean .*{nearest}"):
        find_task(name)


@pytest.mark.parametrize("method", METHODS)
def test_the_discount_that_a_policy_is_trained_for_is_its_methods(method):
    config = convert_config(TASKS["hopper_medium"].config(), method)
    assert config.policy_discount == (0.999 if method == "morel" else 0.99)


def test_what_no_recorded_configuration_holds_is_as_in_the_original():
    expected = {
        "n_epochs": 1000,
        "num_hidden_layers": 4,
        "hidden_dim": 200,
        "weight_decays": [2.5e-5, 5e-5, 7.5e-5, 7.5e-5, 1e-4],
        "model_lr": 1e-3,
        "model_batch_size": 256,
        "model_holdout_ratio": 0.2,
        "model_max_holdout": 1000,
        "model_max_epochs": None,
        "model_max_epochs_since_update": 5,
    }
    for task in TASKS.values():
        values = flatten(task.config())
        assert {field: values[field] for field in expected} == expected, task.name

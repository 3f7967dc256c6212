"""The twelve shipped configurations and their names."""

import json
from pathlib import Path

import pytest

from mopo_tf2.config_fields import flatten
from mopo_tf2.configs.d4rl import TASKS, find_task
from mopo_tf2.dynamics.termination import TERMINATION_FUNCTIONS
from mopo_tf2.errors import InputError

VARIANTS = json.loads(
    (Path(__file__).parents[2] / "parity" / "recordings" / "variants.json").read_text()
)


def test_names_are_those_of_the_original():
    assert set(TASKS) == set(VARIANTS)


@pytest.mark.parametrize("name", sorted(VARIANTS))
def test_dataset_is_that_of_the_original(name):
    path = VARIANTS[name]["algorithm_params"]["kwargs"]["pool_load_path"]
    expected = path.removeprefix("d4rl/").replace("-mixed-", "-medium-replay-")
    assert TASKS[name].dataset_id == expected


@pytest.mark.parametrize("name", sorted(VARIANTS))
def test_domain_is_that_of_the_original_and_has_a_termination_function(name):
    assert TASKS[name].domain == VARIANTS[name]["algorithm_params"]["domain"]
    assert TASKS[name].domain in TERMINATION_FUNCTIONS


@pytest.mark.parametrize(
    "name",
    [
        "halfcheetah_mixed",
        "halfcheetah-medium-replay-v0",
        "halfcheetah-mixed-v0",
    ],
)
def test_one_configuration_has_several_names(name):
    assert find_task(name) == TASKS["halfcheetah_mixed"]


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_later_versions_have_the_hyper_parameters_of_v0_and_their_own_data(version):
    task = find_task(f"hopper-medium-{version}")
    assert task.dataset_id == f"hopper-medium-{version}"
    assert (task.rollout_length, task.penalty_coeff) == (5, 5.0)


def test_the_former_name_works_for_later_versions_too():
    assert find_task("walker2d-mixed-v2").dataset_id == "walker2d-medium-replay-v2"


@pytest.mark.parametrize(
    ("name", "nearest"),
    [("hoper-medium-v0", "hopper-medium-v0"), ("walker_mixed", "walker2d_mixed")],
)
def test_an_unknown_name_is_an_error_that_names_the_nearest(name, nearest):
    with pytest.raises(InputError, match=f"no configuration '{name}': did you mean .*{nearest}"):
        find_task(name)


@pytest.mark.parametrize(
    "name", ["hopper-medium", "hopper-medium-v3", "hopper-medium-v0-v0", "hopper"]
)
def test_a_name_that_only_looks_alike_is_an_error(name):
    with pytest.raises(InputError, match="no configuration"):
        find_task(name)


def test_a_name_unlike_any_lists_them_all():
    with pytest.raises(InputError, match="there are halfcheetah_random, "):
        find_task("xyz")


@pytest.mark.parametrize("name", sorted(TASKS))
def test_what_no_recorded_configuration_holds_is_as_in_the_original(name):
    values = flatten(TASKS[name].config())
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
    assert {field: values[field] for field in expected} == expected

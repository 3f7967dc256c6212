"""Configurations: closed sets of fields, text as people write it."""

import dataclasses
import json

import pytest

from mopo_tf2.config import MOPOConfig, SACConfig
from mopo_tf2.config_fields import (
    UnknownFieldError,
    flatten,
    from_dict,
    parse_settings,
    replace,
    to_dict,
)
from mopo_tf2.errors import InputError


def config(**changes):
    return MOPOConfig(**{"rollout_length": 5, "penalty_coeff": 1.0, **changes})


def test_values_that_differ_per_task_have_no_default():
    with pytest.raises(InputError, match="needs a value for rollout_length, penalty_coeff"):
        from_dict(MOPOConfig, {})


def test_flat_names_are_unique():
    nested = to_dict(config())
    parts = [nested.pop("ensemble"), nested.pop("sac"), nested]
    assert len(flatten(config())) == sum(len(part) for part in parts)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"rollout_len": 5}, "MOPOConfig has no field 'rollout_len'. Did you mean 'rollout_l"),
        ({"ensemble": {"num_elits": 5}}, "EnsembleConfig has no field 'num_elits'. Did you mean"),
        ({"qqqqqq": 5}, "MOPOConfig has no field 'qqqqqq'. Its fields: epoch_length"),
    ],
)
def test_unknown_field_is_an_error_and_names_the_nearest_one(values, message):
    with pytest.raises(UnknownFieldError) as raised:
        from_dict(MOPOConfig, {"rollout_length": 5, "penalty_coeff": 1.0, **values})
    assert str(raised.value).startswith(message)


@pytest.mark.parametrize("name", ["rollout_random", "model_type", "identity_terminal"])
def test_options_of_the_original_that_are_left_out_are_refused(name):
    with pytest.raises(UnknownFieldError, match=f"no field '{name}'"):
        replace(config(), {name: 1})


def test_unknown_setting_is_a_users_error_and_names_the_nearest_field_of_any_part():
    with pytest.raises(UnknownFieldError, match="Did you mean 'model_batch_size'") as raised:
        replace(config(), {"model_batchsize": "5"})
    assert isinstance(raised.value, InputError)
    assert isinstance(raised.value, TypeError)


READ = {
    "rollout_batch_size": [("5e4", 50_000), ("50000", 50_000), (50000.0, 50_000)],
    "penalty_coeff": [("2", 2.0)],
    "lr": [("1e-3", 0.001)],
    "penalty_learned_var": [("false", False), ("Yes", True), ("0", False)],
    "model_max_epochs": [("none", None), (None, None), ("7", 7)],
    "max_model_t": [("null", None)],
    "pool_max_size": [("1e6", 1_000_000)],
    "hidden_layer_sizes": [("32,16", (32, 16)), ("(32, 16,)", (32, 16)), ([32, 16], (32, 16))],
    "target_entropy": [("auto", "auto"), ("-6", -6.0)],
    "next_observations": [("drop", "drop")],
}


@pytest.mark.parametrize(
    ("name", "text", "value"), [(name, *pair) for name, pairs in READ.items() for pair in pairs]
)
def test_values_are_read_by_the_type_of_their_field(name, text, value):
    changed = replace(config(), {name: text})
    parts = {**vars(changed.ensemble), **vars(changed.sac), **vars(changed)}
    assert parts[name] == value
    assert type(parts[name]) is type(value)


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("rollout_length", "five", "a whole number, got 'five'"),
        ("rollout_length", "2.5", "a whole number, got '2.5'"),
        ("rollout_length", "nan", "a whole number, got 'nan'"),
        ("rollout_length", "inf", "a whole number, got 'inf'"),
        ("rollout_length", True, "a whole number, got True"),
        ("rollout_length", None, "a whole number, got None"),
        ("penalty_coeff", "nan", "a number, got 'nan'"),
        ("penalty_learned_var", "maybe", "true or false, got 'maybe'"),
        ("penalty_learned_var", 1, "true or false, got 1"),
        ("model_max_epochs", "x", "a whole number or none, got 'x'"),
        ("hidden_layer_sizes", "a,b", "separated by commas, got 'a,b'"),
        ("hidden_layer_sizes", 3, "separated by commas, got 3"),
    ],
)
def test_values_of_another_type_are_refused(name, text, told):
    with pytest.raises(InputError, match=f"^{name} expects .*{told}"):
        replace(config(), {name: text})


OUT_OF_RANGE = {
    "num_networks": [0],
    "num_elites": [0, 8],
    "weight_decays": [(1e-4,)],
    "model_holdout_ratio": [1.0, -0.1, 0.0],
    "model_max_holdout": [0],
    "model_max_epochs": [0],
    "model_max_epochs_since_update": [-1],
    "model_loaded_max_epochs": [-1],
    "max_model_t": [0.0],
    "model_lr": [0.0],
    "lr": [-1.0],
    "discount": [1.1],
    "tau": [-0.1],
    "target_update_interval": [0],
    "hidden_layer_sizes": [(), (8, 0)],
    "target_entropy": ["automatic"],
    "rollout_length": [0],
    "penalty_coeff": [-1.0, float("inf")],
    "real_ratio": [1.1],
    "epoch_length": [0],
    "eval_n_episodes": [-1],
    "pool_max_size": [0],
    "next_observations": ["guess"],
}


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, values in OUT_OF_RANGE.items() for value in values]
)
def test_values_out_of_range_are_refused_by_name(name, value):
    with pytest.raises(InputError, match=name):
        replace(config(), {name: value})


def test_configuration_survives_json_and_flat_values():
    # No hold-out is accepted with a number of epochs.
    texts = {"hidden_layer_sizes": "8,4", "model_max_epochs": "3", "model_holdout_ratio": "0"}
    changed = replace(config(), texts)
    assert changed.ensemble.model_holdout_ratio == 0.0
    assert from_dict(MOPOConfig, json.loads(json.dumps(to_dict(changed)))) == changed
    assert replace(config(), flatten(changed)) == changed
    with pytest.raises(dataclasses.FrozenInstanceError):
        changed.rollout_length = 3


def test_settings_are_split_at_the_first_equals_sign():
    settings = parse_settings(["lr=1e-3", " tau = 0.5", "x=a=b"])
    assert settings == {"lr": "1e-3", "tau": "0.5", "x": "a=b"}


@pytest.mark.parametrize(
    ("settings", "told"),
    [(["lr"], "expects KEY=VALUE, got 'lr'"), (["=3"], "got '=3'"), (["a=1", "a=2"], "a twice")],
)
def test_settings_that_are_no_pairs_are_refused(settings, told):
    with pytest.raises(InputError, match=told):
        parse_settings(settings)


def test_target_entropy_auto_is_minus_the_action_size():
    assert SACConfig(target_entropy="auto").entropy_target(6) == -6.0
    assert SACConfig().entropy_target(6) == -3.0


@pytest.mark.parametrize(
    ("changes", "capacity"),
    [
        ({}, 5 * 50_000 * 5),
        ({"rollout_length": 1}, 5 * 50_000),
        ({"model_train_freq": 250}, 4 * 5 * 50_000 * 5),
        ({"model_retain_epochs": 2, "rollout_batch_size": 50, "epoch_length": 40}, 2 * 10),
        ({"rollout_length": 3, "rollout_batch_size": 1, "epoch_length": 500}, 5),
    ],
)
def test_model_pool_holds_the_rollouts_of_the_retained_epochs(changes, capacity):
    assert config(**changes).model_pool_capacity == capacity


def test_a_model_pool_without_rows_is_refused_and_names_the_fields():
    with pytest.raises(InputError, match="model_train_freq"):
        config(rollout_length=1, rollout_batch_size=1, epoch_length=1, model_train_freq=1000)

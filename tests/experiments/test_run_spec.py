import dataclasses
import json
import sys
from pathlib import Path

import pytest

from experiments.run_spec import (
    build_spec,
    changed_spec,
    read_spec,
    require_same,
    settings_of_methods,
    spec_to_dict,
)
from mopo_tf2.configs.bc import BCConfig
from mopo_tf2.errors import InputError
from tests.data.minari_sets import box, env_spec, random_episodes, write


def test_a_spec_survives_its_file(tmp_path: Path) -> None:
    spec = build_spec("hopper-medium-v2", {"seed": 3, "method": "bcq"}, {"n_epochs": "7"})
    path = tmp_path / "config.json"
    path.write_text(json.dumps({**spec_to_dict(spec), "recorded": {"anything": 1}}))
    assert read_spec(path) == spec


def test_a_file_of_the_first_version_is_a_run_of_mopo(tmp_path: Path) -> None:
    values = spec_to_dict(build_spec("hopper_mixed"))
    del values["method"], values["model"]
    path = tmp_path / "config.json"
    path.write_text(json.dumps(values))
    assert read_spec(path) == build_spec("hopper_mixed")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("seed", "x"),
        ("seed", -1),
        ("environment", 5),
        ("termination", None),
        ("algorithm", 5),
        ("method", "td3"),
        ("colour", "red"),
    ],
)
def test_a_file_with_a_wrong_value_is_refused_by_its_name(
    tmp_path: Path, key: str, value: object
) -> None:
    path = tmp_path / "config.json"
    path.write_text(json.dumps({**spec_to_dict(build_spec("hopper_mixed")), key: value}))
    with pytest.raises(InputError, match=r"config\.json") as refusal:
        read_spec(path)
    assert key in str(refusal.value) or str(value) in str(refusal.value)


def test_a_method_takes_what_it_shares_with_the_configuration() -> None:
    spec = build_spec("hopper_mixed", {"method": "bc"}, {"eval_n_episodes": "3"})
    assert isinstance(spec.algorithm, BCConfig)
    assert spec.algorithm.eval_n_episodes == 3
    assert spec.folder_name == "hopper_mixed-bc"


def test_none_leaves_a_field_as_it_is() -> None:
    spec = build_spec("hopper_mixed", {"seed": 5})
    assert changed_spec(spec, {"seed": None, "physics": None}, {}) == spec


@pytest.mark.parametrize("order", [1, -1])
def test_a_setting_that_names_its_method_counts_more_than_a_plain_one(order: int) -> None:
    settings = dict([("mopo.n_epochs", "4"), ("n_epochs", "3")][::order])
    chosen = settings_of_methods(settings, ["mopo", "bc"])
    assert chosen == {"mopo": {"n_epochs": "4"}, "bc": {"n_epochs": "3"}}


@pytest.mark.parametrize(
    ("key", "named"),
    [("hidden_dimm", "hidden_dim"), ("bc.hidden_dim", "hidden_dim"), ("sac.n_epochs", "sac")],
)
def test_a_setting_that_concerns_no_method_is_refused(key: str, named: str) -> None:
    with pytest.raises(InputError, match=named):
        settings_of_methods({key: "1"}, ["mopo", "bc"])


def test_a_resumed_run_may_change_epochs_and_nothing_else() -> None:
    saved = build_spec("hopper_mixed")
    require_same(saved, changed_spec(saved, {}, {"n_epochs": "2000"}), Path("run"))
    for changes, settings, named in (
        ({"physics": "gymnasium"}, {}, "physics = d4rl, not gymnasium"),
        ({}, {"lr": "0.1"}, "lr = 0.0003, not 0.1"),
    ):
        with pytest.raises(InputError, match=f"run is a run with {named}"):
            require_same(saved, changed_spec(saved, changes, settings), Path("run"))


def test_out_of_distribution_tasks_say_how_their_data_are_made() -> None:
    with pytest.raises(InputError, match="collect halfcheetah-capped"):
        build_spec("halfcheetah_jump")
    spec = build_spec("halfcheetah-jump", {"dataset": "mine.hdf5"})
    assert dataclasses.replace(spec, seed=1).environment == "halfcheetah-jump"


# Data that name their environment.

HOPPER = "mujoco/hopper/medium-v0"


@pytest.fixture
def minari_set(tmp_path, monkeypatch):
    """Write a dataset of Hopper's sizes, which names an environment; return how to name it."""
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))

    def made(dataset_id=HOPPER, sizes=(11, 3), bound=1.0, **metadata):
        obs_dim, act_dim = sizes
        spaces = box(obs_dim), box(act_dim, bound)
        write(dataset_id, *spaces, random_episodes(*sizes, bound=bound), metadata)
        return f"minari:{dataset_id}"

    return made


def evaluated(spec):
    return spec.environment, spec.physics


@pytest.mark.parametrize(
    ("named", "config", "changes", "expected"),
    [
        ("Hopper-v2", "hopper_medium", {}, ("hopper", "d4rl")),
        ("Hopper-v3", "hopper_medium", {}, ("hopper", "d4rl")),
        ("hopper-medium-v2", "hopper_medium", {}, ("hopper", "d4rl")),
        ("Hopper-v4", "hopper_medium", {}, ("Hopper-v4", "gymnasium")),
        ("Hopper-v5", "hopper_medium", {}, ("hopper", "gymnasium")),
        ("Hopper-v5", "hopper_medium", {"physics": "d4rl"}, ("hopper", "d4rl")),
        ("Hopper-v4", "hopper_medium", {"physics": "d4rl"}, ("hopper", "d4rl")),
        ("Hopper-v2", "hopper_medium", {"physics": "gymnasium"}, ("hopper", "gymnasium")),
        ("Hopper-v5", "hopper_medium", {"environment": "hopper"}, ("hopper", "gymnasium")),
        ("Hopper-v5", "hopper_medium", {"environment": "Hopper-v4"}, ("Hopper-v4", "gymnasium")),
        ("Hopper-v5", "hopper_medium", {"environment": "none"}, ("none", "d4rl")),
        ("Mine-v0", "hopper_medium", {"environment": "hopper"}, ("hopper", "d4rl")),
        ("Hopper-v5", "own", {}, ("hopper", "gymnasium")),
        ("Hopper-v5", "own", {"physics": "d4rl"}, ("hopper", "d4rl")),
        ("Hopper-v5", "own", {"environment": "none"}, ("none", "none")),
        ("Swimmer-v5", "own", {}, ("Swimmer-v5", "gymnasium")),
    ],
)
def test_evaluation_follows_the_data_unless_told_otherwise(
    minari_set, named, config, changes, expected
):
    dataset = minari_set(env_spec=env_spec(named))
    assert evaluated(build_spec(config, {"dataset": dataset, **changes})) == expected


def test_data_that_name_no_environment_leave_the_configuration_its_own(minari_set):
    dataset = minari_set()
    assert evaluated(build_spec("hopper_medium", {"dataset": dataset})) == ("hopper", "d4rl")
    assert evaluated(build_spec("own", {"dataset": dataset})) == ("none", "none")


def test_own_takes_length_of_episodes_and_termination_from_the_data(minari_set):
    dataset = minari_set(env_spec=env_spec("Hopper-v5", steps=70))
    spec = build_spec("own", {"dataset": dataset})
    config = spec.algorithm
    assert (config.max_path_length, config.eval_n_episodes, spec.termination) == (70, 10, "hopper")
    settings = {"max_path_length": "30", "eval_n_episodes": "4"}
    spec = build_spec("own", {"dataset": dataset, "termination": "never"}, settings)
    config = spec.algorithm
    assert (config.max_path_length, config.eval_n_episodes, spec.termination) == (30, 4, "never")


@pytest.mark.parametrize(
    ("named", "words"),
    [
        (env_spec("Evil-v0"), "Evil-v0 is not one of Gymnasium's own"),
        (env_spec("evil:Evil-v0"), "evil:Evil-v0 is not one of Gymnasium's own"),
        (env_spec("GymV26Environment-v0"), "is not one of Gymnasium's own"),
        (env_spec("Hopper-v5", wrappers=[{"name": "W", "entry_point": "evil:W"}]), "wrappers"),
        (env_spec("Hopper-v5", xml_file="/etc/passwd"), "an argument xml_file"),
        (env_spec("Hopper-v5", healthy_z_range={"a": 1}), "an argument healthy_z_range"),
        (env_spec("Swimmer-v5"), "is data of Swimmer-v5, the configuration hopper_medium is for"),
        (env_spec("HalfCheetah-v5"), "is data of halfcheetah"),
    ],
)
def test_an_environment_that_no_dataset_may_have_made_is_refused(minari_set, named, words):
    dataset = minari_set(env_spec=named)
    with pytest.raises(InputError, match=words):
        build_spec("hopper_medium", {"dataset": dataset})
    assert "evil" not in sys.modules


def test_gymnasiums_tasks_have_no_other_physics(minari_set):
    dataset = minari_set(env_spec=env_spec("Swimmer-v5"))
    for changes in ({"physics": "d4rl"}, {"physics": "d4rl", "environment": "Swimmer-v5"}):
        with pytest.raises(InputError, match=r"Swimmer-v5 has Gymnasium's physics"):
            build_spec("own", {"dataset": dataset, **changes})


def test_plain_arguments_are_part_of_the_name_those_of_pictures_are_not(minari_set):
    named = env_spec("Hopper-v5", render_mode="rgb_array", width=9, healthy_z_range=[0.6, 2.0])
    spec = build_spec("hopper_medium", {"dataset": minari_set(env_spec=named)})
    assert evaluated(spec) == ("Hopper-v5(healthy_z_range=[0.6, 2.0])", "gymnasium")
    assert spec.termination == "hopper"

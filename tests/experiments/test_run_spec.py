import dataclasses
import json
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

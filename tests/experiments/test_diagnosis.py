"""``mopo-tf2 diagnose`` on a tiny run: rows, numbers, text, picture, refusals."""

import dataclasses
import json
import shutil

import numpy as np
import pytest

from experiments import diagnosis as module
from experiments.diagnosis import diagnose_run, findings, text
from experiments.evaluation import model_of_run, to_json
from experiments.run_folder import RunFolder
from experiments.run_spec import build_spec
from mopo_tf2.data.datasets import load_dataset
from mopo_tf2.evaluation.data_distance import DataDistance
from mopo_tf2.evaluation.model_advice import advice
from tests.eager import eagerly
from tests.experiments.tiny_runs import mopo, refused


@pytest.fixture(scope="module")
def numbers(tiny_run):
    """A diagnosis with the simulator, not compiled."""
    with eagerly():
        return diagnose_run(tiny_run, rows=40)


def test_rows_that_the_training_held_out_are_found_again(numbers):
    assert numbers["source"] == "held out by the training"
    assert not numbers["trained_on"]
    assert numbers["rows"] == 40


def test_a_split_that_misses_the_recorded_loss_is_not_believed(tiny_run, data, eager):
    folder, own = RunFolder(tiny_run), load_dataset(str(data)).transitions
    model, loss = model_of_run(folder, 1.0, 500)
    held = module._rows_to_check(folder, model, own, loss)
    assert not held.trained_on
    assert not set(held.chosen) & set(held.training)
    for wrong in (1.01 * loss, float("nan")):
        assert module._rows_to_check(folder, model, own, wrong).trained_on


def test_the_numbers_have_a_row_for_every_step_and_column(numbers):
    columns, horizon = 18, 10
    assert len(numbers["names"]) == columns
    assert numbers["calibration"]["coverage"].shape == (4, columns)
    assert numbers["calibration"]["pit_histogram"].sum(axis=1).tolist() == [40] * columns
    assert numbers["open_loop"]["error_by_column"].shape == (2, horizon, columns - 1)
    assert numbers["penalty"]["by"] == "simulator"
    policy = numbers["policy"]
    assert policy["true_error"].shape == (2, horizon)
    assert np.isfinite(policy["true_error"]).all()
    assert ((policy["outside"] >= 0) & (policy["outside"] <= 1)).all()


def test_the_parts_of_the_reward_add_to_the_total(numbers):
    parts = numbers["policy"]["parts"]
    assert parts["real"] + parts["penalty"] + parts["beyond"] == pytest.approx(parts["total"])
    assert sum(parts["shares"].values()) == pytest.approx(1.0)
    assert parts["penalty"] < 0


def test_rows_of_the_data_are_inside_and_far_rows_outside():
    rows = np.random.RandomState(0).normal(size=(400, 3))
    distance = DataDistance(rows)
    limit = distance.quantile(module.OUTSIDE)
    assert (distance(rows) <= limit).all()
    assert (distance(rows + 50.0) > limit).all()


def test_text_ends_with_the_advice_that_follows_from_the_numbers(numbers):
    said = text(numbers)
    assert said.splitlines()[-1] == advice(findings(numbers)) == numbers["advice"]
    assert "Only 40 rows could be checked" in said
    assert "step 10" in said
    json.loads(to_json(numbers), parse_constant=pytest.fail)


def test_a_run_that_goes_where_the_model_errs_is_told_so(numbers):
    wild = {**numbers, "policy": {**numbers["policy"], "outside": np.ones(10)}}
    assert "The policy exploits the model" in advice(findings(wild))


def test_the_command_writes_a_picture_and_json(tiny_run, tmp_path, monkeypatch, numbers):
    monkeypatch.setattr(module, "diagnose_run", lambda *_, **__: numbers)
    answer = mopo("diagnose", tiny_run, "--out", tmp_path / "new", "--json")
    assert answer.code == 0, answer.err
    assert json.loads(answer.out)["advice"] == numbers["advice"]
    assert (tmp_path / "new" / "diagnosis.png").read_bytes().startswith(b"\x89PNG")
    untrained = {**numbers, "policy": None}
    monkeypatch.setattr(module, "diagnose_run", lambda *_, **__: untrained)
    answer = mopo("diagnose", tiny_run, "--out", tmp_path / "other.png")
    assert "not trained yet" in answer.out
    assert (tmp_path / "other.png").exists()


def test_other_data_and_a_model_without_a_policy_are_diagnosed(tiny_run, data, tmp_path, eager):
    run, other = tmp_path / "run", tmp_path / "other.hdf5"
    shutil.copytree(tiny_run, run)
    shutil.copyfile(data, other)
    policy, about = RunFolder(run).load_policy()
    RunFolder(run).write_policy(policy, {**about, "epoch": 0})
    found = diagnose_run(run, str(other), rows=30)
    assert found["source"] == f"of {other}"
    assert found["policy"] is None
    assert found["penalty"]["by"] == "rows"
    assert np.isnan(findings(found).outside)


@pytest.mark.parametrize("method", ["sac", "bc", "bcq", "morel"])
def test_methods_without_gaussian_networks_are_refused(tmp_path, method):
    run = RunFolder(tmp_path / "run")
    run.write_spec(build_spec("halfcheetah_mixed", {"method": method}), {})
    line = refused("diagnose", run.path, "--out", tmp_path / "new")
    assert "which has none: give a run of MOPO" in line
    assert not (tmp_path / "new").exists()


def test_deterministic_models_are_refused(tmp_path):
    spec = build_spec("halfcheetah_mixed", {}, {"deterministic": "true"})
    RunFolder(tmp_path / "run").write_spec(spec, {})
    assert "predicts no standard deviations" in refused("diagnose", tmp_path / "run")


def test_code_that_only_the_run_names_is_not_imported(tiny_run, tmp_path):
    shutil.copytree(tiny_run, tmp_path / "run")
    run = RunFolder(tmp_path / "run")
    run.write_spec(dataclasses.replace(run.spec, termination="evil:code"))
    assert "--termination evil:code" in refused("diagnose", run.path)

import json
import math
import os
from pathlib import Path

import numpy as np
import pytest

from experiments.records.run_records import State, read_record, read_records
from mopo_tf2.errors import InputError
from tests.experiments.run_folders import SHA256, write_run

ORIGINALS = Path(__file__).parents[3] / "parity/reference_curves"
SCORE = "evaluation/normalized-score"


def states(root):
    return {record.name: record.state for record in read_records(root)}


def write_status(folder, state, error=None):
    folder.mkdir(parents=True, exist_ok=True)
    status = {"state": state, "attempts": 1, "error": error}
    (folder / "status.json").write_text(json.dumps(status))


def test_record_says_what_the_run_is(tmp_path):
    write_run(tmp_path / "out/a/seed_3", [1.0, 2.0], seed=3, asked=5)
    (record,) = read_records(tmp_path / "out")
    said = (record.name, record.config, record.task, record.dataset_id, record.dataset_sha256)
    dataset = "halfcheetah-medium-replay-v0"
    assert said == ("a/seed_3", "halfcheetah_mixed", "halfcheetah", dataset, SHA256)
    assert (record.seed, record.epochs_done, record.epochs_asked) == (3, 2, 5)
    assert (record.physics, record.is_original) == ("d4rl", False)


def test_runs_are_found_at_any_depth_in_natural_order(tmp_path):
    for name in ("b/seed_10", "b/seed_9", "a/rollout_length=1/seed_0"):
        write_run(tmp_path / name, [1.0])
    names = [record.name for record in read_records(tmp_path)]
    assert names == ["a/rollout_length=1/seed_0", "b/seed_9", "b/seed_10"]


def test_folder_that_is_a_run_is_one_record(tmp_path):
    write_run(tmp_path / "run", [1.0])
    write_run(tmp_path / "run/checkpoints/inner", [1.0])
    assert [record.name for record in read_records(tmp_path / "run")] == ["run"]


def test_hidden_folders_are_not_searched(tmp_path):
    write_run(tmp_path / "out/seed_0", [1.0])
    write_run(tmp_path / "out/.ray/trial", [1.0])
    assert states(tmp_path / "out") == {"seed_0": State.FINISHED}


def test_a_link_that_leads_back_up_is_no_endless_way(tmp_path):
    write_run(tmp_path / "out/seed_0", [1.0])
    os.symlink(tmp_path / "out", tmp_path / "out/again")
    assert states(tmp_path / "out") == {"seed_0": State.FINISHED}


def test_folder_given_twice_is_read_once(tmp_path):
    write_run(tmp_path / "out/seed_0", [1.0])
    assert len(read_records([tmp_path / "out", tmp_path / "out/seed_0"])) == 1


def test_run_with_all_its_epochs_is_finished(tmp_path):
    write_run(tmp_path / "run", [1.0, 2.0], asked=2)
    assert read_record(tmp_path / "run").state == State.FINISHED


def test_run_with_fewer_epochs_is_unfinished(tmp_path):
    write_run(tmp_path / "run", [1.0, 2.0], asked=3)
    assert read_record(tmp_path / "run").state == State.UNFINISHED


def test_run_killed_in_the_middle_of_its_last_row_is_unfinished(tmp_path):
    write_run(tmp_path / "run", [1.0, 2.0, 3.0])
    path = tmp_path / "run/progress.csv"
    path.write_bytes(path.read_bytes()[:-3])
    record = read_record(tmp_path / "run")
    assert (record.state, record.epochs_done) == (State.UNFINISHED, 2)


def test_run_with_a_damaged_row_is_failed_and_says_where(tmp_path):
    write_run(tmp_path / "run", [1.0, 2.0, 3.0])
    path = tmp_path / "run/progress.csv"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join([*lines[:2], "1.0\n", lines[3]]))
    record = read_record(tmp_path / "run")
    assert (record.state, record.epochs_done) == (State.FAILED, 0)
    assert "line 3: expected 3 cells, got 1" in record.note


def test_run_with_a_damaged_config_is_failed(tmp_path):
    write_run(tmp_path / "run", [1.0])
    (tmp_path / "run/config.json").write_text('{"name": "half')
    record = read_record(tmp_path / "run")
    assert record.state == State.FAILED
    assert record.note.startswith("config.json cannot be read")


@pytest.mark.parametrize("content", [None, b"", b"epoch,a\n", b"epoch,a\n0,"])
def test_run_without_a_whole_row_is_empty(tmp_path, content):
    write_run(tmp_path / "run", [], asked=5)
    if content is not None:
        (tmp_path / "run/progress.csv").write_bytes(content)
    record = read_record(tmp_path / "run")
    assert (record.state, record.epochs_done) == (State.EMPTY, 0)
    assert record.note == "no whole epoch is recorded"


def test_empty_folder_is_an_empty_run_with_the_seed_of_its_name(tmp_path):
    write_run(tmp_path / "out/seed_0", [1.0])
    (tmp_path / "out/seed_1").mkdir()
    record = read_records(tmp_path / "out")[1]
    said = (record.name, record.state, record.seed, record.note)
    assert said == ("seed_1", State.EMPTY, 1, "empty folder")


def test_trial_that_the_sweep_gave_up_is_failed_with_its_error(tmp_path):
    write_run(tmp_path / "run", [1.0], asked=3)
    write_status(tmp_path / "run", "failed", "DivergenceError:\n  nan.")
    record = read_record(tmp_path / "run")
    assert record.state == State.FAILED
    assert record.note == "the sweep gave it up: DivergenceError: nan"


def test_trial_that_has_all_epochs_is_finished_whatever_the_sweep_says(tmp_path):
    write_run(tmp_path / "run", [1.0])
    write_status(tmp_path / "run", "running")
    assert read_record(tmp_path / "run").state == State.FINISHED


def test_pending_trial_is_empty(tmp_path):
    write_run(tmp_path / "out/seed_0", [1.0])
    write_status(tmp_path / "out/seed_1", "pending")
    record = read_records(tmp_path / "out")[1]
    assert (record.state, record.seed) == (State.EMPTY, 1)
    assert record.note.startswith("pending says the sweep")


def test_shared_ensemble_is_no_run(tmp_path):
    model = write_run(tmp_path / "out/ensemble", [], asked=5)
    write_run(tmp_path / "out/seed_0", [1.0], model=str(model))
    assert states(tmp_path / "out") == {"seed_0": State.FINISHED}


def test_values_keep_nan_in_their_place(tmp_path):
    write_run(tmp_path / "run", [1.0, math.nan, 3.0])
    np.testing.assert_array_equal(read_record(tmp_path / "run").values(SCORE), [1.0, math.nan, 3.0])


def test_values_of_an_unknown_column_are_nan(tmp_path):
    write_run(tmp_path / "run", [1.0, 2.0])
    assert np.isnan(read_record(tmp_path / "run").values("other")).tolist() == [True, True]


def test_repeated_epochs_of_a_restored_trial_count_once_the_last_time(tmp_path):
    write_run(tmp_path / "run", [1.0, 2.0, 3.0])
    path = tmp_path / "run/progress.csv"
    path.write_text(path.read_text() + "1,20.0,0.0\n2,30.0,0.0\n")
    record = read_record(tmp_path / "run")
    assert record.epochs_done == 3
    assert record.values(SCORE).tolist() == [1.0, 20.0, 30.0]


def test_original_run_says_what_it_is():
    (record,) = read_records(ORIGINALS)
    assert record.is_original
    assert (record.task, record.seed) == ("halfcheetah", 0)
    assert (record.state, record.epochs_done, record.epochs_asked) == (State.UNFINISHED, 45, 60)
    assert (record.dataset_id, record.dataset_sha256) == ("halfcheetah-medium-replay-v0", None)


def test_original_runs_in_rays_nested_folders_are_found(tmp_path):
    source = next(ORIGINALS.glob("*/params.json"))
    trial = tmp_path / "ray_mopo/halfcheetah/101e3/seed:4_2020-01-01_00-00-00abc"
    (trial / "checkpoint_20").mkdir(parents=True)
    params = json.loads(source.read_text())
    params["run_params"]["seed"] = 4
    params["algorithm_params"]["kwargs"]["n_epochs"] = 45
    (trial / "params.json").write_text(json.dumps(params))
    (trial / "progress.csv").write_bytes((source.parent / "progress.csv").read_bytes())
    (trial.parent / "experiment_state-2020.json").write_text("{}")
    (record,) = read_records(tmp_path)
    assert (record.seed, record.state) == (4, State.FINISHED)


def test_file_of_d4rls_name_has_its_id(tmp_path):
    write_run(tmp_path / "run", [1.0], dataset="hopper_mixed.hdf5", config="hopper_mixed")
    assert read_record(tmp_path / "run").dataset_id == "hopper-medium-replay-v0"


def test_own_data_has_no_id(tmp_path):
    write_run(tmp_path / "run", [1.0], dataset="mine.hdf5")
    record = read_record(tmp_path / "run")
    assert (record.dataset, record.dataset_id) == ("mine.hdf5", None)


def test_folder_without_runs_is_refused(tmp_path):
    (tmp_path / "seed_0").mkdir()
    with pytest.raises(InputError, match=r"no run in .* or below: expected folders with config"):
        read_records(tmp_path)


def test_missing_folder_is_refused(tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        read_records(tmp_path / "none")


def test_file_in_place_of_a_folder_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="is a file"):
        read_records(tmp_path / "file")

import json

from experiments.records.run_records import read_records
from experiments.report import facts as report_facts
from tests.experiments.run_folders import SHA256, write_run


def facts(root, function):
    return function(read_records(root))


def change_config(folder, **recorded):
    path = folder / "config.json"
    config = json.loads(path.read_text())
    config["recorded"] |= recorded
    path.write_text(json.dumps(config))


def test_common_settings_are_those_of_one_value(tmp_path):
    write_run(tmp_path / "a", [1.0], seed=0, penalty_coeff=0.5)
    write_run(tmp_path / "b", [1.0], seed=1, penalty_coeff=2.0)
    common = dict(facts(tmp_path, report_facts.common_settings).rows)
    assert (common["rollout_length"], "penalty_coeff" in common, "seed" in common) == (
        "5",
        False,
        False,
    )


def test_differing_settings_are_told_by_configuration(tmp_path):
    write_run(tmp_path / "a", [1.0], seed=0, penalty_coeff=0.5)
    write_run(tmp_path / "b", [1.0], seed=0, penalty_coeff=2.0)
    differing = facts(tmp_path, report_facts.differing_settings)
    assert differing.header == ("Configuration", "penalty_coeff")
    assert [row[1] for row in differing.rows] == ["0.5", "2.0"]


def test_seeds_of_one_configuration_that_differ_show_both_values(tmp_path):
    write_run(tmp_path / "a", [1.0, 2.0], seed=0)
    write_run(tmp_path / "b", [1.0], seed=1)
    differing = facts(tmp_path, report_facts.differing_settings)
    assert differing.rows == (("halfcheetah-medium-replay-v0", "2; 1"),)


def test_many_parameters_run_down_the_page(tmp_path):
    write_run(tmp_path / "a", [1.0])
    write_run(tmp_path / "b", [1.0], **{f"setting_{number}": number for number in range(8)})
    differing = facts(tmp_path, report_facts.differing_settings)
    assert differing.header[0] == "Parameter"
    assert ("setting_3", "–", "3") in differing.rows


def test_seed_alone_is_no_difference(tmp_path):
    for seed in (0, 1):
        write_run(tmp_path / str(seed), [1.0], seed=seed)
    assert facts(tmp_path, report_facts.differing_settings).rows == ()


def test_datasets_come_with_hash_and_number_of_runs(tmp_path):
    for seed in (0, 1):
        write_run(tmp_path / str(seed), [1.0], seed=seed)
    write_run(tmp_path / "other", [1.0], sha256="f" * 64)
    rows = facts(tmp_path, report_facts.datasets).rows
    assert [(row[2], row[-1]) for row in rows] == [(SHA256, "2"), ("f" * 64, "1")]


def test_physics_and_simulator_are_told_by_task(tmp_path):
    run = write_run(tmp_path / "a", [1.0], physics="gymnasium")
    change_config(run, environment={"mujoco_version": "3.4.0", "obs_dim": 17})
    (row,) = facts(tmp_path, report_facts.environments).rows
    assert row == ("halfcheetah", "gymnasium", "3.4.0", "not recorded", "17", "not recorded", "1")


def test_versions_that_differ_are_counted(tmp_path):
    for number, version in enumerate(("2.21.0", "2.21.0", "2.22.0")):
        run = write_run(tmp_path / str(number), [1.0], seed=number)
        change_config(run, versions={"python": "3.11.7", "tensorflow": version})
    rows = facts(tmp_path, report_facts.versions).rows
    assert rows == (
        ("python", "3.11.7"),
        ("tensorflow", "2.21.0 (2 runs), 2.22.0 (1 run)"),
    )


def test_every_run_is_listed_with_its_state(tmp_path):
    write_run(tmp_path / "a/seed_0", [1.0, 2.0], asked=3)
    write_run(tmp_path / "a/seed_1", [], asked=3, seed=1)
    rows = facts(tmp_path, report_facts.run_list).rows
    assert [(row[0], row[4], row[5]) for row in rows] == [
        ("a/seed_0", "2 of 3", "unfinished"),
        ("a/seed_1", "0 of 3", "empty"),
    ]


def test_summary_counts_runs_datasets_and_states(tmp_path):
    write_run(tmp_path / "a", [1.0])
    write_run(tmp_path / "b", [1.0], asked=3, dataset="hopper-medium-v0")
    text = report_facts.summary(read_records(tmp_path))
    assert text == "2 runs on 2 datasets: 1 finished, 1 unfinished."


def test_config_of_another_form_is_not_recorded_rather_than_an_error(tmp_path):
    run = write_run(tmp_path / "a", [1.0])
    config = json.loads((run / "config.json").read_text())
    (run / "config.json").write_text(json.dumps(config | {"recorded": ["nonsense"]}))
    assert facts(tmp_path, report_facts.versions).rows == ()
    assert facts(tmp_path, report_facts.datasets).rows[0][2] == "not recorded"

from pathlib import Path

from experiments.records.record_groups import group_records
from experiments.records.run_records import read_records
from tests.experiments.run_folders import write_run

ORIGINALS = Path(__file__).parents[3] / "parity/reference_curves"


def groups(root):
    return group_records(read_records(root))


def said(root):
    return [(group.title, [record.seed for record in group.records]) for group in groups(root)]


def test_seeds_are_samples_of_one_configuration(tmp_path):
    for seed in (1, 0, 2):
        write_run(tmp_path / f"run{seed}", [1.0], seed=seed)
    assert said(tmp_path) == [("halfcheetah-medium-replay-v0", [0, 1, 2])]


def test_length_is_no_configuration(tmp_path):
    write_run(tmp_path / "a", [1.0], seed=0)
    write_run(tmp_path / "b", [1.0, 2.0], seed=1)
    assert len(groups(tmp_path)) == 1


def test_points_of_a_grid_are_rows_named_by_what_differs(tmp_path):
    for penalty in (0.5, 5.0):
        write_run(tmp_path / f"run{penalty}", [1.0], penalty_coeff=penalty)
    assert said(tmp_path) == [
        ("halfcheetah-medium-replay-v0 (penalty_coeff=0.5)", [0]),
        ("halfcheetah-medium-replay-v0 (penalty_coeff=5.0)", [0]),
    ]


def test_tasks_are_not_told_apart_by_their_shipped_settings(tmp_path):
    write_run(tmp_path / "a", [1.0], config="halfcheetah_mixed")
    write_run(tmp_path / "b", [1.0], config="hopper_medium")
    assert [group.label for group in groups(tmp_path)] == ["", ""]


def test_a_grid_has_the_same_labels_for_all_tasks(tmp_path):
    for config in ("halfcheetah_mixed", "hopper_mixed"):
        for length in (1, 5):
            write_run(tmp_path / config / str(length), [1.0], config=config, rollout_length=length)
    labels = [group.label for group in groups(tmp_path)]
    assert labels == ["rollout_length=1", "rollout_length=5"] * 2


def test_versions_of_the_data_are_rows(tmp_path):
    write_run(tmp_path / "a", [1.0], config="halfcheetah_medium")
    write_run(tmp_path / "b", [1.0], config="halfcheetah-medium-v2")
    assert said(tmp_path) == [("halfcheetah-medium-v0", [0]), ("halfcheetah-medium-v2", [0])]


def test_two_names_of_one_configuration_are_one_row(tmp_path):
    write_run(tmp_path / "a", [1.0], config="halfcheetah_mixed", seed=0)
    write_run(tmp_path / "b", [1.0], config="halfcheetah-medium-replay-v0", seed=1)
    assert said(tmp_path) == [("halfcheetah-medium-replay-v0", [0, 1])]


def test_data_of_one_name_and_other_bytes_are_rows(tmp_path):
    write_run(tmp_path / "a", [1.0], dataset="mine.hdf5", sha256="a" * 64)
    write_run(tmp_path / "b", [1.0], dataset="mine.hdf5", sha256="b" * 64)
    assert [group.label for group in groups(tmp_path)] == ["sha256=aaaaaaaa", "sha256=bbbbbbbb"]


def test_physics_are_rows(tmp_path):
    write_run(tmp_path / "a", [1.0])
    write_run(tmp_path / "b", [1.0], physics="gymnasium")
    assert [group.first.physics for group in groups(tmp_path)] == ["d4rl", "gymnasium"]


def test_each_seed_may_have_its_own_shared_ensemble(tmp_path):
    for seed in (0, 1):
        write_run(tmp_path / f"run{seed}", [1.0], seed=seed, model=f"models/seed_{seed}")
    assert len(groups(tmp_path)) == 1


def test_shared_ensembles_are_told_from_own_ones(tmp_path):
    write_run(tmp_path / "a", [1.0], seed=0)
    write_run(tmp_path / "b", [1.0], seed=1, model="models/seed_1")
    assert [group.label for group in groups(tmp_path)] == ["ensemble=own", "ensemble=shared"]


def test_original_is_a_row_of_its_own(tmp_path):
    write_run(tmp_path / "a", [1.0])
    records = read_records([tmp_path, ORIGINALS])
    assert [group.label for group in group_records(records)] == ["", "original (TF1)"]


def test_long_labels_are_cut(tmp_path):
    names = ["a1", "a2", "a3", "a4", "a5", "a6"]
    write_run(tmp_path / "a", [1.0], **dict.fromkeys(names, 1))
    write_run(tmp_path / "b", [1.0], **dict.fromkeys(names, 2))
    assert groups(tmp_path)[0].label == "a1=1, a2=1, a3=1, a4=1, and 2 more"


def test_labels_that_were_cut_to_the_same_text_are_numbered(tmp_path):
    common = dict.fromkeys(["a1", "a2", "a3", "a4"], 1)
    for number, last in enumerate((1, 2)):
        write_run(tmp_path / str(number), [1.0], **common, a5=last)
    write_run(tmp_path / "c", [1.0], **dict.fromkeys(common, 2), a5=1)
    labels = [group.label for group in groups(tmp_path)]
    assert labels[:2] == [f"a1=1, a2=1, a3=1, a4=1, and 1 more #{n}" for n in (1, 2)]


def test_empty_folders_are_in_no_group(tmp_path):
    write_run(tmp_path / "seed_0", [1.0])
    (tmp_path / "seed_1").mkdir()
    assert said(tmp_path) == [("halfcheetah-medium-replay-v0", [0])]


def test_methods_are_rows_named_as_the_paper_does(tmp_path):
    write_run(tmp_path / "a", [1.0])
    write_run(tmp_path / "b", [1.0], method="mbpo", lr=1e-3)
    write_run(tmp_path / "c", [1.0], method="bcq", lmbda=0.75)
    assert {group.label for group in groups(tmp_path)} == {"MOPO", "MBPO", "BCQ"}


def test_runs_of_before_there_were_methods_are_samples_of_mopo(tmp_path):
    write_run(tmp_path / "a", [1.0], seed=0)
    write_run(tmp_path / "b", [1.0], seed=1, method="mopo")
    assert said(tmp_path) == [("halfcheetah-medium-replay-v0", [0, 1])]


def test_settings_are_compared_within_a_method(tmp_path):
    write_run(tmp_path / "a", [1.0], method="mopo")
    for phi in (0.05, 0.1):
        write_run(tmp_path / f"bcq{phi}", [1.0], method="bcq", phi=phi)
    labels = {group.label for group in groups(tmp_path)}
    assert labels == {"MOPO", "BCQ, phi=0.05", "BCQ, phi=0.1"}

import h5py
import numpy as np
import pytest

from experiments.files import file_sha256
from experiments.records.run_records import read_record
from experiments.tables.comparability import compare_with_published
from experiments.tables.published import read_published
from tests.experiments.run_folders import write_run

SHIPPED_SHA256 = "d303c7870be83219da9eaa38776fd16e155eb14d4585bb11807afebb45f65e83"


def compare(folder, paper="mopo-table1", **options):
    record = read_record(write_run(folder, [1.0], **options))
    return compare_with_published(record, read_published(paper))


def jump_data(path, episode_rewards):
    """Write a log of episodes of one step each."""
    with h5py.File(path, "w") as file:
        file["rewards"] = np.array(episode_rewards, np.float32)
        file["terminals"] = np.ones(len(episode_rewards), bool)
    return {"dataset": path.name, "source": str(path), "sha256": file_sha256(path)}


def test_run_on_the_papers_data_has_its_number(tmp_path):
    comparison = compare(tmp_path / "run")
    assert comparison.published.value == 53.1
    assert comparison.notes == ()


def test_run_on_other_data_has_none_and_says_which(tmp_path):
    comparison = compare(tmp_path / "run", dataset="halfcheetah-sac-replay-v0")
    assert comparison.published is None
    assert comparison.notes == (
        "the published number is of halfcheetah-medium-replay-v0, this row's data are "
        "halfcheetah-sac-replay-v0",
    )


def test_run_on_another_version_has_none(tmp_path):
    comparison = compare(tmp_path / "run", config="hopper-medium-v2")
    assert comparison.published is None
    assert "of hopper-medium-v0, this row's data are hopper-medium-v2" in comparison.notes[0]


def test_shipped_data_under_d4rls_name_have_none(tmp_path):
    comparison = compare(tmp_path / "run", sha256=SHIPPED_SHA256)
    assert comparison.published is None
    assert "are those of halfcheetah-sac-replay-v0" in comparison.notes[0]


def test_data_without_a_hash_have_none(tmp_path):
    comparison = compare(tmp_path / "run", sha256=None)
    assert comparison.published is None
    assert "records no hash" in comparison.notes[0]


def test_file_that_has_only_the_name_is_said(tmp_path):
    comparison = compare(tmp_path / "run", dataset="halfcheetah_mixed.hdf5")
    assert comparison.published.value == 53.1
    assert comparison.notes == (
        "halfcheetah_mixed.hdf5 is taken for halfcheetah-medium-replay-v0 by its name",
    )


def test_evaluations_on_other_physics_have_none(tmp_path):
    comparison = compare(tmp_path / "run", physics="gymnasium")
    assert comparison.published is None
    assert "d4rl physics, this row's evaluations of gymnasium" in comparison.notes[0]


def test_evaluations_in_another_task_have_none(tmp_path):
    comparison = compare(tmp_path / "run", environment="mine:make")
    assert comparison.published is None
    assert "of the task halfcheetah, this row's is mine:make" in comparison.notes[0]


def test_settings_other_than_the_shipped_are_said(tmp_path):
    comparison = compare(tmp_path / "run", penalty_coeff=5.0, asked=7)
    assert comparison.notes == (
        "settings other than the shipped ones of these data: penalty_coeff=5.0",
    )


def test_without_a_table_nothing_is_compared(tmp_path):
    comparison = compare(tmp_path / "run", "none")
    assert (comparison.published, comparison.batch, comparison.notes) == (None, None, ())


# Table 2: the batch printed for halfcheetah-jump has mean -1022.6 and maximum 1808.6.


def test_task_of_table_2_has_its_number_if_the_batch_is_the_printed_one(tmp_path):
    # (1808.6 - 3853.8) / 2 = -1022.6.
    data = jump_data(tmp_path / "halfcheetah-jump.hdf5", [1808.6, -3853.8])
    comparison = compare(tmp_path / "run", "mopo-table2", environment="mine:jump", **data)
    assert comparison.published.value == 4016.6
    assert comparison.batch == (pytest.approx(-1022.6, abs=1e-3), pytest.approx(1808.6, abs=1e-3))


def test_task_of_table_2_on_another_batch_has_none_and_says_both(tmp_path):
    data = jump_data(tmp_path / "halfcheetah-jump.hdf5", [1.0, 3.0])
    comparison = compare(tmp_path / "run", "mopo-table2", environment="mine:jump", **data)
    assert (comparison.published, comparison.key) == (None, "halfcheetah-jump")
    assert comparison.notes == (
        "no number of mopo-table2 beside this row: its batch has mean -1022.6 and max 1808.6, "
        "the run's data 2.0 and 3.0",
    )


def test_other_task_is_not_in_table_2(tmp_path):
    data = jump_data(tmp_path / "mine.hdf5", [1.0])
    comparison = compare(tmp_path / "run", "mopo-table2", **data)
    assert comparison.notes == (
        "mopo-table2 has no task called halfcheetah_mixed or halfcheetah or mine",
    )


@pytest.mark.parametrize("method", ["bc", "sac", "morel"])
def test_a_method_has_its_own_number(tmp_path, method):
    published = read_published("mopo-table1").of("halfcheetah-medium-replay-v0")
    printed = {entry.method.lower(): entry.value for entry in published}[method]
    comparison = compare(tmp_path / "run", method=method)
    assert comparison.published.value == printed


def test_a_method_without_a_number_says_so(tmp_path):
    comparison = compare(tmp_path / "run", method="bcq")
    assert comparison.published is None
    assert comparison.notes == ("no number of BCQ is published for halfcheetah-medium-replay-v0",)


def test_a_method_of_table_2_has_its_number(tmp_path):
    data = jump_data(tmp_path / "halfcheetah-jump.hdf5", [1808.6, -3853.8])
    comparison = compare(tmp_path / "run", "mopo-table2", method="mbpo", **data)
    assert comparison.published.value == 2971.4

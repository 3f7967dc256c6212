import math

import h5py
import numpy as np
import pytest

from experiments.published import NAMES, compare, read_published
from mopo_tf2.configs.d4rl import TASKS
from mopo_tf2.data.datasets import sha256_of
from mopo_tf2.errors import InputError
from tests.experiments.scored_runs import write_run

SHIPPED_SHA256 = "d303c7870be83219da9eaa38776fd16e155eb14d4585bb11807afebb45f65e83"
NAN = math.nan
HEADER = "dataset,method,score,source\n"


# The files.


def test_every_table_that_ships_is_read_and_has_one_number_a_method_and_dataset():
    sizes = {name: read_published(name).entries for name in NAMES}
    assert [*sizes] == ["corl-v2", "mopo-abiomed", "mopo-table1", "mopo-table2", "offlinerlkit-v2"]
    for entries in sizes.values():
        assert len({(entry.key, entry.method) for entry in entries}) == len(entries) > 0


def test_table_1_has_the_papers_number_for_each_shipped_configuration():
    table = read_published("mopo-table1")
    numbers = [table.find(task.dataset_id, "mopo") for task in TASKS.values()]
    assert [entry.source for entry in numbers] == ["MOPO Table 1"] * 12


@pytest.mark.parametrize(
    ("paper", "key", "method", "number"),
    [
        ("mopo-table1", "halfcheetah-random-v0", "mopo", (35.4, 2.5, NAN, NAN)),
        ("mopo-table1", "hopper-random-v0", "mopo", (11.7, NAN, NAN, NAN)),
        ("mopo-table1", "hopper-mixed-v0", "MOReL", (93.6, NAN, NAN, NAN)),
        ("mopo-table2", "halfcheetah_jump", "mopo", (4016.6, 144.0, -1022.6, 1808.6)),
        # The mean and the deviation of seeds 1 to 3: -62.19, 465.16, -398.59.
        ("mopo-abiomed", "halfcheetah-expert-v0", "mopo", (1.46, 355.5, NAN, NAN)),
    ],
)
def test_a_number_is_that_of_the_file(paper, key, method, number):
    table = read_published(paper)
    assert table.find(key, method)[2:6] == pytest.approx(number, abs=0.04, nan_ok=True)
    assert table.find("hopper-medium-v9", method) is None


def test_a_file_of_the_users_is_read(tmp_path):
    (tmp_path / "a.csv").write_text(HEADER + "mine.hdf5,MBPO,3.5,me\n")
    table = read_published(str(tmp_path / "a.csv"))
    assert (table.name, table.metric, table.physics) == ("a.csv", "score", None)
    assert table.find("mine.hdf5", "mbpo").value == 3.5
    assert table.find("mine.hdf5", "mopo") is None


def test_none_is_no_table():
    assert read_published("none") is None


def test_an_unknown_name_is_refused_with_the_nearest():
    with pytest.raises(InputError, match="did you mean mopo-table2"):
        read_published("mopo_tabel2")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "cannot be read: .*No such file"),
        ("", "cannot be read: No columns"),
        ("dataset,method,score\nd,MOPO,1\n", "expected the columns dataset or task"),
        (HEADER, "and 0 rows"),
        (HEADER + "e,MOPO,1,me\nd,MOPO,high,me\n", "line 3: expected .* numbers as score"),
        (HEADER + "d,MOPO,,me\n", "line 2: expected a cell for each column"),
        (HEADER + "d,MOPO,1\n", "line 2: expected a cell for each column"),
        (HEADER + "d,MOPO,1,me,2\n", "line 2: expected a cell for each column"),
        ("dataset,method,score,std,source\nd,MOPO,1,x,me\n", "line 2: expected .* std"),
    ],
)
def test_an_invalid_file_is_refused(tmp_path, text, message):
    if text is not None:
        (tmp_path / "a.csv").write_text(text)
    with pytest.raises(InputError, match=message):
        read_published(str(tmp_path / "a.csv"))


# Which number stands beside a run.


def beside(path, paper="mopo-table1", config="halfcheetah_mixed", **options):
    folder = write_run(path / "run", [1.0], config, **options)
    return compare(folder.facts(), read_published(paper))


def test_a_run_on_the_papers_data_has_its_number(tmp_path):
    made = beside(tmp_path)
    assert (made.published.value, made.key) == (53.1, "halfcheetah-medium-replay-v0")
    assert made.notes == ()


@pytest.mark.parametrize(
    ("paper", "config", "method", "number"),
    [
        ("mopo-table1", "halfcheetah_mixed", "bc", 38.4),
        ("mopo-table1", "halfcheetah_mixed", "morel", 40.2),
        # Numbers of one version never stand beside data of another.
        ("mopo-table1", "hopper-medium-v2", "mopo", None),
        ("offlinerlkit-v2", "hopper-medium-v2", "mopo", 62.8),
        ("offlinerlkit-v2", "hopper_medium", "mopo", None),
        ("mopo-table1", "hopper_medium", "mopo", 28.0),
    ],
)
def test_the_number_is_of_the_runs_method_and_version(tmp_path, paper, config, method, number):
    published = beside(tmp_path, paper, config, method=method).published
    assert (published and published.value) == number


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"dataset": "halfcheetah-sac-replay-v0"}, "has no number of this method on these data"),
        ({"method": "bcq"}, "has no number of this method on these data"),
        ({"sha256": SHIPPED_SHA256}, "this row's data are halfcheetah-sac-replay-v0"),
        ({"sha256": None}, "the run records no hash"),
        ({"physics": "gymnasium"}, "it is of d4rl physics, this row of gymnasium"),
        ({"environment": "mine:make"}, "it is of the task halfcheetah, this row of mine:make"),
        ({"settings": {"max_path_length": 20}}, "1000 steps an episode, this row of 20"),
    ],
)
def test_a_run_that_differs_from_the_published_one_has_none_and_says_why(tmp_path, options, why):
    made = beside(tmp_path, **options)
    assert (made.published, made.key) == (None, None)
    assert why in made.notes[0]


def test_a_file_that_has_only_the_name_is_said(tmp_path):
    made = beside(tmp_path, dataset=str(tmp_path / "halfcheetah_mixed.hdf5"))
    assert made.published.value == 53.1
    assert "halfcheetah_mixed.hdf5 is taken for halfcheetah-medium-replay-v0" in made.notes[0]


def test_settings_other_than_the_shipped_are_said(tmp_path):
    made = beside(tmp_path, settings={"penalty_coeff": 5.0}, asked=7)
    said = "settings other than the shipped ones of these data: penalty_coeff=5.0"
    assert made.notes == (said,)


def test_without_a_table_nothing_is_compared(tmp_path):
    assert beside(tmp_path, "none") == (None, None, None, ())


# Table 2: the batch printed for halfcheetah-jump has mean -1022.6 and maximum 1808.6.


def jump(path, rewards=(1808.6, -3853.8), terminals=(True, True)):
    """Write a log; by default of episodes of one step, (1808.6 - 3853.8) / 2 = -1022.6."""
    with h5py.File(path / "halfcheetah-jump.hdf5", "w") as file:
        file["rewards"] = np.array(rewards, np.float32)
        file["terminals"] = np.array(terminals, bool)
    log = path / "halfcheetah-jump.hdf5"
    return {"dataset": str(log), "sha256": sha256_of([log]), "environment": "mine:jump"}


@pytest.mark.parametrize(("method", "number"), [("mopo", 4016.6), ("mbpo", 2971.4)])
def test_a_task_has_its_number_if_the_batch_is_the_printed_one(tmp_path, method, number):
    made = beside(tmp_path, "mopo-table2", method=method, **jump(tmp_path))
    assert made.published.value == number
    assert made.batch == pytest.approx((-1022.6, 1808.6), abs=1e-3)


def test_a_task_on_another_batch_has_none_and_says_both(tmp_path):
    made = beside(tmp_path, "mopo-table2", **jump(tmp_path, (1.0, 3.0)))
    assert (made.published, made.key) == (None, "halfcheetah-jump")
    assert "mean -1022.6 and max 1808.6, the run's data 2.0 and 3.0" in made.notes[0]


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda path: path.unlink(), "there is no file"),
        (lambda path: jump(path.parent, (2.0, 2.0)), "has changed since the run"),
        (lambda path: path.write_bytes(b"no log"), "is not an HDF5 log"),
        (lambda path: jump(path.parent, (1.0, 2.0), (False, False)), "no complete episode"),
    ],
)
def test_a_log_that_is_gone_another_or_no_log_gives_no_batch(tmp_path, change, why):
    options = jump(tmp_path)
    change(tmp_path / "halfcheetah-jump.hdf5")
    if why != "has changed since the run":
        options["sha256"] = None
    made = beside(tmp_path, "mopo-table2", **options)
    assert made.published is None
    assert np.isnan(made.batch).all()
    assert why in made.notes[0]

import csv
import math

import pytest

from experiments.tables.published import PAPER_FOLDER, published_names, read_published, same_key
from mopo_tf2.configs.d4rl import TASKS
from mopo_tf2.errors import InputError


def write(path, text):
    path.write_text(text)
    return str(path)


def test_names_are_those_of_the_files():
    assert published_names() == ["mopo-table1", "mopo-table2"]


def test_table_1_has_a_number_of_the_paper_for_each_shipped_configuration():
    table = read_published("mopo-table1")
    numbers = {task.dataset_id: table.own(task.dataset_id) for task in TASKS.values()}
    assert all(entry and entry.source == "MOPO Table 1" for entry in numbers.values())
    assert len(numbers) == 12


def test_number_is_that_of_the_file():
    entry = read_published("mopo-table1").own("halfcheetah-random-v0")
    assert (entry.method, entry.value, entry.std) == ("MOPO", 35.4, 2.5)


def test_empty_deviation_is_nan():
    assert math.isnan(read_published("mopo-table1").own("hopper-random-v0").std)


def test_every_row_of_the_files_is_read():
    for name in published_names():
        with (PAPER_FOLDER / f"{name.replace('-', '_')}.csv").open() as file:
            assert len(read_published(name).entries) == len(list(csv.DictReader(file)))


def test_table_2_has_returns_and_batches_of_tasks():
    table = read_published("mopo-table2")
    entry = table.own("halfcheetah_jump")
    assert (table.metric, table.by_task) == ("return", True)
    assert (entry.value, entry.std, entry.batch_mean, entry.batch_max) == (
        4016.6,
        144.0,
        -1022.6,
        1808.6,
    )


def test_other_versions_have_no_number():
    assert read_published("mopo-table1").of("halfcheetah-medium-v2") == []


def test_mixed_is_medium_replay():
    assert same_key("hopper-mixed-v0", "hopper-medium-replay-v0")


def test_none_is_no_table():
    assert read_published("none") is None


def test_own_file_is_read(tmp_path):
    path = write(tmp_path / "a.csv", "dataset,method,score,source\nmine.hdf5,MBPO,3.5,me\n")
    table = read_published(path)
    assert (table.name, table.metric, table.physics) == ("a.csv", "score", None)
    assert table.own("mine.hdf5").value == 3.5


def test_of_many_methods_without_mopo_none_is_our_own(tmp_path):
    lines = "dataset,method,score,source\nd,MBPO,3.5,me\nd,SAC,2,me\n"
    assert read_published(write(tmp_path / "a.csv", lines)).own("d") is None


def test_unknown_name_is_refused_with_the_nearest():
    with pytest.raises(InputError, match="did you mean mopo-table2"):
        read_published("mopo_tabel2")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected the columns dataset or task"),
        ("dataset,method,score\nd,MOPO,1\n", "expected the columns dataset or task"),
        ("dataset,method,score,source\n", "has a header but no row"),
        ("dataset,method,score,source\nd,MOPO,high,me\n", "line 2: expected a number as score"),
        ("dataset,method,score,source\nd,MOPO,,me\n", "line 2: expected a number as score"),
        ("dataset,method,score,source\nd,MOPO,1\n", "line 2: expected dataset, method and one"),
        (
            "dataset,method,score,source\nd,MOPO,1,me,2\n",
            "line 2: expected dataset, method and one",
        ),
    ],
)
def test_unfit_files_are_refused(tmp_path, text, message):
    with pytest.raises(InputError, match=message):
        read_published(write(tmp_path / "a.csv", text))


def test_missing_file_is_refused(tmp_path):
    with pytest.raises(InputError, match="cannot be read: No such file"):
        read_published(str(tmp_path / "a.csv"))

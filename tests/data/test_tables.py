"""Tables of transitions with named columns."""

import gzip
import json

import numpy as np
import pytest

from mopo_tf2.data.datasets import load_dataset
from mopo_tf2.data.tables import read_csv
from mopo_tf2.errors import InputError

# Two patients whose rows are mixed up; the second one ends for good.
HEADER = "obs_map,obs_rate,action_level,reward,terminal,episode,remark"
ROWS = """\
1,10,0.1,-1,0,P-1,
2,20,0.2,-2,0,P-2,fine
3,30,0.3,-3,0,P-1,
4,40,0.4,-4,0,P-2,
5,50,0.5,-5,0,P-1,"late, but seen"
6,60,0.6,-6,1,P-2,
"""
TABLE = f"{HEADER}\n{ROWS}"


@pytest.fixture
def write(tmp_path):
    """Write a table and, if asked, the file beside it; return the table's path."""

    def write_files(text=TABLE, columns=None, name="my.csv", encoding="utf-8"):
        path = tmp_path / name
        data = text.encode(encoding)
        path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
        if columns is not None:
            (tmp_path / f"{name}.columns.json").write_text(json.dumps(columns))
        return path

    return write_files


def test_the_successor_of_a_row_is_the_next_of_its_episode(write):
    transitions = read_csv(write()).transitions
    assert transitions.observations[:, 0].tolist() == [1, 3, 2, 4, 6]
    assert transitions.next_observations[:, 0].tolist() == [3, 5, 4, 6, 6]
    assert transitions.rewards[:, 0].tolist() == [-1, -3, -2, -4, -6]
    assert transitions.terminals[:, 0].tolist() == [False, False, False, False, True]
    np.testing.assert_allclose(transitions.actions[:, 0], [0.1, 0.3, 0.2, 0.4, 0.6], rtol=1e-6)


def test_terminal_rows_without_successor_can_be_left_out(write):
    dataset = load_dataset(str(write()), next_observations="drop")
    assert dataset.transitions.observations[:, 0].tolist() == [1, 3, 2, 4]
    assert [column.dtype for column in dataset.transitions] == [np.float32] * 4 + [np.bool_]
    widths = [column.shape[1] for column in dataset.transitions]
    assert widths == [2, 1, 2, 1, 1]


def test_columns_of_successors_keep_every_row_and_are_matched_by_name(write):
    header = "next_obs_b,next_obs_a,obs_a,obs_b,action,reward,terminal"
    transitions = read_csv(write(f"{header}\n1,2,3,4,0.5,6,0\n7,8,9,1,0,3,1")).transitions
    assert transitions.observations.tolist() == [[3, 4], [9, 1]]
    assert transitions.next_observations.tolist() == [[2, 1], [8, 7]]


def test_a_file_beside_the_table_names_its_columns(write):
    text = TABLE.replace(HEADER, "map,heart rate,pump,score,died,patient,note")
    columns = {
        "observations": ["heart rate", "map"], "actions": ["pump"], "rewards": "score",
        "terminals": "died", "episode": "patient",
    }  # fmt: skip
    named = read_csv(write(text, columns)).transitions
    ruled = read_csv(write(name="ruled.csv")).transitions
    np.testing.assert_array_equal(named.observations[:, ::-1], ruled.observations)
    np.testing.assert_array_equal(named.terminals, ruled.terminals)


def test_null_says_that_nothing_ever_ends(write):
    text = "obs_a,action,reward,episode\n1,0,0,0\n2,0,0,0\n3,0,0,0"
    transitions = read_csv(write(text, {"terminals": None})).transitions
    assert transitions.next_observations[:, 0].tolist() == [2, 3]
    assert not transitions.terminals.any()


def test_bounds_map_actions_to_the_range_of_the_policy(write):
    path = write(TABLE.replace("0.6,-6", "8,-6"), {"action_low": [0], "action_high": [8]})
    dataset = load_dataset(str(path))
    expected = np.array([0.1, 0.3, 0.2, 0.4, 8.0]) / 4 - 1
    np.testing.assert_allclose(dataset.transitions.actions[:, 0], expected, atol=1e-6)
    assert dataset.action_bounds.high == (8.0,)


def test_bounds_beside_a_npz_map_its_actions(tmp_path):
    columns = dict.fromkeys(("observations", "next_observations"), np.zeros((4, 2), np.float32))
    columns |= {"rewards": np.ones(4), "terminals": np.zeros(4)}
    np.savez(tmp_path / "log.npz", actions=[[0.0], [2.0], [4.0], [3.0]], **columns)
    (tmp_path / "log.npz.columns.json").write_text('{"action_low": [0], "action_high": [4]}')
    actions = load_dataset(str(tmp_path / "log.npz")).transitions.actions
    assert actions[:, 0].tolist() == [-1, 0, 1, 0.5]


def words_for_flags(text):
    return text.replace(",0,P", ",False,P").replace("1,P-2", "TRUE,P-2")


@pytest.mark.parametrize(
    ("name", "encoding", "change"),
    [
        ("my.csv", "utf-8-sig", lambda text: text),
        ("my.csv", "utf-8", lambda text: text.replace("\n", "\r\n")),
        ("my.csv", "utf-8", lambda text: text.replace("\n", "\n\n")),
        ("my.csv", "utf-8", words_for_flags),
        ("my.csv.gz", "utf-8", lambda text: text),
    ],
    ids=["byte order mark", "CRLF", "blank lines", "True and False", "gzip"],
)  # fmt: skip
def test_other_ways_of_writing_the_same_table(write, name, encoding, change):
    expected = read_csv(write()).transitions
    got = load_dataset(str(write(change(TABLE), name=name, encoding=encoding))).transitions
    for column, other in zip(expected, got, strict=True):
        np.testing.assert_array_equal(column, other)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        (HEADER, "no rows"),
        (ROWS, "no column of observations"),
        ("1,2,3\n4,5,6", "no header"),
        (TABLE.replace(",", ";"), "separated by commas"),
        (TABLE.replace("3,30,0.3", "x,30,0.3"), "line 4: obs_map must be a number, got 'x'"),
        (TABLE.replace("3,30,0.3", ",30,0.3"), "line 4: obs_map is empty"),
        (TABLE.replace("3,30,0.3", "nan,30,0.3"), "line 4: obs_map is NaN"),
        (TABLE.replace("3,30,0.3", "3,1e99,0.3"), "line 4: obs_rate is too large"),
        (TABLE.replace("3,30,0.3", "3,0.3"), "line 4: 6 values for 7 columns"),
        (TABLE.replace("-3,0,", "-3,2,"), "line 4: terminal must be 0 or 1"),
        (TABLE.replace("-3,0,", "-3,1,"), "1 rows are terminal and yet followed"),
        (TABLE.replace("obs_map", "obs_rate"), "two columns named 'obs_rate'"),
        (TABLE.replace("reward", "points"), "no column of rewards: expected reward"),
        (TABLE.replace("terminal", "over"), 'no column terminal .* "terminals": null'),
        (TABLE.replace("episode", "patient"), "does not say what follows a row"),
        (TABLE.replace("0.6,-6", "8,-6"), r'action_low": \[0.1\], "action_high": \[8.0\]'),
        (TABLE.replace("remark", "next_obs_map"), "do not match obs_map, obs_rate"),
        ("obs_a,action,reward,terminal,episode\n1,0,0,0,1\n1,0,0,0,2", "gives no transitions"),
    ],
)  # fmt: skip
def test_unfit_tables_are_refused(write, text, message):
    with pytest.raises(InputError, match=message):
        read_csv(write(text))


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"observation": ["obs_map"]}, "unknown key 'observation'; did you mean 'observations'"),
        ({"observations": "obs_map"}, "must be a list of column names"),
        ({"rewards": 3}, "must be a column name"),
        ({"rewards": "points"}, "has no column 'points', which .* names for rewards"),
        ({"action_low": [0]}, "gives action_low alone"),
        ({"action_low": [1], "action_high": [1]}, "must lie below"),
        ({"action_low": [0], "action_high": [0.5]}, "outside .0, 0.5. of action_low"),
        ({"action_low": [0, 0], "action_high": [1, 1]}, "has 1 actions, .* bounds for 2"),
        (["obs_map"], "must hold an object"),
    ],
)
def test_unfit_columns_files_are_refused(write, columns, message):
    with pytest.raises(InputError, match=message):
        read_csv(write(columns=columns))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("my.csv", None, "there is no file"),
        ("my.csv.gz", None, "there is no file"),
        ("my.csv", b"\xff\xfe\x00\x81", "not UTF-8"),
        ("my.csv.gz", b"obs_a,action\n1,2", "cannot be read"),
        ("my.csv.columns.json", b"{", "cannot be read as JSON"),
    ],
)
def test_files_that_cannot_be_read_are_refused(tmp_path, write, name, content, message):
    path = write() if name.endswith(".json") else tmp_path / name
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=message):
        load_dataset(str(path))

"""Where episodes begin."""

import numpy as np

from mopo_tf2.data.starts import episode_starts, rows_left
from mopo_tf2.types import Transitions


def transitions(path, successors, terminals):
    column = np.array(path, np.float32)[:, None]
    return Transitions(
        column, column, np.array(successors, np.float32)[:, None], column,
        np.array(terminals, bool)[:, None],
    )  # fmt: skip


def test_a_row_begins_an_episode_unless_the_row_before_led_there():
    data = transitions([1, 2, 3, 7, 8], [2, 3, 4, 8, 9], [0, 0, 0, 0, 0])
    assert episode_starts(data).tolist() == [True, False, False, True, False]


def test_after_a_terminal_row_an_episode_begins():
    # the successor of a terminal row is the first observation of the next episode.
    data = transitions([1, 2, 3], [2, 3, 4], [0, 1, 0])
    assert episode_starts(data).tolist() == [True, False, True]


def test_rows_are_counted_to_the_end_of_their_episode():
    data = transitions([1, 2, 3, 7, 8], [2, 3, 4, 8, 9], [0, 0, 0, 0, 0])
    assert rows_left(data).tolist() == [3, 2, 1, 2, 1]
    assert rows_left(transitions([1, 2, 3], [2, 3, 4], [0, 1, 0])).tolist() == [2, 1, 1]

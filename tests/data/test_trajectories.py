"""mjrl's lists of trajectories."""

import numpy as np
import pytest

from mopo_tf2.data.trajectories import pair_trajectories, trajectory_rows
from mopo_tf2.errors import InputError


def trajectory(length=4, start=0.0, **changes):
    columns = {
        "observations": start + np.arange(2.0 * length).reshape(length, 2),
        "actions": np.linspace(-1, 1, length)[:, None],
        "rewards": start + np.arange(length, dtype=np.float64),
        "agent_infos": {"mean": np.zeros((length, 1))},
    }
    return {name: value for name, value in {**columns, **changes}.items() if value is not None}


def pair(*trajectories):
    return pair_trajectories(list(trajectories), source="paths.pickle")


def test_rows_are_paired_inside_a_trajectory_and_its_last_row_is_left_out():
    transitions = pair(trajectory(3), trajectory(2, start=100.0))
    np.testing.assert_array_equal(transitions.observations, [[0, 1], [2, 3], [100, 101]])
    np.testing.assert_array_equal(transitions.next_observations, [[2, 3], [4, 5], [102, 103]])
    np.testing.assert_array_equal(transitions.rewards, [[0], [1], [100]])
    np.testing.assert_array_equal(transitions.actions, [[-1], [0], [-1]])
    assert not transitions.terminals.any()
    assert [column.dtype for column in transitions] == [np.float32] * 4 + [np.bool_]


def test_end_of_the_task_without_a_successor_is_left_out_with_a_warning():
    with pytest.warns(UserWarning, match="1 of 2 trajectories ended the task"):
        transitions = pair(trajectory(terminated=True), trajectory(terminated=np.False_))
    assert len(transitions.rewards) == 6
    assert not transitions.terminals.any()


def test_own_successors_keep_every_row_and_the_end_of_the_task():
    own = trajectory(3, next_observations=np.full((3, 2), 9.0), terminated=True)
    transitions = pair(own, trajectory(3, next_observations=np.full((3, 2), 8.0)))
    np.testing.assert_array_equal(transitions.next_observations[:, 0], [9, 9, 9, 8, 8, 8])
    np.testing.assert_array_equal(transitions.terminals[:, 0], [0, 0, 1, 0, 0, 0])


def test_one_row_gives_nothing_and_is_counted_and_rewards_may_be_a_column():
    paths = [trajectory(1), trajectory(3, rewards=np.arange(3.0)[:, None])]
    assert pair(*paths).rewards[:, 0].tolist() == [0, 1]
    assert trajectory_rows(paths) == 4


@pytest.mark.parametrize(
    ("second", "message"),
    [
        ([1, 2], "trajectory 1 must be a dict"),
        (trajectory(actions=None), "trajectory 1 lacks actions; found agent_infos, observations"),
        (trajectory(rewards=np.zeros(3)), "unequal lengths: observations 4, actions 4, rewards 3"),
        (trajectory(observations=np.zeros(4)), r"observations must have the shape \[T, size\]"),
        (trajectory(rewards=np.zeros((4, 2))), r"rewards must have the shape \[T\] or"),
        (trajectory(actions="text"), "actions must hold numbers"),
        (trajectory(observations=np.zeros((4, 3))), "has 3 observations and 1 actions but"),
        (trajectory(next_observations=np.zeros((4, 3))), "must have the shape of observations"),
        (trajectory(terminated=np.zeros(4)), "terminated must be one 0 or 1"),
        (trajectory(terminated=2), "terminated must be 0 or 1"),
    ],
)
def test_unfit_trajectory_is_refused_by_its_number(second, message):
    with pytest.raises(InputError, match=message):
        pair(trajectory(), second)


@pytest.mark.parametrize(
    ("paths", "message"), [([], "without trajectories"), ([trajectory(1)], "one row")]
)
def test_list_that_gives_nothing_is_refused(paths, message):
    with pytest.raises(InputError, match=message):
        pair(*paths)

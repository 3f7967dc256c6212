"""Bad data is refused, with a line that says what is wrong and where."""

import warnings

import numpy as np
import pytest

from mopo_tf2.data.validation import check_finite, terminal_flags, validate, validate_columns
from mopo_tf2.errors import InputError
from mopo_tf2.types import Transitions


def transitions(rows=10, **changes):
    columns = Transitions(
        observations=np.zeros((rows, 3), np.float32),
        actions=np.zeros((rows, 2), np.float32),
        next_observations=np.zeros((rows, 3), np.float32),
        rewards=np.zeros((rows, 1), np.float32),
        terminals=np.zeros((rows, 1), np.bool_),
    )
    return columns._replace(**changes)


def log(**changes):
    columns = {
        "observations": np.zeros((4, 3)),
        "actions": np.zeros((4, 2)),
        "rewards": np.zeros(4),
        "terminals": np.zeros(4, bool),
    }
    return {**columns, **changes}


# One step of float32 above 1 is rounding.
@pytest.mark.parametrize("action", [0.0, -1.0, np.nextafter(np.float32(1), np.float32(2))])
def test_good_data_pass_without_a_warning(action):
    data = transitions(actions=np.full((10, 2), action, np.float32))
    sizes = {"obs_dim": 3, "act_dim": 2, "min_rows": 10}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        validate(data, source="x", action_low=-1, action_high=1, **sizes)
        validate_columns(log(rewards=np.zeros((4, 1))), source="x")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"observations": np.zeros((4, 3, 2))}, r"observations must have two dimensions"),
        ({"actions": np.zeros(4)}, r"actions must have two dimensions"),
        ({"rewards": np.zeros((4, 2))}, r"rewards must have the shape \[N\]"),
        ({"terminals": np.array(0)}, r"terminals must have the shape \[N\]"),
        ({"rewards": np.zeros(3)}, r"unequal lengths: .*rewards 3"),
        ({"timeouts": np.zeros(5)}, r"unequal lengths: .*timeouts 5"),
        ({"actions": np.array([["a"]] * 4)}, r"actions must hold numbers"),
        ({"next_observations": np.zeros((4, 2))}, r"next_observations must have the shape"),
        ({name: values[:0] for name, values in log().items()}, "empty"),
    ],
)
def test_unfit_columns_are_refused(changes, message):
    with pytest.raises(InputError, match=message):
        validate_columns(log(**changes), source="x")


def test_non_finite_values_are_counted_with_column_and_first_row():
    observations = np.zeros((10, 3), np.float32)
    observations[[4, 7, 7], [2, 0, 1]] = np.nan, np.inf, -np.inf
    rewards = np.zeros((10, 1), np.float32)
    rewards[9] = np.nan
    with pytest.raises(InputError) as raised:
        validate(transitions(observations=observations, rewards=rewards), source="x")
    message = str(raised.value)
    assert "observations has 3 (1 NaN, 2 inf), first in row 4, column 2" in message
    assert "rewards has 1 (1 NaN, 0 inf), first in row 9." in message
    assert "actions" not in message
    rows = np.arange(100, 110)
    with pytest.raises(InputError, match=r"observations has 3 .*first in row 104, column 2"):
        check_finite(transitions(observations=observations), source="x", file_rows=rows)


def test_too_few_transitions_are_refused_and_the_option_is_named():
    with pytest.raises(InputError, match=r"gives 10 transitions.*11 of min_pool_size"):
        validate(transitions(), source="x", min_rows=11)


@pytest.mark.parametrize(
    ("data", "sizes", "message"),
    [
        (transitions(rewards=np.zeros(10)), {}, "rewards must have two dimensions"),
        (transitions(rewards=np.zeros((9, 1))), {}, "rewards has 9 rows"),
        (transitions(rewards=np.zeros((10, 2))), {}, "one column"),
        (transitions(next_observations=np.zeros((10, 4))), {}, "shape of observations"),
        (transitions(0), {}, "empty"),
        (transitions(), {"obs_dim": 17}, "observations have 3 dimensions but the task has 17"),
        (transitions(), {"act_dim": 6}, "actions have 2 dimensions but the task has 6"),
    ],
)
def test_transitions_of_other_shapes_are_refused(data, sizes, message):
    with pytest.raises(InputError, match=message):
        validate(data, source="x", **sizes)


def test_actions_outside_the_bounds_warn_with_range_and_rows():
    actions = np.zeros((10, 2), np.float32)
    actions[3] = 1.5, -2.0
    actions[6, 1] = 1.25
    with pytest.warns(UserWarning, match=r"2 of 10 rows.*\[-1, 1\].*from -2 to 1.5"):
        validate(transitions(actions=actions), source="x", action_low=[-1, -1], action_high=[1, 1])


def test_flags_of_any_number_type_become_bool_and_nan_is_none():
    for kind in (np.uint8, np.float32, np.int64, np.bool_):
        flags = terminal_flags(np.array([0, 1], kind), name="terminals", source="x")
        assert (flags.dtype, flags.tolist()) == (np.bool_, [False, True])
    with pytest.raises(InputError, match=r"1 other values.*\(nan\) in row 1"):
        terminal_flags(np.array([0, np.nan]), name="terminals", source="x")

"""Ends of episodes. The thresholds of the domains are compared by parity."""

import numpy as np
import pytest

from mopo_tf2.dynamics.termination import TERMINATION_FUNCTIONS, find_termination_fn
from mopo_tf2.errors import InputError


def terminals(domain, states):
    states = np.asarray(states, np.float64)
    return TERMINATION_FUNCTIONS[domain](states, np.zeros((len(states), 1)), states)


def test_intended_hopper_differs_exactly_where_a_coordinate_is_below_minus_100():
    states = np.tile([1.2, *[0.0] * 10], (4, 1))
    states[np.arange(4), [2, 5, 5, 10]] = [-99.9, -100.0, -100.1, -np.inf]
    differs = terminals("hopper", states) != terminals("hopper_intended", states)
    np.testing.assert_array_equal(differs[:, 0], [False, True, True, False])


@pytest.mark.parametrize("domain", TERMINATION_FUNCTIONS)
def test_every_function_returns_a_column_of_bools(domain):
    got = terminals(domain, np.zeros((3, 4)))
    assert (got.shape, got.dtype) == ((3, 1), bool)


def test_a_function_of_the_users_own_is_found_by_module_and_name(tmp_path, monkeypatch):
    (tmp_path / "own_ends.py").write_text(
        "def rolls_over(obs, act, next_obs):\n    return 'mine'\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    assert find_termination_fn("own_ends:rolls_over")(None, None, None) == "mine"
    assert find_termination_fn("walker2d") is TERMINATION_FUNCTIONS["walker2d"]


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("swimmer", "no termination function 'swimmer'.*walker2d"),
        ("no_such_module:f", "no_such_module"),
        ("math:no_such_function", "no_such_function"),
    ],
)
def test_a_function_that_is_not_there_is_an_error_that_names_it(name, told):
    with pytest.raises(InputError, match=told):
        find_termination_fn(name)

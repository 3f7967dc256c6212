"""Ends of episodes."""

import numpy as np
import pytest

from mopo_tf2.dynamics.termination import TERMINATION_FUNCTIONS, find_termination_fn
from mopo_tf2.errors import InputError


def terminals(domain, states):
    states = np.asarray(states, np.float64)
    return TERMINATION_FUNCTIONS[domain](states, np.zeros((len(states), 1)), states)


def test_the_next_state_decides():
    fallen, upright = np.zeros((1, 11)), np.full((1, 11), 0.1)
    upright[0, 0] = 1.2
    hopper = TERMINATION_FUNCTIONS["hopper"]
    assert not hopper(fallen, np.zeros((1, 3)), upright).any()
    assert hopper(upright, np.zeros((1, 3)), fallen).all()


def test_intended_hopper_differs_exactly_where_a_coordinate_is_below_minus_100():
    states = np.tile([1.2, *[0.0] * 10], (4, 1))
    states[np.arange(4), [2, 5, 5, 10]] = [-99.9, -100.0, -100.1, -np.inf]
    differs = terminals("hopper", states) != terminals("hopper_intended", states)
    np.testing.assert_array_equal(differs[:, 0], [False, True, True, False])


@pytest.mark.parametrize("domain", TERMINATION_FUNCTIONS)
def test_every_function_returns_a_column_of_bools(domain):
    got = terminals(domain, np.zeros((3, 4)))
    assert (got.shape, got.dtype) == ((3, 1), bool)


@pytest.mark.parametrize(
    ("domain", "state", "ends"),
    [
        ("hopper", [0.71, 0.19, 99.0], False),
        ("hopper", [0.7, 0.0, 0.0], True),
        ("hopper", [1.0, -0.2, 0.0], True),
        ("hopper", [1.0, 0.0, 100.0], True),
        ("hopper", [1.0, 0.0, np.nan], True),
        ("hopper", [150.0, 0.0, 0.0], False),
        ("walker2d", [0.8, 0.0, 0.0], True),
        ("walker2d", [2.0, 0.0, 0.0], True),
        ("walker2d", [1.0, -1.0, 0.0], True),
        ("walker2d", [1.0, 0.0, np.nan], False),
        ("ant", [0.2, 9.0, 9.0], False),
        ("ant", [1.0, 9.0, np.inf], True),
        ("humanoid", [0.99, 0.0, 0.0], True),
        ("humanoid", [np.nan, 0.0, 0.0], False),
        ("halfcheetah", [np.nan, np.inf, 0.0], False),
    ],
)
def test_thresholds_are_those_of_the_domain(domain, state, ends):
    assert bool(terminals(domain, [state])[0, 0]) is ends


def test_a_function_of_the_users_own_is_found_by_module_and_name(tmp_path, monkeypatch):
    (tmp_path / "own_ends.py").write_text(
        "def rolls_over(obs, act, next_obs):\n    return 'mine'\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    assert find_termination_fn("own_ends:rolls_over")(None, None, None) == "mine"
    assert find_termination_fn("walker2d") is TERMINATION_FUNCTIONS["walker2d"]


def test_an_unknown_domain_is_an_error_that_lists_the_known_ones():
    with pytest.raises(InputError, match=r"no termination function 'swimmer'.*walker2d"):
        find_termination_fn("swimmer")


@pytest.mark.parametrize("name", ["no_such_module:f", "math:no_such_function"])
def test_a_function_that_cannot_be_loaded_is_an_error_that_names_it(name):
    with pytest.raises(InputError, match="no_such_"):
        find_termination_fn(name)

"""Old gym environments, with four or five values a step, behind Gymnasium's interface."""

import gymnasium
import numpy as np
import pytest

from mopo_tf2.errors import InputError
from mopo_tf2.evaluation.gym_adapter import GymAdapter, looks_like_gym


class OldEnvironment:
    """Has no ancestor, as an environment of a gym that is not installed."""

    observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (2,), np.float64)
    action_space = gymnasium.spaces.Box(-1.0, 1.0, (1,), np.float32)

    def __init__(self, *result):
        self.result, self.seeds, self.render_calls = result, [], []

    def seed(self, seed):
        self.seeds.append(seed)

    def reset(self):
        return [1.0, 2.0]

    def step(self, action):
        return self.result

    def render(self, mode):
        self.render_calls.append(mode)


class NewerEnvironment(OldEnvironment):
    seed = None

    def reset(self, *, seed):
        self.seeds.append(seed)
        return [1.0, 2.0], {"key": 1}


OBSERVATION = [3.0, 4.0]
LIMIT = {"TimeLimit.truncated": True}
NO_LIMIT = {"TimeLimit.truncated": False}


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        ((OBSERVATION, 1, False, {}), (1.0, False, False, {})),
        ((OBSERVATION, 1, True, {}), (1.0, True, False, {})),
        ((OBSERVATION, 1, True, LIMIT), (1.0, False, True, LIMIT)),
        ((OBSERVATION, 1, True, NO_LIMIT), (1.0, True, False, NO_LIMIT)),
        ((OBSERVATION, 1, False, True, {}), (1.0, False, True, {})),
        ((OBSERVATION, 1, True, False, {}), (1.0, True, False, {})),
    ],
)
def test_step_returns_five_values(result, expected):
    observation, *rest = GymAdapter(OldEnvironment(*result)).step(np.zeros(1))
    np.testing.assert_array_equal(observation, OBSERVATION)
    assert tuple(rest) == expected


def test_step_with_three_values_is_an_error():
    with pytest.raises(InputError, match=r"4 \(gym\) or 5 \(Gymnasium\) values, got 3"):
        GymAdapter(OldEnvironment(OBSERVATION, 1, False)).step(np.zeros(1))


@pytest.mark.parametrize(
    ("environment", "info"), [(OldEnvironment(), {}), (NewerEnvironment(), {"key": 1})]
)
def test_reset_seeds_by_the_method_or_else_by_the_argument(environment, info):
    observation, found = GymAdapter(environment).reset(seed=7)
    np.testing.assert_array_equal(observation, [1.0, 2.0])
    assert (found, environment.seeds) == (info, [7])


def test_environment_that_cannot_be_seeded_is_an_error():
    environment = OldEnvironment()
    environment.seed = None
    with pytest.raises(InputError, match="no seed method and its reset takes no seed"):
        GymAdapter(environment).reset(seed=7)


def test_spaces_become_gymnasium_boxes_of_the_same_bounds():
    adapter = GymAdapter(OldEnvironment())
    assert adapter.action_space == OldEnvironment.action_space
    assert adapter.observation_space == OldEnvironment.observation_space


def test_old_environment_is_drawn_in_the_mode_asked_for():
    old = OldEnvironment()
    GymAdapter(old, render_mode="rgb_array").render()
    assert old.render_calls == ["rgb_array"]


def test_what_has_no_box_spaces_is_refused():
    assert looks_like_gym(OldEnvironment())
    assert not looks_like_gym(7)
    with pytest.raises(TypeError, match=r"got builtins\.int"):
        GymAdapter(7)

"""The work that fractions are computed from, at the original's sizes on halfcheetah."""

import pytest

from benchmarks.work import ensemble_step_flop, rollout_state_flop, sac_update_flop
from mopo_tf2.algorithms.sac import SAC
from mopo_tf2.config import EnsembleConfig, SACConfig
from mopo_tf2.dynamics.ensemble import GaussianEnsemble

# Weights of one forward pass, biases aside, with 17 observations and 6 actions.
POLICY = 17 * 256 + 256 * 256 + 256 * 12
CRITIC = 23 * 256 + 256 * 256 + 256
MEMBER = 23 * 200 + 3 * 200 * 200 + 2 * 200 * 18


@pytest.fixture(scope="module")
def sac():
    return SAC(17, 6, SACConfig())


@pytest.fixture(scope="module")
def ensemble():
    return GaussianEnsemble(17, 6, EnsembleConfig())


def test_an_update_runs_the_policy_four_times_and_each_critic_six_times(sac):
    assert sac_update_flop(sac) == 256 * 2 * (4 * POLICY + 2 * 6 * CRITIC)


def test_an_ensemble_step_runs_every_member_forward_and_twice_backward(ensemble):
    assert ensemble_step_flop(ensemble) == 256 * 2 * 3 * 7 * MEMBER


def test_a_rollout_state_takes_one_action_and_every_members_prediction(sac, ensemble):
    assert rollout_state_flop(sac, ensemble) == 2 * (POLICY + 7 * MEMBER)

"""MOReL: what a checkpoint holds, and pessimism where the data end."""

import numpy as np
import pytest

from mopo_tf2.algorithms.morel.learner import MOReL, clone_behaviour
from mopo_tf2.configs.morel import MORELConfig
from mopo_tf2.dynamics.termination import never
from mopo_tf2.networks.unsquashed_policy import UnsquashedGaussianPolicy
from mopo_tf2.progress import NoProgress
from mopo_tf2.types import Transitions
from tests.algorithms import tiny_methods
from tests.eager import eagerly

TINY = {**tiny_methods.LOOP, **tiny_methods.TINY["morel"], "eval_n_episodes": 0, "cg_damping": 0.1}


@pytest.fixture
def make(dataset):
    def build(seed=0, transitions=dataset, **changes):
        return MOReL(MORELConfig(**{**TINY, **changes}), transitions, never, seed=seed)

    return build


def without_times(metrics):
    return {name: value for name, value in metrics.items() if not name.startswith("times/")}


@pytest.fixture(scope="module")
def undisturbed(dataset):
    """The metrics of a run of one epoch, and its state before the epoch."""
    with eagerly():
        algorithm = MOReL(MORELConfig(**TINY), dataset, never)
        algorithm.train_model()
        state = {name: np.array(array) for name, array in algorithm.arrays().items()}
        counters = algorithm.counters()
        return without_times(next(algorithm.train())), (state, counters)


def test_run_that_was_stopped_after_the_model_goes_on_with_that_model(make, undisturbed, eager):
    metrics, state = undisturbed
    resumed = make(seed=1)
    resumed.restore(*state)
    np.testing.assert_equal(without_times(next(resumed.train())), metrics)


def test_epoch_is_one_step_with_finite_diagnostics(undisturbed):
    metrics = undisturbed[0]
    assert metrics["train-steps"] == 1.0
    assert 1.0 <= metrics["model/mean_rollout_length"] <= 5.0
    assert 0.0 <= metrics["model/halted-share"] <= 1.0
    assert metrics["npg/kl"] == pytest.approx(0.01, rel=0.5)
    assert metrics["model/val_loss"] > 0.0


def test_paths_start_where_they_are_told_to(eager):
    states = np.float32([*range(20), *range(100, 120)])[:, None]
    rows = Transitions(states, 0 * states, states + 1, states, np.zeros((40, 1), bool))
    algorithm = MOReL(MORELConfig(**{**TINY, "start_state": "initial"}), rows, never)
    assert set(algorithm._paths().observations[0, :, 0]) <= {0.0, 100.0}
    settings = {**TINY, "num_trajectories": 100, "start_state": "dataset"}
    algorithm = MOReL(MORELConfig(**settings), rows, never)
    assert len(set(algorithm._paths().observations[0, :, 0])) > 20


def test_cloning_start_reaches_the_actions_of_the_data():
    randoms = np.random.RandomState(0)
    observations = randoms.normal(5.0, 3.0, size=(1000, 2)).astype(np.float32)
    actions = np.tanh(observations @ np.float32([[0.3], [-0.2]]) - 0.5)
    data = Transitions(observations, actions, observations, actions, np.zeros((1000, 1), bool))
    policy = UnsquashedGaussianPolicy(1, (16,), seed=0)
    policy.build((None, 2))
    clone_behaviour(policy, data, randoms, epochs=30, lr=1e-2, batch_size=64, progress=NoProgress())
    assert np.mean(np.square(policy.mode(observations) - actions)) < 0.002
    np.testing.assert_array_equal(policy.log_std.numpy(), np.float32([-0.25]))


def reach():
    """Where 60 steps to the right of 0 may lead a policy that was trained on [-1, 1].

    s' = s + 0.1 a, and the reward s - 2 grows to the right, beyond the data too; it is negative,
    so that an end without a cost is worth something.
    """
    randoms = np.random.RandomState(0)
    states, actions = randoms.uniform(-1, 1, size=(2, 1000, 1)).astype(np.float32)
    rows = Transitions(states, actions, states + 0.1 * actions, states - 2, states > 5)
    settings = {
        "n_epochs": 12,
        "dynamics_networks": 4,
        "dynamics_hidden_layer_sizes": (32, 32),
        "reward_hidden_layer_sizes": (32, 32),
        "dynamics_batch_size": 64,
        "dynamics_epochs": 20,
        "threshold_rule": "max",
        "num_trajectories": 10,
        "horizon": 30,
        "halt_reward_offset": 100.0,
        "policy_hidden_layer_sizes": (8,),
        "init_log_std": -1.0,
        "baseline_hidden_layer_sizes": (16,),
        "baseline_batch_size": 64,
        "baseline_lr": 1e-2,
        "npg_step_size": 0.05,
    }
    algorithm = MOReL(MORELConfig(**{**TINY, **settings}), rows, never)
    *_, last = algorithm.train()
    act, state = algorithm.policy.acting(1, 0), np.zeros((1, 1), np.float32)
    for _ in range(60):
        state = state + 0.1 * act(state)
    return state.item(), last["model/halted-share"]


def test_halt_keeps_the_policy_inside_the_data():
    position, halted_share = reach()
    assert 0.4 < position < 1.5  # It moved to where the reward grows, and not beyond the data.
    assert halted_share < 0.2

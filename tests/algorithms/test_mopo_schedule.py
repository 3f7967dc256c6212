"""When the loop rolls out, updates and evaluates, with parts that only note what they are asked."""

import math
from typing import Any

import gymnasium
import numpy as np
import pytest

from mopo_tf2.dynamics.rollouts import RolloutStep
from mopo_tf2.errors import DivergenceError
from mopo_tf2.types import Transitions


class Schedule:
    """A MOPO whose parts only note what they are asked for: nothing is compiled."""

    def __init__(self, monkeypatch, mopo, diagnostics=None):
        self.mopo = mopo
        self.events: list[Any] = []
        self.mopo.use_model(0.25)
        values = {"Q-avg": 1.0} if diagnostics is None else diagnostics
        monkeypatch.setattr(self.mopo.sac, "diagnostics", lambda *_: dict(values))
        monkeypatch.setattr(self.mopo.sac, "update_block", self.update_block)
        monkeypatch.setattr("mopo_tf2.algorithms.mopo.branched_rollouts", self.roll)

    def update_block(self, batches, noise, next_noise, tau):
        assert len(batches.rewards) == len(noise) == len(next_noise) == len(tau)
        self.events.append([round(float(share), 6) for share in tau])

    def roll(self, environment, policy, observations, rollout_length, random_state, **options):
        self.events.append("rollouts")
        rows = Transitions(*(column[:10] for column in self.mopo.environment_pool.stored()))
        for _ in range(rollout_length):
            yield RolloutStep(rows, np.full((10, 1), 2.0, np.float32), np.full((10, 1), -4.0))

    def run(self):
        return list(self.mopo.train())


@pytest.fixture
def schedule(monkeypatch, tiny):
    """Return a ``Schedule`` of a tiny MOPO, changed as asked."""

    def make(diagnostics=None, **options):
        return Schedule(monkeypatch, tiny(**options), diagnostics)

    return make


def test_rollouts_come_before_the_updates_of_every_model_train_freq_timesteps(schedule):
    run = schedule(n_epochs=1, epoch_length=7, model_train_freq=3)
    (metrics,) = run.run()
    tau = 0.005
    assert run.events == ["rollouts", [tau] * 3, "rollouts", [tau] * 3, "rollouts", [tau]]
    assert metrics["train-steps"] == 7.0


def test_updates_happen_every_n_steps_and_repeat(schedule):
    run = schedule(n_epochs=1, train_every_n_steps=4, n_train_repeat=2)
    run.run()
    # Timesteps 0 and 4 of 6, twice each.
    assert run.events == ["rollouts", [0.005] * 2, "rollouts", [0.005] * 2]


def test_target_critics_move_at_multiples_of_their_interval(schedule):
    sac = {"target_update_interval": 4, "updates_per_call": 4}
    run = schedule(n_epochs=1, epoch_length=6, model_train_freq=6, sac=sac)
    run.run()
    # In blocks of updates_per_call.
    assert run.events == ["rollouts", [0.005, 0.0, 0.0, 0.0], [0.005, 0.0]]


def test_diagnostics_are_computed_on_a_batch_of_their_own(schedule, monkeypatch):
    run = schedule(n_epochs=1, epoch_length=6, model_train_freq=3)
    drawn, draw = [], run.mopo._batches
    monkeypatch.setattr(run.mopo, "_batches", lambda count: drawn.append(count) or draw(count))
    run.run()
    assert drawn == [3, 3, 1]


def test_real_ratio_of_one_never_touches_the_model_pool(schedule):
    run = schedule(n_epochs=1, real_ratio=1.0)
    (metrics,) = run.run()
    assert "rollouts" not in run.events
    assert run.mopo.model_pool.size == 0
    assert math.isnan(metrics["model/mean_rollout_length"])
    (with_rollouts,) = schedule(n_epochs=1, real_ratio=0.5).run()
    assert list(metrics) == list(with_rollouts)


def test_rollout_metrics_are_means_over_the_states_of_the_last_round(schedule):
    (metrics,) = schedule(n_epochs=1).run()
    names = ("mean_rollout_length", "penalty-mean", "penalty-max", "penalty-reward-share")
    # Two steps of ten rows from five starts; u = 2, |r| = 4, lambda = 0.5.
    assert [metrics[f"model/{name}"] for name in names] == [4.0, 2.0, 2.0, 0.25]


def test_divergence_is_an_error_that_names_epoch_and_metric(schedule):
    run = schedule(diagnostics={"alpha": 1.0, "Q-avg": math.nan})
    with pytest.raises(DivergenceError, match="diverged in epoch 0: Q-avg not finite"):
        run.run()


def test_a_model_from_elsewhere_is_not_trained(schedule, monkeypatch):
    run = schedule(n_epochs=1)
    monkeypatch.setattr(run.mopo, "train_model", lambda *_: pytest.fail("trained"))
    (metrics,) = run.run()
    assert (metrics["model/val_loss"], metrics["times/epoch_train_model"]) == (0.25, 0.0)


def test_a_model_from_elsewhere_is_trained_on_for_the_epochs_asked_for(tiny, monkeypatch):
    mopo = tiny(ensemble={"model_loaded_max_epochs": 3})
    asked = []
    monkeypatch.setattr(mopo, "train_model", asked.append)
    mopo.use_model(0.25)
    assert asked == [3]


class Counter(gymnasium.Env[Any, Any]):
    """Ends after ``length`` steps with reward 1 each; notes the actions."""

    observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (2,), np.float64)
    action_space = gymnasium.spaces.Box(-1.0, 1.0, (1,), np.float32)

    def __init__(self, length: int) -> None:
        self.length = length
        self.actions: list[float] = []

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        self.count = 0
        return np.zeros(2), {}

    def step(self, action: np.ndarray) -> Any:
        self.count += 1
        self.actions.append(float(action[0]))
        return np.zeros(2), 1.0, self.count == self.length, False, {}


def evaluated(schedule, environments, **changes):
    arguments = {"environments": environments, "reference_scores": (1.0, 11.0)}
    run = schedule(n_epochs=1, arguments=arguments, **changes)
    return run.mopo, run.run()[0]


def test_evaluation_returns_are_those_of_the_environments_or_nan(schedule):
    _, metrics = evaluated(schedule, [Counter(2), Counter(4)])
    names = ("return-average", "return-min", "return-max", "episode-length-avg")
    assert [metrics[f"evaluation/{name}"] for name in names] == [3.0, 2.0, 4.0, 3.0]
    assert metrics["evaluation/normalized-score"] == pytest.approx(20.0)
    assert metrics["training/return-average"] == 3.0
    (without,) = schedule(n_epochs=1).run()
    assert list(without) == list(metrics)
    assert all(math.isnan(without[name]) for name in without if name.startswith("evaluation/"))


def test_evaluation_episodes_are_cut_at_max_path_length(schedule):
    _, metrics = evaluated(schedule, [Counter(100)], max_path_length=7)
    assert metrics["evaluation/episode-length-max"] == 7.0


@pytest.mark.parametrize("deterministic", [True, False])
def test_evaluation_takes_the_mode_or_samples(schedule, deterministic):
    environment = Counter(5)
    mopo, _ = evaluated(schedule, [environment], eval_deterministic=deterministic)
    mode = float(mopo.sac.policy.mode(np.zeros((1, 2), np.float32))[0, 0])
    assert np.allclose(environment.actions, mode, atol=1e-6) is deterministic


def test_stochastic_evaluation_is_compiled_for_the_number_of_episodes(schedule, monkeypatch):
    environments = [Counter(2), Counter(4)]
    run = schedule(n_epochs=1, eval_deterministic=False, arguments={"environments": environments})
    sizes, sample = [], run.mopo.sac.sample_actions
    monkeypatch.setattr(
        run.mopo.sac, "sample_actions", lambda *given: sizes.append(given[2]) or sample(*given)
    )
    run.run()
    assert sizes == [2] * 4  # one episode runs alone at the end

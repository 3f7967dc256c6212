"""Online SAC on a task of one dimension: what it records, learns and puts back."""

from typing import Any

import gymnasium
import numpy as np
import pytest

from mopo_tf2.algorithms.online_sac import OnlineSAC, reset_seed
from mopo_tf2.config import SACConfig
from mopo_tf2.configs.online_sac import OnlineSACConfig
from mopo_tf2.errors import DivergenceError
from tests.eager import eagerly

TARGET = 0.6


class Aim(gymnasium.Env[Any, Any]):
    """Pays 1 - |a - 0.6|; the observation is noise. Ends after ``length`` steps."""

    observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (2,), np.float64)
    action_space = gymnasium.spaces.Box(-1.0, 1.0, (1,), np.float32)

    def __init__(self, length: int = 7) -> None:
        self.length = length
        self.seeds: list[int | None] = []

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        self.seeds.append(seed)
        self.count = 0
        return self.np_random.standard_normal(2), {}

    def step(self, action: np.ndarray) -> Any:
        self.count += 1
        reward = 1.0 - abs(float(action[0]) - TARGET)
        over = self.count == self.length
        return self.np_random.standard_normal(2), reward, over, False, {}


def config(steps: int = 24, **changes: Any) -> OnlineSACConfig:
    sac = SACConfig(hidden_layer_sizes=(8, 8), batch_size=8, lr=changes.pop("lr", 3e-4))
    fields = {"warm_up": 8, "block_steps": 4, "max_path_length": 5, "sac": sac, **changes}
    return OnlineSACConfig(steps=steps, **fields)


def trained(steps: int = 24, seed: int = 0, **changes: Any) -> OnlineSAC:
    algorithm = OnlineSAC(Aim(), config(steps, **changes), seed=seed)
    while not algorithm.done:
        algorithm.step()
    return algorithm


@pytest.fixture(scope="module")
def finished() -> OnlineSAC:
    """A collection to look at, not to change."""
    with eagerly():
        return trained()


def everything(algorithm: OnlineSAC) -> dict[str, np.ndarray]:
    return {name: values.copy() for name, values in algorithm.arrays().items()}


def test_rows_are_recorded_in_order_of_time() -> None:
    # All of it random actions: nothing is compiled.
    columns = trained(60, warm_up=59, max_path_length=100).recorder.closed_columns()
    inside = ~(columns["terminals"] | columns["timeouts"])[:-1]
    np.testing.assert_array_equal(
        columns["next_observations"][:-1][inside], columns["observations"][1:][inside]
    )
    assert np.flatnonzero(columns["terminals"]).tolist() == [6, 13, 20, 27, 34, 41, 48, 55]
    np.testing.assert_allclose(
        columns["rewards"], 1.0 - np.abs(columns["actions"][:, 0] - TARGET), atol=1e-6
    )


def test_one_gradient_step_for_each_step_after_the_warm_up(finished: OnlineSAC) -> None:
    assert finished.train_steps == 24 - 8


def test_nothing_is_learned_during_the_warm_up() -> None:
    algorithm = OnlineSAC(Aim(), config(warm_up=10))
    before = everything(algorithm)
    for _ in range(10):
        algorithm.step()
    assert algorithm.recorder.between_episodes
    after = everything(algorithm)
    for name in before:
        if name.startswith("sac/"):
            np.testing.assert_array_equal(after[name], before[name])


def test_the_buffer_learned_from_is_what_was_recorded(finished: OnlineSAC) -> None:
    stored, columns = finished.pool.stored(), finished.recorder.columns()
    for name in ("observations", "actions", "next_observations"):
        np.testing.assert_array_equal(getattr(stored, name), columns[name])
    for name in ("rewards", "terminals"):
        np.testing.assert_array_equal(getattr(stored, name)[:, 0], columns[name])


def test_learning_improves_a_trivial_task() -> None:
    returns = trained(800, warm_up=200, lr=3e-3, block_steps=20).recorder.returns
    random, learned = np.mean(returns[:40]), np.mean(returns[-40:])
    # Uniform actions: 5 (1 - E|a - 0.6|) = 5 * 0.32 = 1.6.
    assert random == pytest.approx(1.6, abs=0.5)
    assert learned > random + 0.8


# After 5 steps, within the warm-up, and after 15, within a block.
@pytest.mark.parametrize("episodes", [1, 3])
def test_a_restored_object_goes_on_bit_for_bit(
    finished: OnlineSAC, episodes: int, eager: None
) -> None:
    first = OnlineSAC(Aim(), config())
    while len(first.recorder.returns) < episodes:
        first.step()
    second = OnlineSAC(Aim(), config())
    second.restore(everything(first), first.counters())
    while not second.done:
        second.step()
    np.testing.assert_equal(everything(second), everything(finished))
    assert second.train_steps == finished.train_steps


def test_state_is_not_given_within_an_episode() -> None:
    algorithm = OnlineSAC(Aim(), config())
    algorithm.step()
    with pytest.raises(ValueError, match="an episode is running"):
        algorithm.arrays()


def test_each_reset_has_a_seed_of_its_own() -> None:
    aim = Aim()
    algorithm = OnlineSAC(aim, config(warm_up=12), seed=2)
    for _ in range(12):
        algorithm.step()
    assert aim.seeds == [reset_seed(2, episode) for episode in range(3)]
    assert len(set(aim.seeds)) == 3


def test_weights_that_are_not_finite_end_the_training() -> None:
    algorithm = OnlineSAC(Aim(), config())
    for variable in algorithm.policy.variables:
        variable.assign(np.full(variable.shape, np.nan))
    for _ in range(8):
        algorithm.step()
    with pytest.raises(DivergenceError, match="no longer finite after 8 steps"):
        algorithm.step()

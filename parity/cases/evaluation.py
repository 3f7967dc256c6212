"""Evaluation episodes: recorded ones answered by the policy, and the same starts in our physics."""

from collections.abc import Iterator
from typing import Any

import gymnasium
import numpy as np

from mopo_tf2.algorithms.offline import OfflineAlgorithm
from mopo_tf2.evaluation.environments import make_environment
from mopo_tf2.evaluation.episodes import rescale_actions, run_episodes

from ..comparison import Comparison, compare, compare_values
from ..recording import Recording

VELOCITY_LIMIT = 10.0
"""Hopper and Walker2d clip velocities in observations here: the state is then not determined."""


FIRST_STEPS = 10
"""Of an episode in our physics: contacts amplify every rounding from step to step."""


class RecordedEpisode(gymnasium.Env[np.ndarray, np.ndarray]):
    """An environment whose episodes are the recorded ones, whatever the actions.

    Args:
        algorithm: whose ``epoch`` says which episode is next.
        recording: of the case.
        number: of the episode within an epoch.

    Attributes:
        actions: those of the last episode, one [A] per step.
    """

    def __init__(self, algorithm: OfflineAlgorithm, recording: Recording, number: int):
        self._algorithm, self._recording, self._number = algorithm, recording, number
        width = algorithm.act_dim
        self.action_space = gymnasium.spaces.Box(-1.0, 1.0, (width,), np.float32)
        self.actions: list[np.ndarray] = []

    def _array(self, name: str) -> np.ndarray:
        prefix = f"epoch_{self._algorithm.epoch}/evaluation/{self._number}"
        return self._recording[f"{prefix}/{name}"]

    def reset(self, **_: Any) -> tuple[np.ndarray, dict[str, Any]]:
        """Return the first observation [O]."""
        self.actions = []
        return self._array("observations")[0], {}

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Keep ``action`` [A]; return what was recorded of this step."""
        taken = len(self.actions)
        self.actions.append(np.array(action))
        observations = self._array("observations")
        following = observations[min(taken + 1, len(observations) - 1)]
        reward, done = self._array("rewards")[taken, 0], self._array("terminals")[taken, 0]
        return following, float(reward), bool(done), False, {}


class _Started(gymnasium.Wrapper[np.ndarray, np.ndarray, np.ndarray, np.ndarray]):
    """A task of our physics whose episodes start in a given state, an observation [O] float32."""

    start: np.ndarray
    rewards: list[float]

    def reset(self, **_: Any) -> tuple[np.ndarray, dict[str, Any]]:
        """Put the simulator into the state ``start``; the place along x has no effect."""
        task: Any = self.unwrapped
        positions, state = len(task.data.qpos) - 1, self.start.astype(np.float64)
        task.set_state(np.r_[0.0, state[:positions]], state[positions:])
        task.data.qacc_warmstart[:] = 0.0
        self.rewards = []
        return self.start, {}

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Step the simulator and keep the reward."""
        observation, reward, terminated, truncated, info = super().step(action)
        self.rewards.append(float(reward))
        return observation, float(reward), terminated, truncated, info


def compare_episodes(
    recording: Recording, prefix: str, domain: str, algorithm: OfflineAlgorithm
) -> Iterator[Comparison]:
    """Compare the episodes that the epoch ``prefix`` ended with."""
    environment = _Started(make_environment(domain))
    try:
        for number, episode in enumerate(algorithm.environments):
            array = f"{prefix}/evaluation/{number}"
            actions = np.array(episode.actions)  # type: ignore[attr-defined]
            group = "evaluation: actions on recorded observations"
            yield compare(recording, f"{array}/actions", actions, "sac_actions", group)
            yield from _single_steps(recording, array, environment)
            yield from _episode(recording, array, environment, algorithm)
    finally:
        environment.close()


def _episode(
    recording: Recording, array: str, environment: _Started, algorithm: OfflineAlgorithm
) -> Iterator[Comparison]:
    """Compare length and first rewards of the policy's own episode from the recorded start."""
    environment.start = recording[f"{array}/observations"][0]
    episodes = run_episodes(
        algorithm._evaluation_policy(),
        [environment],
        [0],
        max_path_length=algorithm.config.max_path_length,
    )
    rewards, group = recording[f"{array}/rewards"][:, 0], "evaluation: episodes in our physics"
    name, length = f"{array}/rewards", np.int64(len(rewards))
    yield compare_values(length, episodes.lengths[0], "exact", f"{group}, lengths", name)
    yield compare_values(
        rewards[:FIRST_STEPS],
        np.array(environment.rewards[:FIRST_STEPS]),
        "episode",
        f"{group}, first rewards",
        name,
    )


def _single_steps(recording: Recording, array: str, environment: _Started) -> Iterator[Comparison]:
    """Take every recorded action from the recorded state, where the observation determines it."""
    names = ("observations", "actions", "rewards")
    observations, actions, rewards = (recording[f"{array}/{name}"] for name in names)
    space: Any = environment.action_space
    scaled = rescale_actions(actions, space.low, space.high)
    positions = len(environment.unwrapped.data.qpos) - 1  # type: ignore[attr-defined]
    reached, earned, ended = [], [], []
    for observation, action in zip(observations, scaled, strict=True):
        environment.start = observation
        environment.reset()
        following, reward, done, *_ = environment.step(action)
        reached.append(following)
        earned.append(reward)
        ended.append(done)
    whole = (np.abs(observations[:, positions:]) < VELOCITY_LIMIT).all(axis=1)
    group = "evaluation: steps in our physics"
    rows = whole[:-1]
    yield compare_values(
        observations[1:],
        np.array(reached)[:-1],
        "recorded_state",
        f"{group}, observations",
        f"{array}/observations",
        rows=rows,
    )
    yield compare_values(
        rewards[:, 0],
        np.array(earned),
        "recorded_state_reward",
        f"{group}, rewards",
        f"{array}/rewards",
        rows=whole,
    )
    yield compare(
        recording,
        f"{array}/terminals",
        np.array(ended)[:, None],
        "exact",
        f"{group}, terminals",
        rows=whole,
    )

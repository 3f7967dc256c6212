"""Evaluation episodes in several environments at once."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import gymnasium
import numpy as np
import numpy.typing as npt

from mopo_tf2.types import BoolArray, FloatArray, PolicyFn


class Episodes(NamedTuple):
    """Results of n episodes, in the order of their environments.

    returns:    [n] float64, undiscounted sum of rewards.
    lengths:    [n] int64, number of steps.
    terminated: [n] bool, True if the task ended, False at a time limit.
    """

    returns: npt.NDArray[np.float64]
    lengths: npt.NDArray[np.int64]
    terminated: BoolArray


def evaluation_seeds(seed: int, epoch: int, n: int) -> list[int]:
    """Return the reset seeds of ``epoch``'s ``n`` evaluation episodes, from the arguments alone.

    D-83: the original never seeds its environments (Q-83); here a resumed run has the evaluation
    episodes of one that was not interrupted.

    Args:
        seed: the run's seed, not negative.
        epoch: from 0.
        n: number of episodes.
    """
    return [int(state) for state in np.random.SeedSequence([seed, epoch]).generate_state(n)]


def rescale_actions(actions: FloatArray, low: FloatArray, high: FloatArray) -> FloatArray:
    """Map ``actions`` from [-1, 1] to [``low``, ``high``] and clip them there (Q-85).

    Q-85: the sum with 1 comes first, as in the original, and rounds a float32 action.

    Args:
        actions: [B, A] or [A] float32.
        low: [A] or as ``actions``, float32, lower bounds of the environment.
        high: like ``low``, upper bounds.

    Original:
        softlearning/environments/gym/wrappers/normalize_action.py:NormalizeActionWrapper.action
    """
    scaled = low + (actions + 1.0) * 0.5 * (high - low)
    return np.clip(scaled, low, high)


def run_episodes(
    policy: PolicyFn,
    environments: Sequence[gymnasium.Env[Any, Any]],
    seeds: Sequence[int],
    *,
    max_path_length: int = 1000,
    on_step: Callable[[int, int], None] | None = None,
) -> Episodes:
    """Run one episode in each environment, in lockstep, with one policy call a step.

    The policy is called with the rows of the running episodes. Because it is a function of each
    row, an episode depends only on its environment and seed, up to the rounding of a batched matrix
    product, which may vary with the number of rows. (D-35: the original runs one episode after the
    other.)

    Args:
        policy: [B, O] float32 -> [B, A] in [-1, 1], with B the number of running episodes.
        environments: n environments without a time limit; each is reset with its seed. If one
            truncates an episode, the episode ends.
        seeds: n reset seeds.
        max_path_length: maximum length of an episode, in steps.
        on_step: called with (steps done, ``max_path_length``) after each step.

    Returns:
        n episodes.

    Raises:
        ValueError: if the numbers of environments and seeds differ or are 0, or the policy returns
            actions of another shape.
        FloatingPointError: if the policy returns an action that is not finite.

    Original: softlearning/algorithms/rl_algorithm.py:RLAlgorithm._evaluation_paths;
        softlearning/samplers/utils.py:rollout
    """
    n = len(environments)
    if n == 0 or len(seeds) != n:
        raise ValueError(f"expected as many seeds as environments, got {len(seeds)} and {n}.")
    # Plain numbers: adding to an array element takes ten times as long. D-86: in float64, where the
    # original sums float32 rewards in float32.
    returns, lengths, terminated = [0.0] * n, [0] * n, [False] * n
    spaces: list[Any] = [environment.action_space for environment in environments]
    all_low = np.stack([space.low for space in spaces])
    all_high = np.stack([space.high for space in spaces])
    observations = np.stack(
        [
            np.asarray(environment.reset(seed=seed)[0], np.float32)
            for environment, seed in zip(environments, seeds, strict=True)
        ]
    )
    running, low, high = list(range(n)), all_low, all_high
    for step in range(max_path_length):
        actions = np.asarray(policy(observations))
        _check_actions(actions, low.shape, step)
        ended = []
        scaled = rescale_actions(actions, low, high)
        for row, (action, index) in enumerate(zip(scaled, running, strict=True)):
            observation, reward, done, truncated, _ = environments[index].step(action)
            observations[row] = observation
            returns[index] += float(reward)
            lengths[index] += 1
            if done or truncated:
                terminated[index] = bool(done)
                ended.append(row)
        if on_step is not None:
            on_step(step + 1, max_path_length)
        if ended:
            running = [index for row, index in enumerate(running) if row not in ended]
            observations = np.delete(observations, ended, axis=0)
            low, high = all_low[running], all_high[running]
        if not running:
            break
    return Episodes(np.array(returns), np.array(lengths, np.int64), np.array(terminated))


def _check_actions(actions: FloatArray, shape: tuple[int, int], step: int) -> None:
    if actions.shape != shape:
        raise ValueError(f"the policy must return actions {shape}, got {actions.shape}.")
    if not np.isfinite(actions).all():
        bad = int((~np.isfinite(actions)).any(axis=1).sum())
        raise FloatingPointError(
            f"the policy returned actions that are not finite in {bad} of {shape[0]} episodes at "
            f"step {step}: its weights have diverged."
        )

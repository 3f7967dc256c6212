"""What a learned model and a policy do together, measured: predictions, open loop, rollouts."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from mopo_tf2.chunks import map_in_chunks
from mopo_tf2.config import SACConfig
from mopo_tf2.dynamics.model_env import MemberPredictions, ModelEnvironment
from mopo_tf2.dynamics.rollouts import branched_rollouts
from mopo_tf2.networks.q_function import QFunctions
from mopo_tf2.types import BoolArray, FloatArray, PolicyFn, Transitions

SAMPLES = 19
"""Sampled paths per stretch: a value from the same distribution lies between the smallest and the
largest of them with probability 18 / 20 = 90 %."""

OnStep = Callable[[int], None]


class CheckedRows(NamedTuple):
    """Predictions of the elites for N rows, beside what was observed.

    values:    [N, 1 + O] float64, observed (reward, next observation).
    means:     [N, K, 1 + O] float32, predicted by each of K elites.
    stds:      [N, K, 1 + O] float32.
    penalties: [N] float32, u(s, a).
    variances: [1 + O] float64, what u is made of, mean over rows: the members' predicted variance,
               or the variance of their means if u is their disagreement.
    """

    values: FloatArray
    means: FloatArray
    stds: FloatArray
    penalties: FloatArray
    variances: FloatArray

    def errors(self) -> FloatArray:
        """Return |mean of the elites' next observations - the observed one| [N], in L2."""
        return distance(self.means.mean(axis=1)[:, 1:], self.values[:, 1:])

    def squared_error(self) -> float:
        """Return the elites' mean squared error, as training reports it for held-out rows."""
        return float(np.square(self.means - self.values[:, None]).mean())

    def sampled_errors(self, random_state: np.random.RandomState) -> FloatArray:
        """Return ``errors`` [N] as they would be if the model's own distribution were right."""
        rows, elites, width = self.means.shape
        chosen = np.arange(rows), random_state.randint(0, elites, rows)
        drawn = self.means[chosen] + self.stds[chosen] * random_state.normal(size=(rows, width))
        return distance(self.means.mean(axis=1)[:, 1:], drawn[:, 1:])


def distance(first: FloatArray, second: FloatArray) -> FloatArray:
    """Return the L2 distance [N] of the rows of two arrays [N, O]."""
    distances: FloatArray = np.linalg.norm(np.asarray(first, np.float64) - second, axis=1)
    return distances


def check_rows(environment: ModelEnvironment, rows: Transitions) -> CheckedRows:
    """Return predictions for ``rows``, N transitions, by the elites from which rollouts draw."""
    predicted = environment.predict(rows.observations, rows.actions)
    elites = environment.ensemble.elites
    values = np.concatenate([rows.rewards, rows.next_observations], axis=1).astype(np.float64)
    if environment.penalty_learned_var:
        variances = np.square(predicted.stds, dtype=np.float64).mean(axis=(0, 1))
    else:
        variances = predicted.means.var(axis=1, dtype=np.float64).mean(axis=0)
        variances[0] = 0.0  # The disagreement leaves the reward out.
    return CheckedRows(
        *(values, predicted.means[:, elites], predicted.stds[:, elites]),
        *(predicted.penalties[:, 0], variances),
    )


class OpenLoop(NamedTuple):
    """H model steps along the actions of n stretches of the data.

    errors:    [H, n, 1 + O] float64, predicted minus observed (reward, observation after the step).
    penalties: [H, n] float32, u at the predicted states.
    within:    [H, n, 1 + O] bool, whether the observed value lies within ``SAMPLES`` sampled paths.
    """

    errors: FloatArray
    penalties: FloatArray
    within: BoolArray


def open_loop(
    environment: ModelEnvironment,
    transitions: Transitions,
    rows: np.ndarray,
    horizon: int,
    random_state: np.random.RandomState,
    on_step: OnStep = lambda done: None,
) -> OpenLoop:
    """Follow real actions through the model, from real states, without looking at real states.

    The prediction is the path of the elites' mean. Sampled paths, as rollouts draw them, show how
    far from it the model itself expects the truth.

    Args:
        environment: the model.
        transitions: rows in order of time.
        rows: [n], where the stretches begin; the ``horizon`` rows from each are of one episode.
        horizon: H.
        random_state: draws the sampled paths.
        on_step: called with the number of steps done.
    """
    elites = environment.ensemble.elites
    states = np.asarray(transitions.observations, np.float64)[rows]
    cloud = np.repeat(states, SAMPLES, axis=0)
    errors, penalties, within = [], [], []
    for step in range(horizon):
        actions = transitions.actions[rows + step]
        observed = np.concatenate(
            [transitions.rewards[rows + step], transitions.next_observations[rows + step]], axis=1
        )
        predicted: MemberPredictions = environment.predict(states, actions)
        mean = predicted.means[:, elites].mean(axis=1, dtype=np.float64)
        sampled = environment.step(cloud, np.repeat(actions, SAMPLES, axis=0), random_state)
        drawn = np.concatenate([sampled.raw_rewards, sampled.next_observations], axis=1)
        drawn = drawn.reshape(len(rows), SAMPLES, -1)
        errors.append(mean - observed)
        penalties.append(predicted.penalties[:, 0])
        within.append((drawn.min(axis=1) <= observed) & (observed <= drawn.max(axis=1)))
        states, cloud = mean[:, 1:], sampled.next_observations
        on_step(step + 1)
    return OpenLoop(np.stack(errors), np.stack(penalties), np.stack(within))


class PolicyRollouts(NamedTuple):
    """n rollouts of a policy in the model, of at most H steps; nan where ``taken`` is False.

    observations:      [H, n, O] float64, before the step.
    actions:           [H, n, A] float64.
    next_observations: [H, n, O] float64, sampled.
    rewards:           [H, n] float64, as the model predicts them, without a penalty.
    penalties:         [H, n] float64, u(s, a).
    taken:             [H, n] bool, False after the end of a rollout.
    ended:             [H, n] bool, whether this step ended the rollout.
    """

    observations: FloatArray
    actions: FloatArray
    next_observations: FloatArray
    rewards: FloatArray
    penalties: FloatArray
    taken: BoolArray
    ended: BoolArray

    def first(self, steps: int) -> "PolicyRollouts":
        """Return the first ``steps`` steps."""
        columns: list[Any] = [column[:steps] for column in self]
        return PolicyRollouts(*columns)


def policy_rollouts(
    environment: ModelEnvironment,
    policy: PolicyFn,
    starts: FloatArray,
    horizon: int,
    random_state: np.random.RandomState,
    on_step: OnStep = lambda done: None,
) -> PolicyRollouts:
    """Roll ``policy`` out in the model from ``starts`` [n, O], as MOPO's training does."""
    count, sizes = len(starts), (environment.ensemble.obs_dim, environment.ensemble.act_dim)
    shape = (horizon, count)
    columns: list[Any] = [np.full((*shape, sizes[part]), np.nan) for part in (0, 1, 0)]
    columns += [np.full(shape, np.nan) for _ in range(2)]
    columns += [np.zeros(shape, np.bool_) for _ in range(2)]
    rollouts, running = PolicyRollouts(*columns), np.arange(count)
    steps = branched_rollouts(environment, policy, starts, horizon, random_state)
    for index, step in enumerate(steps):
        rows = step.transitions
        ended = rows.terminals[:, 0]
        values = (rows.observations, rows.actions, rows.next_observations)
        one = (step.raw_rewards[:, 0], step.penalties[:, 0], True, ended)
        for column, value in zip(rollouts, (*values, *one), strict=True):
            column[index, running] = value
        running = running[~ended]
        on_step(index + 1)
    return rollouts


def last_values(
    rollouts: PolicyRollouts, steps: int, policy: PolicyFn, critics: QFunctions, chunk_size: int
) -> FloatArray:
    """Return the smaller critic's value [n] of the state after ``steps`` steps and the policy's
    action there; 0 where the task has ended.
    """
    going = rollouts.taken[steps - 1] & ~rollouts.ended[steps - 1]
    values = np.zeros(len(going))
    if going.any():
        states = rollouts.next_observations[steps - 1, going].astype(np.float32)
        compiled = tf.function(
            lambda s, a: [tf.reduce_min(critics(s, a), axis=0)], jit_compile=True
        )
        actions = np.asarray(policy(states), np.float32)
        values[going] = map_in_chunks(compiled, [states, actions], chunk_size)[0][:, 0]
    return values


def saved_critics(
    arrays: dict[str, np.ndarray], obs_dim: int, act_dim: int, config: SACConfig
) -> QFunctions:
    """Return the critics of a checkpoint of SAC, MOPO or a variant.

    Raises:
        KeyError, ValueError: if the checkpoint does not hold critics of these sizes.
    """
    critics = QFunctions(config.hidden_layer_sizes)
    critics.build((None, obs_dim), (None, act_dim))
    for index, variable in enumerate(critics.variables):
        variable.assign(arrays[f"sac/critics/{index}"])
    return critics

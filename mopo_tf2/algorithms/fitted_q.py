"""Fitted-Q evaluation: the value of a policy, estimated from logged data alone (D-142).

Le, Voloshin and Yue 2019, "Batch Policy Learning under Constraints", Algorithm 3, with neural
networks, and Polyak-averaged target networks instead of fits to convergence.
"""

import dataclasses
import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from mopo_tf2.algorithms.sac import critic_losses, follow
from mopo_tf2.chunks import map_in_chunks
from mopo_tf2.configs.fitted_q import FittedQConfig
from mopo_tf2.data.starts import episode_starts, logged_returns
from mopo_tf2.errors import DivergenceError
from mopo_tf2.gradient_steps import CompiledSteps, adam, minimise
from mopo_tf2.networks.q_function import QFunctions
from mopo_tf2.types import FloatArray, PolicyFn, Transitions

_CHUNK = 4_096
_REPORTS = 10


class FittedQBatch(NamedTuple):
    """B rows of the dataset, in the critics' units.

    observations:      [B, O] float32, standardised.
    actions:           [B, A] float32, as logged.
    next_observations: [B, O] float32, standardised.
    next_actions:      [B, A] float32, the policy's actions in ``next_observations``.
    rewards:           [B, 1] float32, see ``ValueScale``.
    terminals:         [B, 1] float32, 0 or 1.
    """

    observations: FloatArray
    actions: FloatArray
    next_observations: FloatArray
    next_actions: FloatArray
    rewards: FloatArray
    terminals: FloatArray


@dataclasses.dataclass(frozen=True)
class ValueScale:
    """Units of the critics: value = shift / (1 - discount) + scale * output.

    Rewards become ``(r - shift) / scale``, so a constant reward costs no capacity. The end of a
    task, whose value is 0, has the output ``end_value``. The fixed points stay the same.

    shift:    mean reward of the data, reward units.
    scale:    deviation of the rewards (root mean square if there are terminals, which bounds
              ``end_value``) over sqrt(1 - discount), reward units.
    discount: gamma.
    """

    shift: float
    scale: float
    discount: float

    @classmethod
    def of(cls, transitions: Transitions, discount: float) -> "ValueScale":
        """Return the scale for the rewards of a dataset."""
        rewards = np.asarray(transitions.rewards, np.float64)
        shift, deviation = float(rewards.mean()), float(rewards.std())
        if np.any(transitions.terminals):
            deviation = math.hypot(shift, deviation)
        return cls(shift, (deviation or 1.0) / math.sqrt(1.0 - discount), discount)

    @property
    def end_value(self) -> float:
        """The critics' output for a task that has ended."""
        return -self.shift / (1.0 - self.discount) / self.scale

    def rewards(self, rewards: FloatArray) -> FloatArray:
        """Return rewards in the critics' units, float32."""
        return ((np.asarray(rewards, np.float64) - self.shift) / self.scale).astype(np.float32)

    def values(self, outputs: FloatArray) -> FloatArray:
        """Return outputs of the critics in reward units, float64."""
        return self.shift / (1.0 - self.discount) + self.scale * outputs.astype(np.float64)


def fitted_q_target(
    rewards: tf.Tensor,
    terminals: tf.Tensor,
    next_q: tf.Tensor,
    discount: float,
    end_value: float = 0.0,
) -> tf.Tensor:
    """Return r + discount * Q'(s', pi(s')), with ``end_value`` for Q' after a terminal.

    Args:
        rewards: [B, 1] float32.
        terminals: [B, 1] float32, 0 or 1.
        next_q: [critics, B, 1] float32, each critic's own target critic.
        discount: gamma.
        end_value: value of a task that has ended, in the units of ``next_q``.

    Returns:
        [critics, B, 1] float32, without gradient. Le et al. 2019, Algorithm 3, line 4.
    """
    following = (1.0 - terminals) * next_q + terminals * end_value
    return tf.stop_gradient(rewards + discount * following)


@dataclasses.dataclass(frozen=True)
class FittedQEstimate:
    """The result of fitted-Q evaluation.

    values:         [critics] float64, discounted return of each critic, mean over the starts.
    history:        [reports, critics] float64, ``values`` during training; the last row is final.
    bellman_error:  root mean square of Q - target on the data, reward units, mean over critics.
    starts:         number of start states.
    logged_return:  mean discounted return of the logged episodes, as far as they were logged.
    config:         coefficients.
    """

    values: FloatArray
    history: FloatArray
    bellman_error: float
    starts: int
    logged_return: float
    config: FittedQConfig

    @property
    def mean(self) -> float:
        """The estimate: mean over the critics."""
        return float(self.values.mean())

    @property
    def drift(self) -> float:
        """Change of the estimate over the last tenth of training; small if it has converged."""
        return float(self.history[-1].mean() - self.history[-2].mean())


class FittedQ:
    """Critics of one fixed policy on one dataset.

    Args:
        transitions: the dataset, B rows on the host.
        policy: the policy; called once for every row.
        config: coefficients.
        seed: of initial weights and batches.
    """

    def __init__(
        self, transitions: Transitions, policy: PolicyFn, config: FittedQConfig, *, seed: int = 0
    ):
        self.config, self.transitions, self.policy = config, transitions, policy
        observations = np.asarray(transitions.observations, np.float32)
        self._mean = observations.mean(axis=0, dtype=np.float64)
        self._std = np.maximum(observations.std(axis=0, dtype=np.float64), 1e-6)
        self.scale = ValueScale.of(transitions, config.discount)
        self.rows = FittedQBatch(
            self._standardised(observations),
            np.asarray(transitions.actions, np.float32),
            self._standardised(transitions.next_observations),
            np.asarray(policy(transitions.next_observations), np.float32),
            self.scale.rewards(transitions.rewards),
            np.asarray(transitions.terminals, np.float32),
        )
        weight_seed, batch_seed = np.random.SeedSequence(seed).generate_state(2)
        self.random_state = np.random.RandomState(batch_seed)
        networks = []
        for _ in range(2):
            network = QFunctions(
                config.hidden_layer_sizes, num_critics=config.num_critics, seed=int(weight_seed)
            )
            network.build(self.rows.observations.shape, self.rows.actions.shape)
            networks.append(network)
        self.critics, self.target_critics = networks
        self.target_critics.set_weights(self.critics.get_weights())
        self.optimizer = adam(config.lr, self.critics.trainable_variables)
        self._updates = CompiledSteps(self._update)
        self._compiled_outputs = tf.function(self._outputs, jit_compile=True)
        self._compiled_errors = tf.function(self._errors, jit_compile=True)

    def _standardised(self, observations: FloatArray) -> FloatArray:
        return ((observations - self._mean) / self._std).astype(np.float32)

    def _target(self, batch: FittedQBatch) -> tf.Tensor:
        next_q = self.target_critics(batch.next_observations, batch.next_actions)
        return fitted_q_target(
            batch.rewards, batch.terminals, next_q, self.config.discount, self.scale.end_value
        )

    def _update(self, batch: FittedQBatch) -> None:
        with tf.GradientTape() as tape:
            q = self.critics(batch.observations, batch.actions)
            loss = critic_losses(q, self._target(batch))
        minimise(self.optimizer, tape, loss, self.critics.trainable_variables)
        follow(self.critics, self.target_critics, self.config.tau)

    def _outputs(self, observations: tf.Tensor, actions: tf.Tensor) -> list[tf.Tensor]:
        return [tf.transpose(self.target_critics(observations, actions)[:, :, 0])]

    def _errors(self, *columns: tf.Tensor) -> list[tf.Tensor]:
        batch = FittedQBatch(*columns)
        q = self.target_critics(batch.observations, batch.actions)
        return [tf.reduce_mean(tf.square(q - self._target(batch)), axis=[0, 2])]

    def train(self, steps: int) -> None:
        """Take ``steps`` gradient steps, many in one compiled call."""
        config = self.config
        for first in range(0, steps, config.steps_per_call):
            count = min(config.steps_per_call, steps - first)
            shape = (count, config.batch_size)
            indices = self.random_state.randint(0, len(self.rows.rewards), shape)
            self._updates(FittedQBatch(*(column[indices] for column in self.rows)))

    def values(self, observations: FloatArray, actions: FloatArray) -> FloatArray:
        """Return Q [critics, B] float64, in reward units.

        Args:
            observations: [B, O], the dataset's units.
            actions: [B, A], in [-1, 1].
        """
        inputs = [self._standardised(observations), np.asarray(actions, np.float32)]
        return self.scale.values(map_in_chunks(self._compiled_outputs, inputs, _CHUNK)[0].T)

    def bellman_error(self) -> float:
        """Return the root mean square of Q - (r + gamma Q') on the dataset, reward units."""
        squares = map_in_chunks(self._compiled_errors, list(self.rows), _CHUNK)[0]
        return self.scale.scale * math.sqrt(float(squares.mean(dtype=np.float64)))


def fitted_q_evaluation(
    transitions: Transitions,
    policy: PolicyFn,
    config: FittedQConfig,
    *,
    seed: int = 0,
    on_step: Callable[[int, int], None] | None = None,
) -> FittedQEstimate:
    """Estimate the discounted return of ``policy`` over an infinite horizon, from data alone.

    The interval is the spread of critics with different initial weights. It measures the
    uncertainty of the fit, not how much another dataset of the same size would change it.

    Args:
        transitions: B rows in order of time; the first row of each episode is a start state.
        policy: fixed; [B, O] -> [B, A] in [-1, 1].
        config: coefficients.
        seed: of initial weights and batches.
        on_step: called ten times with (steps done, all steps).

    Raises:
        DivergenceError: if the values become NaN, or far exceed the range that the rewards allow.
    """
    fit = FittedQ(transitions, policy, config, seed=seed)
    starts = np.asarray(transitions.observations)[episode_starts(transitions)]
    start_actions = policy(starts)
    history = []
    limits = _possible_values(transitions, config.discount)
    done = 0
    for report in range(1, _REPORTS + 1):
        until = config.steps * report // _REPORTS
        fit.train(until - done)
        done = until
        history.append(fit.values(starts, start_actions).mean(axis=1))
        _refuse_impossible(history[-1], limits, done)
        if on_step is not None:
            on_step(done, config.steps)
    return FittedQEstimate(
        values=history[-1],
        history=np.stack(history),
        bellman_error=fit.bellman_error(),
        starts=len(starts),
        logged_return=float(logged_returns(transitions, config.discount).mean()),
        config=config,
    )


def _possible_values(transitions: Transitions, discount: float) -> tuple[float, float]:
    """Return the smallest and the largest value that a policy can have with the data's rewards."""
    rewards = np.asarray(transitions.rewards, np.float64)
    low, high = float(rewards.min()), float(rewards.max())
    if np.any(transitions.terminals):
        low, high = min(low, 0.0), max(high, 0.0)
    return low / (1.0 - discount), high / (1.0 - discount)


def _refuse_impossible(values: FloatArray, limits: tuple[float, float], steps: int) -> None:
    """Raise DivergenceError for values far outside ``limits``."""
    low, high = limits
    slack = (high - low) or max(abs(high), 1.0)
    if not ((values >= low - slack) & (values <= high + slack)).all():
        raise DivergenceError(
            f"fitted-Q evaluation diverged: after {steps} steps the values are "
            f"{', '.join(f'{value:.4g}' for value in values)}, where the rewards of the data allow "
            f"{low:.4g} to {high:.4g}. The policy may act far from the data: try a smaller "
            "discount, or a policy that keeps closer to the data (a larger penalty_coeff)."
        )

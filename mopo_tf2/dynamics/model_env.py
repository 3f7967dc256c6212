"""One penalised step of the learned model for a batch of states."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from mopo_tf2.chunks import map_in_chunks
from mopo_tf2.dynamics.ensemble import GaussianEnsemble
from mopo_tf2.dynamics.penalties import disagreement_penalty, learned_std_penalty
from mopo_tf2.dynamics.termination import checked_terminals
from mopo_tf2.types import TerminationFn


class ModelStep(NamedTuple):
    """The result of one model step for B states; float64 as in the original (Q-23).

    next_observations: [B, O] float64.
    rewards:           [B, 1] float64, lowered by penalty_coeff * penalties.
    terminals:         [B, 1] bool.
    raw_rewards:       [B, 1] float64, before the penalty.
    penalties:         [B, 1] float32, u(s, a); zeros without a penalty.
    means:             [B, 1 + O] float32, mean (reward, next observation) of the drawn member, or
                       of all members in deterministic steps.
    stds:              [B, 1 + O] float32, its stddev.
    """

    next_observations: np.ndarray
    rewards: np.ndarray
    terminals: np.ndarray
    raw_rewards: np.ndarray
    penalties: np.ndarray
    means: np.ndarray
    stds: np.ndarray


class MemberPredictions(NamedTuple):
    """What each of E members predicts for B state-action pairs.

    means:     [B, E, 1 + O] float32, mean of (reward, next observation).
    stds:      [B, E, 1 + O] float32, its stddev.
    penalties: [B, 1] float32, u(s, a); zeros without a penalty.
    """

    means: np.ndarray
    stds: np.ndarray
    penalties: np.ndarray


def draw_noise(
    random_state: np.random.RandomState, ensemble: GaussianEnsemble, rows: int
) -> tuple[np.ndarray, np.ndarray]:
    """Draw the elite that predicts each row, and its noise.

    Noise is drawn for all members first, then the members, so that the random stream advances as in
    the original (Q-22); only the noise of the drawn members is kept.

    Returns:
        noise [B, 1 + O] float64, standard normal, and members [B] int32.

    Original: mopo/models/fake_env.py:FakeEnv.step; mopo/models/bnn.py:BNN.random_inds
    """
    noise = random_state.normal(size=(ensemble.num_networks, rows, ensemble.output_dim))
    members = random_state.choice(ensemble.elites, size=rows)
    return noise[members, np.arange(rows)], members.astype(np.int32)


class ModelEnvironment:
    """The learned model as an environment with penalised rewards.

    D-25: the original also computes an unused log-probability (Q-25).

    Args:
        ensemble: the model; its elites predict.
        termination_fn: decides which next states end the task.
        penalty_coeff: lambda, reward units per unit of u(s, a); 0 for no penalty.
        penalty_learned_var: u is the largest learned std; otherwise the members' disagreement.
        true_penalty: if given, computes u [B, 1] instead, on the host, from observations [B, O],
            actions [B, A] and the drawn members' mean next observations [B, O].
        chunk_size: rows per compiled call.

    Original: mopo/models/fake_env.py:FakeEnv
    """

    def __init__(
        self,
        ensemble: GaussianEnsemble,
        termination_fn: TerminationFn,
        *,
        penalty_coeff: float,
        penalty_learned_var: bool = True,
        true_penalty: Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray] | None = None,
        chunk_size: int = 2_500,
    ):
        self.ensemble = ensemble
        self.termination_fn = termination_fn
        self.penalty_coeff = penalty_coeff
        self.penalty_learned_var = penalty_learned_var
        self.true_penalty = true_penalty
        self.chunk_size = chunk_size
        self._sampled = tf.function(self._sample, jit_compile=True)
        self._averaged = tf.function(self._average, jit_compile=True)
        self._members = tf.function(self._predict_by_row, jit_compile=True)

    def step(
        self,
        observations: np.ndarray,
        actions: np.ndarray,
        random_state: np.random.RandomState,
        *,
        deterministic: bool = False,
    ) -> ModelStep:
        """Take one step from every row.

        Args:
            observations: [B, O] float32 or float64; or [O] for a single state.
            actions: [B, A] float32; or [A].
            random_state: draws noise and members; unused if ``deterministic``.
            deterministic: average samples, means and stds over all members (Q-24).

        Returns:
            The step, without the leading axis for a single state.

        Raises:
            InputError: if the termination function does not return bool [B, 1].

        Original: mopo/models/fake_env.py:FakeEnv.step
        """
        if observations.ndim == 1:
            batch = self.step(
                observations[None], actions[None], random_state, deterministic=deterministic
            )
            return ModelStep(*(field[0] for field in batch))
        states: list[np.ndarray] = [observations.astype(np.float64), actions.astype(np.float32)]
        if deterministic:
            results = map_in_chunks(self._averaged, states, self.chunk_size)
        else:
            drawn = draw_noise(random_state, self.ensemble, len(observations))
            results = map_in_chunks(self._sampled, [*states, *drawn], self.chunk_size)
        samples, penalties, means, stds = results
        if self.true_penalty is not None:
            penalties = self.true_penalty(observations, actions, means[:, 1:])
        raw_rewards, next_observations = samples[:, :1], samples[:, 1:]
        terminals = checked_terminals(self.termination_fn, observations, actions, next_observations)
        rewards = raw_rewards - self.penalty_coeff * penalties
        return ModelStep(next_observations, rewards, terminals, raw_rewards, penalties, means, stds)

    def predict(self, observations: np.ndarray, actions: np.ndarray) -> MemberPredictions:
        """Return every member's prediction, the elites' and the others'.

        Args:
            observations: [B, O] float32 or float64.
            actions: [B, A] float32.
        """
        states: list[np.ndarray] = [observations.astype(np.float64), actions.astype(np.float32)]
        return MemberPredictions(*map_in_chunks(self._members, states, self.chunk_size))

    def _predict_by_row(
        self, observations: tf.Tensor, actions: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        means, stds, penalties = self._predict(observations, actions)
        return tf.transpose(means, [1, 0, 2]), tf.transpose(stds, [1, 0, 2]), penalties

    def _predict(
        self, observations: tf.Tensor, actions: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Return means and stds [E, B, 1 + O] of (reward, next observation), penalties [B, 1]."""
        inputs = tf.concat([tf.cast(observations, tf.float32), actions], axis=-1)
        means, variances = self.ensemble.predict(inputs)
        # The sum is taken in float64 and rounded to float32, as NumPy's in-place addition does.
        next_means = tf.cast(tf.cast(means[:, :, 1:], tf.float64) + observations, tf.float32)
        stds = tf.sqrt(variances)
        if self.penalty_coeff == 0.0:
            penalties = tf.zeros_like(inputs[:, 0])
        elif self.penalty_learned_var:
            penalties = learned_std_penalty(stds)
        else:
            penalties = disagreement_penalty(next_means)
        return tf.concat([means[:, :, :1], next_means], axis=-1), stds, penalties[:, None]

    def _sample(
        self, observations: tf.Tensor, actions: tf.Tensor, noise: tf.Tensor, members: tf.Tensor
    ) -> tuple[tf.Tensor, ...]:
        means, stds, penalties = self._predict(observations, actions)
        chosen = tf.stack([members, tf.range(tf.shape(members)[0])], axis=-1)
        mean, std = tf.gather_nd(means, chosen), tf.gather_nd(stds, chosen)
        samples = tf.cast(mean, tf.float64) + noise * tf.cast(std, tf.float64)
        return samples, penalties, mean, std

    def _average(self, observations: tf.Tensor, actions: tf.Tensor) -> tuple[tf.Tensor, ...]:
        means, stds, penalties = self._predict(observations, actions)
        mean, std = tf.reduce_mean(means, axis=0), tf.reduce_mean(stds, axis=0)
        return tf.cast(mean, tf.float64), penalties, mean, std

"""The pessimistic MDP: where the members disagree lies HALT."""

import math
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from mopo_tf2.chunks import map_in_chunks
from mopo_tf2.dynamics.residual_models import ResidualEnsemble
from mopo_tf2.errors import InputError
from mopo_tf2.types import TerminationFn, Transitions

_DATASET_CHUNK = 2048


def discrepancy(next_observations: tf.Tensor) -> tf.Tensor:
    """Return disc(s, a) = max_{i, j} |f_i(s, a) - f_j(s, a)|_2, [B] float32.

    Args:
        next_observations: [E, B, O] float32, the members' predictions, simulator units.

    MOReL paper (Kidambi et al. 2020), section 4: the unknown state-action detector.
    """
    members = next_observations.shape[0]
    largest = tf.zeros_like(next_observations[0, :, 0])
    for i in range(members):
        for j in range(i + 1, members):
            distance = tf.norm(next_observations[i] - next_observations[j], axis=-1)
            largest = tf.maximum(largest, distance)
    return largest


def unknown_threshold(dataset_maximum: float, rule: str, coefficient: float) -> float:
    """Return the discrepancy above which a state-action pair is unknown.

    Args:
        dataset_maximum: largest discrepancy on the dataset.
        rule: "max" (D-113: the dataset's maximum itself), "coefficient_times_max" and
            "max_over_coefficient" (the two readings that released versions have had), or "none":
            infinity, nothing is unknown.
        coefficient: of the two readings; ignored by the others.

    Raises:
        InputError: if there is no such rule.
    """
    thresholds = {
        "max": dataset_maximum,
        "coefficient_times_max": coefficient * dataset_maximum,
        "max_over_coefficient": dataset_maximum / coefficient,
        "none": math.inf,
    }
    if rule not in thresholds:
        raise InputError(f"threshold_rule must be one of {', '.join(thresholds)}, got {rule!r}.")
    return thresholds[rule]


class PessimisticStep(NamedTuple):
    """What one step of the pessimistic model gives for B pairs; on the host.

    next_observations: [B, O] float32, of the member that the row follows.
    rewards:           [B] float32; of halted rows the HALT reward, if ``halt`` is "halt".
    halted:            [B] bool, the pair is unknown: nothing comes after.
    terminals:         [B] bool, the next state ends the task; False where halted.
    discrepancies:     [B] float32.
    """

    next_observations: np.ndarray
    rewards: np.ndarray
    halted: np.ndarray
    terminals: np.ndarray
    discrepancies: np.ndarray


class PessimisticModel:
    """The learned dynamics with HALT in place of what they do not know.

    A pair (s, a) with disc(s, a) above ``threshold`` leads to HALT. ``halt`` "halt": its reward is
    ``halt_reward``, after which nothing comes; the absorbing state's rewards are gathered in this
    one (the paper has -kappa at each step in HALT). "truncate" (D-114): the path
    is cut there and counts as terminated, but the pair keeps its predicted reward.

    Predictions that are not finite count as unknown, whatever the threshold.

    Args:
        ensemble: predicts.
        termination_fn: says which next states end the task.
        halt: see above.
        chunk_size: rows per compiled call.

    Attributes:
        threshold: scalar variable, infinite until ``fit``.
        halt_reward: scalar variable, reward units.

    MOReL paper (Kidambi et al. 2020), section 4: the pessimistic MDP.
    """

    def __init__(
        self,
        ensemble: ResidualEnsemble,
        termination_fn: TerminationFn,
        *,
        halt: str = "halt",
        chunk_size: int = 100,
    ):
        self.ensemble, self.termination_fn = ensemble, termination_fn
        self.halt, self.chunk_size = halt, chunk_size
        self.threshold = keras.Variable(
            math.inf, trainable=False, dtype="float32", name="threshold"
        )
        self.halt_reward = keras.Variable(0.0, trainable=False, dtype="float32", name="halt_reward")
        self._compiled_step = tf.function(self._step, jit_compile=True)
        self._compiled_discrepancy = tf.function(self._discrepancy, jit_compile=True)

    def _discrepancy(self, observations: tf.Tensor, actions: tf.Tensor) -> list[tf.Tensor]:
        return [discrepancy(self.ensemble.predict(observations, actions)[1])]

    def _step(
        self, observations: tf.Tensor, actions: tf.Tensor, members: tf.Tensor
    ) -> list[tf.Tensor]:
        rewards, next_observations = self.ensemble.predict(observations, actions)
        chosen = tf.stack([members, tf.range(tf.shape(members)[0])], axis=-1)
        return [
            tf.gather_nd(next_observations, chosen),
            tf.gather_nd(rewards, chosen),
            discrepancy(next_observations),
        ]

    def discrepancies(self, observations: np.ndarray, actions: np.ndarray) -> np.ndarray:
        """Return disc(s, a) [B] float32 of pairs [B, O], [B, A]."""
        inputs = [observations.astype(np.float32), actions.astype(np.float32)]
        return map_in_chunks(self._compiled_discrepancy, inputs, _DATASET_CHUNK)[0]

    def fit(
        self, transitions: Transitions, rule: str, coefficient: float, halt_reward_offset: float
    ) -> float:
        """Set threshold and HALT reward from the dataset; return its largest discrepancy.

        The HALT reward is the dataset's smallest reward minus ``halt_reward_offset``.
        """
        disagreement = self.discrepancies(transitions.observations, transitions.actions)
        largest = float(disagreement.max())
        self.threshold.assign(unknown_threshold(largest, rule, coefficient))
        self.halt_reward.assign(float(transitions.rewards.min()) - halt_reward_offset)
        return largest

    def step(
        self, observations: np.ndarray, actions: np.ndarray, members: np.ndarray
    ) -> PessimisticStep:
        """Take one step from every row; draws nothing.

        Args:
            observations: [B, O] float32.
            actions: [B, A] float32; clipped to [-1, 1] here (D-117).
            members: [B] int32, the ensemble member whose prediction each row follows.
        """
        clipped = np.clip(actions, -1.0, 1.0)
        columns = [observations, clipped, members]
        results = map_in_chunks(self._compiled_step, columns, self.chunk_size)
        next_observations, rewards, disagreement = results
        finite = np.isfinite(next_observations).all(axis=-1) & np.isfinite(rewards)
        halted = ~(finite & (disagreement <= self.threshold.numpy()))
        next_observations = np.where(finite[:, None], next_observations, observations)
        halt_reward = self.halt_reward.numpy()
        rewards = np.where(finite, rewards, halt_reward)
        if self.halt == "halt":
            rewards = np.where(halted, halt_reward, rewards)
        terminals = self._terminals(observations, clipped, next_observations) & ~halted
        return PessimisticStep(next_observations, rewards, halted, terminals, disagreement)

    def _terminals(
        self, observations: np.ndarray, actions: np.ndarray, next_observations: np.ndarray
    ) -> np.ndarray:
        terminals = np.asarray(self.termination_fn(observations, actions, next_observations))
        if terminals.shape != (len(observations), 1) or terminals.dtype != bool:
            raise InputError(
                f"the termination function must return bool ({len(observations)}, 1), "
                f"got {terminals.dtype} {terminals.shape}."
            )
        return terminals[:, 0]

    def named_variables(self) -> dict[str, keras.Variable]:
        """Return threshold and HALT reward by the names they have in checkpoints."""
        return {"threshold": self.threshold, "halt_reward": self.halt_reward}

"""The natural policy gradient: Fisher-vector products, conjugate gradient, normalised step."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from mopo_tf2.networks.unsquashed_policy import (
    UnsquashedGaussianPolicy,
    gaussian_kl,
    gaussian_log_pi,
)

CONJUGATE_GRADIENT_TOLERANCE = 1e-10
"""Squared norm of the residual at which the iteration ends, as in mjrl."""
_SMALLEST_PRODUCT = 1e-20


def conjugate_gradient(
    product: Callable[[tf.Tensor], tf.Tensor], right_side: tf.Tensor, iterations: int
) -> tf.Tensor:
    """Solve ``A x = b`` for a positive definite A, starting from x = 0.

    Args:
        product: x -> A x, each [P] float32.
        right_side: b, [P] float32.
        iterations: at most so many products.

    Returns:
        x, [P] float32.

    mjrl's cg_solve.
    """

    def unfinished(i: tf.Tensor, x: tf.Tensor, r: tf.Tensor, p: tf.Tensor) -> tf.Tensor:
        residual = tf.tensordot(r, r, 1)
        return tf.logical_and(i < iterations, residual > CONJUGATE_GRADIENT_TOLERANCE)

    def iterate(
        i: tf.Tensor, x: tf.Tensor, r: tf.Tensor, p: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]:
        z = product(p)
        residual = tf.tensordot(r, r, 1)
        v = residual / tf.tensordot(p, z, 1)
        x, r = x + v * p, r - v * z
        return i + 1, x, r, r + tf.tensordot(r, r, 1) / residual * p

    start = (tf.constant(0), tf.zeros_like(right_side), right_side, right_side)
    return tf.while_loop(unfinished, iterate, start)[1]


def normalised_step_size(
    gradient: tf.Tensor, direction: tf.Tensor, step_size: float | tf.Tensor
) -> tf.Tensor:
    """Return alpha = sqrt(|delta / (g^T F^-1 g)|).

    To second order the step alpha F^-1 g then has a KL of delta / 2: TRPO's alpha for a KL of delta
    is sqrt(2) times this one (Rajeswaran et al. 2017; mjrl's npg_cg).

    Args:
        gradient: g, [P].
        direction: F^-1 g, [P].
        step_size: delta.
    """
    return tf.sqrt(tf.abs(step_size / (tf.tensordot(gradient, direction, 1) + _SMALLEST_PRODUCT)))


def flat(tensors: Sequence[tf.Tensor]) -> tf.Tensor:
    """Return the elements of all tensors in one vector [P]."""
    return tf.concat([tf.reshape(tensor, [-1]) for tensor in tensors], axis=0)


def unflat(vector: tf.Tensor, like: Sequence[tf.Variable]) -> list[tf.Tensor]:
    """Cut a vector [P] into tensors of the shapes of ``like``."""
    sizes = [int(np.prod(variable.shape)) for variable in like]
    parts = tf.split(vector, sizes)
    return [tf.reshape(part, v.shape) for part, v in zip(parts, like, strict=True)]


class PolicyRows(NamedTuple):
    """Steps of paths in K chunks of C rows; rows that fill the last chunk up weigh 0.

    observations: [K, C, O] float32.
    actions:      [K, C, A] float32, as drawn.
    advantages:   [K, C] float32.
    weights:      [K, C] float32, 1 / rows or 0; they sum to 1 over the used chunks.
    """

    observations: tf.Tensor
    actions: tf.Tensor
    advantages: tf.Tensor
    weights: tf.Tensor


def policy_rows(
    observations: np.ndarray,
    actions: np.ndarray,
    advantages: np.ndarray,
    *,
    chunk_size: int,
    max_rows: int,
) -> tuple[PolicyRows, int]:
    """Lay rows out in chunks of one fixed shape; return them and how many chunks are in use.

    Args:
        observations: [B, O].
        actions: [B, A].
        advantages: [B].
        chunk_size: C.
        max_rows: largest B; the shape is that of so many, so that it is compiled once.
    """
    rows, chunks = len(observations), -(-max_rows // chunk_size)
    weights = np.full(rows, 1.0 / rows)
    laid_out = []
    for column in (observations, actions, advantages, weights):
        filled = np.zeros((chunks * chunk_size, *column.shape[1:]), np.float32)
        filled[:rows] = column
        laid_out.append(filled.reshape(chunks, chunk_size, *column.shape[1:]))
    return PolicyRows(*laid_out), -(-rows // chunk_size)


class NaturalGradientResult(NamedTuple):
    """What one step did; scalars.

    kl:               mean KL(old || new) on the rows, nats.
    surrogate_before: mean advantage, before the step.
    surrogate_after:  mean of pi_new / pi_old * advantage, after it.
    step_size:        alpha.
    gradient_norm:    |g|.
    """

    kl: tf.Tensor
    surrogate_before: tf.Tensor
    surrogate_after: tf.Tensor
    step_size: tf.Tensor
    gradient_norm: tf.Tensor


class NaturalGradient:
    """One natural-gradient step of a policy per call, compiled.

    Args:
        policy: moved in place.
        step_size: delta, the normalised step size.
        iterations: of the conjugate gradient.
        damping: added to the Fisher matrix's diagonal.

    Kakade 2002; Rajeswaran et al. 2017; mjrl's npg_cg.
    """

    def __init__(
        self,
        policy: UnsquashedGaussianPolicy,
        *,
        step_size: float,
        iterations: int,
        damping: float,
    ):
        self.policy, self.step_size = policy, step_size
        self.iterations, self.damping = iterations, damping
        self._compiled_step = tf.function(self._step, jit_compile=True)

    @property
    def variables(self) -> list[keras.Variable]:
        """The policy's trained variables, in the order of the flat vectors."""
        return list(self.policy.trainable_variables)

    def _values(self) -> list[tf.Variable]:
        return [variable.value for variable in self.variables]

    def gradient(self, rows: PolicyRows, count: tf.Tensor) -> tf.Tensor:
        """Return g = mean of A * grad log pi(a | s), flat [P], over the first ``count`` chunks."""

        def of_chunk(k: tf.Tensor) -> tf.Tensor:
            with tf.GradientTape() as tape:
                log_pi = self.policy.log_pi(rows.observations[k], rows.actions[k])
                surrogate = tf.reduce_sum(rows.weights[k] * rows.advantages[k] * log_pi)
            return flat(tape.gradient(surrogate, self._values()))

        return self._sum(of_chunk, count)

    def fisher_vector_product(
        self, rows: PolicyRows, count: tf.Tensor, vector: tf.Tensor
    ) -> tf.Tensor:
        """Return F v, flat [P], without damping.

        F = mean of J^T diag(1 / std^2) J for the mean's Jacobian J, and 2 on the diagonal for each
        log std: the Hessian of mean KL(old || new) at new = old, which is the expectation of
        grad log pi grad log pi^T. Forward mode gives J v, reverse mode J^T of it.
        """
        tangents = unflat(vector, self._values())
        log_std_value = self.policy.log_std.value
        position = [v is self.policy.log_std for v in self.variables].index(True)
        precision = tf.exp(-2.0 * log_std_value)

        def of_chunk(k: tf.Tensor) -> tf.Tensor:
            observations, weights = rows.observations[k], rows.weights[k][:, None]
            with tf.autodiff.ForwardAccumulator(self._values(), tangents) as accumulator:
                with tf.GradientTape() as tape:
                    mean = self.policy(observations)
                moved = accumulator.jvp(mean)
            products = tape.gradient(
                mean,
                self._values(),
                output_gradients=weights * precision * moved,
                unconnected_gradients=tf.UnconnectedGradients.ZERO,
            )
            return flat(products)

        of_log_std = [tf.zeros_like(tangent) for tangent in tangents]
        of_log_std[position] = 2.0 * tangents[position]
        return self._sum(of_chunk, count) + flat(of_log_std)

    def _sum(self, of_chunk: Callable[[tf.Tensor], tf.Tensor], count: tf.Tensor) -> tf.Tensor:
        size = sum(int(np.prod(variable.shape)) for variable in self.variables)
        return tf.while_loop(
            lambda k, total: k < count,
            lambda k, total: (k + 1, total + of_chunk(k)),
            (tf.constant(0), tf.zeros([size])),
        )[1]

    def direction(self, rows: PolicyRows, count: tf.Tensor, gradient: tf.Tensor) -> tf.Tensor:
        """Return (F + damping I)^-1 g by conjugate gradient."""
        return conjugate_gradient(
            lambda v: self.fisher_vector_product(rows, count, v) + self.damping * v,
            gradient,
            self.iterations,
        )

    def step(self, rows: PolicyRows, count: int) -> NaturalGradientResult:
        """Move the policy by alpha (F + damping I)^-1 g on the first ``count`` chunks of rows."""
        return self._compiled_step(rows, tf.constant(count))

    def _step(self, rows: PolicyRows, count: tf.Tensor) -> NaturalGradientResult:
        all_observations = tf.reshape(rows.observations, [-1, self.policy.obs_dim])
        old_means = tf.reshape(self.policy(all_observations), tf.shape(rows.actions))
        old_log_std = tf.identity(self.policy.log_std.value)
        gradient = self.gradient(rows, count)
        direction = self.direction(rows, count, gradient)
        alpha = normalised_step_size(gradient, direction, self.step_size)
        moves = unflat(alpha * direction, self._values())
        for variable, move in zip(self.variables, moves, strict=True):
            variable.assign_add(move)
        self.policy.clip_log_std()

        def compare(k: tf.Tensor) -> tf.Tensor:
            old = gaussian_log_pi(old_means[k], old_log_std, rows.actions[k])
            mean, log_std = self.policy(rows.observations[k]), self.policy.log_std.value
            ratio = tf.exp(gaussian_log_pi(mean, log_std, rows.actions[k]) - old)
            kl = gaussian_kl(old_means[k], old_log_std, mean, log_std)
            columns = [kl, rows.advantages[k], ratio * rows.advantages[k]]
            return tf.stack([tf.reduce_sum(rows.weights[k] * column) for column in columns])

        comparison = tf.while_loop(
            lambda k, total: k < count,
            lambda k, total: (k + 1, total + compare(k)),
            (tf.constant(0), tf.zeros([3])),
        )[1]
        norm = tf.norm(gradient)
        return NaturalGradientResult(comparison[0], comparison[1], comparison[2], alpha, norm)

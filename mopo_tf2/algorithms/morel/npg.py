"""MOReL's planner: returns and advantages, the value baseline, the natural policy gradient.

Paths lie side by side, [T, N]: row t of column n is step t of path n, and rows after a path's end
are 0.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from mopo_tf2.chunks import map_in_chunks
from mopo_tf2.gradient_steps import CompiledSteps, adam, minimise
from mopo_tf2.networks.feedforward import Feedforward
from mopo_tf2.networks.unsquashed_policy import (
    UnsquashedGaussianPolicy,
    gaussian_kl,
    gaussian_log_pi,
)

CONJUGATE_GRADIENT_TOLERANCE = 1e-10
"""Squared norm of the residual at which the iteration ends, as in mjrl."""
OBSERVATION_BOUND = 10.0
"""The baseline's observations are clipped to this and divided by it."""
TIME_UNIT = 1000.0
"""Steps per unit of the baseline's time features."""
TIME_POWERS = 4
"""The time features are t, t^2, ... up to this power."""
_SMALLEST_PRODUCT = 1e-10
_SMALLEST_STD = 1e-6
_PREDICTION_CHUNK = 4096
_STEPS_PER_CALL = 64


def path_mask(lengths: np.ndarray, horizon: int) -> np.ndarray:
    """Return [T, N] bool: which steps belong to their path, for lengths [N]."""
    mask: np.ndarray = np.arange(horizon)[:, None] < lengths
    return mask


def discounted_sums(values: np.ndarray, discount: float) -> np.ndarray:
    """Return ``sum_k discount^k values[t + k]`` for each t, [T, N] float64."""
    sums = np.zeros(values.shape, np.float64)
    following = np.zeros(values.shape[1:], np.float64)
    for t in range(len(values) - 1, -1, -1):
        following = values[t] + discount * following
        sums[t] = following
    return sums


def next_values(values: np.ndarray, lengths: np.ndarray, terminated: np.ndarray) -> np.ndarray:
    """Return V(s_{t+1}) of each step, [T, N].

    After the last step of a path it is 0 if the path is terminated. If the path only reached the
    horizon, it is V of the last state, as in mjrl.

    Args:
        values: [T, N], V(s_t).
        lengths: [N] int, steps of each path, at least 1.
        terminated: [N] bool.
    """
    following = np.concatenate([values[1:], np.zeros_like(values[:1])])
    paths = np.arange(len(lengths))
    last = values[lengths - 1, paths]
    following[lengths - 1, paths] = np.where(terminated, 0.0, last)
    return following


def generalised_advantages(
    rewards: np.ndarray,
    values: np.ndarray,
    lengths: np.ndarray,
    terminated: np.ndarray,
    *,
    discount: float,
    gae_lambda: float,
) -> np.ndarray:
    """Return A_t = sum_k (discount * lambda)^k delta_{t+k}, [T, N] float64, 0 after the end.

    delta_t = r_t + discount * V(s_{t+1}) - V(s_t). Schulman et al. 2016, equation 16.

    Args:
        rewards: [T, N], 0 after the end of a path.
        values: [T, N], V(s_t); rows after the end are ignored.
        lengths: [N] int, steps of each path, at least 1.
        terminated: [N] bool, see ``next_values``.
        discount: gamma.
        gae_lambda: lambda.
    """
    mask = path_mask(lengths, len(rewards))
    deltas = rewards + discount * next_values(values, lengths, terminated) - values
    return discounted_sums(np.where(mask, deltas, 0.0), discount * gae_lambda)


def normalised(advantages: np.ndarray) -> np.ndarray:
    """Return ``(advantages - mean) / (stddev + 1e-6)``, as in mjrl."""
    centred: np.ndarray = advantages - advantages.mean()
    return centred / (advantages.std() + _SMALLEST_STD)


def baseline_features(observations: np.ndarray, steps: np.ndarray) -> np.ndarray:
    """Return [..., O + 4] float32: observations clipped to [-10, 10] / 10, and powers of time.

    Args:
        observations: [..., O].
        steps: [...], index of each row within its path, from 0; the features are
            (t / 1000)^1 to (t / 1000)^4.

    mjrl's mlp_baseline.
    """
    clipped = np.clip(observations, -OBSERVATION_BOUND, OBSERVATION_BOUND) / OBSERVATION_BOUND
    time = np.asarray(steps)[..., None] / TIME_UNIT
    powers = [np.broadcast_to(time**k, clipped[..., :1].shape) for k in range(1, TIME_POWERS + 1)]
    return np.concatenate([clipped, *powers], axis=-1).astype(np.float32)


class ValueBaseline:
    """Regression of discounted returns on ``baseline_features``.

    Args:
        obs_dim: O.
        hidden_layer_sizes: units of each hidden layer.
        lr: Adam's learning rate.
        batch_size: rows of a gradient step.
        weight_decay: half of its product with the sum of all squared weights and biases is added to
            the loss, as in PyTorch's Adam.
        seed: of the initial weights.

    mjrl's mlp_baseline.
    """

    def __init__(
        self,
        obs_dim: int,
        hidden_layer_sizes: Sequence[int],
        *,
        lr: float,
        batch_size: int,
        weight_decay: float = 0.0,
        seed: int = 0,
    ):
        self.batch_size, self.weight_decay = batch_size, weight_decay
        self.network = Feedforward(hidden_layer_sizes, 1, fan_in_uniform=True, seed=seed)
        self.network.build((None, obs_dim + TIME_POWERS))
        self.optimizer = adam(lr, self.network.trainable_variables, corrected_epsilon=True)
        self._steps = CompiledSteps(self._step)
        self._compiled_values = tf.function(self._values, jit_compile=True)

    def _values(self, features: tf.Tensor) -> list[tf.Tensor]:
        return [self.network(features)]

    def values(self, features: np.ndarray) -> np.ndarray:
        """Return V [B] float32 for features [B, F]."""
        return map_in_chunks(self._compiled_values, [features], _PREDICTION_CHUNK)[0][:, 0]

    def _step(self, features: tf.Tensor, targets: tf.Tensor) -> None:
        variables = self.network.trainable_variables
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.square(self.network(features) - targets))
            squares = [tf.reduce_sum(tf.square(variable.value)) for variable in variables]
            loss += 0.5 * self.weight_decay * tf.add_n(squares)
        minimise(self.optimizer, tape, loss, variables)

    def fit(
        self,
        features: np.ndarray,
        returns: np.ndarray,
        random_state: np.random.RandomState,
        epochs: int,
    ) -> None:
        """Regress ``returns`` [B] on ``features`` [B, F] for some passes in random order.

        Draws one permutation per pass. As in mjrl, a pass leaves out its incomplete last batch and
        the one before that, unless it is the only one.
        """
        targets = returns.astype(np.float32)[:, None]
        count, batch_size = len(features), min(self.batch_size, len(features))
        rows_per_pass = max(count // batch_size - 1, 1) * batch_size
        order = np.concatenate(
            [random_state.permutation(count)[:rows_per_pass] for _ in range(epochs)]
        ).reshape(-1, batch_size)
        for start in range(0, len(order), _STEPS_PER_CALL):
            rows = order[start : start + _STEPS_PER_CALL]
            self._steps(features[rows], targets[rows])

    def named_variables(self) -> dict[str, keras.Variable]:
        """Return every variable, the optimiser's included, by its name in checkpoints."""
        parts = {"network": self.network.variables, "optimizer": self.optimizer.variables}
        return {
            f"{name}/{i}": variable
            for name, variables in parts.items()
            for i, variable in enumerate(variables)
        }


def conjugate_gradient(
    product: Callable[[tf.Tensor], tf.Tensor], right_side: tf.Tensor, iterations: int
) -> tf.Tensor:
    """Solve ``A x = b`` for a positive definite A, starting from x = b.

    Args:
        product: x -> A x, each [P] float32.
        right_side: b, [P] float32.
        iterations: maximum number of products, beside the first.

    Returns:
        x, [P] float32.

    mjrl's cg_solve.
    """

    def unfinished(i: tf.Tensor, x: tf.Tensor, r: tf.Tensor, p: tf.Tensor) -> tf.Tensor:
        # The first iteration looks only for a division by zero.
        tolerance = tf.where(i == 0, 0.0, CONJUGATE_GRADIENT_TOLERANCE)
        return tf.logical_and(i < iterations, tf.tensordot(r, r, 1) > tolerance)

    def iterate(
        i: tf.Tensor, x: tf.Tensor, r: tf.Tensor, p: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]:
        z = product(p)
        residual = tf.tensordot(r, r, 1)
        v = residual / tf.tensordot(p, z, 1)
        x, r = x + v * p, r - v * z
        return i + 1, x, r, r + tf.tensordot(r, r, 1) / residual * p

    residual = right_side - product(right_side)
    start = (tf.constant(0), right_side, residual, residual)
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
    """Split a vector [P] into tensors with the shapes of ``like``."""
    sizes = [int(np.prod(variable.shape)) for variable in like]
    parts = tf.split(vector, sizes)
    return [tf.reshape(part, v.shape) for part, v in zip(parts, like, strict=True)]


class PolicyRows(NamedTuple):
    """Steps of paths in K chunks of C rows; padding rows have weight 0.

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
    """Arrange rows in chunks of one fixed shape; return them and the number of chunks in use.

    Args:
        observations: [B, O].
        actions: [B, A].
        advantages: [B].
        chunk_size: C.
        max_rows: largest B, which determines the shape, so that it is compiled once.
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
    """The result of one step; scalars.

    kl:               mean KL(old || new) on the rows, nats.
    surrogate_before: mean advantage, before the step.
    surrogate_after:  mean of pi_new / pi_old * advantage, after it (D-124).
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
        policy: changed in place.
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
        """Change the policy by alpha (F + damping I)^-1 g, from the first ``count`` chunks."""
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

"""The losses of the dynamics ensemble, as pure functions.

Letters: E members, B batch, D = 1 + O outputs (reward, delta observation).
"""

from collections.abc import Sequence

import tensorflow as tf

LOG_VAR_BOUND_COEFF = 0.01
"""Weight of the bound term in the objective (Q-02)."""


def gaussian_nll(mean: tf.Tensor, log_var: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
    """Gaussian negative log-likelihood of each ensemble member.

    Per member: average over batch and outputs of ``(mean - target)^2 / var + log var``. This is
    twice the textbook value without its ``log 2*pi`` constant, as in the original (Q-02).

    Args:
        mean: [E, B, D] float32, predicted (reward, delta observation).
        log_var: [E, B, D] float32, natural log of the predicted variance (targets' units^2).
        targets: [E, B, D] float32.

    Returns:
        [E] float32. The objective is the sum over members, so that the gradient of a member does
        not depend on E.

    Raises:
        ValueError: if the three static shapes are incompatible.

    Original: mopo/models/bnn.py:BNN._compile_losses
    """
    mean.shape.assert_is_compatible_with(targets.shape)
    mean.shape.assert_is_compatible_with(log_var.shape)
    scaled = tf.square(mean - targets) * tf.exp(-log_var)
    return tf.reduce_mean(scaled, axis=[1, 2]) + tf.reduce_mean(log_var, axis=[1, 2])


def squared_error(mean: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
    """Mean squared error of each member over batch and outputs, un-normalised (Q-06).

    Args:
        mean: [E, B, D] float32.
        targets: [E, B, D], or [B, D] if all members share them.

    Returns:
        [E] float32, targets' units^2.

    Original: mopo/models/bnn.py:BNN._compile_losses
    """
    return tf.reduce_mean(tf.square(mean - targets), axis=[1, 2])


def log_var_bound_term(max_logvar: tf.Tensor, min_logvar: tf.Tensor) -> tf.Tensor:
    """Return 0.01 * (sum of the upper bounds - sum of the lower bounds), a scalar (Q-02).

    Original: mopo/models/bnn.py:BNN.finalize
    """
    return LOG_VAR_BOUND_COEFF * (tf.reduce_sum(max_logvar) - tf.reduce_sum(min_logvar))


def weight_decay(kernels: Sequence[tf.Tensor], coefficients: Sequence[float]) -> tf.Tensor:
    """Return the sum over layers of ``c * sum(w^2) / 2``, a scalar; biases do not decay (Q-03).

    Args:
        kernels: [E, I, U] float32 per layer.
        coefficients: c per layer.

    Original: mopo/models/fc.py:FC.get_decays
    """
    return tf.add_n(
        [c * tf.nn.l2_loss(kernel) for c, kernel in zip(coefficients, kernels, strict=True)]
    )


def bounded_log_var(raw: tf.Tensor, max_logvar: tf.Tensor, min_logvar: tf.Tensor) -> tf.Tensor:
    """Bound raw log-variances softly from above, then from below (Q-17).

    ``min + softplus(max - softplus(max - raw) - min)``.

    Args:
        raw: [E, B, D] float32.
        max_logvar: [1, D] float32.
        min_logvar: [1, D] float32.

    Original: mopo/models/bnn.py:BNN._compile_outputs
    """
    upper = max_logvar - tf.nn.softplus(max_logvar - raw)
    return min_logvar + tf.nn.softplus(upper - min_logvar)

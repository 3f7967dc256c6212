"""The behaviour-cloning start of MOReL's policy: regression of the data's actions."""

import keras
import numpy as np
import tensorflow as tf

from mopo_tf2.algorithms.sac import ADAM_EPSILON
from mopo_tf2.dynamics.scaler import column_statistics
from mopo_tf2.networks.unsquashed_policy import UnsquashedGaussianPolicy
from mopo_tf2.progress import Progress
from mopo_tf2.types import Transitions

_STEPS_PER_CALL = 64


def clone_behaviour(
    policy: UnsquashedGaussianPolicy,
    transitions: Transitions,
    random_state: np.random.RandomState,
    *,
    epochs: int,
    lr: float,
    batch_size: int,
    progress: Progress,
) -> float:
    """Fit the policy's mean to the data's actions by squared error; the log stddev stays.

    Sets the policy's standardisation from the data first, for 0 epochs too. Draws one permutation
    per epoch; rows that fill no batch are left out of it.

    Returns:
        Mean squared error over the last epoch's batches, nan for no epoch.

    MOReL paper (Kidambi et al. 2020), algorithm 1; mjrl's behavior_cloning with its MSE loss.
    """
    observations, actions = transitions.observations, transitions.actions
    policy.standardise(*(row[0] for row in column_statistics(observations)))
    variables = [v for v in policy.trainable_variables if v is not policy.log_std]
    optimizer = keras.optimizers.Adam(lr, epsilon=ADAM_EPSILON)
    optimizer.build(variables)

    def steps(observations: tf.Tensor, actions: tf.Tensor, count: tf.Tensor) -> tf.Tensor:
        total = 0.0
        for k in tf.range(count):
            with tf.GradientTape() as tape:
                loss = tf.reduce_mean(tf.square(policy(observations[k]) - actions[k]))
            gradients = tape.gradient(loss, [variable.value for variable in variables])
            optimizer.apply_gradients(zip(gradients, variables, strict=True))
            total += loss
        return total

    compiled_steps = tf.function(steps, jit_compile=True)
    batch_size = min(batch_size, len(observations))
    batches, error = len(observations) // batch_size, float("nan")
    for _ in range(epochs):
        order = random_state.permutation(len(observations))[: batches * batch_size]
        order, error = order.reshape(batches, batch_size), 0.0
        for start in range(0, batches, _STEPS_PER_CALL):
            count = min(_STEPS_PER_CALL, batches - start)
            block = np.zeros((_STEPS_PER_CALL, batch_size), order.dtype)
            block[:count] = order[start : start + count]
            error += float(compiled_steps(observations[block], actions[block], tf.constant(count)))
            progress.updates(start + count, batches)
        error /= batches
    return error

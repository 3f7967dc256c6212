"""The behaviour-cloning start of MOReL's policy: regression of the data's actions."""

import numpy as np
import tensorflow as tf

from mopo_tf2.dynamics.scaler import column_statistics
from mopo_tf2.gradient_steps import CompiledSteps, adam, minimise
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
) -> None:
    """Fit the policy's mean to the data's actions by squared error; the log stddev stays.

    Sets the policy's standardisation from the data first, for 0 epochs too. Draws one permutation
    per epoch; rows that fill no batch are left out of it.

    MOReL paper (Kidambi et al. 2020), algorithm 1; mjrl's behavior_cloning with its MSE loss.
    """
    observations, actions = transitions.observations, transitions.actions
    policy.standardise(*(row[0] for row in column_statistics(observations)))
    variables = [v for v in policy.trainable_variables if v is not policy.log_std]
    optimizer = adam(lr, variables)

    def step(observations: tf.Tensor, actions: tf.Tensor) -> None:
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.square(policy(observations) - actions))
        minimise(optimizer, tape, loss, variables)

    steps = CompiledSteps(step)
    batch_size = min(batch_size, len(observations))
    batches = len(observations) // batch_size
    for _ in range(epochs):
        order = random_state.permutation(len(observations))[: batches * batch_size]
        order = order.reshape(batches, batch_size)
        for start in range(0, batches, _STEPS_PER_CALL):
            rows = order[start : start + _STEPS_PER_CALL]
            steps(observations[rows], actions[rows])
            progress.updates(start + len(rows), batches)

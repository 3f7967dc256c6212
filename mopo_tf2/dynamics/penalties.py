"""The uncertainty u(s, a), which is subtracted from rewards, as pure functions."""

import tensorflow as tf


def learned_std_penalty(stds: tf.Tensor) -> tf.Tensor:
    """Largest L2 norm of the predicted stddevs over ALL members, the reward's included (Q-20).

    Args:
        stds: [E, B, 1 + O] float32, predicted stddev of (reward, next observation).

    Returns:
        [B] float32.

    Original: mopo/models/fake_env.py:FakeEnv.step; MOPO paper (Yu et al. 2020), section 4.3
    """
    return tf.reduce_max(tf.norm(stds, axis=2), axis=0)


def disagreement_penalty(next_observation_means: tf.Tensor) -> tf.Tensor:
    """Largest L2 distance of a member's mean next observation from the members' average (Q-21).

    Args:
        next_observation_means: [E, B, O] float32.

    Returns:
        [B] float32, units of the observations.

    Original: mopo/models/fake_env.py:FakeEnv.step
    """
    average = tf.reduce_mean(next_observation_means, axis=0)
    return tf.reduce_max(tf.norm(next_observation_means - average, axis=2), axis=0)

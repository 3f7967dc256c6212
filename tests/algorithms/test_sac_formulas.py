"""SAC's formulas, by hand."""

import numpy as np
import tensorflow as tf

from mopo_tf2.algorithms.sac import (
    critic_losses,
    critic_target,
    policy_loss,
    polyak,
    temperature_loss,
)


def column(*values):
    return tf.constant(values, tf.float32)[:, None]


def test_critic_target_is_the_discounted_soft_value_unless_the_task_ended():
    target = critic_target(
        rewards=column(1, 1),
        terminals=column(0, 1),
        next_q=column(10, 10),
        next_log_pi=column(2, 2),
        alpha=tf.constant(0.5),
        discount=0.9,
    )
    np.testing.assert_allclose(target, [[1 + 0.9 * (10 - 0.5 * 2)], [1]], rtol=1e-6)


def test_critic_target_has_no_gradient():
    q = column(1.0)
    with tf.GradientTape() as tape:
        tape.watch(q)
        target = critic_target(q, column(0.0), q, q, tf.constant(1.0), 0.9)
    assert tape.gradient(target, q) is None


def test_critic_losses_are_half_the_mean_squared_errors():
    q = tf.stack([column(1, 2), column(0, 4)])
    np.testing.assert_allclose(critic_losses(q, column(0, 0)), [1.25, 4.0])


def test_policy_loss_takes_the_smaller_critic_of_each_row():
    q = tf.stack([column(1, 5), column(3, 2)])
    # mean of 0.5 * 2 - 1 and 0.5 * 4 - 2
    np.testing.assert_allclose(policy_loss(column(2, 4), q, tf.constant(0.5)), 0.0)
    np.testing.assert_allclose(policy_loss(column(4, 4), q, tf.constant(0.5)), 0.5)


def test_temperature_loss_acts_on_log_alpha():
    log_alpha = tf.constant(2.0)
    with tf.GradientTape() as tape:
        tape.watch(log_alpha)
        loss = temperature_loss(log_alpha, column(1, 4), target_entropy=-3.0)
    np.testing.assert_allclose(loss, -(2 * (1 - 3) + 2 * (4 - 3)) / 2)
    np.testing.assert_allclose(tape.gradient(loss, log_alpha), 0.5)


def test_temperature_loss_has_no_gradient_in_the_policy():
    log_pi = column(1, 4)
    with tf.GradientTape() as tape:
        tape.watch(log_pi)
        loss = temperature_loss(tf.constant(2.0), log_pi, -3.0)
    assert tape.gradient(loss, log_pi) is None


def test_polyak_moves_the_share_tau_of_the_source():
    assert float(polyak(tf.constant(10.0), tf.constant(2.0), tf.constant(0.25))) == 4.0

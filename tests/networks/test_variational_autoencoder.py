"""Encoder and decoder of actions, and the divergence between them."""

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

from mopo_tf2.networks.variational_autoencoder import (
    ActionDecoder,
    ActionEncoder,
    kl_divergence,
)


@pytest.fixture
def encoder():
    encoder = ActionEncoder(4, (8,), seed=1)
    encoder.build((None, 3), (None, 2))
    return encoder


@pytest.fixture
def decoder():
    decoder = ActionDecoder(2, (8,), seed=1)
    decoder.build((None, 3), (None, 4))
    return decoder


def test_divergence_is_the_closed_form_averaged_over_rows_and_components():
    randoms = np.random.RandomState(0)
    mean, log_std = randoms.normal(size=(2, 6, 4)).astype(np.float32)
    normal = tfp.distributions.Normal
    expected = normal(mean, tf.exp(log_std)).kl_divergence(normal(0.0, 1.0))
    kl = float(kl_divergence(tf.constant(mean), tf.constant(log_std)))
    np.testing.assert_allclose(kl, np.mean(expected), rtol=1e-5)


def test_encoder_gives_mean_and_log_std_of_the_latent_size(encoder):
    mean, log_std = encoder(tf.ones((5, 3)), tf.ones((5, 2)))
    assert mean.shape == log_std.shape == (5, 4)


@pytest.mark.parametrize(("bias", "expected"), [(-100.0, -4.0), (100.0, 15.0), (0.5, 0.5)])
def test_log_std_is_clipped(encoder, bias, expected):
    weights = [np.zeros_like(weight) for weight in encoder.get_weights()]
    weights[-1][4:] = bias
    encoder.set_weights(weights)
    mean, log_std = encoder(tf.ones((1, 3)), tf.ones((1, 2)))
    np.testing.assert_array_equal(mean, np.zeros((1, 4)))
    np.testing.assert_array_equal(log_std, np.full((1, 4), expected))


def test_decoded_actions_are_the_tanh_of_the_network(decoder):
    observations, latents = tf.ones((5, 3)), 3.0 * tf.ones((5, 4))
    raw = decoder.network(tf.concat([observations, latents], axis=1))
    np.testing.assert_array_equal(decoder(observations, latents), tf.tanh(raw))

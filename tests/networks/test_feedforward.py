"""Multilayer perceptrons, alone and several at once."""

import keras
import numpy as np
import pytest
import scipy.stats

from mopo_tf2.networks.feedforward import Feedforward

INPUTS = np.random.RandomState(0).normal(size=(6, 3)).astype(np.float32)


def built(*sizes, input_dim=3, **options):
    network = Feedforward(sizes[:-1], sizes[-1], **options)
    network.build((None, input_dim))
    return network


def reference(weights, inputs):
    """ReLU layers and a linear one, in float64 NumPy."""
    outputs = inputs.astype(np.float64)
    pairs = list(zip(weights[::2], weights[1::2], strict=True))
    for kernel, bias in pairs[:-1]:
        outputs = np.maximum(outputs @ kernel + bias, 0)
    return outputs @ pairs[-1][0] + pairs[-1][1]


def test_one_network_gives_what_stacked_keras_layers_give():
    network = built(8, 5, 2)
    oracle = keras.Sequential(
        [keras.layers.Dense(8, "relu"), keras.layers.Dense(5, "relu"), keras.layers.Dense(2)]
    )
    oracle.build((None, 3))
    oracle.set_weights(network.get_weights())
    np.testing.assert_allclose(network(INPUTS), oracle(INPUTS), rtol=1e-6, atol=1e-7)


def test_each_of_several_networks_is_relu_layers_and_a_linear_output():
    network = built(8, 5, 2, num_networks=3, seed=2)
    randoms = np.random.RandomState(1)
    network.set_weights([randoms.normal(size=w.shape) for w in network.get_weights()])
    outputs = network(INPUTS).numpy()
    expected = [reference([w[k] for w in network.get_weights()], INPUTS) for k in range(3)]
    np.testing.assert_allclose(outputs, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("num_networks", [None, 2])
def test_weights_start_from_glorots_uniform_of_each_member(num_networks):
    network = built(60, 4, num_networks=num_networks, input_dim=40, seed=1)
    kernels = network.get_weights()[::2]
    for kernel, fans in zip(kernels, (40 + 60, 60 + 4), strict=True):
        bound = np.sqrt(6 / fans)
        for member in kernel.reshape(num_networks or 1, -1):
            law = scipy.stats.uniform(-bound, 2 * bound)
            assert np.abs(member).max() <= bound
            assert scipy.stats.kstest(member.astype(np.float64), law.cdf).pvalue > 0.01


@pytest.mark.parametrize("num_networks", [None, 2])
def test_biases_start_at_zero(num_networks):
    biases = built(8, 5, 2, num_networks=num_networks).get_weights()[1::2]
    assert [np.count_nonzero(bias) for bias in biases] == [0, 0, 0]


def test_layers_of_equal_shape_start_from_different_weights():
    kernels = built(3, 3, 3).get_weights()[::2]
    assert np.abs(kernels[0] - kernels[1]).min() > 0

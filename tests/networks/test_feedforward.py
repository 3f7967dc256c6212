"""Multilayer perceptrons, alone and several at once: how they start. Parity compares outputs."""

import numpy as np
import pytest
import scipy.stats

from mopo_tf2.networks.feedforward import Feedforward


def built(*sizes, input_dim=3, **options):
    network = Feedforward(sizes[:-1], sizes[-1], **options)
    network.build((None, input_dim))
    return network


@pytest.mark.parametrize("num_networks", [None, 2])
def test_weights_start_from_glorots_uniform_of_each_member(num_networks):
    network = built(60, 4, num_networks=num_networks, input_dim=40, seed=1)
    kernels, biases = network.get_weights()[::2], network.get_weights()[1::2]
    for kernel, fans in zip(kernels, (40 + 60, 60 + 4), strict=True):
        bound = np.sqrt(6 / fans)
        for member in kernel.reshape(num_networks or 1, -1):
            law = scipy.stats.uniform(-bound, 2 * bound)
            assert np.abs(member).max() <= bound
            assert scipy.stats.kstest(member.astype(np.float64), law.cdf).pvalue > 0.01
    assert [np.count_nonzero(bias) for bias in biases] == [0, 0]


@pytest.mark.parametrize("num_networks", [None, 2])
def test_fan_in_uniform_weights_and_biases_are_those_of_pytorch(num_networks):
    network = built(400, 400, num_networks=num_networks, fan_in_uniform=True, input_dim=100, seed=1)
    arrays, inputs = network.get_weights(), (100, 100, 400, 400)
    for values, count in zip(arrays, inputs, strict=True):
        bound = count**-0.5
        sample = values.ravel()[:2000].astype(np.float64)
        law = scipy.stats.uniform(-bound, 2 * bound)
        assert np.abs(values).max() <= bound
        assert scipy.stats.kstest(sample, law.cdf).pvalue > 0.01


def test_layers_of_equal_shape_start_from_different_weights():
    kernels = built(3, 3, 3).get_weights()[::2]
    assert np.abs(kernels[0] - kernels[1]).min() > 0

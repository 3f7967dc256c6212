"""The batched dense layers, against Keras' own layer."""

import keras
import numpy as np
import pytest
import scipy.stats

from mopo_tf2.networks.ensemble_dense import EnsembleDense, glorot_uniform


def built(units, num_networks, input_dim, activation=None, **options):
    layer = EnsembleDense(units, num_networks, activation, **options)
    layer.build((None, input_dim))
    return layer


@pytest.mark.parametrize("activation", ["swish", None])
def test_three_dimensional_inputs_give_what_einsum_dense_gives(activation):
    inputs = np.random.RandomState(0).normal(size=(7, 4, 3)).astype(np.float32)
    oracle = keras.layers.EinsumDense(
        "ebi,eio->ebo", output_shape=(None, 5), bias_axes="eo", activation=activation
    )
    oracle.build(inputs.shape)
    bias = np.random.RandomState(1).normal(size=(7, 1, 5)).astype(np.float32)
    layer = built(5, 7, 3, activation)
    layer.set_weights([oracle.get_weights()[0], bias])
    oracle.set_weights([oracle.get_weights()[0], bias])
    np.testing.assert_allclose(layer(inputs), oracle(inputs), rtol=1e-6, atol=1e-7)


def test_two_dimensional_inputs_are_shared_by_every_member():
    inputs = np.random.RandomState(0).normal(size=(4, 3)).astype(np.float32)
    layer = built(5, 7, 3, "tanh")
    repeated = layer(np.repeat(inputs[None], 7, axis=0))
    np.testing.assert_allclose(layer(inputs), repeated, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("shape", [(3,), (2, 4, 3), (7, 2, 4, 3)])
def test_inputs_of_another_rank_or_ensemble_size_are_refused(shape):
    with pytest.raises(ValueError, match=r"expects inputs \[B, I\] or \[7, B, I\]"):
        EnsembleDense(5, 7).build(shape)


def test_output_shape_is_announced_for_both_kinds_of_input():
    layer = EnsembleDense(5, 7)
    assert layer.compute_output_shape((None, 3)) == (7, None, 5)
    assert layer.compute_output_shape((7, 4, 3)) == (7, 4, 5)


@pytest.mark.parametrize("options", [{}, {"initializer": glorot_uniform}])
def test_layer_rebuilt_from_its_configuration_has_the_same_weights(options):
    layer = built(5, 7, 3, "swish", seed=11, **options)
    twin = EnsembleDense.from_config(layer.get_config())
    twin.build((None, 3))
    inputs = np.random.RandomState(0).normal(size=(4, 3)).astype(np.float32)
    np.testing.assert_array_equal(twin(inputs), layer(inputs))


def test_layer_survives_keras_own_serialisation():
    layer = built(5, 7, 3, "swish", seed=11)
    twin = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    assert twin.get_config() == layer.get_config()


def test_members_start_from_weights_of_their_own():
    kernels = built(40, 7, 30).kernel.numpy().reshape(7, -1)
    correlation = np.corrcoef(kernels)
    assert np.abs(correlation - np.eye(7)).max() < 0.15


def test_weights_start_from_a_normal_truncated_at_two_stddevs():
    stddev = 1 / (2 * np.sqrt(50))
    kernel = built(200, 7, 50, seed=3).kernel.numpy().ravel().astype(np.float64)
    law = scipy.stats.truncnorm(-2, 2, scale=stddev)
    assert np.abs(kernel).max() <= 2 * stddev * (1 + 1e-6)
    assert scipy.stats.kstest(kernel, law.cdf).pvalue > 0.01

"""The batched dense layers. That they compute what the original's do is compared by parity."""

import keras
import numpy as np
import pytest

from mopo_tf2.networks.ensemble_dense import EnsembleDense, glorot_uniform


def built(units, num_networks, input_dim, activation=None, **options):
    layer = EnsembleDense(units, num_networks, activation, **options)
    layer.build((None, input_dim))
    return layer


@pytest.mark.parametrize("shape", [(3,), (2, 4, 3), (7, 2, 4, 3)])
def test_inputs_of_another_rank_or_ensemble_size_are_refused(shape):
    with pytest.raises(ValueError, match=r"expects inputs \[B, I\] or \[7, B, I\]"):
        EnsembleDense(5, 7).build(shape)


@pytest.mark.parametrize("options", [{}, {"initializer": glorot_uniform}])
def test_a_layer_that_keras_stored_starts_from_the_same_weights(options):
    layer = built(5, 7, 3, "swish", seed=11, **options)
    twin = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    inputs = np.random.RandomState(0).normal(size=(4, 3)).astype(np.float32)
    np.testing.assert_array_equal(twin(inputs), layer(inputs))


def test_members_start_from_weights_of_their_own():
    kernels = built(40, 7, 30).kernel.numpy().reshape(7, -1)
    correlation = np.corrcoef(kernels)
    assert np.abs(correlation - np.eye(7)).max() < 0.15

"""The ensemble before training. What it predicts and minimises is compared by parity."""

import numpy as np

from mopo_tf2.dynamics.ensemble import GaussianEnsemble


def test_initial_log_variance_bounds_are_the_original_ones(tiny_config):
    ensemble = GaussianEnsemble(2, 1, tiny_config())
    np.testing.assert_array_equal(ensemble.max_logvar.numpy(), np.full((1, 3), 0.5))
    np.testing.assert_array_equal(ensemble.min_logvar.numpy(), np.full((1, 3), -10.0))


def test_initial_weights_differ_by_head_and_seed(tiny_config):
    first, again, other = (GaussianEnsemble(2, 1, tiny_config(), seed) for seed in (4, 4, 5))
    np.testing.assert_array_equal(first.kernels[0].numpy(), again.kernels[0].numpy())
    assert np.abs(first.kernels[0].numpy() - other.kernels[0].numpy()).min() > 0
    mean_head, variance_head = (head.kernel.numpy() for head in first.heads)
    assert np.abs(mean_head - variance_head).min() > 0
    assert first.elites == [0, 1, 2]


def test_scaler_is_not_trained(tiny_config):
    ensemble = GaussianEnsemble(2, 1, tiny_config())
    trained = {id(variable) for variable in ensemble.trainable_variables}
    named = {name for name, v in ensemble.named_variables().items() if id(v) not in trained}
    assert named == {"scaler/mu", "scaler/sigma"}

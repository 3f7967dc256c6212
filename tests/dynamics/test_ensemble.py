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


def test_joint_head_gives_means_first_and_log_variances_second(tiny_config):
    ensemble = GaussianEnsemble(2, 1, tiny_config(separate_mean_var=False))
    ensemble.head.kernel.assign(np.zeros((3, 4, 6)))
    ensemble.head.bias.assign(np.tile([1.0, 2.0, 3.0, -9.0, -5.0, 0.0], (3, 1, 1)))
    mean, log_var = ensemble(np.zeros((1, 3), np.float32))
    np.testing.assert_array_equal(mean[:, 0], [[1.0, 2.0, 3.0]] * 3)
    assert (np.diff(log_var[:, 0]) > 1).all()


def test_deterministic_objective_has_the_whole_decay_in_every_member(tiny_config):
    ensemble = GaussianEnsemble(2, 1, tiny_config(deterministic=True, weight_decays=(0.1, 0.1)))
    inputs = np.zeros((3, 4, 3), np.float32)
    targets = np.asarray(ensemble(inputs)[0])
    decay = 0.1 * sum(np.sum(k.numpy() ** 2.0) / 2 for k in ensemble.kernels)
    np.testing.assert_allclose(ensemble.objective(inputs, targets), [decay] * 3, rtol=1e-5)

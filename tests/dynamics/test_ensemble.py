"""The ensemble's predictions and objective, against a NumPy reference."""

import numpy as np

from mopo_tf2.dynamics.ensemble import GaussianEnsemble


def swish(x):
    return x / (1 + np.exp(-x))


def test_both_heads_read_the_last_hidden_activation(small_ensemble):
    ensemble = small_ensemble()
    inputs = np.random.RandomState(2).normal(size=(5, 3))
    got_mean, got_log_var = ensemble(inputs.astype(np.float32))
    w = {name: v.numpy().astype(np.float64) for name, v in ensemble.named_variables().items()}
    scaled = (inputs - w["scaler/mu"]) / w["scaler/sigma"]
    for e in range(3):
        hidden = swish(scaled @ w["layers/0/weights"][e] + w["layers/0/biases"][e])
        mean = hidden @ w["layers/1/weights"][e] + w["layers/1/biases"][e]
        raw = hidden @ w["var_layers/0/weights"][e] + w["var_layers/0/biases"][e]
        log_var = 0.5 - np.logaddexp(0, 0.5 - raw)
        log_var = -10 + np.logaddexp(0, log_var + 10)
        np.testing.assert_allclose(got_mean[e], mean, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(got_log_var[e], log_var, rtol=1e-4, atol=1e-5)


def test_joint_head_gives_means_first_and_log_variances_second(small_ensemble):
    ensemble = small_ensemble(separate_mean_var=False)
    ensemble.head.kernel.assign(np.zeros((3, 4, 6)))
    ensemble.head.bias.assign(np.tile([1.0, 2.0, 3.0, -9.0, -5.0, 0.0], (3, 1, 1)))
    mean, log_var = ensemble(np.zeros((1, 3), np.float32))
    np.testing.assert_array_equal(mean[:, 0], [[1.0, 2.0, 3.0]] * 3)
    assert (np.diff(log_var[:, 0]) > 1).all()


def test_objective_is_the_sum_of_its_three_parts(small_ensemble):
    ensemble = small_ensemble(weight_decays=(0.1, 0.2))
    randoms = np.random.RandomState(3)
    inputs = randoms.normal(size=(3, 4, 3)).astype(np.float32)
    targets = randoms.normal(size=(3, 4, 3)).astype(np.float32)
    mean, log_var = (np.asarray(t, np.float64) for t in ensemble(inputs))
    fit = ((mean - targets) ** 2 * np.exp(-log_var) + log_var).mean(axis=(1, 2)).sum()
    trunk, head, variance_head = (np.sum(k.numpy() ** 2.0) / 2 for k in ensemble.kernels)
    decay = 0.1 * trunk + 0.2 * (head + variance_head)
    bounds = 0.01 * 3 * (0.5 + 10.0)
    got = ensemble.objective(inputs, targets)
    np.testing.assert_allclose(got, fit + decay + bounds, rtol=1e-5)
    errors = ((mean - targets) ** 2).mean(axis=(1, 2))
    np.testing.assert_allclose(ensemble.squared_error(inputs, targets), errors, rtol=1e-5)


def test_deterministic_objective_has_the_whole_decay_in_every_member(small_ensemble):
    ensemble = small_ensemble(deterministic=True, weight_decays=(0.1, 0.1))
    inputs = np.zeros((3, 4, 3), np.float32)
    targets = np.asarray(ensemble(inputs)[0])
    decay = 0.1 * sum(np.sum(k.numpy() ** 2.0) / 2 for k in ensemble.kernels)
    np.testing.assert_allclose(ensemble.objective(inputs, targets), [decay] * 3, rtol=1e-5)


def test_variables_are_named_in_the_original_order(tiny_config):
    ensemble = GaussianEnsemble(2, 1, tiny_config())
    assert list(ensemble.named_variables()) == [
        "scaler/mu",
        "scaler/sigma",
        "layers/0/weights",
        "layers/0/biases",
        "layers/1/weights",
        "layers/1/biases",
        "var_layers/0/weights",
        "var_layers/0/biases",
        "max_logvar",
        "min_logvar",
    ]


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

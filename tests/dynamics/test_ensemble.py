"""The ensemble's predictions and objective, against the original and a NumPy reference."""

import numpy as np
import pytest
import tensorflow as tf

from mopo_tf2.dynamics.ensemble import GaussianEnsemble

CASES = ["bnn_joint_head", "bnn_separate_head", "bnn_deterministic"]


@pytest.fixture(scope="module", params=CASES)
def case(request, load_recording, recorded_ensemble):
    """Recording, ensemble with the recorded weights, first batch of inputs and targets."""
    recording = load_recording(request.param)
    ensemble = recorded_ensemble(
        recording,
        "initial/",
        num_elites=int(recording["num_elites"]),
        deterministic=bool(recording["deterministic"]),
    )
    first = recording["batch_indices"][0]
    return recording, ensemble, recording["inputs"][first], recording["targets"][first]


def small_ensemble(config, seed=0):
    """An ensemble of O = 2, A = 1 with every variable set at random."""
    ensemble = GaussianEnsemble(2, 1, config, seed)
    randoms = np.random.RandomState(1)
    for variable in ensemble.member_variables:
        variable.assign(randoms.normal(size=variable.shape))
    ensemble.scaler.fit(randoms.normal(2.0, 3.0, size=(50, 3)).astype(np.float32))
    return ensemble


def swish(x):
    return x / (1 + np.exp(-x))


def test_predictions_for_inputs_of_their_own_equal_those_of_the_original(case):
    recording, ensemble, inputs, _ = case
    mean, variance = ensemble.predict(inputs)
    np.testing.assert_allclose(mean, recording["predict_3d/mean"], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(variance, recording["predict_3d/var"], rtol=1e-5, atol=1e-6)


def test_predictions_for_shared_inputs_equal_those_of_the_original(case):
    recording, ensemble, inputs, _ = case
    mean, variance = ensemble.predict(inputs[0])
    np.testing.assert_allclose(mean, recording["predict_2d_factored/mean"], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(variance, recording["predict_2d_factored/var"], rtol=1e-5, atol=1e-6)


def test_objective_equals_that_of_the_original(case):
    recording, ensemble, inputs, targets = case
    objective = ensemble.objective(inputs, targets)
    np.testing.assert_allclose(objective, recording["train_loss"], rtol=1e-6, atol=1e-7)


def test_squared_error_equals_that_of_the_original(case):
    recording, ensemble, inputs, targets = case
    error = ensemble.squared_error(inputs, targets)
    np.testing.assert_allclose(error, recording["mse_loss"], rtol=1e-6, atol=1e-7)


def test_mean_of_the_best_squared_errors_is_what_the_original_validates(case):
    recording, ensemble, _, _ = case
    errors = ensemble.squared_error(recording["inputs"][:300], recording["targets"][:300])
    best = np.sort(errors)[: ensemble.config.num_elites]
    np.testing.assert_allclose(best.mean(), recording["validate"], rtol=1e-6)


def test_gradients_equal_those_of_the_original(case):
    recording, ensemble, inputs, targets = case
    with tf.GradientTape() as tape:
        objective = ensemble.objective(inputs, targets)
    gradients = tape.gradient(objective, [v.value for v in ensemble.trainable_variables])
    names = [name for name in ensemble.named_variables() if not name.startswith("scaler")]
    assert len(names) == len(gradients)
    for name, gradient in zip(names, gradients, strict=True):
        expected = recording[f"gradients/{name}"]
        got = np.zeros_like(expected) if gradient is None else gradient
        np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-6, err_msg=name)


def test_weight_decays_equal_those_of_the_original(case):
    recording, ensemble, _, _ = case
    np.testing.assert_allclose(ensemble.weight_decays, recording["weight_decays"], rtol=1e-6)


def test_both_heads_read_the_last_hidden_activation(tiny_config):
    ensemble = small_ensemble(tiny_config())
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


def test_joint_head_gives_means_first_and_log_variances_second(tiny_config):
    ensemble = small_ensemble(tiny_config(separate_mean_var=False))
    ensemble.head.kernel.assign(np.zeros((3, 4, 6)))
    ensemble.head.bias.assign(np.tile([1.0, 2.0, 3.0, -9.0, -5.0, 0.0], (3, 1, 1)))
    mean, log_var = ensemble(np.zeros((1, 3), np.float32))
    np.testing.assert_array_equal(mean[:, 0], [[1.0, 2.0, 3.0]] * 3)
    assert (np.diff(log_var[:, 0]) > 1).all()


def test_objective_is_the_sum_of_its_three_parts(tiny_config):
    ensemble = small_ensemble(tiny_config(weight_decays=(0.1, 0.2)))
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


def test_deterministic_objective_has_the_whole_decay_in_every_member(tiny_config):
    ensemble = small_ensemble(tiny_config(deterministic=True, weight_decays=(0.1, 0.1)))
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


def test_scaler_is_not_trained(tiny_config):
    ensemble = GaussianEnsemble(2, 1, tiny_config())
    trained = {id(variable) for variable in ensemble.trainable_variables}
    named = {name for name, v in ensemble.named_variables().items() if id(v) not in trained}
    assert named == {"scaler/mu", "scaler/sigma"}


def test_seed_decides_the_initial_weights(tiny_config):
    kernels = [GaussianEnsemble(2, 1, tiny_config(), seed).kernels for seed in (4, 4, 5)]
    np.testing.assert_array_equal(kernels[0][0].numpy(), kernels[1][0].numpy())
    assert np.abs(kernels[0][0].numpy() - kernels[2][0].numpy()).min() > 0


def test_heads_of_equal_shape_start_from_different_weights(tiny_config):
    ensemble = GaussianEnsemble(2, 1, tiny_config())
    mean_head, variance_head = (head.kernel.numpy() for head in ensemble.heads)
    assert np.abs(mean_head - variance_head).min() > 0


def test_all_members_are_elites_before_training(tiny_config):
    assert GaussianEnsemble(2, 1, tiny_config()).elites == [0, 1, 2]

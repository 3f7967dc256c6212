"""The squashed Gaussian policy, against TFP, closed forms and the original."""

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

from mopo_tf2.networks.gaussian_policy import (
    GaussianPolicy,
    deterministic_actions,
    policy_weights,
    squash,
)

RECORDINGS = Path(__file__).parents[2] / "parity" / "recordings"
FORWARD = {"rtol": 1e-5, "atol": 1e-6}


@pytest.fixture(scope="module")
def recording():
    with np.load(RECORDINGS / "gaussian_policy.npz") as file:
        return {name: file[name] for name in file.files}


@pytest.fixture(scope="module")
def policy(recording):
    """The policy with the recorded weights."""
    observations, actions = recording["observations"], recording["actions"]
    hidden = tuple(int(units) for units in recording["hidden_layer_sizes"])
    policy = GaussianPolicy(actions.shape[1], hidden)
    policy.build(observations.shape)
    policy.set_weights([recording[f"weights/{i}"] for i in range(2 * len(hidden) + 2)])
    return policy


def constant_policy(shift, log_scale, obs_dim=2):
    """A policy of one action that gives ``shift`` and ``log_scale`` (before the clip) anywhere."""
    policy = GaussianPolicy(1, (4,))
    policy.build((None, obs_dim))
    weights = [np.zeros_like(weight) for weight in policy.get_weights()]
    weights[-1] = np.array([shift, log_scale], np.float32)
    policy.set_weights(weights)
    return policy


def test_shift_and_log_scale_equal_those_of_the_original(policy, recording):
    shift, log_scale = policy(recording["observations"])
    np.testing.assert_allclose(shift, recording["shift"], **FORWARD)
    np.testing.assert_allclose(log_scale, recording["log_scale_diag"], **FORWARD)


def test_actions_for_latents_equal_those_of_the_original(policy, recording):
    actions, _ = policy.sample(recording["observations"], recording["latents"])
    np.testing.assert_allclose(actions, recording["actions"], **FORWARD)


def test_sampled_actions_and_log_pi_equal_those_of_the_original(policy, recording):
    actions, log_pi = policy.sample(recording["observations"], recording["sampled/latents"])
    np.testing.assert_allclose(actions, recording["sampled/actions"], **FORWARD)
    np.testing.assert_allclose(log_pi, recording["sampled/log_pis"], **FORWARD)


def test_log_pi_of_sampled_actions_is_finite_at_saturation(policy, recording):
    saturated = np.abs(recording["sampled/actions"]).max(axis=1) == 1.0
    assert saturated.any(), "the recording has no saturated row"
    _, log_pi = policy.sample(recording["observations"], recording["sampled/latents"])
    assert np.isfinite(log_pi.numpy()[saturated]).all()


def test_mode_is_the_original_deterministic_action(policy, recording):
    mode = policy.mode(recording["observations"])
    np.testing.assert_allclose(mode, recording["deterministic_actions"], **FORWARD)


@pytest.mark.parametrize("rows", [1, 4, 1000])
def test_actions_on_the_host_are_the_mode_of_any_number_of_rows(policy, recording, rows):
    actions = deterministic_actions(policy, rows)(recording["observations"])
    np.testing.assert_allclose(actions, recording["deterministic_actions"], **FORWARD)


def test_an_action_on_the_host_does_not_depend_on_the_other_rows(policy, recording):
    act, observations = deterministic_actions(policy, 8), recording["observations"][:8]
    np.testing.assert_array_equal(act(observations)[:3], act(observations[:3]))


def test_actions_on_the_host_follow_the_weights():
    policy = constant_policy(0.3, 0.0)
    act = deterministic_actions(policy, 1)
    before = act(np.zeros((1, 2), np.float32))
    policy.set_weights([-weight for weight in policy.get_weights()])
    np.testing.assert_array_equal(act(np.zeros((1, 2), np.float32)), -before)


@pytest.mark.parametrize("given", ["actions", "given_actions"])
def test_log_pi_of_given_actions_equals_the_original_away_from_saturation(policy, recording, given):
    moderate = (np.abs(recording[given]) < 0.999).all(axis=1)
    assert moderate.sum() >= 8
    log_pi = policy.log_pi(recording["observations"], recording[given])
    expected = recording[f"log_pis_of_{given}"]
    np.testing.assert_allclose(log_pi.numpy()[moderate], expected[moderate], **FORWARD)


@pytest.mark.parametrize("action", [-1.0, 1.0])
def test_log_pi_of_a_given_saturated_action_is_not_finite(action):
    log_pi = constant_policy(0.3, 0.0).log_pi(np.zeros((1, 2), np.float32), [[action]])
    assert not np.isfinite(log_pi.numpy()).any()


def test_log_pi_equals_that_of_a_transformed_distribution():
    randoms = np.random.RandomState(0)
    shift, log_scale, latents = randoms.normal(scale=0.5, size=(3, 20, 4)).astype(np.float32)
    _, actions, log_pi = squash(shift, log_scale, latents)
    oracle = tfp.distributions.TransformedDistribution(
        tfp.distributions.MultivariateNormalDiag(shift, tf.exp(log_scale)), tfp.bijectors.Tanh()
    )
    # A new tensor: TFP would answer with the cached latent otherwise.
    expected = oracle.log_prob(tf.constant(actions.numpy()))
    np.testing.assert_allclose(log_pi[:, 0], expected, rtol=1e-4, atol=1e-4)


def test_log_pi_far_into_saturation_follows_the_formula_in_double_precision():
    shift, log_scale, latent = 12.0, 1.5, 1.0
    raw = shift + np.exp(log_scale) * latent
    log_det = 2 * (np.log(2) - raw - np.logaddexp(0, -2 * raw))
    expected = -0.5 * (latent**2 + np.log(2 * np.pi)) - log_scale - log_det
    arguments = [np.full((1, 1), value, np.float32) for value in (shift, log_scale, latent)]
    _, action, log_pi = squash(*arguments)
    assert action.numpy() == 1.0
    np.testing.assert_allclose(log_pi, [[expected]], rtol=1e-6)


@pytest.mark.parametrize("compiled", [False, True])
def test_log_pi_sees_the_latent_as_it_comes_back_from_the_raw_action(compiled):
    # 1 + exp(-20) rounds to 1 in float32, so a latent of 1 comes back as 0.
    function = tf.function(squash, jit_compile=True) if compiled else squash
    arguments = [tf.constant([[value]], tf.float32) for value in (1.0, -20.0, 1.0)]
    _, _, log_pi = function(*arguments)
    expected = -0.5 * np.log(2 * np.pi) + 20.0 - np.log(1 - np.tanh(1.0) ** 2)
    np.testing.assert_allclose(log_pi, [[expected]], rtol=1e-5)


@pytest.mark.parametrize(("raw", "clipped"), [(3.0, 2.0), (-25.0, -20.0), (1.5, 1.5)])
def test_log_scale_is_clipped(raw, clipped):
    _, log_scale = constant_policy(0.0, raw)(np.zeros((1, 2), np.float32))
    np.testing.assert_allclose(log_scale, [[clipped]])


@pytest.mark.parametrize(("raw", "slope"), [(3.0, 0.0), (-25.0, 0.0), (1.5, 1.0)])
def test_log_scale_has_no_gradient_outside_its_bounds(raw, slope):
    policy = constant_policy(0.0, raw)
    bias = policy.trainable_variables[-1].value
    with tf.GradientTape() as tape:
        _, log_scale = policy(np.zeros((1, 2), np.float32))
    np.testing.assert_array_equal(tape.gradient(log_scale, bias), [0.0, slope])


def test_actions_of_a_constant_policy_are_the_squashed_normal():
    actions, _ = constant_policy(0.5, np.log(2.0)).sample(
        np.zeros((3, 2), np.float32), np.array([[-1.0], [0.0], [2.0]], np.float32)
    )
    np.testing.assert_allclose(actions, np.tanh([[-1.5], [0.5], [4.5]]), rtol=1e-6)


def test_diagnostics_have_the_keys_of_the_original(policy, recording):
    with np.load(RECORDINGS / "whole_epoch.npz") as epoch:
        keys = {str(key) for key in epoch["diagnostics_keys"]}
    expected = {key.removeprefix("policy/") for key in keys if key.startswith("policy/")}
    got = policy.diagnostics(recording["observations"], recording["sampled/latents"])
    assert set(got) == expected


def test_diagnostics_are_means_and_stddevs_of_the_samples(policy, recording):
    got = policy.diagnostics(recording["observations"], recording["sampled/latents"])
    actions, log_pi = recording["sampled/actions"], recording["sampled/log_pis"]
    expected = {
        "actions-mean": actions.mean(),
        "actions-std": actions.std(),
        "-log-pis-mean": -log_pi.mean(),
        "-log-pis-std": log_pi.std(),
        "shifts-mean": recording["shift"].mean(),
        "log_scale_diags-std": recording["log_scale_diag"].std(),
    }
    for name, value in expected.items():
        np.testing.assert_allclose(got[name], value, rtol=1e-4, err_msg=name)


def test_policy_weights_are_listed_as_keras_lists_them(policy, recording):
    for i, weight in enumerate(policy_weights(policy)):
        np.testing.assert_array_equal(weight, recording[f"weights/{i}"])


def test_policy_rebuilt_from_its_configuration_has_the_same_weights():
    policy = GaussianPolicy(2, (8, 5), seed=3)
    policy.build((None, 3))
    twin = GaussianPolicy.from_config(policy.get_config())
    twin.build((None, 3))
    for got, expected in zip(policy_weights(twin), policy_weights(policy), strict=True):
        np.testing.assert_array_equal(got, expected)

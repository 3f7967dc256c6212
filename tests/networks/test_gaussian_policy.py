"""The squashed Gaussian policy, beside what parity compares: its edges, acting and export."""

import numpy as np
import pytest
import tensorflow as tf

from mopo_tf2.networks.gaussian_policy import GaussianPolicy, squash

RANDOMS = np.random.RandomState(0)
OBSERVATIONS = RANDOMS.normal(size=(9, 3)).astype(np.float32)
LATENTS = RANDOMS.normal(size=(9, 2)).astype(np.float32)


@pytest.fixture(scope="module")
def policy():
    policy = GaussianPolicy(2, (8, 5), seed=3)
    policy.build((None, 3))
    # Smaller than initially, so that no action is saturated.
    policy.set_weights([0.3 * weight for weight in policy.get_weights()])
    return policy


def constant_policy(shift, log_scale, obs_dim=2):
    """A policy of one action that gives ``shift`` and ``log_scale`` (before the clip) anywhere."""
    policy = GaussianPolicy(1, (4,))
    policy.build((None, obs_dim))
    weights = [np.zeros_like(weight) for weight in policy.get_weights()]
    weights[-1] = np.array([shift, log_scale], np.float32)
    policy.set_weights(weights)
    return policy


@pytest.mark.parametrize("action", [-1.0, 1.0])
def test_log_pi_of_a_given_saturated_action_is_not_finite(action):
    log_pi = constant_policy(0.3, 0.0).log_pi(np.zeros((1, 2), np.float32), [[action]])
    assert not np.isfinite(log_pi.numpy()).any()


@pytest.mark.parametrize("compiled", [False, True])
def test_log_pi_sees_the_latent_as_it_comes_back_from_the_raw_action(compiled):
    # 1 + exp(-20) rounds to 1 in float32, so a latent of 1 comes back as 0.
    function = tf.function(squash, jit_compile=True) if compiled else squash
    arguments = [tf.constant([[value]], tf.float32) for value in (1.0, -20.0, 1.0)]
    _, _, log_pi = function(*arguments)
    expected = -0.5 * np.log(2 * np.pi) + 20.0 - np.log(1 - np.tanh(1.0) ** 2)
    np.testing.assert_allclose(log_pi, [[expected]], rtol=1e-5)


@pytest.mark.parametrize(("raw", "slope"), [(3.0, 0.0), (-25.0, 0.0), (1.5, 1.0)])
def test_log_scale_has_no_gradient_outside_its_bounds(raw, slope):
    policy = constant_policy(0.0, raw)
    bias = policy.trainable_variables[-1].value
    with tf.GradientTape() as tape:
        _, log_scale = policy(np.zeros((1, 2), np.float32))
    np.testing.assert_array_equal(tape.gradient(log_scale, bias), [0.0, slope])


def test_diagnostics_are_means_and_stddevs_over_rows_and_components(policy):
    got = policy.diagnostics(OBSERVATIONS, LATENTS)
    shift, log_scale = policy(OBSERVATIONS)
    raw_actions, actions, log_pi = squash(shift, log_scale, LATENTS)
    values = {
        "actions": actions,
        "raw-actions": raw_actions,
        "-log-pis": -log_pi,
        "shifts": shift,
        "log_scale_diags": log_scale,
    }
    assert set(got) == {f"{name}-{kind}" for name in values for kind in ("mean", "std")}
    for name, value in values.items():
        np.testing.assert_allclose(got[f"{name}-mean"], np.mean(value), rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(got[f"{name}-std"], np.std(value), rtol=1e-4)


def test_acting_sees_the_weights_of_the_moment_and_an_action_no_other_row(policy):
    act = policy.acting(4)
    together = act(OBSERVATIONS)  # nine rows in chunks of four
    np.testing.assert_allclose(together, policy.mode(OBSERVATIONS), rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(act(OBSERVATIONS[:3]), together[:3])
    kept = policy.get_weights()
    policy.set_weights([np.zeros_like(weight) for weight in kept])
    np.testing.assert_array_equal(act(OBSERVATIONS), np.zeros((9, 2)))
    policy.set_weights(kept)


def test_an_export_of_the_first_version_is_read():
    # Its names and metadata, written out.
    shapes = [(3, 4), (4,), (4, 2), (2,)]
    arrays = {str(i): np.full(shape, 0.5, np.float32) for i, shape in enumerate(shapes)}
    metadata = {"obs_dim": 3, "act_dim": 1, "hidden_layer_sizes": [4]}
    policy = GaussianPolicy.from_exported(arrays, metadata)
    # Four hidden units of 0.5 * 3 + 0.5 = 2, so the shift is 4 * 0.5 * 2 + 0.5.
    np.testing.assert_allclose(policy.mode(np.ones((1, 3), np.float32)), [[np.tanh(4.5)]])
    assert policy.exported()[1] == metadata
    assert set(policy.exported()[0]) == set(arrays)
    with pytest.raises(KeyError):
        GaussianPolicy.from_exported({"0": arrays["0"]}, metadata)
    with pytest.raises(ValueError, match="must have the shape"):
        GaussianPolicy.from_exported(arrays, {**metadata, "obs_dim": 4})

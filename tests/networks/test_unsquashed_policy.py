"""The unsquashed Gaussian policy."""

import numpy as np
import tensorflow_probability as tfp

from mopo_tf2.networks.unsquashed_policy import (
    UnsquashedGaussianPolicy,
    gaussian_kl,
    gaussian_log_pi,
)

RANDOMS = np.random.RandomState(0)
OBSERVATIONS = RANDOMS.normal(size=(5, 3)).astype(np.float32)
MEAN, OTHER_MEAN, ACTIONS = RANDOMS.normal(size=(3, 5, 2)).astype(np.float32)
LOG_STD, OTHER_LOG_STD = np.float32([-0.5, 0.2]), np.float32([0.1, -1.0])


def make(**changes):
    policy = UnsquashedGaussianPolicy(2, (4,), **{"seed": 3, **changes})
    policy.build((None, 3))
    return policy


def normal(mean, log_std):
    return tfp.distributions.MultivariateNormalDiag(mean, np.exp(log_std))


def test_log_density_is_that_of_a_diagonal_normal():
    expected = normal(MEAN, LOG_STD).log_prob(ACTIONS)
    np.testing.assert_allclose(gaussian_log_pi(MEAN, LOG_STD, ACTIONS), expected, rtol=1e-5)


def test_kl_is_that_of_diagonal_normals():
    expected = normal(MEAN, LOG_STD).kl_divergence(normal(OTHER_MEAN, OTHER_LOG_STD))
    kl = gaussian_kl(MEAN, LOG_STD, OTHER_MEAN, OTHER_LOG_STD)
    np.testing.assert_allclose(kl, expected, rtol=1e-5)


def test_network_is_a_tanh_network_on_standardised_observations():
    policy = make()
    policy.standardise(np.float32([1, 2, 3]), np.float32([2, 4, 8]))
    first, second = policy.network.dense_layers
    inputs = (OBSERVATIONS - [1, 2, 3]) / [2, 4, 8]
    hidden = np.tanh(inputs @ first.kernel.numpy() + first.bias.numpy())
    expected = hidden @ second.kernel.numpy() + second.bias.numpy()
    np.testing.assert_allclose(policy(OBSERVATIONS), expected, rtol=1e-4, atol=1e-7)


def test_samples_are_not_clipped_and_the_mode_that_acts_is():
    policy = make(init_log_std=1.0)
    policy.network.dense_layers[-1].bias.assign([3.0, -3.0])
    samples = policy.sample(OBSERVATIONS, np.full((5, 2), 2.0, np.float32)).numpy()
    np.testing.assert_allclose(samples, policy(OBSERVATIONS).numpy() + 2.0 * np.e, rtol=1e-6)
    for act in (policy.mode, policy.acting(4)):
        np.testing.assert_array_equal(act(OBSERVATIONS), np.tile([1.0, -1.0], (5, 1)))


def test_first_means_are_near_zero():
    assert np.abs(make()(OBSERVATIONS)).max() < 0.05


def test_log_std_is_brought_between_its_bounds():
    policy = make(min_log_std=-1.0)
    for values, expected in (([-3.0, 0.5], [-1.0, 0.5]), ([0.0, 3.0], [0.0, 1.0])):
        policy.log_std.assign(values)
        policy.clip_log_std()
        np.testing.assert_array_equal(policy.log_std.numpy(), np.float32(expected))


def test_exported_policy_comes_back_equal():
    policy = make()
    policy.standardise(np.float32([1, 2, 3]), np.float32([2, 4, 8]))
    policy.log_std.assign([0.25, -0.75])
    arrays, metadata = policy.exported()
    # As the first version wrote them.
    assert set(arrays) == {f"weights/{i}" for i in range(7)}
    sizes = {"obs_dim": 3, "act_dim": 2, "hidden_layer_sizes": [4], "min_log_std": -1.0}
    assert metadata == sizes
    back = UnsquashedGaussianPolicy.from_exported(arrays, metadata)
    np.testing.assert_array_equal(back(OBSERVATIONS), policy(OBSERVATIONS))
    np.testing.assert_array_equal(back.log_std.numpy(), policy.log_std.numpy())

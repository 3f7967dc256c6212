"""BCQ's policy: bound of the perturbation, the best of its samples, acting and export."""

import numpy as np
import pytest
import tensorflow as tf

from mopo_tf2.networks.bcq_policy import BCQPolicy, Perturbation
from mopo_tf2.networks.q_function import QFunctions
from mopo_tf2.networks.variational_autoencoder import ActionDecoder

OBSERVATIONS = np.random.RandomState(0).normal(size=(9, 3)).astype(np.float32)


def perturbation_of(bias, phi):
    """A perturbation network that gives ``bias`` anywhere."""
    layer = Perturbation(2, (4,), phi=phi)
    layer.build((None, 3), (None, 2))
    weights = [np.zeros_like(weight) for weight in layer.get_weights()]
    weights[-1][:] = bias
    layer.set_weights(weights)
    return layer


@pytest.fixture(scope="module")
def policy():
    decoder = ActionDecoder(2, (16,), seed=1)
    decoder.build((None, 3), (None, 4))
    perturbation = Perturbation(2, (8,), phi=0.05, seed=2)
    perturbation.build((None, 3), (None, 2))
    critic = QFunctions((8,), num_critics=1, seed=3)
    critic.build((None, 3), (None, 2))
    return BCQPolicy(decoder, perturbation, critic, num_actions=7, latent_clip=0.5)


@pytest.mark.parametrize(("bias", "change"), [(100.0, 0.25), (-100.0, -0.25), (0.0, 0.0)])
def test_an_action_moves_by_phi_at_most(bias, change):
    actions = np.array([[0.5, -0.5]], np.float32)
    moved = perturbation_of(bias, 0.25)(OBSERVATIONS[:1], actions)
    np.testing.assert_array_equal(moved, actions + np.float32(change))


def test_a_perturbed_action_stays_in_bounds():
    actions = np.array([[0.9, 0.0]], np.float32)
    moved = perturbation_of(100.0, 0.25)(OBSERVATIONS[:1], actions)
    np.testing.assert_array_equal(moved, [[1.0, 0.25]])


def test_the_best_of_the_samples_is_taken(policy):
    latents = np.random.RandomState(1).normal(size=(7, 4)).astype(np.float32)
    best = policy.best_actions(tf.constant(OBSERVATIONS), tf.constant(latents)).numpy()
    for observation, action in zip(OBSERVATIONS, best, strict=True):
        repeated = np.repeat(observation[None], 7, axis=0)
        candidates = policy.decoder(repeated, np.clip(latents, -0.5, 0.5))
        candidates = policy.perturbation(repeated, candidates)
        q = policy.critic(repeated, candidates).numpy()[0, :, 0]
        np.testing.assert_allclose(action, candidates[int(np.argmax(q))], rtol=1e-5, atol=1e-6)


def test_same_seed_same_actions_call_by_call(policy):
    first, second = policy.acting(9, 4), policy.acting(9, 4)
    for _ in range(3):
        np.testing.assert_array_equal(first(OBSERVATIONS), second(OBSERVATIONS))


def test_every_call_and_every_seed_samples_anew(policy):
    act = policy.acting(9, 4)
    first = act(OBSERVATIONS)
    assert not np.array_equal(act(OBSERVATIONS), first)
    assert not np.array_equal(policy.acting(9, 5)(OBSERVATIONS), first)


@pytest.mark.parametrize("rows", [9, 4])
def test_an_action_does_not_depend_on_the_other_rows(policy, rows):
    together = policy.acting(rows, 4)(OBSERVATIONS)
    assert together.shape == (9, 2)
    for i in range(9):
        alone = policy.acting(rows, 4)(OBSERVATIONS[i : i + 1])
        np.testing.assert_array_equal(alone, together[i : i + 1])


def test_actions_follow_the_weights(policy):
    act = policy.acting(9, 4)
    layers = policy.decoder, policy.perturbation
    kept = [layer.get_weights() for layer in layers]
    for layer in layers:
        layer.set_weights([np.zeros_like(weight) for weight in layer.get_weights()])
    np.testing.assert_array_equal(act(OBSERVATIONS), np.zeros((9, 2)))
    for layer, weights in zip(layers, kept, strict=True):
        layer.set_weights(weights)


def test_an_exported_policy_acts_as_before(policy):
    arrays, metadata = policy.exported()
    # As the first version wrote them.
    parts = {"decoder": 4, "perturbation": 4, "critic": 4}
    assert set(arrays) == {f"{part}/{i}" for part, count in parts.items() for i in range(count)}
    assert metadata == {
        "obs_dim": 3,
        "act_dim": 2,
        "latent_dim": 4,
        "num_actions": 7,
        "latent_clip": 0.5,
        "phi": 0.05,
        "decoder_hidden_sizes": [16],
        "perturbation_hidden_sizes": [8],
        "critic_hidden_sizes": [8],
    }
    restored = BCQPolicy.from_exported(arrays, metadata)
    np.testing.assert_array_equal(
        restored.acting(9, 4)(OBSERVATIONS), policy.acting(9, 4)(OBSERVATIONS)
    )

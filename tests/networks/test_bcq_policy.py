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


@pytest.mark.parametrize(
    ("bias", "action", "moved"),
    [
        (100.0, [0.5, -0.5], [0.75, -0.25]),
        (-100.0, [0.5, -0.5], [0.25, -0.75]),
        (0.0, [0.5, -0.5], [0.5, -0.5]),
        (100.0, [0.9, 0.0], [1.0, 0.25]),
    ],
)
def test_an_action_moves_by_phi_at_most_and_stays_in_bounds(bias, action, moved):
    actions = np.array([action], np.float32)
    np.testing.assert_array_equal(perturbation_of(bias, 0.25)(OBSERVATIONS[:1], actions), [moved])


def test_the_best_of_the_samples_is_taken(policy):
    latents = np.random.RandomState(1).normal(size=(7, 4)).astype(np.float32)
    best = policy.best_actions(tf.constant(OBSERVATIONS), tf.constant(latents)).numpy()
    for observation, action in zip(OBSERVATIONS, best, strict=True):
        repeated = np.repeat(observation[None], 7, axis=0)
        candidates = policy.decoder(repeated, np.clip(latents, -0.5, 0.5))
        candidates = policy.perturbation(repeated, candidates)
        q = policy.critic(repeated, candidates).numpy()[0, :, 0]
        np.testing.assert_allclose(action, candidates[int(np.argmax(q))], rtol=1e-5, atol=1e-6)


def test_actions_are_sampled_anew_by_every_call_and_seed_and_repeat_with_the_seed(policy):
    (first, second), (again, _), (other, _) = (
        [act(OBSERVATIONS) for _ in range(2)]
        for act in (policy.acting(9, seed) for seed in (4, 4, 5))
    )
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, second)
    assert not np.array_equal(first, other)


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

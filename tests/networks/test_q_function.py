"""Critics, two at once."""

from pathlib import Path

import numpy as np
import pytest

from mopo_tf2.networks.q_function import QFunctions

RECORDING = Path(__file__).parents[2] / "parity" / "recordings" / "q_function.npz"


def built(obs_dim=3, act_dim=2, hidden=(8, 5), **options):
    critics = QFunctions(hidden, **options)
    critics.build((None, obs_dim), (None, act_dim))
    return critics


@pytest.mark.parametrize("critic", [0, 1])
def test_each_critic_gives_what_the_original_gives(critic):
    with np.load(RECORDING) as recording:
        weights = [recording[f"weights/{i}"] for i in range(6)]
        observations, actions, expected = (recording[k] for k in ("observations", "actions", "q"))
    critics = built(observations.shape[1], actions.shape[1], weights[1].shape + weights[3].shape)
    critics.set_critic_weights(critic, weights)
    q = critics(observations, actions)[critic]
    np.testing.assert_allclose(q, expected, rtol=1e-5, atol=1e-6)


def test_critic_weights_come_back_as_they_were_set():
    critics = built()
    randoms = np.random.RandomState(0)
    weights = [
        randoms.normal(size=shape).astype(np.float32)
        for shape in ((5, 8), (8,), (8, 5), (5,), (5, 1), (1,))
    ]
    critics.set_critic_weights(1, weights)
    for got, expected in zip(critics.critic_weights(1), weights, strict=True):
        np.testing.assert_array_equal(got, expected)


def test_setting_one_critic_leaves_the_other_alone():
    critics = built()
    before = critics.critic_weights(0)
    critics.set_critic_weights(1, [weight + 1 for weight in critics.critic_weights(1)])
    for got, expected in zip(critics.critic_weights(0), before, strict=True):
        np.testing.assert_array_equal(got, expected)


def test_weights_of_another_count_or_shape_are_refused():
    critics = built()
    weights = critics.critic_weights(0)
    with pytest.raises(ValueError, match="shorter"):
        critics.set_critic_weights(0, weights[:-1])
    with pytest.raises(ValueError, match="reshape"):
        critics.set_critic_weights(0, [weights[0][1:], *weights[1:]])


def test_critics_start_from_different_weights():
    critics = built()
    assert np.abs(critics.critic_weights(0)[0] - critics.critic_weights(1)[0]).min() > 0


def test_critics_rebuilt_from_their_configuration_have_the_same_weights():
    critics = built(num_critics=3, seed=7)
    twin = QFunctions.from_config(critics.get_config())
    twin.build((None, 3), (None, 2))
    for critic in range(3):
        for got, expected in zip(
            twin.critic_weights(critic), critics.critic_weights(critic), strict=True
        ):
            np.testing.assert_array_equal(got, expected)

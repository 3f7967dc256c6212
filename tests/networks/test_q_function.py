"""Critics, two at once."""

import numpy as np
import pytest

from mopo_tf2.networks.q_function import QFunctions


def built(obs_dim=3, act_dim=2, hidden=(8, 5), **options):
    critics = QFunctions(hidden, **options)
    critics.build((None, obs_dim), (None, act_dim))
    return critics


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

"""What a configuration of BCQ refuses, and its defaults."""

import pytest

from mopo_tf2.configs.bcq import BCQConfig
from mopo_tf2.errors import InputError


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"phi": -0.1}, "phi must be finite and not negative, got -0.1"),
        ({"phi": float("inf")}, "phi must be finite and not negative"),
        ({"lmbda": 1.5}, r"lmbda must lie in \[0, 1\], got 1.5"),
        ({"lmbda": -0.5}, r"lmbda must lie in \[0, 1\], got -0.5"),
        ({"tau": 2.0}, r"tau must lie in \[0, 1\]"),
        ({"discount": 1.1}, r"discount must lie in \[0, 1\]"),
        ({"kl_weight": -1.0}, "kl_weight must be finite and not negative"),
        ({"latent_dim": 0}, "latent_dim must be positive"),
        ({"latent_clip": 0.0}, "latent_clip must be positive"),
        ({"num_sampled_actions": 0}, "num_sampled_actions must be positive"),
        ({"num_evaluation_actions": 0}, "num_evaluation_actions must be positive"),
        ({"vae_hidden_sizes": ()}, "vae_hidden_sizes must be positive"),
        ({"perturbation_hidden_sizes": (0,)}, "perturbation_hidden_sizes must be positive"),
        ({"critic_hidden_sizes": (-1,)}, "critic_hidden_sizes must be positive"),
        ({"eval_deterministic": False}, "eval_deterministic is True by the definition"),
    ],
)
def test_unfit_values_are_refused_in_one_line(settings, message):
    with pytest.raises(InputError, match=message) as refusal:
        BCQConfig(**settings)
    assert "\n" not in str(refusal.value)


def test_defaults_are_those_of_the_authors():
    config = BCQConfig()
    assert (config.lmbda, config.phi, config.discount, config.tau) == (0.75, 0.05, 0.99, 0.005)
    assert (config.num_sampled_actions, config.num_evaluation_actions) == (10, 100)
    assert (config.lr, config.batch_size, config.kl_weight) == (1e-3, 100, 0.5)
    assert (config.latent_dim, config.latent_clip) == (None, 0.5)
    assert config.vae_hidden_sizes == (750, 750)
    assert config.perturbation_hidden_sizes == config.critic_hidden_sizes == (400, 300)

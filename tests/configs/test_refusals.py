"""What the configurations of the methods refuse, and the authors' defaults of BCQ."""

import pytest

from mopo_tf2.configs.bc import BCConfig
from mopo_tf2.configs.bcq import BCQConfig
from mopo_tf2.configs.fitted_q import FittedQConfig
from mopo_tf2.configs.morel import MORELConfig
from mopo_tf2.configs.online_sac import OnlineSACConfig
from mopo_tf2.errors import InputError


@pytest.mark.parametrize(
    ("cls", "settings", "message"),
    [
        (BCConfig, {"bc_loss": "nll"}, "bc_loss must be one of log_likelihood, mse, got 'nll'"),
        (BCConfig, {"policy_hidden_sizes": (8, 0)}, "policy_hidden_sizes must be positive"),
        (BCConfig, {"policy_lr": 0.0}, "policy_lr must be positive"),
        (BCConfig, {"action_margin": 0.0}, r"action_margin must lie in \[1e-7, 1\), got 0.0"),
        (BCConfig, {"bc_loss": "mse", "eval_deterministic": False}, "leave eval_deterministic"),
        (BCConfig, {"next_observations": "guess"}, "next_observations must be one of"),
        (BCConfig, {"eval_n_episodes": -1}, "eval_n_episodes must not be negative"),
        (BCQConfig, {"phi": float("inf")}, "phi must be finite and not negative"),
        (BCQConfig, {"lmbda": 1.5}, r"lmbda must lie in \[0, 1\], got 1.5"),
        (BCQConfig, {"kl_weight": -1.0}, "kl_weight must be finite and not negative"),
        (BCQConfig, {"latent_dim": 0}, "latent_dim must be positive"),
        (BCQConfig, {"vae_hidden_sizes": ()}, "vae_hidden_sizes must be positive"),
        (BCQConfig, {"eval_deterministic": False}, "eval_deterministic is True by the definition"),
        (FittedQConfig, {"discount": 1.0}, r"discount must lie in \[0, 1\)"),
        (FittedQConfig, {"steps": 0}, "steps must be positive"),
        (FittedQConfig, {"tau": 1.5}, "tau must lie in"),
        (MORELConfig, {"threshold_rule": "mean"}, "threshold_rule must be one of"),
        (MORELConfig, {"dynamics_networks": 1}, "dynamics_networks must be at least 2"),
        (MORELConfig, {"policy_hidden_layer_sizes": ()}, "policy_hidden_layer_sizes must be"),
        (MORELConfig, {"dynamics_holdout_ratio": 1.0}, r"must lie in \[0, 1\)"),
        (MORELConfig, {"halt_reward_offset": -1.0}, "halt_reward_offset must not be negative"),
        (MORELConfig, {"min_log_std": 0.5}, "min_log_std must not lie above init_log_std"),
        (OnlineSACConfig, {"steps": 20, "warm_up": 20}, "leaves nothing to learn"),
    ],
)
def test_values_out_of_range_are_refused_in_one_line(cls, settings, message):
    with pytest.raises(InputError, match=message) as refusal:
        cls(**settings)
    assert "\n" not in str(refusal.value)


def test_defaults_are_those_of_the_authors():
    config = BCQConfig()
    assert (config.lmbda, config.phi, config.discount, config.tau) == (0.75, 0.05, 0.99, 0.005)
    assert (config.num_sampled_actions, config.num_evaluation_actions) == (10, 100)
    assert (config.lr, config.batch_size, config.kl_weight) == (1e-3, 100, 0.5)
    assert (config.latent_dim, config.latent_clip) == (None, 0.5)
    assert config.vae_hidden_sizes == (750, 750)
    assert config.perturbation_hidden_sizes == config.critic_hidden_sizes == (400, 300)

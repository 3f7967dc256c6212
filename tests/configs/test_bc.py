"""What a configuration of BC refuses."""

import pytest

from mopo_tf2.configs.bc import BCConfig
from mopo_tf2.errors import InputError


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"bc_loss": "nll"}, "bc_loss must be one of log_likelihood, mse, got 'nll'"),
        ({"policy_hidden_sizes": ()}, "policy_hidden_sizes must be positive"),
        ({"policy_hidden_sizes": (8, 0)}, "policy_hidden_sizes must be positive"),
        ({"policy_lr": 0.0}, "policy_lr must be positive"),
        ({"batch_size": 0}, "batch_size must be positive"),
        ({"updates_per_call": 0}, "updates_per_call must be positive"),
        ({"action_margin": 0.0}, r"action_margin must lie in \[1e-7, 1\), got 0.0"),
        ({"action_margin": 1.0}, r"action_margin must lie in \[1e-7, 1\), got 1.0"),
        ({"bc_loss": "mse", "eval_deterministic": False}, "leave eval_deterministic true"),
        ({"epoch_length": 0}, "epoch_length must be positive"),
    ],
)
def test_unfit_values_are_refused_in_one_line(settings, message):
    with pytest.raises(InputError, match=message) as refusal:
        BCConfig(**settings)
    assert "\n" not in str(refusal.value)

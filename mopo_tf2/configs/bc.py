"""Behaviour cloning: the configuration."""

import dataclasses

from mopo_tf2.config import LoopConfig
from mopo_tf2.config_fields import require, require_positive

BC_LOSSES = ("log_likelihood", "mse")


@dataclasses.dataclass(frozen=True, kw_only=True)
class BCConfig(LoopConfig):
    """Behaviour cloning. Network, learning rate and batch are those of the policy of ``SACConfig``.

    The field names are this project's own; the paper gives no settings for BC.
    """

    epoch_length: int = 1000
    """Gradient steps of one epoch."""
    eval_deterministic: bool = True
    """Evaluate tanh(mean); otherwise sample actions, which needs bc_loss = log_likelihood."""
    bc_loss: str = "log_likelihood"
    """'log_likelihood': maximise log pi(a | s); 'mse': squared error of tanh(mean), no std."""
    policy_hidden_sizes: tuple[int, ...] = (256, 256)
    """Units of each hidden layer of the policy."""
    policy_lr: float = 3e-4
    """Adam's learning rate."""
    batch_size: int = 256
    """Rows of one gradient step."""
    action_margin: float = 1e-6  # D-120
    """For the log-likelihood, actions are clipped to 1 minus this before atanh. Raise it or use
    'mse' for data whose actions were clipped at their bounds instead of squashed."""
    updates_per_call: int = 100
    """Gradient steps per compiled call; affects speed only."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_positive(self, "policy_lr", "batch_size", "updates_per_call")
        require(
            bool(self.policy_hidden_sizes) and min(self.policy_hidden_sizes) > 0,
            f"policy_hidden_sizes must be positive numbers, got {self.policy_hidden_sizes}.",
        )
        require(
            self.bc_loss in BC_LOSSES,
            f"bc_loss must be one of {', '.join(BC_LOSSES)}, got {self.bc_loss!r}.",
        )
        # Float32 has no number between 1 - 2^-24 and 1: a smaller margin would be none.
        require(
            1e-7 <= self.action_margin < 1.0,
            f"action_margin must lie in [1e-7, 1), got {self.action_margin}.",
        )
        require(
            self.eval_deterministic or self.bc_loss == "log_likelihood",
            "bc_loss = mse trains no std to sample with: leave eval_deterministic true, "
            "or set bc_loss = log_likelihood.",
        )

"""Batch-constrained deep Q-learning: the configuration."""

import dataclasses
import math
from typing import Any, ClassVar

from mopo_tf2.config import LoopConfig
from mopo_tf2.config_fields import require, require_positive, require_within


@dataclasses.dataclass(frozen=True, kw_only=True)
class BCQConfig(LoopConfig):
    """BCQ for continuous actions. Every default is that of the authors' code.

    BCQ paper (Fujimoto et al. 2019), section 5 and appendix; the authors' continuous_BCQ/BCQ.py.
    """

    FIXED: ClassVar[dict[str, Any]] = {"eval_deterministic": True}

    epoch_length: int = 1000
    """Gradient steps of one epoch."""
    eval_deterministic: bool = True
    """Must be true: BCQ evaluates the best of num_evaluation_actions samples."""
    lmbda: float = 0.75
    """lambda, weight of the smaller critic in the target; the larger has 1 - lambda."""
    phi: float = 0.05
    """Largest change of a sampled action by the perturbation network, per component."""
    num_sampled_actions: int = 10
    """n, actions sampled per next state for the critics' target."""
    num_evaluation_actions: int = 100
    """Actions sampled per state at evaluation, of which the best by critic 1 is taken."""
    latent_dim: int | None = None
    """L, size of the VAE's latent vector; none: twice the action size."""
    latent_clip: float = 0.5
    """Latent vectors that are sampled, not encoded, are clipped to [-this, this]."""
    kl_weight: float = 0.5
    """Factor on the KL term, a mean over batch and latent size, beside the squared error."""
    vae_hidden_sizes: tuple[int, ...] = (750, 750)
    """Hidden units of the VAE's encoder and of its decoder."""
    perturbation_hidden_sizes: tuple[int, ...] = (400, 300)
    """Hidden units of the perturbation network."""
    critic_hidden_sizes: tuple[int, ...] = (400, 300)
    """Hidden units of each of the two critics."""
    lr: float = 1e-3
    """Adam's learning rate, for VAE, perturbation network and critics."""
    batch_size: int = 100
    """Rows of one gradient step."""
    discount: float = 0.99
    """gamma, per simulator step."""
    tau: float = 5e-3
    """Polyak factor of the target critics and the target perturbation network, at each step."""
    updates_per_call: int = 100
    """Gradient steps per compiled call; affects speed only."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_positive(self, "num_sampled_actions", "num_evaluation_actions", "latent_dim")
        require_positive(self, "latent_clip", "lr", "batch_size", "updates_per_call")
        require_within(self, 0.0, 1.0, "lmbda", "discount", "tau")
        for name in ("phi", "kl_weight"):
            value = getattr(self, name)
            require(
                math.isfinite(value) and value >= 0.0,
                f"{name} must be finite and not negative, got {value}.",
            )
        for name in ("vae_hidden_sizes", "perturbation_hidden_sizes", "critic_hidden_sizes"):
            sizes = getattr(self, name)
            require(
                bool(sizes) and min(sizes) > 0, f"{name} must be positive numbers, got {sizes}."
            )

    @property
    def policy_discount(self) -> float:
        """The critics' discount."""
        return self.discount

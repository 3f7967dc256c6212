"""Coefficients of fitted-Q evaluation."""

import dataclasses

from mopo_tf2.config_fields import require, require_positive


@dataclasses.dataclass(frozen=True, kw_only=True)
class FittedQConfig:
    """Fitted-Q evaluation (Le, Voloshin and Yue 2019, Algorithm 3), with networks."""

    steps: int = 10_000
    """Gradient steps; the value is backed up about tau * steps times."""
    discount: float = 0.99
    """gamma, per step; below 1, because the horizon is infinite."""
    num_critics: int = 5
    """Critics with different initial weights; their spread is the reported interval."""
    hidden_layer_sizes: tuple[int, ...] = (128, 128)
    """Hidden units of each critic."""
    lr: float = 3e-4
    """Adam's learning rate."""
    batch_size: int = 256
    """Rows of one gradient step."""
    tau: float = 0.05
    """Polyak factor of the target critics, at each step."""
    steps_per_call: int = 100
    """Gradient steps per compiled call; affects speed only."""

    def __post_init__(self) -> None:
        require_positive(self, "steps", "num_critics", "lr", "batch_size", "tau", "steps_per_call")
        require(0.0 <= self.discount < 1.0, f"discount must lie in [0, 1), got {self.discount}.")
        require(self.tau <= 1.0, f"tau must lie in (0, 1], got {self.tau}.")

"""Configuration of online SAC, which makes data."""

import dataclasses

from mopo_tf2.config import SACConfig
from mopo_tf2.config_fields import require, require_positive


@dataclasses.dataclass(frozen=True, kw_only=True)
class OnlineSACConfig:
    """SAC trained in the task itself, for ``mopo-tf2 collect --policy sac``.

    Original: examples/development/base.py:get_variant_spec
    """

    steps: int
    """Number of environment steps; the replay buffer holds all of them."""
    warm_up: int = 5000
    """Steps with uniformly random actions before the first gradient step
    (n_initial_exploration_steps in the original program)."""
    block_steps: int = 50  # D-130
    """Environment steps with one policy, followed by as many gradient steps in one compiled call.
    1 is SAC as published, at a fraction of the speed."""
    max_path_length: int = 1000
    """Maximum length of an episode, in steps."""
    sac: SACConfig = dataclasses.field(default_factory=SACConfig)
    """The policy optimiser."""

    def __post_init__(self) -> None:
        require_positive(self, "steps", "warm_up", "block_steps", "max_path_length")
        require(
            self.steps > self.warm_up,
            f"--steps {self.steps} leaves nothing to learn after the warm_up of {self.warm_up} "
            "random steps: raise --steps, or --set warm_up=FEWER.",
        )

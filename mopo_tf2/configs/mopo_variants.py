"""MOPO variants that change one setting each: the baseline MBPO and the paper's ablations."""

import dataclasses
from typing import Any, ClassVar

from mopo_tf2.config import EnsembleConfig, MOPOConfig


@dataclasses.dataclass(frozen=True, kw_only=True)
class MBPOConfig(MOPOConfig):
    """Offline MBPO: MOPO without the penalty.

    MOPO paper (Yu et al. 2020), section 5.1, and its ablation "MOPO, no penalty".
    """

    FIXED: ClassVar[dict[str, Any]] = {"penalty_coeff": 0.0}

    penalty_coeff: float = 0.0
    """lambda: 0, no penalty."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class DisagreementConfig(MOPOConfig):
    """MOPO with the disagreement of the ensemble's means as its penalty.

    MOPO paper (Yu et al. 2020), appendix D, "MOPO, ens. pen.".
    """

    FIXED: ClassVar[dict[str, Any]] = {"penalty_learned_var": False}

    penalty_learned_var: bool = False
    """u is the disagreement of the members' means, not their learned std."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class OneNetworkConfig(MOPOConfig):
    """MOPO with one dynamics network instead of an ensemble; the penalty is its learned std.

    MOPO paper (Yu et al. 2020), appendix D, "MOPO, no ens.".
    """

    FIXED: ClassVar[dict[str, Any]] = {"num_networks": 1, "num_elites": 1}

    ensemble: EnsembleConfig = dataclasses.field(
        default_factory=lambda: EnsembleConfig(num_networks=1, num_elites=1)
    )
    """The dynamics network."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class TruePenaltyConfig(MOPOConfig):
    """MOPO with the model's true error as its penalty: an oracle, for simulator tasks only.

    MOPO paper (Yu et al. 2020), appendix D, "MOPO, true pen.".
    """

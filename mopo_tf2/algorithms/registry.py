"""The class that trains each method, by its name for ``--algorithm``."""

from typing import Any

from mopo_tf2.algorithms.bc import BC
from mopo_tf2.algorithms.bcq import BCQ
from mopo_tf2.algorithms.mopo import MOPO
from mopo_tf2.algorithms.mopo_variants import (
    MBPO,
    DisagreementMOPO,
    OneNetworkMOPO,
    TruePenaltyMOPO,
)
from mopo_tf2.algorithms.morel import MOReL
from mopo_tf2.algorithms.offline import OfflineAlgorithm
from mopo_tf2.algorithms.offline_sac import OfflineSAC
from mopo_tf2.config import LoopConfig
from mopo_tf2.networks.acting import ExportablePolicy
from mopo_tf2.networks.bcq_policy import BCQPolicy
from mopo_tf2.networks.gaussian_policy import GaussianPolicy
from mopo_tf2.networks.unsquashed_policy import UnsquashedGaussianPolicy
from mopo_tf2.types import Transitions

ALGORITHMS: dict[str, type[OfflineAlgorithm]] = {
    "mopo": MOPO,
    "mbpo": MBPO,
    "sac": OfflineSAC,
    "bc": BC,
    "bcq": BCQ,
    "mopo-disagreement": DisagreementMOPO,
    "mopo-one-network": OneNetworkMOPO,
    "mopo-true-penalty": TruePenaltyMOPO,
    "morel": MOReL,
}
"""By the names of ``mopo_tf2.configs.methods.METHODS``."""

POLICIES: dict[str, type[ExportablePolicy]] = {
    policy.kind: policy for policy in (GaussianPolicy, BCQPolicy, UnsquashedGaussianPolicy)
}
"""Classes of the policies that runs export, by the ``kind`` in their files."""


def make_algorithm(
    method: str, config: LoopConfig, transitions: Transitions, *args: Any, **kwargs: Any
) -> OfflineAlgorithm:
    """Return the object that trains ``method``; further arguments as ``OfflineAlgorithm``."""
    return ALGORITHMS[method](config, transitions, *args, **kwargs)

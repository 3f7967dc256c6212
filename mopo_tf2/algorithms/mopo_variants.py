"""MOPO variants that change one setting each: the baseline MBPO and the paper's ablations.

They differ in their configuration alone, except for the true penalty, which needs the simulator.
"""

from collections.abc import Callable

import numpy as np

from mopo_tf2.algorithms.mopo import MOPO
from mopo_tf2.errors import InputError
from mopo_tf2.evaluation.simulator import Simulator
from mopo_tf2.types import FloatArray


class MBPO(MOPO):
    """MBPO (Janner et al. 2019) on a fixed dataset: MOPO with penalty_coeff = 0."""


class DisagreementMOPO(MOPO):
    """MOPO whose u(s, a) is the largest distance of a member's mean from the average (Q-21)."""


class OneNetworkMOPO(MOPO):
    """MOPO with a single dynamics network, whose learned std is u(s, a)."""


class TruePenaltyMOPO(MOPO):
    """MOPO whose u(s, a) is the true error of the model: |mean s' - simulator's s'|, in L2.

    An oracle: it steps the simulator from every state that a rollout visits. Arguments as
    ``OfflineAlgorithm``; the first of ``environments`` must be a MuJoCo environment.

    Raises:
        InputError: if there is no simulator, or observations do not determine its state.

    MOPO paper (Yu et al. 2020), appendix D, "MOPO, true pen.".
    """

    def _true_penalty(self) -> Callable[[FloatArray, FloatArray, FloatArray], FloatArray]:
        if not self.environments:
            raise InputError(
                "mopo-true-penalty compares the model with the simulator and found none: use a "
                "built-in task and eval_n_episodes of 1 or more."
            )
        simulator = Simulator(self.environments[0])

        def true_error(
            observations: FloatArray, actions: FloatArray, means: FloatArray
        ) -> FloatArray:
            reached = simulator.next_observations(observations, actions)
            distances: FloatArray = np.linalg.norm(means - reached, axis=1, keepdims=True)
            return distances.astype(np.float32)

        return true_error

"""Soft actor-critic on the dataset alone: MOPO without a model."""

from typing import Any

import keras
import numpy as np

from mopo_tf2.algorithms.epoch_metrics import Stopwatch
from mopo_tf2.algorithms.offline import OfflineAlgorithm
from mopo_tf2.algorithms.sac import SAC
from mopo_tf2.config import OfflineSACConfig
from mopo_tf2.networks.gaussian_policy import GaussianPolicy
from mopo_tf2.types import FloatArray, Transitions


class OfflineSAC(OfflineAlgorithm):
    """SAC (Haarnoja et al. 2018) with batches from the dataset only: MOPO with real_ratio = 1.

    It is the baseline "SAC" of the paper's tables. Nothing stops the critics from overestimating
    actions that are not in the data. Arguments as ``OfflineAlgorithm``.

    Original: mopo/algorithms/mopo.py:MOPO
    """

    config: OfflineSACConfig

    def __init__(self, config: OfflineSACConfig, *args: Any, **kwargs: Any):
        super().__init__(config, *args, **kwargs)
        seeds = self.streams.weight_seeds
        self.sac = SAC(
            self.obs_dim,
            self.act_dim,
            config.sac,
            policy_seed=seeds["policy"],
            critics_seed=seeds["critics"],
        )

    @property
    def policy(self) -> GaussianPolicy:
        """SAC's policy."""
        return self.sac.policy

    def named_variables(self) -> dict[str, keras.Variable]:
        """Return policy, critics, target critics, temperature and optimisers."""
        return {f"sac/{name}": v for name, v in self.sac.named_variables().items()}

    def _train_one_epoch(self, clock: Stopwatch) -> tuple[dict[str, float], dict[str, float]]:
        with clock.measure("times/train"):
            self._update_policy(0, self.config.epoch_length)
        return self._diagnostics(), {}

    def _update_policy(self, first: int, last: int) -> None:
        """Take the SAC updates of timesteps ``first`` to ``last`` - 1 of this epoch.

        Original: softlearning/algorithms/rl_algorithm.py:RLAlgorithm._do_training_repeats
        """
        config = self.config
        due = [t for t in range(first, last) if t % config.train_every_n_steps == 0]
        # Whether the target critics move depends on the timestep, not on the number of updates.
        tau = np.array(
            [
                config.sac.tau if t % config.sac.target_update_interval == 0 else 0.0
                for t in due
                for _ in range(config.n_train_repeat)
            ],
            np.float32,
        )
        for start, count in self._step_blocks(len(tau), config.sac.updates_per_call):
            shape = (count, config.sac.batch_size, self.act_dim)
            noise, next_noise = self._device_normal(shape), self._device_normal(shape)
            block = tau[start : start + count]
            self.sac.update_block(self._batches(count), noise, next_noise, block)

    def _batches(self, count: int) -> Transitions:
        """Draw ``count`` stacked training batches."""
        return self._dataset_batches(count, self.config.sac.batch_size)

    def _diagnostics(self) -> dict[str, float]:
        """Describe critics and policy on a fresh training batch (Q-86).

        Original: softlearning/algorithms/rl_algorithm.py:RLAlgorithm._evaluation_batch
        """
        batch = Transitions(*(column[0] for column in self._batches(1)))
        shape = (self.config.sac.batch_size, self.act_dim)
        return self.sac.diagnostics(batch, self._device_normal(shape), self._device_normal(shape))

    def _sample_actions(self, observations: FloatArray, chunk_size: int) -> FloatArray:
        latents = self._device_normal((len(observations), self.act_dim)).numpy()
        return self.sac.sample_actions(observations, latents, chunk_size)

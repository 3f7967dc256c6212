"""Model-based offline policy optimisation: the loop over model, rollouts and policy."""

import math
from collections.abc import Callable
from typing import Any, ClassVar

import keras
import numpy as np

from mopo_tf2.algorithms.epoch_metrics import ROLLOUT_KEYS, RolloutStatistics, Stopwatch
from mopo_tf2.algorithms.model_evaluation import evaluate_in_model, model_return_statistics
from mopo_tf2.algorithms.offline_sac import OfflineSAC
from mopo_tf2.config import MOPOConfig
from mopo_tf2.data.batches import mixed_batches, rollout_starts
from mopo_tf2.data.replay_pool import ReplayPool
from mopo_tf2.dynamics.ensemble import GaussianEnsemble
from mopo_tf2.dynamics.model_env import ModelEnvironment
from mopo_tf2.dynamics.rollouts import branched_rollouts
from mopo_tf2.dynamics.training import EnsembleTrainer
from mopo_tf2.evaluation.episodes import evaluation_seeds
from mopo_tf2.types import FloatArray, Transitions


class MOPO(OfflineSAC):
    """SAC on a mix of the dataset and short rollouts in a learned model. The model's uncertainty
    lowers the rewards of the rollouts. Arguments as ``OfflineAlgorithm``.

    Original: mopo/algorithms/mopo.py:MOPO
    """

    config: MOPOConfig
    needs_model: ClassVar[bool] = True

    def __init__(self, config: MOPOConfig, *args: Any, **kwargs: Any):
        super().__init__(config, *args, **kwargs)
        self.ensemble = GaussianEnsemble(
            self.obs_dim, self.act_dim, config.ensemble, self.streams.weight_seeds["ensemble"]
        )
        self.model_pool = ReplayPool(config.model_pool_capacity, self.obs_dim, self.act_dim)
        self.model_environment = self._model_environment(config.rollout_chunk_size)
        # Episodes are few: in chunks of the rollouts' size most rows would be padding.
        self.evaluation_model = self._model_environment(max(config.eval_n_episodes, 1))

    def _model_environment(self, chunk_size: int) -> ModelEnvironment:
        return ModelEnvironment(
            self.ensemble,
            self.termination_fn,
            penalty_coeff=self.config.penalty_coeff,
            penalty_learned_var=self.config.penalty_learned_var,
            true_penalty=self._true_penalty(),
            chunk_size=chunk_size,
        )

    def _true_penalty(self) -> Callable[[FloatArray, FloatArray, FloatArray], FloatArray] | None:
        """Return the function that replaces u, see ``ModelEnvironment``; None here."""
        return None

    def train_model(
        self, max_epochs: int | None = None, *, after_epoch: Callable[[], None] = lambda: None
    ) -> None:
        """Train the ensemble on the dataset, or continue its training after ``restore``.

        Original: mopo/algorithms/mopo.py:MOPO._train_model
        """
        trainer: Any = self._trainer or self._make_trainer()
        self._trainer = trainer
        result = trainer.train(
            self.environment_pool.stored(),
            self.streams.host,
            max_epochs=max_epochs,
            progress=self.progress,
            after_epoch=after_epoch,
        )
        self._trainer = None
        self._accept_model(result.val_loss, result.seconds)

    def _make_trainer(self) -> EnsembleTrainer:
        return EnsembleTrainer(self.ensemble)

    def use_model(self, val_loss: float) -> None:
        """Continue with weights, scaler and elites that were loaded into ``ensemble``.

        D-14: the original trains a loaded model for one more epoch, with another hold-out and
        scaler; here that is ``model_loaded_max_epochs``, 0 by default.

        Args:
            val_loss: its hold-out loss.
        """
        if self.config.ensemble.model_loaded_max_epochs:
            self.train_model(self.config.ensemble.model_loaded_max_epochs)
        else:
            self._accept_model(val_loss, 0.0)

    def _train_one_epoch(self, clock: Stopwatch) -> tuple[dict[str, float], dict[str, float]]:
        config = self.config
        rollout_metrics = dict.fromkeys(ROLLOUT_KEYS, math.nan)
        for first in range(0, config.epoch_length, config.model_train_freq):
            last = min(first + config.model_train_freq, config.epoch_length)
            if config.real_ratio < 1.0:
                with clock.measure("times/epoch_rollout_model"):
                    rollout_metrics = self._roll_out_model()
            with clock.measure("times/train"):
                self._update_policy(first, last)
        return self._diagnostics(), rollout_metrics

    def _roll_out_model(self) -> dict[str, float]:
        """Fill the model pool with one round of rollouts; return its statistics.

        Original: mopo/algorithms/mopo.py:MOPO._rollout_model
        """
        config = self.config
        starts = rollout_starts(self.environment_pool, config.rollout_batch_size, self.streams.host)
        statistics = RolloutStatistics(config.rollout_batch_size, config.penalty_coeff)
        penalties = []
        for step in branched_rollouts(
            self.model_environment,
            lambda observations: self._sample_actions(observations, config.rollout_chunk_size),
            starts,
            config.rollout_length,
            self.streams.host,
            deterministic=config.ensemble.deterministic,
            progress=self.progress,
        ):
            self.model_pool.add(step.transitions)
            statistics.add(step)
            penalties.append(step.penalties[:, 0])
        self.progress.distribution("model/penalty", np.concatenate(penalties))
        return statistics.metrics()

    def _batches(self, count: int) -> Transitions:
        return mixed_batches(
            self.environment_pool,
            self.model_pool if self.config.real_ratio < 1.0 else None,
            self.streams.host,
            count=count,
            batch_size=self.config.sac.batch_size,
            real_ratio=self.config.real_ratio,
        )

    def _evaluate(self) -> dict[str, float]:
        """Run the evaluation episodes; without a simulator, in the model (D-143)."""
        metrics, config = super()._evaluate(), self.config
        if self.environments or not config.eval_n_episodes or not config.model_eval_horizon:
            return metrics
        in_the_model = evaluate_in_model(
            self.evaluation_model,
            self._evaluation_policy(),
            self.environment_pool.stored(),
            episodes=config.eval_n_episodes,
            horizon=config.model_eval_horizon,
            seed=evaluation_seeds(self.seed, self.epoch, 1)[0],
            on_step=self.progress.evaluation_step,
        )
        self.progress.distribution("model_evaluation/return", in_the_model.returns)
        return {**metrics, **model_return_statistics(in_the_model)}

    def named_variables(self) -> dict[str, keras.Variable]:
        """Return the ensemble's variables and those of SAC."""
        model = {f"model/{name}": v for name, v in self.ensemble.named_variables().items()}
        return {**model, **super().named_variables()}

    def arrays(self) -> dict[str, np.ndarray]:
        """See ``OfflineAlgorithm.arrays``.

        D-31: the original saves neither ensemble, model pool nor target critics (Q-84).

        Original: examples/development/main.py:ExperimentRunner.picklables
        """
        rollouts = self.model_pool.stored()._asdict().items()
        return {**super().arrays(), **{f"model_pool/{name}": v for name, v in rollouts}}

    def counters(self) -> dict[str, Any]:
        """See ``OfflineAlgorithm.counters``."""
        return {
            **super().counters(),
            "elites": self.ensemble.elites,
            "model_pool_pointer": self.model_pool.pointer,
        }

    def restore(self, arrays: dict[str, np.ndarray], counters: dict[str, Any]) -> None:
        """See ``OfflineAlgorithm.restore``."""
        super().restore(arrays, counters)
        stored = Transitions(*(arrays[f"model_pool/{field}"] for field in Transitions._fields))
        self.model_pool.restore(stored, counters["model_pool_pointer"])
        self.ensemble.elites = list(counters["elites"])

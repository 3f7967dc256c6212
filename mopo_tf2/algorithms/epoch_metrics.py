"""Metrics of a policy-training epoch: names, sums and times."""

import contextlib
import math
import time
from collections.abc import Iterator

import numpy as np

from mopo_tf2.dynamics.rollouts import RolloutStep
from mopo_tf2.errors import DivergenceError

ROLLOUT_KEYS = (
    "model/mean_rollout_length",
    "model/penalty-mean",
    "model/penalty-max",
    "model/penalty-reward-share",
)
EVALUATION_KEYS = (
    *(f"evaluation/return-{name}" for name in ("average", "min", "max", "std")),
    *(f"evaluation/episode-length-{name}" for name in ("avg", "min", "max", "std")),
    "evaluation/normalized-score",
    "training/return-average",
)


class RolloutStatistics:
    """Sums over the steps of one round of rollouts.

    Args:
        starts: number of rollouts begun.
        penalty_coeff: lambda.
    """

    def __init__(self, starts: int, penalty_coeff: float):
        self.starts, self.penalty_coeff = starts, penalty_coeff
        self.states, self.penalty_sum, self.penalty_max, self.reward_sum = 0, 0.0, -math.inf, 0.0

    def add(self, step: RolloutStep) -> None:
        """Count one step."""
        self.states += len(step.penalties)
        self.penalty_sum += float(np.sum(step.penalties, dtype=np.float64))
        self.penalty_max = max(self.penalty_max, float(np.max(step.penalties)))
        self.reward_sum += float(np.sum(np.abs(step.raw_rewards)))

    def metrics(self) -> dict[str, float]:
        """Return mean length; mean and maximum of u; its share lambda mean(u) / mean |r|."""
        subtracted = self.penalty_coeff * self.penalty_sum
        share = subtracted / self.reward_sum if self.reward_sum else math.nan
        mean_penalty = self.penalty_sum / self.states
        values = (self.states / self.starts, mean_penalty, self.penalty_max, share)
        return dict(zip(ROLLOUT_KEYS, values, strict=True))


class Stopwatch:
    """Seconds spent in each named part of an epoch, in ``seconds`` by metric name."""

    def __init__(self) -> None:
        names = ("epoch_rollout_model", "train", "evaluation_paths")
        self.seconds = {f"times/{name}": 0.0 for name in names}

    @contextlib.contextmanager
    def measure(self, name: str) -> Iterator[None]:
        """Add the time of the ``with`` block to ``name``."""
        started = time.monotonic()
        yield
        self.seconds[name] += time.monotonic() - started


def refuse_divergence(diagnostics: dict[str, float], epoch: int) -> None:
    """Raise DivergenceError if one of ``diagnostics`` is NaN or infinite."""
    # D-13: the original trains on, with NaN in every network.
    bad = [name for name, value in diagnostics.items() if not math.isfinite(value)]
    if bad:
        raise DivergenceError(
            f"policy training diverged in epoch {epoch}: {', '.join(bad)} not finite. Likely "
            "causes, the first one first: rewards of thousands (set reward_scale), a penalty_coeff "
            "too small for the model's errors, actions that the data hold at their bounds, a large "
            "lr. Resume from the last checkpoint or start another run."
        )

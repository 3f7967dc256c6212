"""The phases of a training run, timed inside the very loop that trains.

``MOPO.train`` reports the seconds of each part of an epoch (``times/*`` of progress.csv) and
``MOPO.train_model`` the end of each model epoch; nothing is measured beside them.
"""

import dataclasses
import statistics
import time
from typing import Any, NamedTuple

from mopo_tf2.algorithms.mopo import MOPO
from mopo_tf2.configs.d4rl import find_task
from mopo_tf2.data.datasets import load_dataset
from mopo_tf2.dynamics.termination import find_termination_fn
from mopo_tf2.evaluation.environments import make_environment
from mopo_tf2.evaluation.episodes import evaluation_seeds, run_episodes
from mopo_tf2.progress import NoProgress
from mopo_tf2.types import FloatArray, Transitions

from .work import ensemble_step_flop, rollout_state_flop, sac_update_flop

TASK = "halfcheetah_mixed"
DATASET = "halfcheetah-sac-replay-v0"
MODEL_EPOCHS = 4
POLICY_EPOCHS = 4


class Rate(NamedTuple):
    """Units a second (median of the repeats), and floating-point operations of one unit."""

    rate: float
    flop: int

    def fraction(self, matmul_gflops: float) -> float:
        """Return the share of the machine's matrix product that the phase reaches."""
        return self.rate * self.flop / (matmul_gflops * 1e9)


class EpochTimes(NamedTuple):
    """What the policy-training epochs of a run took, medians.

    sac: updates a second, drawing the batches from the pools included.
    rollout: model rollout states a second; noise, penalty and filling the pool included.
    evaluation_rate: steps of the real environment a second, the policy included.
    seconds: one whole epoch.
    """

    sac: Rate
    rollout: Rate
    evaluation_rate: float
    seconds: float


class _StepRates(NoProgress):
    """Listens to ensemble training: gradient steps a second of each epoch.

    An epoch lasts from one hold-out evaluation to the next, so it includes drawing the batches,
    the shuffle and the evaluation.
    """

    def __init__(self) -> None:
        self.rates: list[float] = []
        self._steps, self._started = 0, time.perf_counter()

    def model_step(self, epoch: int, done: int, total: int) -> None:
        self._steps = done

    def model_epoch(self, *_: object) -> None:
        now = time.perf_counter()
        self.rates.append(self._steps / (now - self._started))
        self._started = now


def make_mopo(transitions: Transitions, **changes: Any) -> MOPO:
    """Make a run of ``TASK`` on ``transitions``; ``changes`` of its full-size configuration."""
    task = find_task(TASK)
    config = dataclasses.replace(task.config(), **changes)
    environments = [make_environment(task.domain) for _ in range(config.eval_n_episodes)]
    return MOPO(config, transitions, find_termination_fn(task.domain), environments=environments)


def shipped_transitions() -> Transitions:
    """Return the dataset that ships, paired as for training."""
    return load_dataset(DATASET).transitions


def measure_ensemble(mopo: MOPO) -> Rate:
    """Train the ensemble for a few epochs; the first one, which compiles, does not count."""
    steps = _StepRates()
    mopo.progress = steps
    mopo.train_model(max_epochs=MODEL_EPOCHS + 1)
    mopo.progress = NoProgress()
    return Rate(statistics.median(steps.rates[1:]), ensemble_step_flop(mopo.ensemble))


def measure_epochs(mopo: MOPO) -> EpochTimes:
    """Train the policy for a few epochs; the first one, which compiles, does not count.

    Args:
        mopo: with environments. Its ensemble is trained, or taken as it is: an epoch takes the
            same time on any halfcheetah model, since nothing ends a rollout early.
    """
    if not mopo.model_trained:
        mopo.use_model(val_loss=0.0)
    epochs = mopo.train()
    next(epochs)
    rows = [next(epochs) for _ in range(POLICY_EPOCHS)]
    config = mopo.config

    def rate(units: str | float, seconds: str) -> float:
        return statistics.median(
            (row[units] if isinstance(units, str) else units) / row[seconds] for row in rows
        )

    steps = config.eval_n_episodes * config.max_path_length
    states = config.rollout_batch_size * config.rollout_length
    if any(row["model/mean_rollout_length"] != config.rollout_length for row in rows):
        raise RuntimeError("a rollout ended early: the number of states is not what was counted.")
    return EpochTimes(
        sac=Rate(rate(config.epoch_length, "times/train"), sac_update_flop(mopo.sac)),
        rollout=Rate(
            rate(states, "times/epoch_rollout_model"), rollout_state_flop(mopo.sac, mopo.ensemble)
        ),
        evaluation_rate=rate(steps, "times/evaluation_paths"),
        seconds=statistics.median(row["times/epoch"] for row in rows),
    )


def raw_stepping_rate(mopo: MOPO, repeats: int = 3) -> float:
    """Steps a second of the evaluation environments in one process without a policy.

    They repeat the policy's own episodes: how long MuJoCo takes depends on where the body is.
    """
    environments = mopo.environments
    seeds = evaluation_seeds(mopo.seed, mopo.epoch, len(environments))
    mode = mopo.policy.acting(len(environments))
    taken: list[FloatArray] = []

    def recorded(observations: FloatArray) -> FloatArray:
        taken.append(mode(observations))
        return taken[-1]

    run_episodes(recorded, environments, seeds, max_path_length=mopo.config.max_path_length)
    rates = []
    for _ in range(repeats):
        for seed, environment in zip(seeds, environments, strict=True):
            environment.reset(seed=seed)
        started = time.perf_counter()
        for actions in taken:
            for action, environment in zip(actions, environments, strict=True):
                environment.step(action)
        rates.append(len(taken) * len(environments) / (time.perf_counter() - started))
    return statistics.median(rates)

"""Training a population: many seeds of the port at the size at which the original was run."""

import contextlib
import dataclasses
import functools
import multiprocessing
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pandas as pd

from mopo_tf2.config import EnsembleConfig, MOPOConfig, SACConfig
from mopo_tf2.configs.d4rl import find_task
from mopo_tf2.data.datasets import load_dataset
from mopo_tf2.device import use_device
from mopo_tf2.progress import NoProgress

from .files import LOGGED, Population


@dataclasses.dataclass(frozen=True)
class Setting:
    """What the original was run on.

    Attributes:
        dataset: a shipped name, or a file.
        model_max_epochs: cap on the training of the ensemble.
    """

    dataset: str
    model_max_epochs: int


SETTINGS = {
    "hopper_random": Setting(str(Path(__file__).with_name("hopper-random-5k.hdf5")), 20),
    "halfcheetah_mixed": Setting("halfcheetah-sac-replay-v0", 4),
}
"""By the name of the configuration."""


def population_config(task: str) -> MOPOConfig:
    """Return the configuration of the original's runs of ``task``, of ``SETTINGS``."""
    return dataclasses.replace(
        find_task(task).config(),
        epoch_length=250,
        n_epochs=20,
        model_train_freq=250,
        rollout_batch_size=2000,
        rollout_chunk_size=2000,
        eval_n_episodes=3,
        max_path_length=300,
        ensemble=EnsembleConfig(hidden_dim=64, model_max_epochs=SETTINGS[task].model_max_epochs),
        sac=SACConfig(hidden_layer_sizes=(64, 64), updates_per_call=250),
    )


def train_population(
    task: str,
    seeds: Sequence[int],
    *,
    wrong: str | None = None,
    processes: int = 1,
    on_run: Callable[[Population], None] = lambda run: None,
) -> None:
    """Train one run per seed.

    Args:
        task: of ``SETTINGS``.
        seeds: of the runs.
        wrong: of ``WRONG_PORTS``; None for the port itself.
        processes: how many train at a time, each on one thread.
        on_run: given each run, as a population of one, once it is done.
    """
    with ProcessPoolExecutor(
        processes, mp_context=multiprocessing.get_context("spawn"), initializer=_be_modest
    ) as pool:
        runs = [pool.submit(_train, task, seed, wrong) for seed in seeds]
        try:
            for run in as_completed(runs):
                on_run(run.result())
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _be_modest() -> None:
    os.nice(10)
    use_device("cpu", threads=1)


class _HoldoutLosses(NoProgress):
    """Keeps the hold-out losses of the ensemble, one row [E] per epoch of its training."""

    def __init__(self) -> None:
        self.rows: list[np.ndarray] = []

    def model_epoch(self, epoch: int, holdout_losses: np.ndarray, *others: Any) -> None:
        """See ``Progress.model_epoch``."""
        self.rows.append(np.array(holdout_losses))


def _train(task: str, seed: int, wrong: str | None) -> Population:
    """Train one run in this process, whose every run is of the same ``task`` and ``wrong``."""
    make, algorithm = _compiled(task, wrong)
    # A run starts as one that is resumed before its first step, so that nothing compiles again.
    fresh = make(seed)
    algorithm.restore(fresh.arrays(), fresh.counters())
    algorithm.seed, algorithm.progress = seed, _HoldoutLosses()
    progress = pd.DataFrame(list(algorithm.train()))[["epoch", *LOGGED]]
    progress["epoch"] = progress["epoch"].astype(int)
    losses = np.array(algorithm.progress.rows)
    holdout = pd.DataFrame(losses, columns=[f"V{i}" for i in range(losses.shape[1])])
    holdout.insert(0, "epoch", np.arange(len(losses)))
    for table in (progress, holdout):
        table.insert(0, "seed", seed)
    return Population(progress, holdout)


_patches = contextlib.ExitStack()
"""What the runs of this process change in the library."""


@functools.cache
def _compiled(task: str, wrong: str | None) -> tuple[Callable[[int], Any], Any]:
    """Return what makes an algorithm of a seed, and the one that this process trains with."""
    from mopo_tf2.algorithms import mopo
    from mopo_tf2.dynamics.termination import find_termination_fn
    from mopo_tf2.dynamics.training import EnsembleTrainer
    from mopo_tf2.evaluation.environments import make_environment

    from .wrong_ports import WRONG_PORTS

    config, domain = population_config(task), find_task(task).environment
    if wrong is not None:
        config = WRONG_PORTS[wrong].config(config)
        _patches.enter_context(WRONG_PORTS[wrong].applied())
    dataset = load_dataset(SETTINGS[task].dataset, max_size=config.pool_max_size)
    make = functools.partial(mopo.MOPO, config, dataset.transitions, find_termination_fn(domain))
    environments = [make_environment(domain) for _ in range(config.eval_n_episodes)]
    algorithm = make(environments=environments)
    trainer = EnsembleTrainer(algorithm.ensemble)
    fresh = [variable.numpy() for variable in trainer.optimizer.variables]

    def same_trainer(ensemble: Any) -> Any:
        for variable, value in zip(trainer.optimizer.variables, fresh, strict=True):
            variable.assign(value)
        return trainer

    _patches.enter_context(mock.patch.object(mopo, "EnsembleTrainer", same_trainer))
    return lambda seed: make(seed=seed), algorithm


def _forget() -> None:
    """Leave the process as it was before its first run."""
    _compiled.cache_clear()
    _patches.close()

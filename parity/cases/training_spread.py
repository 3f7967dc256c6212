"""Ten trainings of the port beside the original's ten: the same distributions?"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import scipy.stats

from mopo_tf2.config import EnsembleConfig
from mopo_tf2.dynamics.ensemble import GaussianEnsemble
from mopo_tf2.dynamics.training import EnsembleTrainer

from ..comparison import Comparison, same_law
from ..recording import Recording
from ..registry import Case

PROBED_ROWS = 50
"""The recorder's mean predicted variance is over the first rows of the inputs."""


class _Outcome(NamedTuple):
    val_loss: float
    epochs: int
    final_max_logvar: float
    final_min_logvar: float
    mean_predicted_var: float


def _replay(recording: Recording) -> Iterator[Comparison]:
    outcomes = _train_all(recording)
    for name in _Outcome._fields:
        recorded = recording[name]
        # One number per training: the values of one training are no independent sample.
        recorded = recorded.reshape(len(recorded), -1).mean(axis=1)
        ours = np.array([getattr(outcome, name) for outcome in outcomes])
        yield from _same_law(name, recorded, ours)


def _same_law(name: str, recorded: np.ndarray, ours: np.ndarray) -> Iterator[Comparison]:
    tests = (
        ("Kolmogorov-Smirnov", scipy.stats.ks_2samp(recorded, ours)),
        ("Mann-Whitney", scipy.stats.mannwhitneyu(recorded, ours)),
    )
    medians = f"medians {np.median(recorded):.4g} recorded, {np.median(ours):.4g} here"
    for test, result in tests:
        p_value = float(result.pvalue)
        yield same_law(p_value, f"spread of {name}", name, f"{medians}; {test}", len(ours))


def _train_all(recording: Recording) -> list[_Outcome]:
    """Train once per recorded seed, each time from the port's own initial weights.

    One trainer serves all, so that its steps are compiled once.
    """
    inputs, targets = recording["inputs"], recording["targets"]
    obs_dim = targets.shape[1] - 1
    sizes = (obs_dim, inputs.shape[1] - obs_dim)
    config = EnsembleConfig(
        num_networks=recording.integer("num_networks"),
        num_elites=recording.integer("num_elites"),
        hidden_dim=recording.integer("hidden_dim"),
        model_batch_size=recording.integer("batch_size"),
        model_holdout_ratio=recording.number("holdout_ratio"),
        model_max_epochs=recording.optional_integer("max_epochs"),
        model_max_epochs_since_update=recording.integer("max_epochs_since_update"),
        model_steps_per_call=1000,
    )
    trainer = EnsembleTrainer(GaussianEnsemble(*sizes, config))
    fresh = [variable.numpy() for variable in trainer.optimizer.variables]
    outcomes = []
    for seed in map(int, recording["numpy_seeds"]):
        named = trainer.ensemble.named_variables()
        for name, variable in GaussianEnsemble(*sizes, config, seed).named_variables().items():
            named[name].assign(variable.numpy())
        for variable, value in zip(trainer.optimizer.variables, fresh, strict=True):
            variable.assign(value)
        result = trainer.train_on(inputs, targets, np.random.RandomState(seed))
        _, variances = trainer.ensemble.predict(inputs[:PROBED_ROWS])
        outcomes.append(
            _Outcome(
                result.val_loss,
                result.epochs,
                float(trainer.ensemble.max_logvar.numpy().mean()),
                float(trainer.ensemble.min_logvar.numpy().mean()),
                float(variances.numpy().mean()),
            )
        )
    return outcomes


CASES = [
    Case(
        name="bnn_train_spread",
        replay=_replay,
        inputs=(
            "inputs",
            "targets",
            "batch_size",
            "max_epochs",
            "max_epochs_since_update",
            "num_networks",
            "num_elites",
            "hidden_dim",
            "holdout_ratio",
            "numpy_seeds",
        ),
        compared=_Outcome._fields,
    )
]

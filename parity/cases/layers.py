"""Batched dense layer, its initial weights, and the input scaler."""

from collections.abc import Iterator

import numpy as np
import scipy.stats

from mopo_tf2.dynamics.losses import weight_decay
from mopo_tf2.dynamics.scaler import Scaler
from mopo_tf2.networks.ensemble_dense import EnsembleDense

from ..comparison import Comparison, compare, require, same_law
from ..recording import Recording
from ..registry import Case

_FINEST_SHARE = 1e-6
"""Rounding of a float32 truncation, as a share of its bound."""


def _replay_layer(recording: Recording) -> Iterator[Comparison]:
    kernel, bias = recording["weights"], recording["biases"]
    for name in recording.prefixes("output_2d"):
        activation = None if name == "linear" else name.lower()
        layer = EnsembleDense(kernel.shape[2], kernel.shape[0], activation)
        layer.build((None, kernel.shape[1]))
        layer.set_weights([kernel, bias])
        for rank in ("2d", "3d"):
            outputs = layer(recording[f"input_{rank}"]).numpy()
            yield compare(recording, f"{name}/output_{rank}", outputs, "layer", f"forward, {rank}")
        decay = weight_decay([layer.kernel.value], [recording.number("weight_decay")])
        yield compare(recording, f"{name}/decay", decay.numpy(), "op", "weight decay")


def _replay_initialisation(recording: Recording) -> Iterator[Comparison]:
    recorded = recording["weights"]
    members, input_dim, units = recorded.shape
    layer = EnsembleDense(units, members, "swish")
    layer.build((None, recording.integer("input_dim")))
    kernel = layer.kernel.numpy()
    yield require(
        kernel.shape == recorded.shape, "shape", "weights", f"{kernel.shape}", values=recorded.size
    )
    yield compare(recording, "biases", layer.bias.numpy(), "exact", "biases")
    yield from _same_moments(recorded.ravel(), kernel.ravel())
    # Twice the original's stddev 1 / (2 sqrt(in)): what truncation leaves of both sides.
    bound = 1.0 / np.sqrt(input_dim)
    for values, whose in ((recorded, "the recording"), (kernel, "the port")):
        largest = np.abs(values).max() / bound
        fault = f"{whose} reaches {largest:.4f} of the bound of two standard deviations"
        inside = 0.95 < largest <= 1.0 + _FINEST_SHARE
        yield require(bool(inside), "truncation", "weights", fault, values=values.size)


def _same_moments(recorded: np.ndarray, ours: np.ndarray) -> Iterator[Comparison]:
    size = ours.size
    tests = (
        ("mean", "Welch's t", scipy.stats.ttest_ind(recorded, ours, equal_var=False)),
        ("spread", "Levene", scipy.stats.levene(recorded, ours, center="mean")),
        ("whole distribution", "Kolmogorov-Smirnov", scipy.stats.ks_2samp(recorded, ours)),
    )
    for group, test, result in tests:
        yield same_law(float(result.pvalue), group, "weights", test, size)


def _replay_scaler(recording: Recording) -> Iterator[Comparison]:
    data, query = recording["data"], recording["query"]
    scaler = Scaler(data.shape[1])
    scaler.fit(data)
    yield compare(recording, "mu", scaler.mu.numpy(), "op", "fit")
    yield compare(recording, "sigma", scaler.sigma.numpy(), "op", "fit")
    yield compare(recording, "transformed", np.asarray(scaler.transform(query)), "op", "transform")
    inverse = np.asarray(scaler.inverse_transform(query))
    yield compare(recording, "inverse_transformed", inverse, "op", "inverse transform")


CASES = [
    Case(
        name="fc_layer",
        replay=_replay_layer,
        inputs=("weights", "biases", "input_2d", "input_3d", "weight_decay"),
        compared=("*/output_2d", "*/output_3d", "*/decay"),
    ),
    Case(
        name="fc_init",
        replay=_replay_initialisation,
        inputs=("input_dim",),
        compared=("weights", "biases"),
    ),
    Case(
        name="scaler",
        replay=_replay_scaler,
        inputs=("data", "query"),
        compared=("mu", "sigma", "transformed", "inverse_transformed"),
    ),
]

"""Recorded parameters into the library's own classes, and findings about whole networks."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import scipy.stats

from mopo_tf2.algorithms.sac import SAC
from mopo_tf2.config import EnsembleConfig
from mopo_tf2.data.replay_pool import ReplayPool
from mopo_tf2.dynamics.ensemble import GaussianEnsemble
from mopo_tf2.types import Transitions

from .comparison import Comparison, compare, compare_values, require, same_law
from .recording import Recording

PARAMETERS = "names and shapes of the parameters"
ENSEMBLE_ARRAYS = (
    "scaler/mu",
    "scaler/sigma",
    "layers/*",
    "var_layers/*",
    "max_logvar",
    "min_logvar",
)
"""Patterns of the arrays of a recorded ensemble, below its prefix."""

SAC_ARRAYS = ("policy/*", "q1/*", "q2/*", "target_q1/*", "target_q2/*", "log_alpha")
"""Patterns of the arrays of a recorded policy with its critics, below its prefix."""


def below(prefix: str, patterns: tuple[str, ...]) -> tuple[str, ...]:
    """Return the patterns with ``prefix/`` in front."""
    return tuple(f"{prefix}/{pattern}" for pattern in patterns)


def recorded_ensemble(recording: Recording, prefix: str) -> dict[str, np.ndarray]:
    """Return the arrays of the ensemble that was recorded under ``prefix``."""
    starts = ("scaler/", "layers/", "var_layers/", "max_logvar", "min_logvar")
    names = [name.removeprefix(prefix + "/") for name in recording if name.startswith(prefix + "/")]
    return {name: recording[f"{prefix}/{name}"] for name in names if name.startswith(starts)}


def build_ensemble(arrays: Mapping[str, np.ndarray], **settings: Any) -> GaussianEnsemble:
    """Build an ensemble of the size that ``arrays`` tell, and with the ``settings``.

    Args:
        arrays: as ``recorded_ensemble`` gives them.
        settings: further fields of ``EnsembleConfig``.
    """
    first = arrays["layers/0/weights"]
    obs_dim = arrays["max_logvar"].shape[1] - 1
    sizes = {
        "num_networks": first.shape[0],
        "hidden_dim": first.shape[2],
        "separate_mean_var": any(name.startswith("var_layers/") for name in arrays),
    }
    config = EnsembleConfig(**{"num_elites": 1, **sizes, **settings})
    return GaussianEnsemble(obs_dim, first.shape[1] - obs_dim, config)


def load_ensemble(
    ensemble: GaussianEnsemble, arrays: Mapping[str, np.ndarray], prefix: str
) -> Iterator[Comparison]:
    """Put recorded arrays into ``ensemble``; yield what does not fit.

    A variable that is not recorded, or has another shape, keeps its value.
    """
    named = ensemble.named_variables()
    for name in sorted(set(named) | set(arrays)):
        ours = named[name].shape if name in named else None
        theirs = arrays[name].shape if name in arrays else None
        fault = f"shape {ours} in the port, {theirs} recorded"
        yield require(ours == theirs, PARAMETERS, f"{prefix}/{name}", fault)
        if ours == theirs:
            named[name].assign(arrays[name])


def compare_ensemble(
    recording: Recording,
    prefix: str,
    ensemble: GaussianEnsemble,
    rung: str,
    group: str,
    *,
    members: np.ndarray | None = None,
    without: tuple[str, ...] = (),
) -> Iterator[Comparison]:
    """Compare the weights with those recorded under ``prefix``.

    Scaler and log-variance bounds have groups to themselves.

    Args:
        recording: of the case.
        prefix: of the arrays.
        ensemble: the port's.
        rung: of the weights and bounds; the scaler is made by NumPy alone.
        group: row of the table.
        members: [E] bool, whose weights to compare; None for all.
        without: variables to leave out.
    """
    for name, variable in ensemble.named_variables().items():
        if name in without:
            continue
        array, values = f"{prefix}/{name}", variable.numpy()
        if name.startswith("scaler/"):
            yield compare(recording, array, values, "op", f"{group}: scaler")
        elif name.endswith("logvar"):
            yield compare(recording, array, values, rung, f"{group}: log-variance bounds")
        else:
            yield compare(recording, array, values, rung, group, rows=members)


def load_sac(sac: SAC, recording: Recording, prefix: str, *, targets: str = "target_q") -> None:
    """Put recorded weights into policy, critics, target critics and temperature.

    Args:
        sac: to be loaded.
        recording: of the case.
        prefix: of the arrays.
        targets: names of the arrays for the target critics, without their number.
    """
    sac.policy.set_weights(recorded_layers(recording, f"{prefix}/policy"))
    for critic in range(sac.critics.num_critics):
        weights = recorded_layers(recording, f"{prefix}/q{critic + 1}")
        sac.critics.set_critic_weights(critic, weights)
        target = recorded_layers(recording, f"{prefix}/{targets}{critic + 1}")
        sac.target_critics.set_critic_weights(critic, target)
    sac.log_alpha.assign(recording[f"{prefix}/log_alpha"])


def compare_sac(
    recording: Recording,
    prefix: str,
    sac: SAC,
    rung: str,
    group: str,
    *,
    critics_rung: str | None = None,
) -> Iterator[Comparison]:
    """Compare every weight with those recorded under ``prefix``; one group per kind of network.

    Args:
        recording: of the case.
        prefix: of the arrays.
        sac: the port's.
        rung: of the weights.
        group: how the groups' names start.
        critics_rung: of the critics, if it is another one.
    """
    yield from compare_layers(
        recording, f"{prefix}/policy", sac.policy.get_weights(), rung, f"{group}: policy"
    )
    for kind, name, critics, their_rung in (
        ("critics", "q", sac.critics, critics_rung or rung),
        ("target critics", "target_q", sac.target_critics, rung),
    ):
        for critic in range(critics.num_critics):
            weights = critics.critic_weights(critic)
            layers = f"{prefix}/{name}{critic + 1}"
            yield from compare_layers(recording, layers, weights, their_rung, f"{group}: {kind}")
    yield compare(
        recording, f"{prefix}/log_alpha", sac.log_alpha.numpy(), rung, f"{group}: temperature"
    )


def compare_sac_slots(
    recording: Recording, prefix: str, sac: SAC, group: str
) -> Iterator[Comparison]:
    """Compare Adam's moments with those recorded as ``prefix/PART/I/m`` and ``.../v``."""
    for letter, rung in (("m", "first_moment"), ("v", "second_moment")):
        for part, optimizer in sac.optimizers.items():
            slots = optimizer._momentums if letter == "m" else optimizer._velocities
            for i, slot in enumerate(slots):
                for name, values in _by_network(part, slot.numpy()):
                    array = f"{prefix}/{name}/{i}/{letter}"
                    ours = values.reshape(recording[array].shape)
                    yield compare(recording, array, ours, rung, f"{group}: Adam's {letter}")


def _by_network(part: str, values: np.ndarray) -> list[tuple[str, np.ndarray]]:
    """Return the recorder's name of each network of ``part``, and its values."""
    if part == "critics":
        return [(f"q{i + 1}", critic) for i, critic in enumerate(values)]
    return [({"temperature": "log_alpha"}.get(part, part), values)]


def recorded_layers(recording: Recording, prefix: str) -> list[np.ndarray]:
    """Return the arrays ``prefix/0``, ``prefix/1``, ...: kernel, bias, kernel, bias, ..."""
    arrays = recording.under(prefix)
    return [arrays[str(i)] for i in range(len(arrays))]


def compare_layers(
    recording: Recording, prefix: str, weights: list[np.ndarray], rung: str, group: str
) -> Iterator[Comparison]:
    """Compare kernels and biases with the arrays ``prefix/0``, ``prefix/1``, ..."""
    count = len(recording.under(prefix))
    fault = f"{len(weights)} arrays in the port, {count} recorded"
    yield require(count == len(weights), PARAMETERS, prefix, fault)
    for i, weight in enumerate(weights[:count]):
        yield compare(recording, f"{prefix}/{i}", weight, rung, group)


def compare_initial(recording: Recording, networks: Mapping[str, Any]) -> Iterator[Comparison]:
    """Compare the initial weights of Keras networks with those recorded under their names.

    Shapes with ``shapes/NAME/I``, laws with the sample ``initial/NAME/I``. Leading axes that were
    not recorded, of ensembles, are left out of the shape.
    """
    for network, layers in networks.items():
        for i, weight in enumerate(layers.get_weights()):
            name = f"{network}/{i}"
            shape, sample = recording[f"shapes/{name}"], recording[f"initial/{name}"]
            ours = np.array(weight.shape[-len(shape) :])
            yield compare(recording, f"shapes/{name}", ours, "exact", PARAMETERS)
            p_value = scipy.stats.ks_2samp(sample, weight.ravel()).pvalue
            test = "Kolmogorov-Smirnov"
            yield same_law(p_value, "initial weights", f"initial/{name}", test, sample.size)


def hidden_sizes(recording: Recording) -> tuple[int, ...]:
    """Return the recorded sizes of a policy's or critic's hidden layers."""
    return tuple(int(size) for size in recording["hidden_layer_sizes"])


def recorded_transitions(recording: Recording, prefix: str) -> Transitions:
    """Return the transitions recorded as ``prefix/observations`` and so on."""
    return Transitions(*(recording[f"{prefix}/{name}"] for name in Transitions._fields))


def compare_transitions(
    recording: Recording, prefix: str, ours: Transitions, rung: str, group: str
) -> Iterator[Comparison]:
    """Compare transitions with those recorded under ``prefix``; terminals must be equal."""
    for name, column in ours._asdict().items():
        kind = "exact" if name == "terminals" else rung
        yield compare(recording, f"{prefix}/{name}", column, kind, group)


def filled_pool(transitions: Transitions, capacity: int) -> ReplayPool:
    """Return a pool of ``capacity`` rows that holds ``transitions``."""
    pool = ReplayPool(capacity, transitions.observations.shape[1], transitions.actions.shape[1])
    pool.add(transitions)
    return pool


def compare_number(recorded: Any, ours: Any, rung: str, group: str, name: str) -> Comparison:
    """Compare a number that is derived from recorded ones."""
    return compare_values(np.asarray(recorded), np.asarray(ours), rung, group, name)

"""MOReL against mjrl: its model, its planner, its behaviour cloning, its defaults."""

import contextlib
import dataclasses
import functools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from mopo_tf2.algorithms.epoch_metrics import Stopwatch
from mopo_tf2.algorithms.morel.learner import MOReL, clone_behaviour
from mopo_tf2.algorithms.morel.model import (
    Paths,
    PessimisticModel,
    ResidualEnsemble,
    ResidualTrainer,
)
from mopo_tf2.algorithms.morel.npg import PolicyRows, path_mask, policy_rows, unflat
from mopo_tf2.configs.morel import MORELConfig
from mopo_tf2.dynamics.termination import never
from mopo_tf2.dynamics.training import format_samples
from mopo_tf2.networks.feedforward import Feedforward
from mopo_tf2.networks.unsquashed_policy import MAX_LOG_STD, UnsquashedGaussianPolicy
from mopo_tf2.progress import NoProgress
from mopo_tf2.types import Transitions

from ..comparison import Comparison, Finding, compare, compare_values
from ..loading import compare_initial, compare_layers, recorded_layers
from ..recording import Recording
from ..registry import Case

MEMBERS_FIRST = ("dynamics", "rewards")
TRANSFORMATIONS = tuple(
    f"{name}_{kind}" for name in ("input", "output", "reward") for kind in ("shift", "scale")
)


def _transitions(recording: Recording) -> Transitions:
    columns = {name: recording[name] for name in Transitions._fields if f"{name}" in recording}
    rows = len(columns["observations"])
    empty = {
        "rewards": np.zeros((rows, 1), np.float32),
        "next_observations": columns["observations"],
        "terminals": np.zeros((rows, 1), bool),
    }
    return Transitions(**{**empty, **columns})


def _sizes(layers: list[np.ndarray]) -> tuple[int, ...]:
    """Return the units of the hidden layers."""
    return tuple(int(kernel.shape[-1]) for kernel in layers[:-2:2])


def _set(network: Feedforward, layers: list[np.ndarray]) -> None:
    shapes = [variable.shape for variable in network.variables]
    network.set_weights([np.reshape(a, s) for a, s in zip(layers, shapes, strict=True)])


def _ensemble(recording: Recording, prefix: str) -> ResidualEnsemble:
    dynamics, rewards = (recorded_layers(recording, f"{prefix}/{n}") for n in MEMBERS_FIRST)
    members, inputs, _ = dynamics[0].shape
    obs_dim = dynamics[-1].shape[-1]
    ensemble = ResidualEnsemble(
        obs_dim,
        inputs - obs_dim,
        num_networks=members,
        hidden_layer_sizes=_sizes(dynamics),
        reward_hidden_layer_sizes=_sizes(rewards),
    )
    _set(ensemble.network, dynamics)
    _set(ensemble.reward_network, rewards)
    return ensemble


def _networks(ensemble: ResidualEnsemble) -> dict[str, Feedforward]:
    return dict(zip(MEMBERS_FIRST, (ensemble.network, ensemble.reward_network), strict=True))


def _layers(
    recording: Recording, prefix: str, arrays: list[Any], rung: str, group: str
) -> Iterator[Comparison]:
    """Compare weights or gradients, in the recorded shapes."""
    recorded = recorded_layers(recording, prefix)
    values = [np.asarray(a).reshape(r.shape) for a, r in zip(arrays, recorded, strict=False)]
    yield from compare_layers(recording, prefix, values, rung, group)


@contextlib.contextmanager
def _eagerly() -> Iterator[None]:
    """Run compiled steps one by one: a few small ones take less time than their compilation."""
    before = tf.config.functions_run_eagerly()
    tf.config.run_functions_eagerly(True)
    try:
        yield
    finally:
        tf.config.run_functions_eagerly(before)


def _replay_dynamics(recording: Recording) -> Iterator[Finding]:
    transitions, ensemble = _transitions(recording), _ensemble(recording, "initial")
    trainer = ResidualTrainer(
        ensemble,
        lr=recording.number("learning_rate"),
        batch_size=recording["dynamics/batch_indices"].shape[-1],
        holdout_ratio=0.0,
        max_holdout=1,
    )
    inputs, targets = format_samples(transitions)
    ensemble.fit_transformations(inputs, targets)
    named = ensemble.named_variables()
    for name in TRANSFORMATIONS:
        # The recorded sums are float32; of a constant column nothing is left but rounding.
        ours = named[name].numpy()
        yield compare(recording, f"final/{name}", ours, "op", "transformations")
    for part, (steps, _) in zip(MEMBERS_FIRST, trainer._parts, strict=True):
        yield from _training(recording, part, ensemble, steps, (inputs, targets))
    yield from _model(recording, transitions)


def _training(
    recording: Recording, part: str, ensemble: ResidualEnsemble, steps: Any, data: Any
) -> Iterator[Comparison]:
    """Compare one kind of network: losses and gradients, then weights after 1, 5 and 50 steps."""
    network = _networks(ensemble)[part]
    losses_of = ensemble.losses if part == "dynamics" else ensemble.reward_losses
    batches = recording[f"{part}/batch_indices"].swapaxes(0, 1)
    inputs, targets = (values[batches] for values in data)
    recorded_losses = recording[f"{part}/step_losses"]
    with tf.GradientTape() as tape:
        losses = losses_of(inputs[0], targets[0])
        total = tf.reduce_sum(losses)
    first = np.zeros_like(recorded_losses)
    first[:, 0] = losses
    is_first = np.zeros(recorded_losses.shape[1], bool)
    is_first[0] = True
    array = f"{part}/step_losses"
    yield compare_values(
        recorded_losses.T, first.T, "loss", f"{part}: first losses", array, rows=is_first
    )
    gradients = tape.gradient(total, [v.value for v in network.trainable_variables])
    prefix = f"{part}/gradients"
    yield from _layers(recording, prefix, gradients, "gradient", f"{part}: gradients")
    done = 0
    for count in (1, 5, 50):
        with _eagerly():
            steps(inputs[done:count], targets[done:count])
        done, group = count, f"{part}: after {count} steps"
        prefix = f"{part}/after_{count}_steps"
        yield from _layers(recording, prefix, network.get_weights(), "torch_updates", group)
    # What follows shall not see the rounding of these steps.
    _set(network, recorded_layers(recording, f"final/{part}"))


def _model(recording: Recording, transitions: Transitions) -> Iterator[Comparison]:
    """Compare predictions, discrepancies and threshold of the recorded final model."""
    ensemble = _ensemble(recording, "final")
    for name in TRANSFORMATIONS:
        ensemble.named_variables()[name].assign(recording[f"final/{name}"])
    probes = (recording["probes/observations"], recording["probes/actions"])
    rewards, following = ensemble.predict(*probes)
    array = "probes/next_observations"
    yield compare(recording, array, following.numpy(), "forward", "predicted states")
    yield compare(recording, "probes/rewards", rewards.numpy(), "forward", "predicted rewards")
    model = PessimisticModel(ensemble, never)
    coefficient = recording.number("pessimism_coeff")
    model.fit(transitions, MORELConfig().threshold_rule, coefficient, 0.0)
    ours = model.discrepancies(transitions.observations, transitions.actions)
    yield compare(recording, "discrepancies", ours, "penalty", "discrepancies")
    yield compare(recording, "threshold", model.threshold.numpy(), "penalty", "threshold")


class _Scripted:
    """Stands for the host's random stream: the recorded starts and order of the baseline's rows."""

    def __init__(self) -> None:
        self.order = np.zeros(0, np.int64)

    def randint(self, low: int, high: int, size: int) -> np.ndarray:
        return np.arange(low, size)

    def permutation(self, count: int) -> np.ndarray:
        """Return the recorded order, or any where the paths miss already."""
        return self.order if count == len(self.order) else np.arange(count)


class _Observed(MOReL):
    """Takes recorded noise, and notes what an iteration computes."""

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.streams = dataclasses.replace(self.streams, host=_Scripted())  # type: ignore[arg-type]
        self.latents = np.zeros(0, np.float32)
        self.noted: dict[str, Any] = {}
        natural, baseline = self.natural_gradient, self.baseline
        natural.step = functools.partial(self._step, natural.step)  # type: ignore[method-assign]
        baseline.values = functools.partial(self._values, baseline.values)  # type: ignore[method-assign]
        baseline.fit = functools.partial(self._fit, baseline.fit)  # type: ignore[method-assign]

    def _device_normal(self, shape: tuple[int, ...]) -> Any:
        return tf.constant(self.latents, shape=shape)

    def _paths(self) -> Paths:
        self.noted["paths"] = super()._paths()
        return self.noted["paths"]

    def _improve(self, paths: Paths, mask: np.ndarray, advantages: np.ndarray) -> Any:
        self.noted.update(mask=mask, advantages=advantages)
        self.noted["result"] = super()._improve(paths, mask, advantages)
        return self.noted["result"]

    def _step(self, step: Callable[..., Any], rows: PolicyRows, count: int) -> Any:
        """Take the step; compute its parts, which a compiled call does not show, the first time."""
        if "gradient" not in self.noted:
            chunks = tf.constant(count)
            gradient = self.natural_gradient.gradient(rows, chunks)
            direction = self.natural_gradient.direction(rows, chunks, gradient)
            self.noted.update(gradient=gradient, direction=direction)
        return step(rows, count)

    def _values(self, values: Callable[..., Any], features: np.ndarray) -> np.ndarray:
        self.noted["baseline"] = values(features)
        return self.noted["baseline"]

    def _fit(self, fit: Callable[..., Any], features: Any, returns: Any, *others: Any) -> None:
        self.noted["returns"] = returns
        fit(features, returns, *others)


def _planner(recording: Recording) -> _Observed:
    settings = recording.under("settings")
    ensemble = _ensemble(recording, "ensemble")
    policy = recorded_layers_of_policy(recording, "initial/policy")
    baseline = recorded_layers(recording, "initial/baseline")
    latents = recording["iteration_0/latents"]
    horizon, _, act_dim = latents.shape
    names = "cg_iterations cg_damping gae_lambda min_log_std baseline_lr baseline_batch_size"
    names += " baseline_weight_decay baseline_epochs"
    config = MORELConfig(
        **{name: settings[name].item() for name in names.split()},
        npg_step_size=settings["step_size"].item(),
        npg_discount=settings["discount"].item(),
        init_log_std=float(policy[0][0]),
        dynamics_networks=ensemble.num_networks,
        dynamics_hidden_layer_sizes=ensemble.network.hidden_layer_sizes,
        reward_hidden_layer_sizes=ensemble.reward_network.hidden_layer_sizes,
        policy_hidden_layer_sizes=_sizes(policy[1:]),
        baseline_hidden_layer_sizes=_sizes(baseline),
        halt="truncate",
        start_state="dataset",
        num_trajectories=len(recording["iteration_0/starts"]),
        horizon=horizon,
        eval_n_episodes=0,
    )
    starts = recording["iteration_0/starts"]
    rows = {name: np.zeros((len(starts), 1), np.float32) for name in Transitions._fields}
    rows["actions"] = np.zeros((len(starts), act_dim), np.float32)
    rows["observations"] = rows["next_observations"] = starts
    rows["terminals"] = np.zeros((len(starts), 1), bool)
    planner = _Observed(config, Transitions(**rows), never)
    _set(planner.ensemble.network, recorded_layers(recording, "ensemble/dynamics"))
    _set(planner.ensemble.reward_network, recorded_layers(recording, "ensemble/rewards"))
    for name in TRANSFORMATIONS:
        planner.ensemble.named_variables()[name].assign(recording[f"ensemble/{name}"])
    planner.pessimistic_model.threshold.assign(settings["threshold"])
    _set_policy(planner.policy, policy)
    _set(planner.baseline.network, baseline)
    return planner


def recorded_layers_of_policy(recording: Recording, prefix: str) -> list[np.ndarray]:
    """Return the log stddev, then kernel, bias, kernel, ...: the order of the port's variables."""
    arrays = recording.under(prefix)
    return [arrays["log_std"], *(arrays[str(i)] for i in range(len(arrays) - 1))]


def _set_policy(policy: UnsquashedGaussianPolicy, arrays: list[np.ndarray]) -> None:
    for variable, values in zip(policy.trainable_variables, arrays, strict=True):
        variable.assign(values)


def _compare_policy(
    recording: Recording, prefix: str, arrays: list[Any], rung: str, group: str
) -> Iterator[Comparison]:
    names = ["log_std", *(str(i) for i in range(len(arrays) - 1))]
    for name, values in zip(names, arrays, strict=True):
        yield compare(recording, f"{prefix}/{name}", np.asarray(values), rung, group)


def _replay_iterations(recording: Recording) -> Iterator[Finding]:
    planner = _planner(recording)
    yield from _fisher(recording, planner)
    for prefix in sorted(name for name in recording.prefixes("starts")):
        yield from _iteration(recording, planner, prefix)


def _fisher(recording: Recording, planner: MOReL) -> Iterator[Comparison]:
    observations = recording["fisher/observations"]
    rows, count = policy_rows(
        observations,
        np.zeros((len(observations), planner.act_dim)),
        np.zeros(len(observations)),
        chunk_size=64,
        max_rows=len(observations),
    )
    vector = recorded_layers_of_policy(recording, "fisher/vector")
    natural = planner.natural_gradient
    flat = tf.concat([tf.reshape(part, [-1]) for part in vector], axis=0)
    product = natural.fisher_vector_product(rows, tf.constant(count), flat)
    parts = unflat(product, [variable.value for variable in natural.variables])
    group = "Fisher-vector product"
    yield from _compare_policy(recording, "fisher/product", parts, "gradient", group)


def _iteration(recording: Recording, planner: _Observed, prefix: str) -> Iterator[Comparison]:
    """Run one epoch of the learner and compare all that it computes."""
    host: Any = planner.streams.host
    group = prefix.replace("_", " ")
    planner.environment_pool.stored().observations[:] = recording[f"{prefix}/starts"]
    planner.latents = recording[f"{prefix}/latents"]
    lengths, horizon = recording[f"{prefix}/paths/lengths"], planner.config.horizon
    places = _places(path_mask(lengths, horizon))
    host.order = places[recording[f"{prefix}/baseline_order"]]
    if prefix == "iteration_0":  # one compilation of the baseline's steps for all iterations
        planner.baseline._steps._longest = host.order.size // planner.config.baseline_batch_size
    planner._train_one_epoch(Stopwatch())
    yield from _paths(recording, planner, f"{prefix}/paths", group)
    variables = [variable.value for variable in planner.natural_gradient.variables]
    for name, rung in (("gradient", "gradient"), ("direction", "npg_direction")):
        if f"{prefix}/{name}/0" not in recording:
            continue
        parts = unflat(planner.noted[name], variables)
        yield from _compare_policy(recording, f"{prefix}/{name}", parts, rung, f"{group}: {name}")
    yield from _outcome(recording, planner, prefix, group)


def _places(mask: np.ndarray) -> np.ndarray:
    """Return the rows of a mask [T, N] in the order of mjrl, which goes path by path."""
    places = np.zeros(mask.shape, np.int64)
    places[mask] = np.arange(mask.sum())
    return places.T[mask.T]


def _paths(
    recording: Recording, planner: _Observed, prefix: str, group: str
) -> Iterator[Comparison]:
    noted, paths = planner.noted, planner.noted["paths"]
    for name in ("lengths", "terminated"):
        yield compare(
            recording, f"{prefix}/{name}", getattr(paths, name), "exact", f"{group}: ends"
        )
    for name in ("observations", "actions", "rewards"):
        ours = getattr(paths, name)
        yield compare(recording, f"{prefix}/{name}", ours, "model_path", f"{group}: paths")
    for name in ("returns", "baseline", "advantages"):
        ours = np.zeros(noted["mask"].shape)
        ours[noted["mask"]] = noted[name]
        yield compare(recording, f"{prefix}/{name}", ours, "model_path", f"{group}: {name}")


def _outcome(
    recording: Recording, planner: _Observed, prefix: str, group: str
) -> Iterator[Comparison]:
    result = planner.noted["result"]
    before, values = planner.noted["returns"], planner.noted["baseline"]
    errors = {
        "alpha": result.step_size,
        "kl_dist": result.kl,
        "VF_error_before": np.square(before - values).sum() / np.square(before).sum(),
    }
    for name, ours in errors.items():
        yield compare(recording, f"{prefix}/{name}", np.asarray(ours), "npg_step", f"{group}: step")
    weights = [variable.numpy() for variable in planner.policy.trainable_variables]
    yield from _compare_policy(
        recording, f"{prefix}/policy", weights, "npg_weights", f"{group}: policy"
    )
    weights = planner.baseline.network.get_weights()
    prefix, group = f"{prefix}/baseline", f"{group}: fitted baseline"
    yield from _layers(recording, prefix, weights, "torch_updates", group)


class _Rows:
    """Stands for a random stream that draws the recorded rows."""

    def __init__(self, rows: np.ndarray, epochs: int):
        self._rows = iter(np.split(rows, epochs))

    def randint(self, low: int, high: int, size: tuple[int, int]) -> np.ndarray:
        rows = next(self._rows)
        if rows.shape != size:
            raise ValueError(f"{size} rows where {rows.shape} were recorded")
        return rows


def _replay_cloning(recording: Recording) -> Iterator[Comparison]:
    transitions = _transitions(recording)
    initial = recorded_layers_of_policy(recording, "initial")
    policy = UnsquashedGaussianPolicy(transitions.actions.shape[1], _sizes(initial[1:]))
    policy.build((None, transitions.observations.shape[1]))
    _set_policy(policy, initial)
    # mjrl does not standardise (D-117).
    policy.standardise = lambda shift, scale: None  # type: ignore[method-assign]
    rows = recording["batch_indices"]
    batch_size = rows.shape[1]
    epochs = len(rows) // (len(transitions.observations) // batch_size)
    with _eagerly():
        clone_behaviour(
            policy,
            transitions,
            _Rows(rows, epochs),  # type: ignore[arg-type]
            epochs=epochs,
            lr=recording.number("learning_rate"),
            batch_size=batch_size,
            progress=NoProgress(),
        )
    weights = [variable.numpy() for variable in policy.trainable_variables]
    yield from _compare_policy(recording, "final", weights, "torch_updates", "cloned policy")


SURROGATE = "of log pi times advantage; the port's is of pi / old pi times advantage (D-124)"

DEFAULTS = {
    "num_models": "dynamics_networks",
    "hidden_size": "dynamics_hidden_layer_sizes",
    "fit_lr": "dynamics_lr",
    "fit_mb_size": "dynamics_batch_size",
    "fit_epochs": "dynamics_epochs",
    "policy_size": "policy_hidden_layer_sizes",
    "step_size": "npg_step_size",
    "init_log_std": "init_log_std",
    "min_log_std": "min_log_std",
    "gamma": "npg_discount",
    "gae_lambda": "gae_lambda",
    "update_paths": "num_trajectories",
    "horizon": "horizon",
    "pessimism_coef": "pessimism_coeff",
    "iters": "cg_iterations",
    "damping": "cg_damping",
    "baseline_sizes": "baseline_hidden_layer_sizes",
    "baseline_epochs": "baseline_epochs",
    "baseline_batch_size": "baseline_batch_size",
    "baseline_lr": "baseline_lr",
    "baseline_weight_decay": "baseline_weight_decay",
}
"""Setting of mjrl -> field of the port's configuration."""


def _replay_defaults(recording: Recording) -> Iterator[Comparison]:
    config = dataclasses.replace(MORELConfig(), eval_n_episodes=0)
    ours = {name: getattr(config, field) for name, field in DEFAULTS.items()}
    ours["max_log_std"] = MAX_LOG_STD
    ours["starts_from_init"] = config.start_state == "initial"
    for name, value in recording.under("settings").items():
        values = np.asarray(ours[name], value.dtype)
        yield compare(recording, f"settings/{name}", values, "exact", "coefficients")
    obs_dim = int(recording["shapes/policy/0"][0])
    act_dim = int(recording["shapes/policy/5"][0])
    widths = {"observations": obs_dim, "next_observations": obs_dim, "actions": act_dim}
    rows = {name: np.zeros((1, widths.get(name, 1)), np.float32) for name in Transitions._fields}
    rows["terminals"] = np.zeros((1, 1), bool)
    morel = MOReL(config, Transitions(**rows), never)
    networks = {
        "policy": morel.policy.network,
        "dynamics": morel.ensemble.network,
        "rewards": morel.ensemble.reward_network,
        "baseline": morel.baseline.network,
    }
    yield from compare_initial(recording, networks)


CASES = [
    Case(
        name="morel_dynamics",
        replay=_replay_dynamics,
        inputs=(
            "observations",
            "actions",
            "next_observations",
            "rewards",
            "initial/*",
            "final/dynamics/*",
            "final/rewards/*",
            "*/batch_indices",
            "probes/observations",
            "probes/actions",
            "learning_rate",
            "pessimism_coeff",
        ),
        compared=(
            "dynamics/step_losses",
            "rewards/step_losses",
            "*/gradients/*",
            "*/after_*_steps/*",
            *(f"final/{name}" for name in TRANSFORMATIONS),
            "probes/next_observations",
            "probes/rewards",
            "discrepancies",
            "threshold",
        ),
        part="torch",
    ),
    Case(
        name="morel_iterations",
        replay=_replay_iterations,
        inputs=(
            "ensemble/*",
            "initial/*",
            "settings/*",
            "fisher/observations",
            "fisher/vector/*",
            "iteration_*/starts",
            "iteration_*/latents",
            "iteration_*/baseline_order",
        ),
        compared=(
            "fisher/product/*",
            "iteration_*/paths/*",
            "iteration_0/gradient/*",
            "iteration_0/direction/*",
            "iteration_*/policy/*",
            "iteration_*/baseline/*",
            "iteration_*/alpha",
            "iteration_*/kl_dist",
            "iteration_*/VF_error_before",
        ),
        not_compared={"iteration_*/surr_improvement": SURROGATE},
        part="torch",
    ),
    Case(
        name="morel_cloning",
        replay=_replay_cloning,
        inputs=("observations", "actions", "initial/*", "batch_indices", "learning_rate"),
        compared=("final/*",),
        part="torch",
    ),
    Case(
        name="morel_defaults",
        replay=_replay_defaults,
        compared=("settings/*", "shapes/*", "initial/*"),
        part="torch",
    ),
]

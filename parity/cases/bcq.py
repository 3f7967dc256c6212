"""BCQ against its authors' code: losses and gradients, whole updates, actions, defaults."""

import dataclasses
import functools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from mopo_tf2.algorithms.bcq import BCQ, Noise
from mopo_tf2.configs.bcq import BCQConfig
from mopo_tf2.dynamics.termination import never
from mopo_tf2.types import Transitions

from ..comparison import Comparison, Finding, compare, compare_values
from ..loading import below, compare_initial, compare_layers, recorded_layers, recorded_transitions
from ..recording import Recording
from ..registry import Case

NETWORKS = ("encoder", "decoder", "perturbation", "critic_1", "critic_2")
TARGETS = ("target_perturbation", "target_critic_1", "target_critic_2")
EAGER_STEPS = 5
"""Steps that are taken one by one, for what is recorded on the way."""

LOSSES = ("vae", "critics", "perturbation")
"""The losses of a step, in their order."""


def _networks(bcq: BCQ) -> dict[str, Any]:
    """Return the networks by their names in the recordings."""
    networks = dict(zip(NETWORKS, (bcq.encoder, bcq.decoder, bcq.perturbation), strict=False))
    targets = (bcq.target_perturbation, *bcq.target_critics)
    networks.update(zip(NETWORKS[3:], bcq.critics, strict=True))
    networks.update(zip(TARGETS, targets, strict=True))
    return networks


def _load(bcq: BCQ, recording: Recording, prefix: str) -> None:
    for name, network in _networks(bcq).items():
        weights = recorded_layers(recording, f"{prefix}/{name}")
        shapes = [variable.shape for variable in network.variables]
        network.set_weights([np.reshape(w, s) for w, s in zip(weights, shapes, strict=True)])


def _arrays(values: list[Any], recorded: list[np.ndarray]) -> list[np.ndarray]:
    """Return weights or gradients with the recorded shapes, a lone critic's without its axis."""
    arrays = [np.asarray(value) for value in values]
    return [a.reshape(r.shape) for a, r in zip(arrays, recorded, strict=True)]


def _weights(recording: Recording, bcq: BCQ, prefix: str) -> Iterator[Comparison]:
    for name, network in _networks(bcq).items():
        recorded = recorded_layers(recording, f"{prefix}/{name}")
        ours = _arrays(network.get_weights(), recorded)
        group = f"{prefix.replace('_', ' ')}: {name.rstrip('_12')}"
        yield from compare_layers(recording, f"{prefix}/{name}", ours, "torch_updates", group)


class _Observed(BCQ):
    """Notes the losses, the critics' target and the gradients of its latest step."""

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.losses: dict[str, float] = {}
        self.gradients: dict[str, list[Any]] = {}
        self.latest_target: Any = None
        for name, optimizer in self.optimizers.items():
            apply = functools.partial(self._note, name, optimizer.apply_gradients)
            optimizer.apply_gradients = apply

    def target(self, *args: Any) -> Any:
        self.latest_target = super().target(*args)
        return self.latest_target

    def _apply(self, name: str, tape: Any, loss: Any) -> None:
        self.losses[name] = float(loss)
        super()._apply(name, tape, loss)

    def _note(self, name: str, apply: Callable[[Any], None], pairs: Any) -> None:
        pairs = list(pairs)
        self.gradients[name] = [gradient for gradient, _ in pairs]
        apply(pairs)


def _build(recording: Recording, cls: type[BCQ]) -> Any:
    """Return an object of ``cls`` with the recorded sizes, coefficients and initial weights."""
    source = recorded_transitions(recording, "source")
    first = recording["initial/critic_1/0"], recording["initial/critic_1/2"]
    units = tuple(kernel.shape[1] for kernel in first)
    vae = tuple(recording[f"initial/encoder/{i}"].shape[1] for i in (0, 2))
    coefficients: dict[str, Any] = {
        name: recording.number(name) for name in ("discount", "tau", "lmbda", "phi")
    }
    config = BCQConfig(
        **coefficients,
        lr=recording.number("learning_rate"),
        batch_size=recording["batch_indices"].shape[1],
        num_sampled_actions=recording["step_next_latents"].shape[1]
        // recording["batch_indices"].shape[1],
        num_evaluation_actions=recording["selection/latents"].shape[1],
        vae_hidden_sizes=vae,
        perturbation_hidden_sizes=units,
        critic_hidden_sizes=units,
        updates_per_call=len(recording["batch_indices"]),
        eval_n_episodes=0,
    )
    bcq = cls(config, source, never)
    _load(bcq, recording, "initial")
    return bcq


def _replay_updates(recording: Recording) -> Iterator[Finding]:
    source = recorded_transitions(recording, "source")
    batches = Transitions(*(column[recording["batch_indices"]] for column in source))
    noise = Noise(*(recording[f"step_{name}"] for name in ("encoding", "next_latents", "latents")))
    yield from _first_steps(recording, batches, noise)
    bcq = _build(recording, BCQ)
    bcq._updates(batches, noise)
    count = len(recording["batch_indices"])
    yield from _weights(recording, bcq, f"after_{count}_steps")
    yield from _selection(recording, bcq)
    yield from _bounds(recording, bcq)


def _row(columns: Any, k: int) -> Any:
    return type(columns)(*(column[k] for column in columns))


def _first_steps(recording: Recording, batches: Transitions, noise: Noise) -> Iterator[Comparison]:
    """Compare losses and gradients of the first step, and the losses of the steps after it."""
    bcq = _build(recording, _Observed)
    batch, latents = _row(batches, 0), _row(noise, 0)
    reconstruction = bcq.vae_losses(batch, latents.encoding)[0].numpy()
    q = [critic(batch.observations, batch.actions)[0].numpy() for critic in bcq.critics]
    yield compare(recording, "losses/reconstruction", reconstruction, "loss", "losses")
    yield compare(recording, "losses/q1", q[0], "forward", "critics")
    yield compare(recording, "losses/q2", q[1], "forward", "critics")
    losses = np.zeros_like(recording["step_losses"])
    for k in range(EAGER_STEPS):
        bcq.update(_row(batches, k), _row(noise, k))
        losses[k] = [bcq.losses[name] for name in LOSSES]
        if k == 0:
            target = bcq.latest_target.numpy()
            yield compare(recording, "losses/target", target, "forward", "critics' target")
            yield from _gradients(recording, bcq)
        if f"after_{k + 1}_steps/encoder/0" in recording:
            yield from _weights(recording, bcq, f"after_{k + 1}_steps")
    eager = np.arange(len(losses)) < EAGER_STEPS
    for column, name in enumerate(LOSSES):
        recorded, group = recording["step_losses"][:, column], f"loss of the first steps: {name}"
        rung = "loss_on_the_way"
        yield compare_values(recorded, losses[:, column], rung, group, "step_losses", rows=eager)


def _gradients(recording: Recording, bcq: _Observed) -> Iterator[Comparison]:
    split = len(bcq.encoder.trainable_variables)
    vae, critics = bcq.gradients["vae"], bcq.gradients["critics"]
    half = len(critics) // 2
    parts = (
        vae[:split],
        vae[split:],
        bcq.gradients["perturbation"],
        critics[:half],
        critics[half:],
    )
    for name, part in zip(NETWORKS, parts, strict=True):
        prefix = f"losses/gradients/{name}"
        ours = _arrays(part, recorded_layers(recording, prefix))
        group = f"gradients: {name.rstrip('_12')}"
        yield from compare_layers(recording, prefix, ours, "gradient", group)


def _selection(recording: Recording, bcq: BCQ) -> Iterator[Comparison]:
    """Compare the chosen actions, with the weights after all steps."""
    actions = [
        bcq.policy.best_actions(tf.constant(state[None]), tf.constant(latents))[0]
        for state, latents in zip(
            recording["selection/states"], recording["selection/latents"], strict=True
        )
    ]
    yield compare(recording, "selection/actions", np.array(actions), "trained_forward", "actions")


def _bounds(recording: Recording, bcq: BCQ) -> Iterator[Comparison]:
    """Compare the encoder's outputs where its log stddev is beyond its bounds."""
    bcq.encoder.set_weights(recorded_layers(recording, "bounds/encoder"))
    rows = len(recording["bounds/mean"])
    columns = (recording[f"source/{name}"][:rows] for name in ("observations", "actions"))
    mean, log_std = (output.numpy() for output in bcq.encoder(*columns))
    yield compare(recording, "bounds/mean", mean, "forward", "bounds of log std")
    yield compare(recording, "bounds/std", np.exp(log_std), "variance", "bounds of log std")


def _replay_defaults(recording: Recording) -> Iterator[Comparison]:
    config = BCQConfig()
    for name, value in recording.under("settings").items():
        array = f"settings/{name}"
        ours = getattr(config, name)
        if name == "lr":
            ours = [config.lr] * len(value)
        if name == "latent_dim":
            continue
        yield compare(recording, array, np.asarray(ours, value.dtype), "exact", "coefficients")
    obs_dim = int(recording["shapes/perturbation/0"][0] - recording["shapes/perturbation/5"][0])
    act_dim = int(recording["shapes/perturbation/5"][0])
    widths = {"observations": obs_dim, "actions": act_dim, "next_observations": obs_dim}
    columns = {name: np.zeros((1, widths.get(name, 1)), np.float32) for name in Transitions._fields}
    columns["terminals"] = columns["terminals"].astype(bool)
    bcq = BCQ(dataclasses.replace(config, eval_n_episodes=0), Transitions(**columns), never)
    latent_dim = np.array(bcq.latent_dim)
    yield compare(recording, "settings/latent_dim", latent_dim, "exact", "coefficients")
    yield from compare_initial(recording, _networks(bcq))


CASES = [
    Case(
        name="bcq_updates",
        replay=_replay_updates,
        inputs=(
            *below("initial", tuple(f"{name}/*" for name in (*NETWORKS, *TARGETS))),
            "source/*",
            "batch_indices",
            "step_encoding",
            "step_next_latents",
            "step_latents",
            "selection/states",
            "selection/latents",
            "bounds/encoder/*",
            "discount",
            "tau",
            "lmbda",
            "phi",
            "learning_rate",
        ),
        compared=(
            "losses/*",
            "step_losses",
            "after_*_steps/*",
            "selection/actions",
            "bounds/mean",
            "bounds/std",
        ),
        part="torch",
    ),
    Case(
        name="bcq_defaults",
        replay=_replay_defaults,
        compared=("settings/*", "shapes/*", "initial/*"),
        part="torch",
    ),
]

"""SAC: losses and gradients on one batch, then whole updates."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from mopo_tf2.algorithms.sac import SAC
from mopo_tf2.config import SACConfig
from mopo_tf2.types import Transitions

from ..comparison import Comparison, compare, compare_values
from ..loading import SAC_ARRAYS, below, compare_sac, hidden_sizes, load_sac
from ..recording import Recording
from ..registry import Case
from ..tolerances import LADDER

STEPS = "step_q_mean__q_loss__alpha"
"""Per step: mean of Q and critics' loss before it, temperature after it."""

OUTPUT_KERNEL = -2
"""Of the policy's weights: kernel, bias, ..., output kernel, output bias."""

NEW_KERNEL = 2
"""Of the reads that may explain a recorded Q loss: the policy's output kernel after its update."""

FEW_UPDATES = 20
"""Up to here a replay agrees to rounding; later the original may have read what it just wrote."""


def _replay(recording: Recording) -> Iterator[Comparison]:
    batch_indices = recording["batch_indices"]
    source = Transitions(*(recording[f"source/{name}"] for name in Transitions._fields))
    batches = Transitions(*(column[batch_indices] for column in source))
    sac = SAC(
        source.observations.shape[1],
        source.actions.shape[1],
        SACConfig(
            hidden_layer_sizes=hidden_sizes(recording),
            lr=recording.number("learning_rate"),
            batch_size=batch_indices.shape[1],
            discount=recording.number("discount"),
            tau=recording.number("tau"),
            target_entropy=recording.number("target_entropy"),
        ),
    )
    load_sac(sac, recording, "initial")
    yield from _losses(recording, sac, _row(batches, 0))
    yield from _updates(recording, sac, batches)


def _row(batches: Transitions, k: int) -> Transitions:
    return Transitions(*(column[k] for column in batches))


def _losses(recording: Recording, sac: SAC, batch: Transitions) -> Iterator[Comparison]:
    noise, next_noise = recording["losses/actor_latents"], recording["losses/critic_latents"]
    actions, log_pi = sac.policy.sample(batch.observations, noise)
    yield compare(recording, "losses/sampled_actions", actions.numpy(), "forward", "samples")
    yield compare(recording, "losses/log_pis", log_pi.numpy(), "log_pi", "samples")
    target = sac.target(batch, next_noise).numpy()
    yield compare(recording, "losses/q_target", target, "forward", "critics' target")
    losses, gradients = sac.losses_and_gradients(batch, noise, next_noise)
    for name, loss in (
        ("policy_loss", losses["policy"]),
        ("alpha_loss", losses["temperature"]),
        ("q1_loss", losses["critics"][0]),
        ("q2_loss", losses["critics"][1]),
    ):
        yield compare(recording, f"losses/{name}", np.asarray(loss), "loss", "losses")
    yield from _policy_gradients(recording, gradients["policy"], _amplification(sac, batch))
    yield from _other_gradients(recording, gradients)


def _amplification(sac: SAC, batch: Transitions) -> float:
    """Return how far the original's own rounding reaches in gradients of the policy.

    The latent comes back as (raw action - shift) / scale (Q-48): a unit of rounding of the raw
    action becomes exp(-log scale) of them. A row has one part in B of the gradient.
    """
    _, log_scale = sac.policy(batch.observations)
    return float(np.exp(-log_scale.numpy().astype(np.float64)).max()) / len(batch.observations)


def _policy_gradients(
    recording: Recording, gradients: list[tf.Tensor], amplification: float
) -> Iterator[Comparison]:
    """Compare them with the limit at a scale of 1 plus what a small scale amplifies."""
    rounding = float(np.finfo(np.float32).eps) * amplification
    widened = 1.0 + 2.0 * rounding / LADDER["gradient"].rtol
    note = f"limit times {widened:.2g}, by the smallest scale (Q-48)"
    for i, gradient in enumerate(gradients):
        array, ours = f"losses/gradients/policy/{i}", gradient.numpy()
        group = "gradients: policy"
        yield compare(recording, array, ours, "gradient", group, widened=widened, note=note)


def _other_gradients(
    recording: Recording, gradients: dict[str, list[tf.Tensor]]
) -> Iterator[Comparison]:
    for critic in range(len(gradients["critics"][0])):
        for i, stacked in enumerate(gradients["critics"]):
            array = f"losses/gradients/q{critic + 1}/{i}"
            ours = stacked.numpy()[critic].reshape(recording[array].shape)
            yield compare(recording, array, ours, "gradient", "gradients: critics")
    yield compare(
        recording,
        "losses/gradients/log_alpha",
        gradients["temperature"][0].numpy(),
        "gradient",
        "gradients: temperature",
    )


def _updates(recording: Recording, sac: SAC, batches: Transitions) -> Iterator[Comparison]:
    """All steps one by one, for what is recorded on the way; then all in one compiled block."""
    noise, next_noise = recording["step_actor_latents"], recording["step_critic_latents"]
    fresh = {name: variable.numpy() for name, variable in sac.named_variables().items()}
    on_the_way, reads = [], set()
    for k in range(len(noise)):
        batch, one = _row(batches, k), slice(k, k + 1)
        before = _Before(sac)
        mean = sac.diagnostics(batch, noise[k], next_noise[k])["Q-avg"]
        step = Transitions(*(column[one] for column in batches))
        sac.update_block(step, noise[one], next_noise[one])
        losses = before.losses(batch, (noise[k], next_noise[k]))
        read = int(np.argmin(np.abs(np.array(losses) - recording[STEPS][k, 1])))
        reads.add(read)
        on_the_way.append([mean, losses[read], np.exp(sac.log_alpha.numpy())])
        if f"after_{k + 1}_steps/log_alpha" in recording:
            yield from _weights(recording, sac, k + 1, "", reads)
    yield from _on_the_way(recording, np.array(on_the_way, np.float32))
    for name, variable in sac.named_variables().items():
        variable.assign(fresh[name])
    sac.update_block(batches, noise, next_noise)
    yield from _weights(recording, sac, len(noise), " in one block", reads)


class _Before:
    """The networks of ``sac`` before a step, to be asked after it for the critics' loss then."""

    def __init__(self, sac: SAC):
        self._sac = sac
        self._networks: tuple[Any, ...] = (sac.policy, sac.critics, sac.target_critics)
        self._weights = [network.get_weights() for network in self._networks]
        self._log_alpha = sac.log_alpha.numpy()

    def losses(
        self, batch: Transitions, noise: tuple[np.ndarray, np.ndarray]
    ) -> tuple[float, float, float]:
        """Return the critics' loss before the step, with three sets of reads.

        All as before the step, as in the port; the temperature as after it; or the policy's output
        kernel as after it. The original read one of these (tolerances.py).
        """
        sac = self._sac
        after = [network.get_weights() for network in self._networks], sac.log_alpha.numpy()
        losses = []
        for log_alpha, kernel in (
            (self._log_alpha, None),
            (after[1], None),
            (self._log_alpha, after[0][0][OUTPUT_KERNEL]),  # NEW_KERNEL
        ):
            self._put(self._weights, log_alpha)
            if kernel is not None:
                policy = list(self._weights[0])
                policy[OUTPUT_KERNEL] = kernel
                sac.policy.set_weights(policy)
            losses.append(sac.diagnostics(batch, *noise)["Q_loss"])
        self._put(*after)
        return tuple(losses)  # type: ignore[return-value]

    def _put(self, weights: list[list[np.ndarray]], log_alpha: np.ndarray) -> None:
        for network, values in zip(self._networks, weights, strict=True):
            network.set_weights(values)
        self._sac.log_alpha.assign(log_alpha)


def _on_the_way(recording: Recording, ours: np.ndarray) -> Iterator[Comparison]:
    recorded = recording[STEPS]
    first = np.arange(len(recorded)) < FEW_UPDATES
    for group, column, rung, rows in (
        ("Q mean, first steps", 0, "q_mean", first),
        ("Q mean, later steps", 0, "q_mean_later", ~first),
        ("Q loss, first steps", 1, "loss_on_the_way", first),
        ("Q loss, later steps", 1, "q_loss_later", ~first),
        ("alpha of every step", 2, "loss_on_the_way", None),
    ):
        yield compare_values(recorded[:, column], ours[:, column], rung, group, STEPS, rows=rows)


def _weights(
    recording: Recording, sac: SAC, steps: int, how: str, reads: set[int]
) -> Iterator[Comparison]:
    rung = "sac_updates" if steps <= FEW_UPDATES else "sac_many_updates"
    critics_rung = "critics_after_race" if NEW_KERNEL in reads and steps > FEW_UPDATES else None
    prefix, group = f"after_{steps}_steps", f"after {steps}{how}"
    yield from compare_sac(recording, prefix, sac, rung, group, critics_rung=critics_rung)


CASES = [
    Case(
        name="sac_updates",
        replay=_replay,
        inputs=(
            *below("initial", SAC_ARRAYS),
            "source/*",
            "batch_indices",
            "losses/actor_latents",
            "losses/critic_latents",
            "step_actor_latents",
            "step_critic_latents",
            "target_entropy",
            "learning_rate",
            "discount",
            "tau",
            "hidden_layer_sizes",
        ),
        compared=(
            "losses/policy_loss",
            "losses/alpha_loss",
            "losses/q_target",
            "losses/q1_loss",
            "losses/q2_loss",
            "losses/sampled_actions",
            "losses/log_pis",
            "losses/gradients/*",
            "after_*_steps/*",
            STEPS,
        ),
    )
]

"""SAC: losses and gradients on one batch, then whole updates."""

from collections.abc import Iterator

import numpy as np
import tensorflow as tf

from mopo_tf2.algorithms.sac import SAC
from mopo_tf2.config import SACConfig
from mopo_tf2.types import Transitions

from ..comparison import Comparison, compare, compare_values
from ..loading import SAC_ARRAYS, below, compare_sac, hidden_sizes, load_sac
from ..recording import Recording
from ..registry import Case

STEPS = "step_q_mean__q_loss__alpha"
"""Per step: mean of Q and critics' loss before it, temperature after it."""

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
    yield from _gradients(recording, gradients)


def _gradients(recording: Recording, gradients: dict[str, list[tf.Tensor]]) -> Iterator[Comparison]:
    for i, gradient in enumerate(gradients["policy"]):
        array = f"losses/gradients/policy/{i}"
        yield compare(recording, array, gradient.numpy(), "gradient", "gradients: policy")
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
    on_the_way = []
    for k in range(len(noise)):
        on_the_way.append(_before_step(recording, sac, _row(batches, k), k))
        one = slice(k, k + 1)
        step = Transitions(*(column[one] for column in batches))
        sac.update_block(step, noise[one], next_noise[one])
        if f"after_{k + 1}_steps/log_alpha" in recording:
            yield from _weights(recording, sac, k + 1, "")
        on_the_way[k].append(np.exp(sac.log_alpha.numpy()))
    yield from _on_the_way(recording, np.array(on_the_way, np.float32))
    for name, variable in sac.named_variables().items():
        variable.assign(fresh[name])
    sac.update_block(batches, noise, next_noise)
    yield from _weights(recording, sac, len(noise), " in one block")


def _before_step(recording: Recording, sac: SAC, batch: Transitions, k: int) -> list[float]:
    """Return the mean of Q and the critics' loss before step ``k``.

    Of the loss there are two: with the temperature on entry, as in the port, and with the one
    after this step, which the original read in most of the recorded runs (tolerances.py). The one
    nearer to the recorded loss counts.
    """
    noise = recording["step_actor_latents"][k], recording["step_critic_latents"][k]
    _, recorded_loss, recorded_alpha = recording[STEPS][k]
    before = sac.diagnostics(batch, *noise)
    log_alpha = sac.log_alpha.numpy()
    sac.log_alpha.assign(np.log(recorded_alpha))
    after = sac.diagnostics(batch, *noise)
    sac.log_alpha.assign(log_alpha)
    losses = (before["Q_loss"], after["Q_loss"])
    return [before["Q-avg"], min(losses, key=lambda loss: abs(loss - recorded_loss))]


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


def _weights(recording: Recording, sac: SAC, steps: int, how: str) -> Iterator[Comparison]:
    rung = "sac_updates" if steps <= FEW_UPDATES else "sac_many_updates"
    yield from compare_sac(recording, f"after_{steps}_steps", sac, rung, f"after {steps}{how}")


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

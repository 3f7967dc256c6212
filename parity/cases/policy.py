"""The policies and the critics at given weights."""

from collections.abc import Iterator

import numpy as np

from mopo_tf2.networks.gaussian_policy import GaussianPolicy
from mopo_tf2.networks.q_function import QFunctions

from ..comparison import Comparison, Finding, compare, compare_values
from ..loading import compare_layers, hidden_sizes, recorded_layers
from ..recording import Recording
from ..registry import Case

SATURATED = 0.999
"""From here on the way back through atanh amplifies the rounding of a float32 action."""

SMALLEST_LOG_SCALE = -5.0
"""Below, the division by the stddev amplifies it too."""


def _replay_policy(recording: Recording) -> Iterator[Finding]:
    observations = recording["observations"]
    act_dim = recording["latents"].shape[1]
    policy = GaussianPolicy(act_dim, hidden_sizes(recording))
    policy.build((None, observations.shape[1]))
    policy.set_weights(recorded_layers(recording, "weights"))
    shift, log_scale = policy(observations)
    yield compare(recording, "shift", shift.numpy(), "forward", "shift and log scale")
    yield compare(recording, "log_scale_diag", log_scale.numpy(), "forward", "shift and log scale")
    mode = policy.mode(observations).numpy()
    yield compare(recording, "deterministic_actions", mode, "forward", "actions")
    actions, _ = policy.sample(observations, recording["latents"])
    yield compare(recording, "actions", actions.numpy(), "forward", "actions")
    actions, log_pi = policy.sample(observations, recording["sampled/latents"])
    yield compare(recording, "sampled/actions", actions.numpy(), "forward", "actions")
    yield from _log_pi_of_samples(recording, log_pi.numpy())
    yield from _log_pi_of_given(recording, policy)


def _log_pi_of_samples(recording: Recording, log_pi: np.ndarray) -> Iterator[Comparison]:
    saturated = np.abs(recording["sampled/actions"]).max(axis=1) == 1.0
    note = f"{saturated.sum()} rows have an action of exactly -1 or 1"
    group = "log pi of samples"
    yield compare(recording, "sampled/log_pis", log_pi, "log_pi", group, note=note)
    finite = np.isfinite(recording["sampled/log_pis"])
    yield compare_values(
        finite, np.isfinite(log_pi), "exact", f"{group}: finite", "sampled/log_pis"
    )


def _log_pi_of_given(recording: Recording, policy: GaussianPolicy) -> Iterator[Finding]:
    for actions, array in (
        ("actions", "log_pis_of_actions"),
        ("given_actions", "log_pis_of_given_actions"),
    ):
        given = recording[actions]
        inside = np.abs(given).max(axis=1) < SATURATED
        if actions == "actions":
            # Its own actions come back to latents of size 1, after division by the stddev.
            inside &= recording["log_scale_diag"].min(axis=1) > SMALLEST_LOG_SCALE
        log_pi = policy.log_pi(recording["observations"], given).numpy()
        note = f"{(~inside).sum()} of {len(inside)} rows near saturation left out"
        group = f"log pi of {actions.replace('_', ' ')}"
        yield compare(recording, array, log_pi, "log_pi_of_given", group, rows=inside, note=note)


def _replay_critic(recording: Recording) -> Iterator[Comparison]:
    weights = recorded_layers(recording, "weights")
    observations, actions = recording["observations"], recording["actions"]
    critics = QFunctions([kernel.shape[1] for kernel in weights[:-2:2]])
    critics.build(observations.shape, actions.shape)
    for critic in range(critics.num_critics):
        critics.set_critic_weights(critic, weights)
        ours = critics(observations, actions).numpy()[critic]
        yield compare(recording, "q", ours, "forward", f"critic {critic}")
        yield from compare_layers(
            recording, "weights", critics.critic_weights(critic), "exact", "weights put in"
        )


def _replay_uniform(recording: Recording) -> Iterator[Finding]:
    """Compare nothing: see the case."""
    yield from ()


_UNIFORM = "collecting data draws uniform actions and asks for no log-probability: none here (Q-31)"

CASES = [
    Case(
        name="gaussian_policy",
        replay=_replay_policy,
        inputs=(
            "weights/*",
            "observations",
            "latents",
            "sampled/latents",
            "given_actions",
            "hidden_layer_sizes",
        ),
        compared=(
            "shift",
            "log_scale_diag",
            "deterministic_actions",
            "actions",
            "sampled/actions",
            "sampled/log_pis",
            "log_pis_of_actions",
            "log_pis_of_given_actions",
        ),
    ),
    Case(
        name="q_function",
        replay=_replay_critic,
        inputs=("observations", "actions"),
        compared=("weights/*", "q"),
    ),
    Case(
        name="uniform_policy",
        replay=_replay_uniform,
        not_compared={"actions": "input of log_pis", "log_pis": _UNIFORM},
    ),
]

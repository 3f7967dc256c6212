"""One step of the learned model: samples, penalties, terminations."""

from collections.abc import Iterator

import numpy as np

from mopo_tf2.dynamics.ensemble import GaussianEnsemble
from mopo_tf2.dynamics.model_env import ModelEnvironment, ModelStep
from mopo_tf2.dynamics.termination import find_termination_fn

from ..comparison import Comparison, compare, compare_values
from ..loading import (
    ENSEMBLE_ARRAYS,
    below,
    build_ensemble,
    load_ensemble,
    recorded_ensemble,
)
from ..recording import Recording
from ..registry import Case

PENALTIES = {"none": False, "learned_var": True, "disagreement": False}
"""The recorded penalties: whether they are the learned ones; "none" has a coefficient of 0."""


def _replay(recording: Recording) -> Iterator[Comparison]:
    for domain in recording.prefixes("elites"):
        yield from _replay_domain(recording, domain)


def _replay_domain(recording: Recording, domain: str) -> Iterator[Comparison]:
    arrays = recorded_ensemble(recording, f"{domain}/params")
    ensemble = build_ensemble(
        arrays,
        num_networks=recording.integer("num_networks"),
        hidden_dim=recording.integer("hidden_dim"),
    )
    yield from load_ensemble(ensemble, arrays, f"{domain}/params")
    ensemble.elites = [int(member) for member in recording[f"{domain}/elites"]]
    for penalty in PENALTIES:
        environment = _environment(recording, domain, ensemble, penalty)
        for mode in ("stochastic", "deterministic"):
            # Anew for every combination, as the recorder seeds.
            random_state = np.random.RandomState(recording.integer("numpy_seed"))
            step = environment.step(
                recording[f"{domain}/obs"],
                recording[f"{domain}/act"],
                random_state,
                deterministic=mode == "deterministic",
            )
            yield from _compare_step(recording, f"{domain}/{penalty}/{mode}", step)
        if penalty == "learned_var":
            yield from _single_state(recording, domain, environment)


def _environment(
    recording: Recording, domain: str, ensemble: GaussianEnsemble, penalty: str
) -> ModelEnvironment:
    return ModelEnvironment(
        ensemble,
        find_termination_fn(domain),
        penalty_coeff=0.0 if penalty == "none" else recording.number("penalty_coeff"),
        penalty_learned_var=PENALTIES[penalty],
        # One chunk holds every recorded row, the single state included.
        chunk_size=len(recording[f"{domain}/obs"]),
    )


def _compare_step(recording: Recording, prefix: str, step: ModelStep) -> Iterator[Comparison]:
    _, penalty, mode = prefix.split("/")
    group = f"{mode} step"
    for name, ours, rung, quantity in (
        ("next_obs", step.next_observations, "forward", "next observations"),
        ("rewards", step.rewards, "penalty", "rewards"),
        ("info/penalized_rewards", step.rewards, "penalty", "rewards"),
        ("info/unpenalized_rewards", step.raw_rewards, "forward", "rewards before the penalty"),
        ("info/mean", _with_done(step.means, step.terminals), "forward", "means and stds"),
        (
            "info/std",
            _with_done(step.stds, np.zeros_like(step.terminals)),
            "forward",
            "means and stds",
        ),
    ):
        yield compare(recording, f"{prefix}/{name}", ours, rung, f"{group}: {quantity}")
    yield compare(recording, f"{prefix}/terminals", step.terminals, "exact", f"{group}: terminals")
    if f"{prefix}/info/penalty" in recording:
        name, group = f"{prefix}/info/penalty", f"penalty {penalty}"
        yield compare(recording, name, step.penalties, "penalty", group)
    else:
        zeros = np.zeros_like(step.penalties)
        yield compare_values(zeros, step.penalties, "exact", "penalty none", prefix)


def _with_done(columns: np.ndarray, done: np.ndarray) -> np.ndarray:
    """Return the original's columns: reward, done, next observation."""
    return np.concatenate([columns[:, :1], done.astype(columns.dtype), columns[:, 1:]], axis=1)


def _single_state(
    recording: Recording, domain: str, environment: ModelEnvironment
) -> Iterator[Comparison]:
    step = environment.step(
        recording[f"{domain}/obs"][0],
        recording[f"{domain}/act"][0],
        np.random.RandomState(recording.integer("single_numpy_seed")),
    )
    prefix, group = f"{domain}/single", "single state"
    yield compare(recording, f"{prefix}/next_obs", step.next_observations, "forward", group)
    yield compare(recording, f"{prefix}/rewards", step.rewards, "penalty", group)
    yield compare(recording, f"{prefix}/terminals", step.terminals, "exact", group)


CASES = [
    Case(
        name="fake_env_step",
        replay=_replay,
        inputs=(
            *below("*/params", ENSEMBLE_ARRAYS),
            "*/obs",
            "*/act",
            "*/elites",
            "numpy_seed",
            "single_numpy_seed",
            "penalty_coeff",
            "hidden_dim",
            "num_networks",
        ),
        compared=(
            "*/next_obs",
            "*/rewards",
            "*/terminals",
            "*/info/mean",
            "*/info/std",
            "*/info/unpenalized_rewards",
            "*/info/penalized_rewards",
            "*/info/penalty",
        ),
        not_compared={
            "*/info/log_prob": "nothing uses it and it underflows: the port has none (Q-25)",
            "*/info/dev": "nothing uses it: the port has none (Q-25)",
        },
    )
]

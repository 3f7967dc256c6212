"""Evaluation in the learned model, for tasks without a simulator (D-143).

A policy that exploits an error of the model gets a high return here. The penalised return and
fitted-Q evaluation (``fitted_q``) are the two checks on that.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from mopo_tf2.data.starts import episode_starts
from mopo_tf2.dynamics.model_env import ModelEnvironment
from mopo_tf2.dynamics.rollouts import branched_rollouts
from mopo_tf2.types import BoolArray, FloatArray, PolicyFn, Transitions

MODEL_EVALUATION_KEYS = (
    *(f"model_evaluation/return-{name}" for name in ("average", "min", "max", "std")),
    "model_evaluation/penalized-return-average",
    *(f"model_evaluation/episode-length-{name}" for name in ("avg", "min", "max", "std")),
    "model_evaluation/penalty-mean",
)


class ModelEpisodes(NamedTuple):
    """Results of n episodes in the learned model.

    returns:           [n] float64, sum of the model's rewards, undiscounted.
    penalized_returns: [n] float64, sum of the rewards minus penalty_coeff * u(s, a).
    penalties:         [n] float64, sum of u(s, a).
    lengths:           [n] int64, number of steps.
    terminated:        [n] bool, True if the termination function ended the episode.
    """

    returns: FloatArray
    penalized_returns: FloatArray
    penalties: FloatArray
    lengths: npt.NDArray[np.int64]
    terminated: BoolArray


def run_model_episodes(
    environment: ModelEnvironment,
    policy: PolicyFn,
    observations: FloatArray,
    horizon: int,
    random_state: np.random.RandomState,
    *,
    deterministic_model: bool = False,
    on_step: Callable[[int, int], None] | None = None,
) -> ModelEpisodes:
    """Run one episode in the model from each start state.

    Args:
        environment: the model, with penalty and termination function.
        policy: [B, O] -> [B, A] in [-1, 1].
        observations: [n, O], start states, usually of the dataset.
        horizon: maximum length of an episode, in steps.
        random_state: draws model noise and members.
        deterministic_model: average the members instead of drawing one with noise.
        on_step: called with (steps done, ``horizon``) after each step.
    """
    count = len(observations)
    sums = np.zeros((3, count))
    lengths, terminated = np.zeros(count, np.int64), np.zeros(count, np.bool_)
    running = np.arange(count)
    steps = branched_rollouts(
        environment,
        policy,
        observations,
        horizon,
        random_state,
        deterministic=deterministic_model,
    )
    for done, step in enumerate(steps, start=1):
        rewards = (step.raw_rewards, step.transitions.rewards, step.penalties)
        for total, values in zip(sums, rewards, strict=True):
            total[running] += values[:, 0]
        lengths[running] += 1
        ended = step.transitions.terminals[:, 0]
        terminated[running[ended]] = True
        running = running[~ended]
        if on_step is not None:
            on_step(done, horizon)
    returns, penalized, penalties = sums
    return ModelEpisodes(returns, penalized, penalties, lengths, terminated)


def evaluate_in_model(
    environment: ModelEnvironment,
    policy: PolicyFn,
    transitions: Transitions,
    *,
    episodes: int,
    horizon: int,
    seed: int,
    on_step: Callable[[int, int], None] | None = None,
) -> ModelEpisodes:
    """Run ``episodes`` episodes in the model from start states of the dataset.

    Start states are first rows of the dataset's episodes, drawn with replacement.

    Args:
        environment: the model.
        policy: [B, O] -> [B, A] in [-1, 1].
        transitions: the dataset, in order of time.
        episodes: their number.
        horizon: maximum length of an episode, in steps.
        seed: of start states, members and noise; no random stream of the run is used.
        on_step: see ``run_model_episodes``.
    """
    random_state = np.random.RandomState(seed)
    starts = np.flatnonzero(episode_starts(transitions))
    rows = starts[random_state.randint(0, len(starts), episodes)]
    return run_model_episodes(
        environment,
        policy,
        np.asarray(transitions.observations)[rows],
        horizon,
        random_state,
        deterministic_model=environment.ensemble.config.deterministic,
        on_step=on_step,
    )


def model_return_statistics(episodes: ModelEpisodes) -> dict[str, float]:
    """Return mean, minimum, maximum and deviation (ddof 0) of returns and lengths.

    By the names of ``MODEL_EVALUATION_KEYS``, which differ from those of a simulator's evaluation.
    """

    def four(values: npt.NDArray[Any]) -> tuple[float, ...]:
        return tuple(float(f(values)) for f in (np.mean, np.min, np.max, np.std))

    values = (
        *four(episodes.returns),
        float(np.mean(episodes.penalized_returns)),
        *four(episodes.lengths),
        float(episodes.penalties.sum() / episodes.lengths.sum()),
    )
    return dict(zip(MODEL_EVALUATION_KEYS, values, strict=True))

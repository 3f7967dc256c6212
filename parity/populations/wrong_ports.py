"""Ports that are wrong on purpose: which of them does a population tell from the original?"""

import contextlib
import dataclasses
from collections.abc import Callable, Iterator
from typing import Any
from unittest import mock

import numpy as np
import tensorflow as tf

from mopo_tf2.algorithms import mopo, sac
from mopo_tf2.config import MOPOConfig
from mopo_tf2.dynamics import model_env, training
from mopo_tf2.dynamics.penalties import learned_std_penalty
from mopo_tf2.dynamics.rollouts import RolloutStep
from mopo_tf2.dynamics.snapshots import select_elites
from mopo_tf2.types import Transitions

from ..reads import update_reading_the_new_temperature


@dataclasses.dataclass(frozen=True)
class WrongPort:
    """One mistake.

    Attributes:
        about: what is wrong.
        config: changes the configuration.
        patches: what is replaced while it runs, as (object, name of its attribute, replacement).
    """

    about: str
    config: Callable[[MOPOConfig], MOPOConfig] = lambda config: config
    patches: tuple[tuple[Any, str, Any], ...] = ()

    @contextlib.contextmanager
    def applied(self) -> Iterator[None]:
        """Put the patches in place within the block."""
        with contextlib.ExitStack() as stack:
            for target, name, replacement in self.patches:
                stack.enter_context(mock.patch.object(target, name, replacement))
            yield


# The originals, which the patches call.
_predict, _draw_noise = model_env.ModelEnvironment._predict, model_env.draw_noise
_shuffle_rows = training.shuffle_rows
_device_normal = mopo.MOPO._device_normal

_is_elite = tf.Variable(tf.zeros([7, 1, 1]), trainable=False)
"""A variable, because a compiled step would keep the elites of the first run for all others."""


def _elites_marked(holdout_losses: np.ndarray, num_elites: int) -> list[int]:
    elites = select_elites(holdout_losses, num_elites)
    _is_elite.assign(np.isin(np.arange(7), elites).astype(np.float32)[:, None, None])
    return elites


def _penalty_of_elites(self: Any, observations: tf.Tensor, actions: tf.Tensor) -> tuple[Any, ...]:
    means, stds, _ = _predict(self, observations, actions)
    penalties = learned_std_penalty(stds * tf.convert_to_tensor(_is_elite))
    return means, stds, penalties[:, None]


def _no_noise_on_rewards(*arguments: Any) -> tuple[np.ndarray, np.ndarray]:
    noise, members = _draw_noise(*arguments)
    noise[:, 0] = 0.0
    return noise, members


def _mean_of_critics(log_pi: tf.Tensor, q: tf.Tensor, alpha: tf.Tensor) -> tf.Tensor:
    return tf.reduce_mean(alpha * log_pi - tf.reduce_mean(q, axis=0))


def _going_on(
    environment: model_env.ModelEnvironment,
    policy: Any,
    observations: np.ndarray,
    rollout_length: int,
    random_state: np.random.RandomState,
    **_: Any,
) -> Iterator[RolloutStep]:
    for _step in range(rollout_length):
        actions = policy(observations)
        step = environment.step(observations, actions, random_state)
        transitions = Transitions(
            observations, actions, step.next_observations, step.rewards, step.terminals
        )
        yield RolloutStep(transitions, step.penalties, step.raw_rewards)
        observations = step.next_observations


def _unshuffled(indices: np.ndarray, random_state: np.random.RandomState) -> np.ndarray:
    _shuffle_rows(indices, random_state)
    return indices


def _half_noise(self: Any, shape: tuple[int, ...]) -> tf.Tensor:
    return 0.5 * _device_normal(self, shape)


def _set(**changes: Any) -> Callable[[MOPOConfig], MOPOConfig]:
    return lambda config: dataclasses.replace(config, **changes)


def _set_sac(**changes: Any) -> Callable[[MOPOConfig], MOPOConfig]:
    return lambda config: dataclasses.replace(
        config, sac=dataclasses.replace(config.sac, **changes)
    )


WRONG_PORTS = {
    "elites-penalty": WrongPort(
        "penalty over the elites only",
        patches=(
            (model_env.ModelEnvironment, "_predict", _penalty_of_elites),
            (training, "select_elites", _elites_marked),
        ),
    ),
    "four-epochs-kept": WrongPort(
        "four retained epochs instead of five", _set(model_retain_epochs=4)
    ),
    "no-reward-noise": WrongPort(
        "no noise on the model's rewards",
        patches=((model_env, "draw_noise", _no_noise_on_rewards),),
    ),
    "mean-critics": WrongPort(
        "mean instead of minimum of the critics in the policy's loss",
        patches=((sac, "policy_loss", _mean_of_critics),),
    ),
    "rows-go-on": WrongPort(
        "rollouts go on after a terminal state",
        patches=((mopo, "branched_rollouts", _going_on),),
    ),
    # int(256 * 5.5 / 256) = 5
    "five-real-rows": WrongPort("5 real rows a batch instead of 12", _set(real_ratio=5.5 / 256)),
    "learning-rate": WrongPort("learning rate 3.5e-4 instead of 3e-4", _set_sac(lr=3.5e-4)),
    "unshuffled": WrongPort(
        "bootstraps are not shuffled", patches=((training, "shuffle_rows", _unshuffled),)
    ),
    "new-temperature": WrongPort(
        "the temperature is read after its update, as the original sometimes did",
        patches=((sac.SAC, "update", update_reading_the_new_temperature),),
    ),
    "half-noise": WrongPort(
        "policy noise with standard deviation 0.5",
        patches=((mopo.MOPO, "_device_normal", _half_noise),),
    ),
}
"""By the name that the command line takes. All run at the size of the populations (E = 7)."""

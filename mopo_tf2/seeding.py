"""From one seed to every random stream of a run."""

import dataclasses
from typing import Any

import numpy as np
import tensorflow as tf

_MAX_SEED = 2**32 - 1


@dataclasses.dataclass(frozen=True)
class RandomStreams:
    """The random streams of a run.

    host: draws splits, bootstraps, shuffles, pool indices, model noise and elite choices, in the
        order in which the original drew them from NumPy's global stream. ``RandomState`` streams
        are frozen by NumPy, so they equal those of NumPy 1.16, the original's version.
    device: draws the policy's noise.
    weight_seeds: one integer seed per network of the run, for initial weights, by name.
    """

    host: np.random.RandomState
    device: tf.random.Generator
    weight_seeds: dict[str, int]


def random_streams(seed: int) -> RandomStreams:
    """Derive all streams from ``seed``, 0 <= seed < 2**32.

    The host stream is seeded with ``seed`` itself, as the original seeds NumPy. D-34: the others
    are only derived from it, since TF2 cannot reproduce TF1's draws.

    Raises:
        ValueError: if ``seed`` is out of range.

    Original: softlearning/misc/utils.py:set_seed
    """
    if not 0 <= seed <= _MAX_SEED:
        raise ValueError(f"seed must lie in [0, {_MAX_SEED}], got {seed}.")
    children = np.random.SeedSequence(seed).generate_state(4)
    names = ("ensemble", "policy", "critics")
    weight_seeds = {name: int(child) for name, child in zip(names, children[1:], strict=True)}
    device = tf.random.Generator.from_seed(int(children[0]), alg="philox")
    return RandomStreams(np.random.RandomState(seed), device, weight_seeds)


def state_of(random_state: np.random.RandomState) -> tuple[np.ndarray, dict[str, Any]]:
    """Return the key [624] uint32 of a random state and the plain values that belong to it."""
    state = random_state.get_state(legacy=False)
    values = {
        "position": state["state"]["pos"],
        "has_gauss": state["has_gauss"],
        "gauss": state["gauss"],
    }
    return state["state"]["key"], values


def set_state(random_state: np.random.RandomState, key: np.ndarray, values: dict[str, Any]) -> None:
    """Put what ``state_of`` returned into ``random_state``."""
    random_state.set_state(
        ("MT19937", key, values["position"], values["has_gauss"], values["gauss"])
    )


def random_state_from(key: np.ndarray, values: dict[str, Any]) -> np.random.RandomState:
    """Return a new random state that stands where ``state_of`` was called."""
    random_state = np.random.RandomState()
    set_state(random_state, key, values)
    return random_state


def spawn_seeds(seed: int, count: int) -> list[int]:
    """Return ``count`` integer seeds derived from ``seed``: one per layer or member."""
    return [int(child) for child in np.random.SeedSequence(seed).generate_state(count)]

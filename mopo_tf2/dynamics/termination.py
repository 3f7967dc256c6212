"""Termination functions by domain: (s [B, O], a [B, A], s' [B, O]) -> bool [B, 1].

The first two coordinates of the MuJoCo tasks' observations are height (m) and angle (rad).
"""

import numpy as np

from mopo_tf2.errors import InputError
from mopo_tf2.own_functions import import_function
from mopo_tf2.types import BoolArray, FloatArray, TerminationFn


def never(
    observations: FloatArray, actions: FloatArray, next_observations: FloatArray
) -> BoolArray:
    """End never, not even at NaN (Q-28).

    Original: mopo/static/halfcheetah.py:StaticFns.termination_fn;
        mopo/static/halfcheetahjump.py:StaticFns.termination_fn;
        mopo/static/halfcheetahvel.py:StaticFns.termination_fn;
        mopo/static/halfcheetahveljump.py:StaticFns.termination_fn;
        mopo/static/pendulum.py:StaticFns.termination_fn;
        mopo/static/point2denv.py:StaticFns.termination_fn;
        mopo/static/point2dwallenv.py:StaticFns.termination_fn
    """
    # D-28: the original's pendulum returns float zeros.
    return np.zeros((len(next_observations), 1), bool)


def hopper(
    observations: FloatArray, actions: FloatArray, next_observations: FloatArray
) -> BoolArray:
    """End unless finite, height > 0.7, |angle| < 0.2 and every other coordinate < 100.

    Q-27: only the upper bound of 100 is checked, by a misplaced parenthesis of the original.

    Original: mopo/static/hopper.py:StaticFns.termination_fn
    """
    return _hopper(next_observations, next_observations[:, 1:])


def hopper_intended(
    observations: FloatArray, actions: FloatArray, next_observations: FloatArray
) -> BoolArray:
    """As ``hopper``, with the intended test |coordinate| < 100, as in gym's Hopper.

    Original: gym/envs/mujoco/hopper.py:HopperEnv.step
    """
    return _hopper(next_observations, np.abs(next_observations[:, 1:]))


def _hopper(next_observations: FloatArray, below_100: FloatArray) -> BoolArray:
    height, angle = next_observations[:, 0], next_observations[:, 1]
    healthy = np.isfinite(next_observations).all(axis=-1) & (below_100 < 100).all(axis=-1)
    healthy &= (height > 0.7) & (np.abs(angle) < 0.2)
    return ~healthy[:, None]


def walker2d(
    observations: FloatArray, actions: FloatArray, next_observations: FloatArray
) -> BoolArray:
    """End unless 0.8 < height < 2 and |angle| < 1; other coordinates are not tested (Q-28).

    Original: mopo/static/walker2d.py:StaticFns.termination_fn
    """
    height, angle = next_observations[:, 0], next_observations[:, 1]
    healthy = (height > 0.8) & (height < 2.0) & (angle > -1.0) & (angle < 1.0)
    return ~healthy[:, None]


def ant(observations: FloatArray, actions: FloatArray, next_observations: FloatArray) -> BoolArray:
    """End unless finite and 0.2 <= height <= 1.

    Original: mopo/static/ant.py:StaticFns.termination_fn;
        mopo/static/antangle.py:StaticFns.termination_fn
    """
    height = next_observations[:, 0]
    healthy = np.isfinite(next_observations).all(axis=-1) & (height >= 0.2) & (height <= 1.0)
    return ~healthy[:, None]


def humanoid(
    observations: FloatArray, actions: FloatArray, next_observations: FloatArray
) -> BoolArray:
    """End if height < 1 or height > 2; NaN does not end (Q-28).

    Original: mopo/static/humanoid.py:StaticFns.termination_fn
    """
    height = next_observations[:, 0]
    return ((height < 1.0) | (height > 2.0))[:, None]


TERMINATION_FUNCTIONS: dict[str, TerminationFn] = {
    "ant": ant,
    "antangle": ant,
    "halfcheetah": never,
    "halfcheetahjump": never,
    "halfcheetahvel": never,
    "halfcheetahveljump": never,
    "hopper": hopper,
    "hopper_intended": hopper_intended,
    "humanoid": humanoid,
    "never": never,
    "pendulum": never,
    "point2denv": never,
    "point2dwallenv": never,
    "walker2d": walker2d,
}


def find_termination_fn(name: str) -> TerminationFn:
    """Return a termination function by domain, or a user-defined one by ``module:function``.

    Raises:
        InputError: if there is no such domain, module or function.

    Original: mopo/static/__init__.py:import_fns
    """
    if name in TERMINATION_FUNCTIONS:
        return TERMINATION_FUNCTIONS[name]
    if ":" not in name:
        raise InputError(
            f"no termination function '{name}': give module:function, or one of "
            f"{', '.join(TERMINATION_FUNCTIONS)}."
        )
    function: TerminationFn = import_function(name, "termination function")
    return function


def checked_terminals(
    termination_fn: TerminationFn,
    observations: FloatArray,
    actions: FloatArray,
    next_observations: FloatArray,
) -> BoolArray:
    """Return the result of ``termination_fn`` for B transitions, bool [B, 1].

    Raises:
        InputError: if the result is not bool [B, 1].
    """
    terminals = np.asarray(termination_fn(observations, actions, next_observations))
    if terminals.shape != (len(observations), 1) or terminals.dtype != bool:
        raise InputError(
            f"the termination function must return bool ({len(observations)}, 1), "
            f"got {terminals.dtype} {terminals.shape}."
        )
    return terminals

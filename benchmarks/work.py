"""Floating-point operations of one unit of each phase, from the shapes of its kernels.

A product [B, I] x [I, U] counts 2 B I U; biases, activations and Adam are left out, so that a
fraction of the matrix product says how much of the machine the mathematics gets.
"""

from collections.abc import Iterable

import keras
import numpy as np

from mopo_tf2.algorithms.sac import SAC
from mopo_tf2.dynamics.ensemble import GaussianEnsemble

# A backward pass multiplies twice where the forward pass does once: for the kernel's gradient and
# for the input's.
_FORWARD, _WITH_BACKWARD, _WITH_INPUT_GRADIENT = 1, 3, 2


def _per_row(variables: Iterable[keras.Variable]) -> int:
    """FLOP of a forward pass of one row through every kernel, of all members or critics."""
    kernels = [variable.shape for variable in variables if variable.name == "kernel"]
    return 2 * int(sum(np.prod(shape) for shape in kernels))


def sac_update_flop(sac: SAC) -> int:
    """FLOP of one SAC update on one batch.

    The policy runs for the target and, with its gradient, for its loss; each critic runs for the
    target, with its gradient for its own loss, and with the gradient of its input for the policy.
    """
    policy = _per_row(sac.policy.trainable_variables) * (_FORWARD + _WITH_BACKWARD)
    critics = _per_row(sac.critics.trainable_variables) * (
        _FORWARD + _WITH_BACKWARD + _WITH_INPUT_GRADIENT
    )
    return sac.config.batch_size * (policy + critics)


def ensemble_step_flop(ensemble: GaussianEnsemble) -> int:
    """FLOP of one gradient step of all members on one batch each."""
    return ensemble.config.model_batch_size * _per_row(ensemble.kernels) * _WITH_BACKWARD


def rollout_state_flop(sac: SAC, ensemble: GaussianEnsemble) -> int:
    """FLOP of one state of a model rollout: one action, and a prediction of every member."""
    return _per_row(sac.policy.trainable_variables) + _per_row(ensemble.kernels)

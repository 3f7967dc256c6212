"""PyTorch's layers as the recordings store them, and what is caught while the code runs."""

import contextlib

import numpy as np
import torch


def array(tensor):
    """Return a copy of a tensor as an array."""
    return tensor.detach().numpy().copy()


def copied(values):
    """Return a copy of a tensor, an array, or a tuple of them, as arrays."""
    if isinstance(values, tuple):
        return tuple(copied(value) for value in values)
    return array(values) if isinstance(values, torch.Tensor) else np.array(values)


def stacked(members):
    """Return dicts of arrays with the same names as one dict of stacked arrays."""
    return {name: np.stack([member[name] for member in members]) for name in members[0]}


def dense(layers, gradients=False):
    """Return {0: kernel [in, out], 1: bias, 2: kernel, ...} of linear layers.

    A pair of layers counts as one, whose outputs stand side by side.
    """
    arrays = []
    for layer in layers:
        parts = layer if isinstance(layer, tuple) else (layer,)
        for name in ("weight", "bias"):
            found = [getattr(part, name) for part in parts]
            values = [array(p.grad if gradients else p) for p in found]
            arrays.append(np.concatenate([value.T for value in values], axis=-1))
    return dict(enumerate(arrays))


def named(prefix, arrays):
    """Return the arrays with ``prefix/`` in front of their names."""
    return {f"{prefix}/{name}": values for name, values in arrays.items()}


@contextlib.contextmanager
def replaced(owner, name, replacement):
    """Put ``replacement`` in the place of an attribute for a while."""
    original = getattr(owner, name)
    setattr(owner, name, replacement(original))
    try:
        yield
    finally:
        setattr(owner, name, original)


def noted(found, of=lambda result, *given: result):
    """Return a replacement of a function that appends to ``found`` at each call.

    ``of`` picks what is appended from the result and the positional arguments.
    """

    def replacement(original):
        def call(*given, **options):
            result = original(*given, **options)
            found.append(copied(of(result, *given)))
            return result

        return call

    return replacement


def smaller(sizes):
    """Return a replacement of ``torch.nn.Linear`` with other sizes of its layers."""

    def replacement(original):
        return lambda inputs, outputs: original(
            sizes.get(inputs, inputs), sizes.get(outputs, outputs)
        )

    return replacement


def shift(parameters, random_state, scale):
    """Add normal noise to parameters in place."""
    with torch.no_grad():
        for parameter in parameters:
            noise = scale * random_state.normal(size=parameter.shape)
            parameter += torch.from_numpy(noise.astype(np.float32))

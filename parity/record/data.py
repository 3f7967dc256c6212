"""Transitions of a uniformly random policy, which ``collect_random`` wrote."""

import os

import h5py
import numpy as np

from .session import rng
from .settings import DATA


def dataset(domain, n=None):
    """Return ``n`` transitions of a random-policy dataset in shuffled order; None: all of them."""
    with h5py.File(os.path.join(DATA, '%s_random_5k.hdf5' % domain), 'r') as f:
        d = {k: f[k][()] for k in f}
    i = rng(77).permutation(len(d['rewards']))
    # more rows than there are: the first ones again, a little rescaled
    if n is not None and n > len(i):
        i = np.concatenate([i, i[: n - len(i)]])
        d = {k: v[i] for k, v in d.items()}
        for k in ('observations', 'next_observations'):
            d[k][5000:] *= np.float32(1.001)
        return d
    return {k: v[i[:n]] for k, v in d.items()}

"""What the tests of the algorithms share."""

import numpy as np
import pytest

from mopo_tf2.algorithms.mopo import MOPO
from mopo_tf2.config import EnsembleConfig, MOPOConfig, SACConfig
from mopo_tf2.dynamics.termination import never
from mopo_tf2.types import Transitions

TINY_ENSEMBLE = {
    "num_networks": 2,
    "num_elites": 1,
    "hidden_dim": 4,
    "num_hidden_layers": 1,
    "weight_decays": (1e-4, 1e-4),
    "model_batch_size": 8,
    "model_max_epochs": 2,
}
TINY_SAC = {"hidden_layer_sizes": (4,), "batch_size": 8}
TINY = {
    "rollout_length": 2,
    "penalty_coeff": 0.5,
    "rollout_batch_size": 5,
    "rollout_chunk_size": 5,
    "real_ratio": 0.25,
    "epoch_length": 6,
    "model_train_freq": 3,
    "model_retain_epochs": 2,
    "n_epochs": 3,
    "eval_n_episodes": 0,
}


@pytest.fixture(scope="session")
def dataset():
    """Forty random transitions of O = 2, A = 1."""
    randoms = np.random.RandomState(0)

    def draw(width):
        return randoms.uniform(-1, 1, size=(40, width)).astype(np.float32)

    return Transitions(draw(2), draw(1), draw(2), draw(1), draw(1) > 0.8)


@pytest.fixture(scope="session")
def tiny(dataset):
    """Return a MOPO that trains in seconds, changed as asked."""

    def make(seed=0, *, ensemble=None, sac=None, arguments=None, **changes):
        config = MOPOConfig(
            **{**TINY, **changes},
            ensemble=EnsembleConfig(**{**TINY_ENSEMBLE, **(ensemble or {})}),
            sac=SACConfig(**{**TINY_SAC, **(sac or {})}),
        )
        return MOPO(config, dataset, never, seed=seed, **(arguments or {}))

    return make

"""What the tests of the dynamics model share."""

import numpy as np
import pytest

from mopo_tf2.config import EnsembleConfig
from mopo_tf2.dynamics.ensemble import GaussianEnsemble
from tests.eager import eagerly


@pytest.fixture
def eager():
    """Run the test without compilation."""
    with eagerly():
        yield


@pytest.fixture(scope="session")
def tiny_config():
    """Return settings of an ensemble that compiles and trains in no time, changed as asked."""

    def configure(**changes):
        settings = {
            "num_networks": 3,
            "num_elites": 2,
            "hidden_dim": 4,
            "num_hidden_layers": 1,
            "weight_decays": (1e-4, 1e-4),
            "model_batch_size": 4,
        }
        return EnsembleConfig(**{**settings, **changes})

    return configure


@pytest.fixture(scope="session")
def small_ensemble(tiny_config):
    """Return an ensemble of O = 2, A = 1 with every variable set at random, changed as asked."""

    def make(**changes):
        ensemble = GaussianEnsemble(2, 1, tiny_config(**changes))
        randoms = np.random.RandomState(1)
        for variable in ensemble.member_variables:
            variable.assign(randoms.normal(size=variable.shape))
        ensemble.scaler.fit(randoms.normal(2.0, 3.0, size=(50, 3)).astype(np.float32))
        return ensemble

    return make

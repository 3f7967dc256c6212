"""What the tests of the dynamics model share."""

import pytest

from mopo_tf2.config import EnsembleConfig


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

"""What the tests of the dynamics model share: recordings as our own objects."""

from pathlib import Path

import numpy as np
import pytest

from mopo_tf2.config import EnsembleConfig
from mopo_tf2.dynamics.ensemble import GaussianEnsemble

RECORDINGS = Path(__file__).parents[2] / "parity" / "recordings"


@pytest.fixture(scope="session")
def load_recording():
    """Return the arrays of a recorded case by its name."""

    def load(case):
        with np.load(RECORDINGS / f"{case}.npz") as file:
            return {name: file[name] for name in file.files}

    return load


@pytest.fixture(scope="session")
def recorded_ensemble():
    """Return an ensemble of the recorded sizes with the parameters under ``prefix``."""

    def build(recording, prefix, **settings):
        mean_head = recording[f"{prefix}layers/4/weights"]
        separate = f"{prefix}var_layers/0/weights" in recording
        config = EnsembleConfig(
            num_networks=mean_head.shape[0],
            hidden_dim=mean_head.shape[1],
            separate_mean_var=separate,
            **settings,
        )
        obs_dim = recording[f"{prefix}max_logvar"].shape[1] - 1
        act_dim = recording[f"{prefix}scaler/mu"].shape[1] - obs_dim
        ensemble = GaussianEnsemble(obs_dim, act_dim, config)
        for name, variable in ensemble.named_variables().items():
            variable.assign(recording[prefix + name])
        return ensemble

    return build


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

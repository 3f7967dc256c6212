"""A model's training, stopped and continued, against one that never stopped."""

import numpy as np
import pytest

from mopo_tf2.algorithms.registry import make_algorithm
from mopo_tf2.checkpoints import load_arrays, save_arrays
from mopo_tf2.config_fields import replace
from mopo_tf2.configs.d4rl import TASKS
from mopo_tf2.configs.methods import convert_config
from mopo_tf2.dynamics.termination import never
from tests.algorithms.tiny_methods import LOOP, TINY

MODEL_EPOCHS = {"mopo": {"model_max_epochs": 5}, "morel": {"dynamics_epochs": 2}}
"""Settings of each kind of model, and the epochs between which it can be stopped."""
STOPS = [*(("mopo", epoch) for epoch in range(1, 5)), *(("morel", epoch) for epoch in range(1, 4))]


class Stopped(Exception):
    """Stands for whatever ends the process."""


@pytest.fixture
def make(dataset, eager):
    def make(method):
        config = convert_config(TASKS["halfcheetah_mixed"].config(), method)
        settings = {**LOOP, **TINY[method], **MODEL_EPOCHS[method]}
        return make_algorithm(method, replace(config, settings), dataset, never, seed=3)

    return make


@pytest.mark.parametrize(("method", "epochs"), STOPS)
def test_a_training_stopped_after_any_epoch_ends_as_one_that_never_stopped(
    make, tmp_path, method, epochs
):
    path, done = tmp_path / "checkpoint.npz", []
    undisturbed, stopped, resumed = make(method), make(method), make(method)
    undisturbed.train_model(after_epoch=lambda: done.append(None))
    between = len(done)  # The end of the last epoch is not announced.
    assert between == sum(name == method for name, _ in STOPS)

    def stop():
        done.append(None)
        if len(done) == between + epochs:
            save_arrays(path, stopped.arrays(), stopped.counters())
            raise Stopped

    with pytest.raises(Stopped):
        stopped.train_model(after_epoch=stop)
    resumed.restore(*load_arrays(path))
    assert not resumed.model_trained
    resumed.train_model(after_epoch=lambda: done.append(None))
    assert len(done) == 2 * between  # No epoch was trained twice.
    expected, got = undisturbed.arrays(), resumed.arrays()
    assert got.keys() == expected.keys()
    for name, array in got.items():
        np.testing.assert_array_equal(array, expected[name], err_msg=name)
    counters = [algorithm.counters() for algorithm in (undisturbed, resumed)]
    for one in counters:
        del one["model_metrics"]["times/epoch_train_model"]
    np.testing.assert_equal(*counters)

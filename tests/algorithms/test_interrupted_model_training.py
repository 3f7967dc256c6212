"""The ensemble's training, stopped and continued, against one that never stopped."""

import numpy as np
import pytest

from mopo_tf2.checkpoints import load_arrays, save_arrays

EPOCHS = 5


class Stopped(Exception):
    """Stands for whatever ends the process."""


@pytest.fixture(scope="module")
def undisturbed(tiny):
    mopo = tiny(ensemble={"model_max_epochs": EPOCHS})
    mopo.train_model()
    return mopo


@pytest.mark.parametrize("epochs", range(1, EPOCHS))
def test_a_training_stopped_after_any_epoch_ends_as_one_that_never_stopped(
    tiny, undisturbed, tmp_path, epochs
):
    path, done = tmp_path / "checkpoint.npz", []
    mopo = tiny(ensemble={"model_max_epochs": EPOCHS})

    def stop():
        done.append(None)
        if len(done) == epochs:
            save_arrays(path, mopo.arrays(), mopo.counters())
            raise Stopped

    with pytest.raises(Stopped):
        mopo.train_model(after_epoch=stop)
    resumed = tiny(seed=0, ensemble={"model_max_epochs": EPOCHS})
    resumed.restore(*load_arrays(path))
    assert not resumed.model_trained
    resumed.train_model(after_epoch=lambda: done.append(None))
    assert len(done) == EPOCHS - 1  # No epoch was trained twice; the last one is not announced.
    expected, got = undisturbed.arrays(), resumed.arrays()
    assert got.keys() == expected.keys()
    for name, array in got.items():
        np.testing.assert_array_equal(array, expected[name], err_msg=name)
    assert resumed.ensemble.elites == undisturbed.ensemble.elites
    assert resumed.counters()["random_host"] == undisturbed.counters()["random_host"]
    assert resumed.model_metrics["model/val_loss"] == undisturbed.model_metrics["model/val_loss"]

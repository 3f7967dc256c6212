"""Early stopping. Snapshots, log-variance bounds and elites of real trainings are in parity."""

import keras
import numpy as np
import pytest

from mopo_tf2.dynamics.snapshots import Snapshots


def losses(*values):
    return np.array(values, np.float32)


@pytest.mark.parametrize("patience", [0, 5])
def test_training_stops_after_one_flat_epoch_more_than_the_patience(patience):
    snapshots = Snapshots([keras.Variable(np.zeros((1, 1)))], patience)
    stops = [snapshots.update(epoch, losses(1.0)) for epoch in range(patience + 2)]
    assert stops == [False] * (patience + 1) + [True]


@pytest.mark.parametrize(
    ("history", "best_epoch"),
    [
        ([100.0, 99.0], 0),
        ([100.0, 98.9], 1),
        ([100.0, 100.5], 0),
        ([100.0, 99.4, 98.8], 2),
        ([9.8e9], 0),
        ([9.95e9], -1),
    ],
    ids=[
        "one per cent",
        "more",
        "worse",
        "more than the snapshot's, less than the last epoch's",
        "more than one per cent below 1e10, the first best loss",
        "less",
    ],
)
def test_only_an_improvement_of_more_than_one_per_cent_counts(history, best_epoch):
    snapshots = Snapshots([keras.Variable(np.zeros((1, 1)))], 5)
    for epoch, loss in enumerate(history):
        snapshots.update(epoch, losses(loss))
    assert snapshots.epochs[0] == best_epoch

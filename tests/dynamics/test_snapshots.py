"""Early stopping and the choice of elites."""

import keras
import numpy as np
import pytest

from mopo_tf2.dynamics.ensemble import GaussianEnsemble
from mopo_tf2.dynamics.snapshots import Snapshots, select_elites


def losses(*values):
    return np.array(values, np.float32)


def replay(variable, snapshots, holdout_losses):
    """Feed losses epoch by epoch; the variable holds the epoch. Return since-counts and stops."""
    since, stops = [], []
    for epoch, values in enumerate(holdout_losses):
        variable.assign(np.full(variable.shape, epoch))
        stops.append(snapshots.update(epoch, values))
        since.append(snapshots.epochs_since_update)
    return since, stops


@pytest.mark.parametrize("patience", [0, 5])
def test_training_stops_after_one_flat_epoch_more_than_the_patience(patience):
    variable = keras.Variable(np.zeros((1, 1)))
    flat = [losses(1.0)] * (patience + 2)
    _, stops = replay(variable, Snapshots([variable], patience), flat)
    assert stops == [False] * (patience + 1) + [True]


def test_any_members_improvement_resets_the_patience():
    variable = keras.Variable(np.zeros((2, 1)))
    history = [losses(1, 1), losses(1, 1), losses(1, 0.5), losses(1, 0.5)]
    snapshots = Snapshots([variable], 5)
    since, _ = replay(variable, snapshots, history)
    assert since == [0, 1, 0, 1]
    assert snapshots.epochs.tolist() == [0, 2]
    snapshots.restore()
    assert variable.numpy()[:, 0].tolist() == [0, 2]


@pytest.mark.parametrize(("loss", "counts"), [(99.0, False), (98.9, True), (100.5, False)])
def test_only_an_improvement_of_more_than_one_per_cent_counts(loss, counts):
    snapshots = Snapshots([keras.Variable(np.zeros((1, 1)))], 5)
    snapshots.update(0, losses(100.0))
    snapshots.update(1, losses(loss))
    assert (snapshots.epochs[0] == 1) is np.bool_(counts)


def test_one_per_cent_is_measured_against_the_snapshot_not_the_last_epoch():
    snapshots = Snapshots([keras.Variable(np.zeros((1, 1)))], 5)
    for epoch, loss in enumerate((100.0, 99.4, 98.8)):
        snapshots.update(epoch, losses(loss))
    assert snapshots.epochs[0] == 2


def test_log_variance_bounds_keep_their_last_values(tiny_config):
    ensemble = GaussianEnsemble(2, 1, tiny_config())
    snapshots = Snapshots(ensemble.member_variables, 5)
    snapshots.update(0, losses(1, 1, 1))
    best = ensemble.head.kernel.numpy()
    for variable in ensemble.trainable_variables:
        variable.assign(variable.numpy() + 1)
    snapshots.restore()
    np.testing.assert_array_equal(ensemble.head.kernel.numpy(), best)
    np.testing.assert_array_equal(ensemble.max_logvar.numpy(), np.full((1, 3), 1.5))


def test_elites_are_the_members_of_lowest_loss_best_first():
    assert select_elites(losses(0.4, 0.1, 0.3, 0.2), 3) == [1, 3, 2]

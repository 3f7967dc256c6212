"""Where the 1 % rule fell within rounding of its threshold, the port may decide otherwise."""

from types import SimpleNamespace

import numpy as np
import pytest

from mopo_tf2.dynamics.training import TrainingResult
from parity.cases.training import _flips_allowed, _outcome
from parity.comparison import NotCompared
from parity.loading import build_ensemble, recorded_ensemble
from parity.recording import Recording

# Member 0 improves by 1 % + 1e-5 in epoch 1, member 1 by half, member 2 not at all.
LOSSES = np.array([[1.0, 1.0, 1.0], [0.99 - 1e-5, 0.5, 1.0]], np.float32)


@pytest.mark.parametrize(
    ("margin", "allowed"),
    [(1e-5, [True, False, False]), (2e-5, [False] * 3), (None, [False] * 3)],
)
def test_flips_are_allowed_only_where_the_case_and_its_losses_say_so(margin, allowed):
    arrays = {"epoch_holdout_losses": LOSSES}
    if margin is not None:
        arrays["threshold_margin"] = np.float64(margin)
    assert _flips_allowed(Recording("case", arrays)).tolist() == allowed


@pytest.fixture
def flipped(load):
    """A training that kept member 0's weights of epoch 0 where the recorded one took epoch 1's."""
    recorded = recorded_ensemble(load("bnn_holdout_cap"), "initial")
    ensemble = build_ensemble(recorded)
    for name, variable in ensemble.named_variables().items():
        variable.assign(recorded[name])
    inputs = np.zeros((4, ensemble.input_dim), np.float32)
    mean, variance = ensemble.predict(inputs)
    arrays = {f"final/{name}": values.copy() for name, values in recorded.items()}
    arrays["final/layers/1/weights"][0] += 1.0
    arrays |= {
        "epoch_holdout_losses": LOSSES,
        "epochs_since_update": np.array([0, 0]),
        "snapshot_epochs": np.array([1, 1, 0]),
        "snapshot_losses": np.array([LOSSES[1, 0], 0.5, 1.0], np.float32),
        "elites": np.array([1, 0]),
        "val_loss": np.float64(0.7),
        "inputs": inputs,
        "probe/mean": mean.numpy(),
        "probe/var": variance.numpy(),
        "threshold_margin": np.float64(1e-5),
    }
    ours = np.array([0, 1, 0])
    found = SimpleNamespace(epochs=ours, losses=np.array([1.0, 0.5, 1.0], np.float32))
    trainer = SimpleNamespace(snapshots=found, ensemble=ensemble)
    result = TrainingResult(0.75, np.array([1.0, 0.5, 1.0]), [1, 0], 2, 0.0)
    history = SimpleNamespace(holdout_losses=list(LOSSES), epochs_since_update=[0, 0])
    return arrays, trainer, result, history


def findings_of(arrays, *found):
    """What is left out, and the arrays that miss."""
    findings = list(_outcome(Recording("bnn_train", arrays), *found))
    left_out = [finding for finding in findings if isinstance(finding, NotCompared)]
    return left_out, {finding.array for finding in findings if getattr(finding, "over", 0)}


def test_an_allowed_flip_leaves_out_its_member_and_says_so(flipped):
    left_out, missed = findings_of(*flipped)
    assert [finding.arrays[0] for finding in left_out] == ["elites"]
    assert "member 0" in left_out[0].reason
    assert missed == set()


def test_the_same_difference_misses_without_the_margin(flipped):
    flipped[0]["threshold_margin"] = np.float64(1e-3)
    _, missed = findings_of(*flipped)
    assert {"snapshot_epochs", "snapshot_losses", "final/layers/1/weights", "val_loss"} <= missed


def test_an_allowed_flip_of_one_member_does_not_excuse_another(flipped):
    flipped[0]["final/layers/1/weights"][2] += 1.0
    flipped[0]["snapshot_epochs"][2] = 1
    _, missed = findings_of(*flipped)
    assert {"snapshot_epochs", "final/layers/1/weights"} <= missed

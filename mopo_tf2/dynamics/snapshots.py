"""Early stopping of the ensemble: each member's best weights, patience, elites."""

from collections.abc import Sequence

import keras
import numpy as np

MIN_IMPROVEMENT = 0.01
"""Smallest relative improvement of the hold-out loss that counts (Q-09)."""

INITIAL_BEST_LOSS = 1e10


class Snapshots:
    """The best weights of each member, and the epochs since any member improved.

    Args:
        variables: [E, ...] each; a snapshot of member e copies their slice e. The log-variance
            bounds are not among them: they keep their last values (Q-10).
        max_epochs_since_update: patience, in epochs.

    Attributes:
        epochs: [E] int64, epoch of each member's snapshot, -1 before the first.
        losses: [E] float32, its hold-out loss.
        epochs_since_update: epochs since any member improved.

    Original: mopo/models/bnn.py:BNN._save_best; mopo/models/bnn.py:BNN._start_train
    """

    def __init__(self, variables: Sequence[keras.Variable], max_epochs_since_update: int):
        self._variables = variables
        self._best = [variable.numpy() for variable in variables]
        self._max_epochs_since_update = max_epochs_since_update
        num_networks = len(self._best[0])
        self.epochs = np.full(num_networks, -1, np.int64)
        self.losses = np.full(num_networks, INITIAL_BEST_LOSS, np.float32)
        self.epochs_since_update = 0

    def update(self, epoch: int, holdout_losses: np.ndarray) -> bool:
        """Keep the weights of members that improved by more than 1 %; return whether to stop.

        An improvement of any member resets the patience. Training stops after
        ``max_epochs_since_update + 1`` epochs without one.

        Args:
            epoch: index of the epoch that ended.
            holdout_losses: [E] float32.
        """
        # float32 differences against a float64 threshold, as NumPy 1.16 computed them.
        improvement = ((self.losses - holdout_losses) / self.losses).astype(np.float64)
        improved = np.flatnonzero(improvement > MIN_IMPROVEMENT)
        self.losses[improved] = holdout_losses[improved]
        self.epochs[improved] = epoch
        if improved.size:
            for best, variable in zip(self._best, self._variables, strict=True):
                best[improved] = variable.numpy()[improved]
            self.epochs_since_update = 0
        else:
            self.epochs_since_update += 1
        return self.epochs_since_update > self._max_epochs_since_update

    def arrays(self) -> dict[str, np.ndarray]:
        """Return the best weights, their epochs and losses by their names in checkpoints."""
        best = {f"snapshots/best/{i}": value for i, value in enumerate(self._best)}
        return {"snapshots/epochs": self.epochs, "snapshots/losses": self.losses, **best}

    def load(self, arrays: dict[str, np.ndarray], epochs_since_update: int) -> None:
        """Continue with what ``arrays`` returned, and the epochs since an improvement."""
        self.epochs, self.losses = arrays["snapshots/epochs"], arrays["snapshots/losses"]
        self._best = [arrays[f"snapshots/best/{i}"] for i in range(len(self._best))]
        self.epochs_since_update = epochs_since_update

    def restore(self) -> None:
        """Restore every member's best weights. Original: mopo/models/bnn.py:BNN._set_state."""
        for best, variable in zip(self._best, self._variables, strict=True):
            variable.assign(best)


def select_elites(holdout_losses: np.ndarray, num_elites: int) -> list[int]:
    """Return the members with the lowest hold-out loss, best first.

    Original: mopo/models/bnn.py:BNN._end_train
    """
    return [int(member) for member in np.argsort(holdout_losses)[:num_elites]]

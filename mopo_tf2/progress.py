"""Progress callbacks: the library calls them, a script shows them."""

from typing import Protocol

import numpy as np


class Progress(Protocol):
    """Receives progress callbacks. Every method must return at once and must not raise.

    Original: mopo/utils/logging.py:Progress
    """

    def model_step(self, epoch: int, done: int, total: int) -> None:
        """``done`` of ``total`` gradient steps of ensemble-training ``epoch`` (from 0) are done."""
        return None

    def model_epoch(
        self,
        epoch: int,
        holdout_losses: np.ndarray,
        epochs_since_update: int,
        max_epochs_since_update: int,
        max_epochs: int | None,
    ) -> None:
        """Ensemble-training ``epoch`` ended with hold-out MSE ``holdout_losses`` [E].

        Training stops once ``epochs_since_update`` exceeds ``max_epochs_since_update``, or after
        ``max_epochs`` epochs if that is not None.
        """
        return None

    def epoch_started(self, epoch: int, n_epochs: int) -> None:
        """Policy-training ``epoch`` (from 0) of ``n_epochs`` begins."""
        return None

    def rollout_step(self, done: int, total: int, states: int) -> None:
        """``done`` of ``total`` rollout steps are done; the last one had ``states`` rows."""
        return None

    def updates(self, done: int, total: int) -> None:
        """``done`` of ``total`` gradient steps of this epoch are done."""
        return None

    def evaluation_step(self, done: int, total: int) -> None:
        """``done`` of at most ``total`` lockstep evaluation steps are done."""
        return None

    def distribution(self, name: str, values: np.ndarray) -> None:
        """``values`` [n] are what one quantity was in this epoch: returns, penalties."""
        return None

    def epoch_finished(self, epoch: int, metrics: dict[str, float]) -> None:
        """Policy-training ``epoch`` ended with ``metrics`` (the row of progress.csv)."""
        return None


class NoProgress(Progress):
    """Ignores every callback: the default. Original: mopo/utils/logging.py:Silent."""

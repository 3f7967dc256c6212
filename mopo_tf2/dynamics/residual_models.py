"""The ensemble of deterministic networks that predict reward and change of the state."""

from collections.abc import Sequence
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from mopo_tf2.dynamics.training import format_samples, shuffle_rows
from mopo_tf2.errors import DivergenceError, InputError
from mopo_tf2.gradient_steps import CompiledSteps, adam, minimise
from mopo_tf2.networks.feedforward import Feedforward
from mopo_tf2.progress import NoProgress, Progress
from mopo_tf2.types import Transitions

_SMALLEST_SCALE = 1e-6
_STEPS_PER_CALL = 16


def centre_and_spread(data: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and mean absolute deviation of each column of data [N, D], each [D] float32.

    mjrl's transformations of inputs and outputs, in its nn_dynamics. D-111: a deviation below 1e-6
    becomes 1, where mjrl adds 1e-8 to it, which would blow a constant column's rounding up.
    """
    centre = data.mean(axis=0, dtype=np.float64)
    spread = np.abs(data - centre).mean(axis=0, dtype=np.float64)
    spread[spread < _SMALLEST_SCALE] = 1.0
    return centre.astype(np.float32), spread.astype(np.float32)


class ResidualEnsemble:
    """E networks f(s, a) -> (reward, s' - s), trained on squared error.

    s' = s + output_scale * network((s, a) standardised) + output_shift. All members run as one
    batched product and share the transformations. D-110: the reward is a further output of the same
    network; mjrl has a separate reward network, or the task's own reward function.

    Args:
        obs_dim: O.
        act_dim: A.
        num_networks: E.
        hidden_layer_sizes: units of each hidden layer, ReLU.
        seed: of the initial weights; each member is drawn with a seed of its own.

    MOReL paper (Kidambi et al. 2020), section 4; mjrl's nn_dynamics.
    """

    def __init__(
        self,
        obs_dim: int,
        act_dim: int,
        *,
        num_networks: int,
        hidden_layer_sizes: Sequence[int],
        seed: int = 0,
    ):
        self.obs_dim, self.act_dim, self.num_networks = obs_dim, act_dim, num_networks
        self.network = Feedforward(
            hidden_layer_sizes, 1 + obs_dim, num_networks=num_networks, seed=seed
        )
        self.network.build((None, obs_dim + act_dim))
        self.input_shift, self.input_scale = _transformation("input", obs_dim + act_dim)
        self.output_shift, self.output_scale = _transformation("output", 1 + obs_dim)

    def fit_transformations(self, inputs: np.ndarray, targets: np.ndarray) -> None:
        """Take shift and scale of inputs [N, O + A] and targets [N, 1 + O] from the data."""
        for data, shift, scale in (
            (inputs, self.input_shift, self.input_scale),
            (targets, self.output_shift, self.output_scale),
        ):
            centre, spread = centre_and_spread(data)
            shift.assign(centre)
            scale.assign(spread)

    def losses(self, inputs: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
        """Return each member's mean squared error [E], outputs standardised.

        Args:
            inputs: [B, O + A] (shared by the members) or [E, B, O + A] float32.
            targets: [B, 1 + O] or [E, B, 1 + O] float32, (reward, s' - s).
        """
        standardised = (targets - self.output_shift) / self.output_scale
        errors = self._standardised(inputs) - standardised
        return tf.reduce_mean(tf.square(errors), axis=[1, 2])

    def _standardised(self, inputs: tf.Tensor) -> tf.Tensor:
        return self.network((inputs - self.input_shift) / self.input_scale)

    def predict(self, observations: tf.Tensor, actions: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Return each member's rewards [E, B] and next observations [E, B, O].

        Args:
            observations: [B, O] float32.
            actions: [B, A] float32.
        """
        outputs = self._standardised(tf.concat([observations, actions], axis=-1))
        outputs = outputs * self.output_scale + self.output_shift
        return outputs[:, :, 0], observations + outputs[:, :, 1:]

    def named_variables(self) -> dict[str, keras.Variable]:
        """Return every variable by the name it has in checkpoints."""
        named = {f"network/{i}": variable for i, variable in enumerate(self.network.variables)}
        return {
            **named,
            "input_shift": self.input_shift,
            "input_scale": self.input_scale,
            "output_shift": self.output_shift,
            "output_scale": self.output_scale,
        }


def _transformation(name: str, size: int) -> tuple[keras.Variable, keras.Variable]:
    shift = keras.Variable(np.zeros(size, np.float32), trainable=False, name=f"{name}_shift")
    scale = keras.Variable(np.ones(size, np.float32), trainable=False, name=f"{name}_scale")
    return shift, scale


class ResidualTrainingResult(NamedTuple):
    """What training found.

    holdout_losses: [E] float32, mean squared error on the held-out rows, outputs standardised; on
        the training rows if none are held out.
    epochs: epochs trained.
    """

    holdout_losses: np.ndarray
    epochs: int


class ResidualTrainer:
    """Adam on the members' squared errors for a fixed number of epochs.

    Args:
        ensemble: what is trained, in place.
        lr: Adam's learning rate.
        batch_size: rows per member and gradient step.
        holdout_ratio: share of rows held out for the reported loss.
        max_holdout: upper bound on the held-out rows.

    mjrl's nn_dynamics; D-112: held-out rows, which mjrl has not.
    """

    def __init__(
        self,
        ensemble: ResidualEnsemble,
        *,
        lr: float,
        batch_size: int,
        holdout_ratio: float,
        max_holdout: int,
    ):
        self.ensemble, self.batch_size = ensemble, batch_size
        self.holdout_ratio, self.max_holdout = holdout_ratio, max_holdout
        self.optimizer = adam(lr, ensemble.network.trainable_variables)
        self._steps = CompiledSteps(self._step)
        self._compiled_losses = tf.function(ensemble.losses, jit_compile=True)

    def _step(self, inputs: tf.Tensor, targets: tf.Tensor) -> None:
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(self.ensemble.losses(inputs, targets))
        minimise(self.optimizer, tape, loss, self.ensemble.network.trainable_variables)

    def train(
        self,
        transitions: Transitions,
        random_state: np.random.RandomState,
        *,
        epochs: int,
        progress: Progress | None = None,
    ) -> ResidualTrainingResult:
        """Train for ``epochs``.

        Draws a permutation [N] for the split, then uniforms [E, n] before each epoch: each member
        sees the rows in an order of its own. Rows that fill no batch are left out of that epoch.

        Raises:
            InputError: if nothing would be left to train on.
            DivergenceError: if a loss becomes NaN or infinite.
        """
        progress = progress or NoProgress()
        inputs, targets = format_samples(transitions)
        count = min(int(len(inputs) * self.holdout_ratio), self.max_holdout)
        order = random_state.permutation(len(inputs))
        held, kept = order[:count], order[count:]
        if not len(kept):
            raise InputError(
                f"{len(inputs)} rows leave none to train on; give more data or a smaller "
                "dynamics_holdout_ratio."
            )
        self.ensemble.fit_transformations(inputs[kept], targets[kept])
        judged = held if count else kept[: self.max_holdout]
        losses = np.full(self.ensemble.num_networks, np.nan, np.float32)
        members = np.tile(kept, (self.ensemble.num_networks, 1))
        for epoch in range(epochs):
            self._train_epoch(inputs, targets, shuffle_rows(members, random_state), epoch, progress)
            losses = self._compiled_losses(inputs[judged], targets[judged]).numpy()
            if not np.all(np.isfinite(losses)):
                raise DivergenceError(
                    f"model training diverged: hold-out losses {losses} after epoch {epoch}. "
                    "Check the scale of the data or lower dynamics_lr."
                )
            progress.model_epoch(epoch, losses, 0, epochs, epochs)
        return ResidualTrainingResult(losses, epochs)

    def _train_epoch(
        self,
        inputs: np.ndarray,
        targets: np.ndarray,
        indices: np.ndarray,
        epoch: int,
        progress: Progress,
    ) -> None:
        members, rows = indices.shape
        batch_size = min(self.batch_size, rows)
        total = rows // batch_size
        batches = indices[:, : total * batch_size].reshape(members, total, batch_size)
        batches = batches.swapaxes(0, 1)
        for start in range(0, total, _STEPS_PER_CALL):
            chosen = batches[start : start + _STEPS_PER_CALL]
            self._steps(inputs[chosen], targets[chosen])
            progress.model_step(epoch, start + len(chosen), total)

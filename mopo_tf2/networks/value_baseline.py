"""V(s, t) as a baseline of policy gradients: a network on clipped observations and time."""

from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf

from mopo_tf2.chunks import map_in_chunks
from mopo_tf2.gradient_steps import CompiledSteps, adam, minimise
from mopo_tf2.networks.feedforward import Feedforward

OBSERVATION_BOUND = 10.0
"""Observations are clipped to this and divided by it."""
TIME_UNIT = 1000.0
"""Steps per unit of the time features."""
TIME_POWERS = 4
"""The time features are t, t^2, ... up to this power."""
_PREDICTION_CHUNK = 4096
_SMALLEST_SCALE = 1e-3
_STEPS_PER_CALL = 64


def baseline_features(observations: np.ndarray, steps: np.ndarray) -> np.ndarray:
    """Return [..., O + 4] float32: observations clipped to [-10, 10] / 10, and powers of time.

    Args:
        observations: [..., O].
        steps: [...], index of each row within its path, from 0; the features are
            (t / 1000)^1 to (t / 1000)^4.

    mjrl's mlp_baseline.
    """
    clipped = np.clip(observations, -OBSERVATION_BOUND, OBSERVATION_BOUND) / OBSERVATION_BOUND
    time = np.asarray(steps, np.float32)[..., None] / TIME_UNIT
    powers = [np.broadcast_to(time**k, clipped[..., :1].shape) for k in range(1, TIME_POWERS + 1)]
    return np.concatenate([clipped, *powers], axis=-1).astype(np.float32)


class ValueBaseline:
    """Regression of discounted returns on ``baseline_features``.

    D-115: the network predicts returns in units of their own stddev about their mean, which are
    taken anew at each fit; the last layer is rescaled then, so that the prediction does not jump.
    mjrl regresses the raw returns, whose thousands Adam takes long to reach. Before the first fit
    the prediction is 0.

    Args:
        obs_dim: O.
        hidden_layer_sizes: units of each hidden layer.
        lr: Adam's learning rate.
        batch_size: rows of a gradient step.
        seed: of the initial weights.

    mjrl's mlp_baseline.
    """

    def __init__(
        self,
        obs_dim: int,
        hidden_layer_sizes: Sequence[int],
        *,
        lr: float,
        batch_size: int,
        seed: int = 0,
    ):
        self.batch_size = batch_size
        self.network = Feedforward(hidden_layer_sizes, 1, seed=seed)
        self.network.build((None, obs_dim + TIME_POWERS))
        self.shift = keras.Variable(0.0, trainable=False, dtype="float32", name="shift")
        self.scale = keras.Variable(0.0, trainable=False, dtype="float32", name="scale")
        self.optimizer = adam(lr, self.network.trainable_variables)
        self._steps = CompiledSteps(self._step)
        self._compiled_values = tf.function(self._values, jit_compile=True)

    def _values(self, features: tf.Tensor) -> list[tf.Tensor]:
        return [self.shift.value + self.scale.value * self.network(features)]

    def values(self, features: np.ndarray) -> np.ndarray:
        """Return V [B] float32 for features [B, F]."""
        return map_in_chunks(self._compiled_values, [features], _PREDICTION_CHUNK)[0][:, 0]

    def _step(self, features: tf.Tensor, targets: tf.Tensor) -> None:
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.square(self.network(features) - targets))
        minimise(self.optimizer, tape, loss, self.network.trainable_variables)

    def fit(
        self,
        features: np.ndarray,
        returns: np.ndarray,
        random_state: np.random.RandomState,
        epochs: int,
    ) -> None:
        """Regress ``returns`` [B] on ``features`` [B, F] for some passes in random order.

        Draws one permutation per pass; rows that fill no batch are left out of that pass.
        """
        mean = float(returns.mean())
        # Equal returns have no stddev; float32 resolves no less than this share of them well.
        smallest = _SMALLEST_SCALE * max(1.0, abs(mean))
        self._rescale(mean, max(float(returns.std()), smallest))
        targets = ((returns - self.shift.numpy()) / self.scale.numpy()).astype(np.float32)[:, None]
        count, batch_size = len(features), min(self.batch_size, len(features))
        order = np.concatenate(
            [
                random_state.permutation(count)[: count // batch_size * batch_size]
                for _ in range(epochs)
            ]
        ).reshape(-1, batch_size)
        for start in range(0, len(order), _STEPS_PER_CALL):
            rows = order[start : start + _STEPS_PER_CALL]
            self._steps(features[rows], targets[rows])

    def _rescale(self, shift: float, scale: float) -> None:
        """Change the units of the output and leave the prediction where it is."""
        output = self.network.dense_layers[-1]
        old_shift, old_scale = self.shift.numpy(), self.scale.numpy()
        if old_scale:  # else there is no prediction yet
            output.kernel.assign(output.kernel.value * (old_scale / scale))
            output.bias.assign((output.bias.value * old_scale + old_shift - shift) / scale)
        self.shift.assign(shift)
        self.scale.assign(scale)

    def named_variables(self) -> dict[str, keras.Variable]:
        """Return every variable, the optimiser's included, by the name it has in checkpoints."""
        named = {"shift": self.shift, "scale": self.scale}
        parts = {"network": self.network.variables, "optimizer": self.optimizer.variables}
        for name, variables in parts.items():
            named.update({f"{name}/{i}": variable for i, variable in enumerate(variables)})
        return named

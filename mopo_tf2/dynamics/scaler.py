"""Input standardisation, fitted on the training split."""

import keras
import numpy as np
import tensorflow as tf

_SMALLEST_STD = 1e-12


def column_statistics(data: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and stddev (ddof 0) of each column, [1, I] float32 each.

    NumPy float32 reductions over axis 0, with the rounding of the original (Q-18). A stddev
    below 1e-12 becomes 1, so that a constant column maps to 0 (Q-07).

    Args:
        data: [N, I] float32.

    Original: mopo/models/utils.py:TensorStandardScaler.fit
    """
    mean = np.mean(data, axis=0, keepdims=True)
    std = np.std(data, axis=0, keepdims=True)
    std[std < _SMALLEST_STD] = 1.0
    return mean, std


class Scaler:
    """Maps inputs to ``(inputs - mu) / sigma``. Targets and rewards are never scaled (Q-07).

    Original: mopo/models/utils.py:TensorStandardScaler
    """

    def __init__(self, input_dim: int):
        self.mu = keras.Variable(
            np.zeros((1, input_dim)), trainable=False, dtype="float32", name="mu"
        )
        self.sigma = keras.Variable(
            np.ones((1, input_dim)), trainable=False, dtype="float32", name="sigma"
        )

    def fit(self, data: np.ndarray) -> None:
        """Set mean and stddev to those of ``data`` [N, I] float32."""
        mean, std = column_statistics(data)
        self.mu.assign(mean)
        self.sigma.assign(std)

    def transform(self, inputs: tf.Tensor) -> tf.Tensor:
        """Standardise inputs [..., I] float32.

        Original: mopo/models/utils.py:TensorStandardScaler.transform
        """
        return (inputs - self.mu) / self.sigma

    def inverse_transform(self, inputs: tf.Tensor) -> tf.Tensor:
        """Undo ``transform``.

        Original: mopo/models/utils.py:TensorStandardScaler.inverse_transform
        """
        return self.sigma * inputs + self.mu

"""Q(s, a), several critics at once."""

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from mopo_tf2.networks.feedforward import Feedforward, PairNetwork


class QFunctions(PairNetwork):
    """``num_critics`` feed-forward critics of the same state and action, as one batched network.

    Call: observations [B, O], actions [B, A] float32 -> [num_critics, B, 1] float32, the expected
    discounted sum of rewards (and entropies).

    Original: softlearning/value_functions/vanilla.py:create_feedforward_Q_function
    """

    def __init__(
        self,
        hidden_layer_sizes: Sequence[int],
        *,
        num_critics: int = 2,
        fan_in_uniform: bool = False,
        seed: int = 0,
    ):
        super().__init__()
        self.num_critics = num_critics
        self.network = Feedforward(
            hidden_layer_sizes,
            1,
            num_networks=num_critics,
            fan_in_uniform=fan_in_uniform,
            seed=seed,
        )

    def call(self, observations: tf.Tensor, actions: tf.Tensor) -> tf.Tensor:
        """Return Q(s, a) of every critic; see the class."""
        return self.outputs(observations, actions)

    def critic_weights(self, critic: int) -> list[np.ndarray]:
        """Return kernel [I, U], bias [U], kernel, bias, ... of one critic, as Keras lists them."""
        arrays = [variable.numpy()[critic] for variable in self.variables]
        return [array[0] if i % 2 else array for i, array in enumerate(arrays)]

    def set_critic_weights(self, critic: int, weights: Sequence[np.ndarray]) -> None:
        """Set one critic from arrays as ``critic_weights`` returns them.

        Raises:
            ValueError: if their number or a shape differs.
        """
        for variable, weight in zip(self.variables, weights, strict=True):
            value = variable.numpy()
            value[critic] = np.reshape(weight, value[critic].shape)
            variable.assign(value)

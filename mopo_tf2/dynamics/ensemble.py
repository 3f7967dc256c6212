"""The ensemble of Gaussian dynamics networks."""

import keras
import numpy as np
import tensorflow as tf

from mopo_tf2.config import EnsembleConfig
from mopo_tf2.dynamics import losses
from mopo_tf2.dynamics.scaler import Scaler
from mopo_tf2.networks.ensemble_dense import EnsembleDense
from mopo_tf2.seeding import spawn_seeds

INITIAL_MAX_LOGVAR = 0.5
INITIAL_MIN_LOGVAR = -10.0


class GaussianEnsemble:
    """E networks that predict mean and log-variance of (reward, delta observation).

    A trunk of swish layers; on its last hidden activation a mean head and a variance head with
    separate weights (Q-01), or one head for both. All members run as one batched product and share
    the learned bounds of the log-variance. The weights have no spectral normalisation, although the
    paper's first versions mention it (Q-13).

    Args:
        obs_dim: O.
        act_dim: A.
        config: sizes, heads and weight decays.
        seed: of the initial weights.

    Attributes:
        elites: members with the lowest hold-out loss, best first; all members before training.

    Original: mopo/models/bnn.py:BNN; mopo/models/constructor.py:construct_model
    """

    def __init__(self, obs_dim: int, act_dim: int, config: EnsembleConfig, seed: int = 0):
        self.obs_dim, self.act_dim, self.config = obs_dim, act_dim, config
        self.input_dim, self.output_dim = obs_dim + act_dim, 1 + obs_dim
        members, separate = config.num_networks, config.separate_mean_var
        *trunk_seeds, head_seed, variance_seed = spawn_seeds(seed, config.num_hidden_layers + 2)
        self.trunk = [
            EnsembleDense(config.hidden_dim, members, "swish", seed=layer_seed)
            for layer_seed in trunk_seeds
        ]
        head_units = self.output_dim if separate else 2 * self.output_dim
        self.head = EnsembleDense(head_units, members, seed=head_seed)
        self.variance_head = (
            EnsembleDense(self.output_dim, members, seed=variance_seed) if separate else None
        )
        self._build_variables()
        self.elites = list(range(members))

    def _build_variables(self) -> None:
        shape: tuple[int | None, ...] = (None, self.input_dim)
        for layer in self.trunk:
            layer.build(shape)
            shape = layer.compute_output_shape(shape)
        for head in self.heads:
            head.build(shape)
        self.scaler = Scaler(self.input_dim)
        bounds = np.ones((1, self.output_dim), np.float32)
        self.max_logvar = keras.Variable(INITIAL_MAX_LOGVAR * bounds, name="max_logvar")
        self.min_logvar = keras.Variable(INITIAL_MIN_LOGVAR * bounds, name="min_logvar")

    @property
    def num_networks(self) -> int:
        """E."""
        return self.config.num_networks

    @property
    def heads(self) -> list[EnsembleDense]:
        """The mean head and, if it is separate, the variance head."""
        return [self.head] if self.variance_head is None else [self.head, self.variance_head]

    @property
    def weight_decays(self) -> list[float]:
        """Decay coefficient of each layer of ``kernels``; both heads have the last one (Q-03)."""
        return [*self.config.weight_decays, *self.config.weight_decays[-1:] * (len(self.heads) - 1)]

    @property
    def kernels(self) -> list[keras.Variable]:
        """Kernels [E, I, U] of trunk and heads, in order."""
        return [layer.kernel for layer in (*self.trunk, *self.heads)]

    @property
    def member_variables(self) -> list[keras.Variable]:
        """Kernel and bias of trunk and heads, in order; each has a leading E axis."""
        return [v for layer in (*self.trunk, *self.heads) for v in (layer.kernel, layer.bias)]

    @property
    def trainable_variables(self) -> list[keras.Variable]:
        """The members' variables and the log-variance bounds."""
        return [*self.member_variables, self.max_logvar, self.min_logvar]

    def named_variables(self) -> dict[str, keras.Variable]:
        """Return every variable by its name in saved files, in the original's order.

        Original: mopo/models/bnn.py:BNN.finalize
        """
        named = {"scaler/mu": self.scaler.mu, "scaler/sigma": self.scaler.sigma}
        for i, layer in enumerate([*self.trunk, self.head]):
            named[f"layers/{i}/weights"], named[f"layers/{i}/biases"] = layer.kernel, layer.bias
        if self.variance_head is not None:
            named["var_layers/0/weights"] = self.variance_head.kernel
            named["var_layers/0/biases"] = self.variance_head.bias
        return {**named, "max_logvar": self.max_logvar, "min_logvar": self.min_logvar}

    def __call__(self, inputs: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Predict mean and log-variance, each [E, B, D] float32.

        Args:
            inputs: [B, O + A] (shared by the members) or [E, B, O + A] float32, not scaled.

        Original: mopo/models/bnn.py:BNN._compile_outputs
        """
        hidden = self.scaler.transform(inputs)
        for layer in self.trunk:
            hidden = layer(hidden)
        if self.variance_head is None:
            mean, raw = tf.split(self.head(hidden), 2, axis=-1)
        else:
            mean, raw = self.head(hidden), self.variance_head(hidden)
        return mean, losses.bounded_log_var(raw, self.max_logvar, self.min_logvar)

    def predict(self, inputs: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Predict mean and variance of each member, [E, B, D] float32; see ``__call__``.

        Original: mopo/models/bnn.py:BNN.predict
        """
        mean, log_var = self(inputs)
        return mean, tf.exp(log_var)

    def objective(self, inputs: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
        """Return the objective of training: a scalar, or [E] if ``deterministic`` (Q-12).

        Args:
            inputs: [E, B, O + A] float32.
            targets: [E, B, D] float32, (reward, delta observation).

        Original: mopo/models/bnn.py:BNN.finalize
        """
        mean, log_var = self(inputs)
        decay = losses.weight_decay(self.kernels, self.weight_decays)
        if self.config.deterministic:
            # a vector whose sum is minimised, so that the decay counts E times.
            return losses.squared_error(mean, targets) + decay
        bounds = losses.log_var_bound_term(self.max_logvar, self.min_logvar)
        return tf.reduce_sum(losses.gaussian_nll(mean, log_var, targets)) + decay + bounds

    def squared_error(self, inputs: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
        """Return the mean squared error [E] of each member; shapes as in ``losses``."""
        mean, _ = self(inputs)
        return losses.squared_error(mean, targets)

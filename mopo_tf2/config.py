"""Configurations: frozen, validated, closed. Field names are the original's where it has one."""

import dataclasses
import math
from typing import Any, ClassVar

from mopo_tf2.config_fields import flatten, require, require_positive, require_within


@dataclasses.dataclass(frozen=True, kw_only=True)
class EnsembleConfig:
    """The dynamics ensemble and its training.

    Original: mopo/models/constructor.py:construct_model; mopo/models/bnn.py:BNN.train
    """

    num_networks: int = 7
    """E, members of the ensemble."""
    num_elites: int = 5
    """Members with the lowest hold-out loss, from which rollouts sample."""
    hidden_dim: int = 200
    """Units of each hidden layer."""
    num_hidden_layers: int = 4
    """Hidden layers of the trunk."""
    separate_mean_var: bool = True
    """Separate heads for mean and variance on the last hidden layer; otherwise one head."""
    deterministic: bool = False
    """Train on the squared error alone and average the members in rollouts."""
    weight_decays: tuple[float, ...] = (2.5e-5, 5e-5, 7.5e-5, 7.5e-5, 1e-4)
    """Weight decay c of each layer, as c * sum(w^2) / 2; the last is for the heads."""
    model_lr: float = 1e-3
    """Adam's learning rate."""
    model_batch_size: int = 256
    """Rows per member and gradient step."""
    model_holdout_ratio: float = 0.2
    """Share of rows held out for early stopping and for choosing the elites."""
    model_max_holdout: int = 1000
    """Upper bound on the number of held-out rows."""
    model_max_epochs: int | None = None
    """Maximum number of training epochs; none: train until early stopping."""
    model_max_epochs_since_update: int = 5
    """Early stopping: stop after more than this many epochs without an improvement."""
    model_loaded_max_epochs: int = 0  # D-14
    """Epochs of further training for a model that is loaded; the original program uses 1."""
    max_model_t: float | None = None
    """Stop training at the end of the epoch in which this many seconds have passed; none: never."""
    model_steps_per_call: int = 32
    """Gradient steps per compiled call; affects speed only."""

    def __post_init__(self) -> None:
        require_positive(self, "num_networks", "hidden_dim", "num_hidden_layers", "model_lr")
        require_positive(self, "model_batch_size", "model_max_epochs", "max_model_t")
        require_positive(self, "model_max_holdout", "model_steps_per_call")
        require(
            1 <= self.num_elites <= self.num_networks,
            f"num_elites must lie in [1, num_networks = {self.num_networks}], "
            f"got {self.num_elites}.",
        )
        require(
            len(self.weight_decays) == self.num_hidden_layers + 1,
            f"weight_decays must have num_hidden_layers + 1 = {self.num_hidden_layers + 1} "
            f"entries, got {len(self.weight_decays)}.",
        )
        require(
            0.0 <= self.model_holdout_ratio < 1.0,
            f"model_holdout_ratio must lie in [0, 1), got {self.model_holdout_ratio}.",
        )
        require(
            self.model_max_epochs_since_update >= 0,
            f"model_max_epochs_since_update must not be negative, "
            f"got {self.model_max_epochs_since_update}.",
        )
        require(
            self.model_loaded_max_epochs >= 0,
            f"model_loaded_max_epochs must not be negative, got {self.model_loaded_max_epochs}.",
        )
        # D-11: the original loops forever here (or fails with a KeyError, Q-11).
        require(
            self.model_holdout_ratio > 0.0 or self.model_max_epochs is not None,
            "model_holdout_ratio = 0 leaves no rows for early stopping: "
            "set model_max_epochs, or a model_holdout_ratio above 0.",
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class SACConfig:
    """Soft actor-critic. Original: mopo/algorithms/mopo.py:MOPO.__init__."""

    hidden_layer_sizes: tuple[int, ...] = (256, 256)
    """Hidden units of the policy and of each critic."""
    lr: float = 3e-4  # D-37; so are tau and target_update_interval
    """Adam's learning rate, for policy, critics and temperature."""
    batch_size: int = 256
    """Rows of one gradient step."""
    discount: float = 0.99
    """gamma, per simulator step."""
    tau: float = 5e-3
    """Polyak factor: target critics become tau * critics + (1 - tau) * target critics."""
    target_update_interval: int = 1
    """Gradient steps between two updates of the target critics."""
    target_entropy: float | str = -3.0
    """Target entropy in nats: -3 on every shipped task; 'auto': minus the action size."""
    reward_scale: float = 1.0
    """Factor on the rewards in the critics' target."""
    updates_per_call: int = 100
    """Gradient steps per compiled call; affects speed only."""

    def __post_init__(self) -> None:
        require_positive(self, "lr", "batch_size", "target_update_interval", "updates_per_call")
        require_within(self, 0.0, 1.0, "discount", "tau")
        require(
            bool(self.hidden_layer_sizes) and min(self.hidden_layer_sizes) > 0,
            f"hidden_layer_sizes must be positive numbers, got {self.hidden_layer_sizes}.",
        )
        require(
            not isinstance(self.target_entropy, str) or self.target_entropy == "auto",
            f"target_entropy must be a number or 'auto', got {self.target_entropy!r}.",
        )

    def entropy_target(self, act_dim: int) -> float:
        """Return H in nats for actions of size ``act_dim``."""
        if isinstance(self.target_entropy, str):
            return -float(act_dim)
        return self.target_entropy


@dataclasses.dataclass(frozen=True, kw_only=True)
class LoopConfig:
    """The settings that all methods share: data, length of training, evaluation.

    D-33: fields of the original that change no result offline are left out (Q-81). D-36: so are
    ``rollout_random`` and ``model_type``, which no configuration sets.

    Original: examples/development/base.py:get_variant_spec
    """

    FIXED: ClassVar[dict[str, Any]] = {}
    """Fields, by their flat names, whose values define the method and cannot be changed."""

    epoch_length: int = 1000
    """Timesteps of one epoch."""
    n_epochs: int = 1000
    """Epochs of policy training."""
    eval_n_episodes: int = 10
    """Evaluation episodes per epoch; 0 for none."""
    eval_deterministic: bool = True
    """Evaluate the policy's mode; otherwise sample actions."""
    max_path_length: int = 1000
    """Maximum length of an evaluation episode, in steps."""
    min_pool_size: int = 1000
    """Refuse datasets with fewer rows."""
    pool_max_size: int | None = 1_000_000
    """Keep only this many rows of a larger dataset, the last ones; none: keep all."""
    next_observations: str = "shift"
    """'shift': the observation of the next row, for terminal rows too; 'drop': the same, without
    the terminal rows; 'file': the file's own next_observations."""
    checkpoint_frequency: int = 20
    """Epochs between two checkpoints."""

    def __post_init__(self) -> None:
        require_positive(self, "epoch_length", "n_epochs", "max_path_length")
        require_positive(self, "min_pool_size", "pool_max_size", "checkpoint_frequency")
        require(
            self.eval_n_episodes >= 0,
            f"eval_n_episodes must not be negative, got {self.eval_n_episodes}.",
        )
        choices = ("shift", "drop", "file")
        require(
            self.next_observations in choices,
            f"next_observations must be one of {', '.join(choices)}, "
            f"got {self.next_observations!r}.",
        )
        values = flatten(self)
        for name, value in self.FIXED.items():
            require(
                values[name] == value,
                f"{name} is {value} by the definition of this method, got {values[name]}: leave it "
                "out, or choose another --algorithm.",
            )

    @property
    def policy_discount(self) -> float:
        """The discount that the policy is trained for, per simulator step; 0.99 if it has none."""
        return 0.99


@dataclasses.dataclass(frozen=True, kw_only=True)
class OfflineSACConfig(LoopConfig):
    """SAC on the dataset alone: MOPO with real_ratio = 1 and no model.

    Original: mopo/algorithms/mopo.py:MOPO.__init__
    """

    train_every_n_steps: int = 1
    """Timesteps between two rounds of SAC updates."""
    n_train_repeat: int = 1
    """SAC updates per round."""
    sac: SACConfig = dataclasses.field(default_factory=SACConfig)
    """The policy optimiser."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_positive(self, "train_every_n_steps", "n_train_repeat")

    @property
    def policy_discount(self) -> float:
        """SAC's discount."""
        return self.sac.discount


@dataclasses.dataclass(frozen=True, kw_only=True)
class MOPOConfig(OfflineSACConfig):
    """MOPO: model, rollouts, policy, loop. Fields whose value differs per task have no default.

    Original: mopo/algorithms/mopo.py:MOPO.__init__; examples/development/base.py:get_variant_spec
    """

    rollout_length: int
    """h, model steps per branched rollout."""
    penalty_coeff: float
    """lambda, in reward units per unit of the uncertainty u(s, a); 0 for no penalty."""
    penalty_learned_var: bool = True
    """u is the largest learned std of the members; otherwise their disagreement."""
    rollout_batch_size: int = 50_000
    """Number of rollouts started per round."""
    rollout_chunk_size: int = 2_500
    """Rows per compiled call in rollouts; affects speed and memory only."""
    real_ratio: float = 0.05
    """Share of each SAC batch that comes from the dataset."""
    model_train_freq: int = 1000
    """Timesteps between two rounds of model rollouts."""
    model_retain_epochs: int = 5
    """Epochs of rollouts that the model pool holds."""
    model_eval_horizon: int = 100  # D-143
    """Steps of an evaluation episode in the learned model, used without a simulator; 0 for no such
    episodes."""
    ensemble: EnsembleConfig = dataclasses.field(default_factory=EnsembleConfig)
    """The dynamics ensemble."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_positive(self, "rollout_length", "rollout_batch_size", "rollout_chunk_size")
        require_positive(self, "model_train_freq", "model_retain_epochs")
        require_within(self, 0.0, 1.0, "real_ratio")
        require(
            self.model_eval_horizon >= 0,
            f"model_eval_horizon must not be negative, got {self.model_eval_horizon}.",
        )
        require(
            math.isfinite(self.penalty_coeff) and self.penalty_coeff >= 0.0,
            f"penalty_coeff must be finite and not negative, got {self.penalty_coeff}.",
        )
        require(
            self.model_pool_capacity > 0,
            f"the model pool would hold no rows: raise epoch_length ({self.epoch_length}) or "
            f"rollout_batch_size ({self.rollout_batch_size}), "
            f"or lower model_train_freq ({self.model_train_freq}).",
        )

    @property
    def model_pool_capacity(self) -> int:
        """Rows of the model pool.

        Original: mopo/algorithms/mopo.py:MOPO._reallocate_model_pool
        """
        rollouts_per_epoch = self.rollout_batch_size * self.epoch_length / self.model_train_freq
        return self.model_retain_epochs * int(self.rollout_length * rollouts_per_epoch)

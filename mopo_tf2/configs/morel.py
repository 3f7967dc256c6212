"""MOReL: the configuration."""

import dataclasses

from mopo_tf2.config import LoopConfig
from mopo_tf2.config_fields import require, require_positive, require_within

THRESHOLD_RULES = ("max", "coefficient_times_max", "max_over_coefficient", "none")
HALT_RULES = ("halt", "truncate")
START_STATES = ("dataset", "initial")


@dataclasses.dataclass(frozen=True, kw_only=True)
class MORELConfig(LoopConfig):
    """MOReL: natural policy gradient in a pessimistic MDP. One epoch is one NPG iteration.

    Defaults are those of the authors' D4RL configuration, except for HALT, which is the paper's.

    MOReL paper (Kidambi et al. 2020); mjrl v2, projects/morel/configs/d4rl_hopper_medium.txt.
    """

    dynamics_networks: int = 4
    """E, members of the ensemble of dynamics networks."""
    dynamics_hidden_layer_sizes: tuple[int, ...] = (512, 512)
    """ReLU units of each hidden layer of a dynamics network."""
    reward_hidden_layer_sizes: tuple[int, ...] = (100, 100)
    """ReLU units of each hidden layer of a member's reward network."""
    dynamics_lr: float = 1e-3
    """Adam's learning rate for the dynamics and reward networks."""
    dynamics_batch_size: int = 256
    """Rows per dynamics or reward network and gradient step."""
    dynamics_epochs: int = 25
    """Passes over the dataset in the training of the dynamics networks, then of the reward's."""
    dynamics_holdout_ratio: float = 0.05  # D-112
    """Share of rows held out for the reported loss; 0 for none."""
    dynamics_max_holdout: int = 1000
    """Upper bound on the held-out rows of the dynamics networks."""
    threshold_rule: str = "max_over_coefficient"  # D-113
    """Discrepancy above which a state-action pair is unknown: 'max', the largest of the dataset;
    'max_over_coefficient' or 'coefficient_times_max', with pessimism_coeff; 'none', infinity."""
    pessimism_coeff: float = 3.0
    """The coefficient of threshold_rule 'coefficient_times_max' and 'max_over_coefficient'."""
    halt: str = "halt"  # D-114
    """What an unknown pair leads to: 'halt', HALT with its reward, as in the paper; 'truncate', the
    end of the path without that reward or a terminal state, as in the authors' code."""
    halt_reward_offset: float = 30.0  # D-114
    """The HALT reward is the dataset's smallest reward minus this. It is paid once: raise the
    offset if rewards are negative, so that HALT costs more than the rest of a path."""
    start_state: str = "initial"  # D-118
    """Where model paths start: 'dataset', any row; 'initial', the first row of an episode, as far
    as the order of the rows shows where episodes begin."""
    num_trajectories: int = 50
    """Starts per NPG iteration; from each, every member of the ensemble gives one model path."""
    horizon: int = 700
    """Maximum length of a model path, in steps."""
    policy_hidden_layer_sizes: tuple[int, ...] = (64, 64)
    """Tanh units of each hidden layer of the policy."""
    init_log_std: float = -0.25
    """Initial log stddev of every action component."""
    min_log_std: float = -1.0
    """Lowest log stddev of the actions."""
    bc_epochs: int = 5
    """Epochs of the behaviour cloning that initialises the policy, each of as many batches as the
    dataset holds; 0 for none."""
    bc_lr: float = 1e-3
    """Adam's learning rate for behaviour cloning."""
    bc_batch_size: int = 256
    """Rows of a gradient step of behaviour cloning."""
    baseline_hidden_layer_sizes: tuple[int, ...] = (128, 128)
    """ReLU units of each hidden layer of the value baseline."""
    baseline_lr: float = 1e-3
    """Adam's learning rate for the value baseline."""
    baseline_batch_size: int = 256
    """Rows of a gradient step of the value baseline."""
    baseline_weight_decay: float = 1e-3
    """L2 coefficient of the value baseline."""
    baseline_epochs: int = 1
    """Passes over an iteration's steps when the baseline is fitted."""
    npg_step_size: float = 0.02
    """delta, the normalised step size: a step's KL is about half of it."""
    cg_iterations: int = 20
    """Conjugate-gradient iterations per NPG step."""
    cg_damping: float = 1e-3
    """Value added to the diagonal of the Fisher matrix."""
    npg_discount: float = 0.999
    """gamma of the returns and advantages of model paths, per simulator step."""
    gae_lambda: float = 0.97
    """lambda of the generalised advantage estimation."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_positive(self, "dynamics_lr", "dynamics_batch_size", "dynamics_epochs")
        require_positive(self, "dynamics_max_holdout", "pessimism_coeff", "num_trajectories")
        require_positive(self, "horizon", "bc_lr", "bc_batch_size", "baseline_lr")
        require_positive(self, "baseline_batch_size", "baseline_epochs", "npg_step_size")
        require_positive(self, "cg_iterations")
        require_within(self, 0.0, 1.0, "npg_discount", "gae_lambda")
        require(
            self.dynamics_networks >= 2,
            f"dynamics_networks must be at least 2, whose disagreement is the discrepancy, "
            f"got {self.dynamics_networks}.",
        )
        require(
            0.0 <= self.dynamics_holdout_ratio < 1.0,
            f"dynamics_holdout_ratio must lie in [0, 1), got {self.dynamics_holdout_ratio}.",
        )
        for name in ("bc_epochs", "cg_damping", "halt_reward_offset", "baseline_weight_decay"):
            value = getattr(self, name)
            require(value >= 0, f"{name} must not be negative, got {value}.")
        require(
            self.min_log_std <= self.init_log_std,
            f"min_log_std must not lie above init_log_std = {self.init_log_std}, "
            f"got {self.min_log_std}.",
        )
        for name in ("dynamics", "reward", "policy", "baseline"):
            sizes = getattr(self, f"{name}_hidden_layer_sizes")
            require(
                bool(sizes) and min(sizes) > 0,
                f"{name}_hidden_layer_sizes must be positive numbers, got {sizes}.",
            )
        for name, choices in (
            ("threshold_rule", THRESHOLD_RULES),
            ("halt", HALT_RULES),
            ("start_state", START_STATES),
        ):
            value = getattr(self, name)
            require(value in choices, f"{name} must be one of {', '.join(choices)}, got {value!r}.")

    @property
    def num_paths(self) -> int:
        """Model paths per iteration: one per start and member."""
        return self.num_trajectories * self.dynamics_networks

    @property
    def policy_discount(self) -> float:
        """The discount of the model paths."""
        return self.npg_discount

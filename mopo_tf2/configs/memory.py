"""How much memory a configuration takes at least."""

import itertools

from mopo_tf2.config import EnsembleConfig, LoopConfig, MOPOConfig
from mopo_tf2.config_fields import flatten
from mopo_tf2.configs.morel import MORELConfig
from mopo_tf2.memory import require_memory

_FLOAT = 4
_COPIES = 4
"""Of each weight: itself, Adam's two moments, its gradient."""
ENVIRONMENT_BYTES = 1e6
"""Of one MuJoCo environment, at least."""


def require_config_fits(config: LoopConfig, obs_dim: int, act_dim: int) -> None:
    """Refuse a configuration whose networks, batches or rollouts cannot fit into memory.

    Raises:
        InputError: if one of them cannot; names the fields.
    """
    for what, needed in memory_needs(config, obs_dim, act_dim).items():
        require_memory(needed, what, "lower it")


def memory_needs(config: LoopConfig, obs_dim: int, act_dim: int) -> dict[str, float]:
    """Return bytes, estimated from below, by the fields that decide about them.

    Args:
        config: of any method.
        obs_dim: O of the task.
        act_dim: A of the task.
    """
    row = _FLOAT * (2.0 * obs_dim + act_dim + 2)
    needs = {}
    for name, value in flatten(config).items():
        if name.endswith("_sizes"):
            needs[f"{name} = {value}"] = _weights((obs_dim, *value))
        elif name.endswith(("batch_size", "updates_per_call")):
            needs[f"{name} = {value}"] = row * value
    needs[f"eval_n_episodes = {config.eval_n_episodes}"] = (
        ENVIRONMENT_BYTES * config.eval_n_episodes
    )
    if isinstance(config, MOPOConfig):
        pool = f"a model pool of {config.model_pool_capacity:,} rows (rollout_batch_size, "
        needs[pool + "rollout_length, model_retain_epochs)"] = row * config.model_pool_capacity
        needs[f"hidden_dim = {config.ensemble.hidden_dim}"] = _ensemble(
            config.ensemble, obs_dim + act_dim, 1 + obs_dim
        )
    if isinstance(config, MORELConfig):
        steps = config.num_paths * config.horizon
        needs[f"num_trajectories x dynamics_networks x horizon = {steps:,}"] = row * steps
    return needs


def _ensemble(config: EnsembleConfig, inputs: int, outputs: int) -> float:
    heads = outputs * (2 if config.separate_mean_var else 1)
    widths = (inputs, *(config.hidden_dim,) * config.num_hidden_layers, heads)
    activations = config.model_batch_size * config.hidden_dim * config.num_hidden_layers
    return config.num_networks * (_weights(widths) + _FLOAT * activations)


def _weights(widths: tuple[int, ...]) -> float:
    return float(_FLOAT * _COPIES * sum(a * b for a, b in itertools.pairwise(widths)))

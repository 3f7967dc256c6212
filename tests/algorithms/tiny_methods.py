"""Settings by which an epoch of any method takes no time."""

LOOP = {
    "epoch_length": 6,
    "n_epochs": 2,
    "eval_n_episodes": 2,
    "max_path_length": 4,
    "min_pool_size": 10,
}
SAC = {"hidden_layer_sizes": (4,), "batch_size": 8}
MODEL = {
    "rollout_batch_size": 5,
    "rollout_chunk_size": 5,
    "rollout_length": 2,
    "model_train_freq": 3,
    "hidden_dim": 4,
    "model_batch_size": 8,
    "model_max_epochs": 2,
}
MOPO = {**SAC, **MODEL, "num_networks": 3, "num_elites": 2}
TINY = {
    "mopo": MOPO,
    "mbpo": MOPO,
    "sac": SAC,
    "bc": {"policy_hidden_sizes": (4,), "batch_size": 8},
    "bcq": {
        "vae_hidden_sizes": (4,),
        "perturbation_hidden_sizes": (4,),
        "critic_hidden_sizes": (4,),
        "batch_size": 8,
        "num_evaluation_actions": 5,
    },
    "morel": {
        "dynamics_hidden_layer_sizes": (4,),
        "reward_hidden_layer_sizes": (4,),
        "dynamics_batch_size": 8,
        "dynamics_epochs": 2,
        "policy_hidden_layer_sizes": (4,),
        "bc_epochs": 1,
        "bc_batch_size": 8,
        "baseline_hidden_layer_sizes": (4,),
        "num_trajectories": 6,
        "horizon": 5,
    },
    "mopo-disagreement": MOPO,
    "mopo-one-network": {**SAC, **MODEL},
    "mopo-true-penalty": MOPO,
}
"""By method, beside ``LOOP``."""

"""The configuration for data of the user's own, where no simulator is at hand (D-144)."""

from mopo_tf2.config import MOPOConfig, SACConfig

OWN = "own"
"""Name of the configuration; the dataset is named by the user."""

NO_ENVIRONMENT = "none"
"""Stands for an environment where there is none."""

IN_THE_MODEL = "in the learned model, no simulator"
"""How every output calls a return that no simulator has confirmed."""

MODEL_RETURN_KEY = "model_evaluation/return-average"
"""The column of progress.csv that holds it."""


def own_config() -> MOPOConfig:
    """Return coefficients to begin with.

    ``rollout_length`` and ``penalty_coeff`` are the middle of what the paper searched (1 or 5; 0.5
    to 5): to be tuned for the data at hand. The entropy target is minus the action size.
    """
    return MOPOConfig(
        rollout_length=5,
        penalty_coeff=1.0,
        rollout_batch_size=10_000,
        n_epochs=100,
        eval_n_episodes=100,
        sac=SACConfig(target_entropy="auto"),
    )

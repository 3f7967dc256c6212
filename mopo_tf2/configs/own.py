"""The configuration for the user's own data without a simulator (D-144)."""

from mopo_tf2.config import MOPOConfig, SACConfig

OWN = "own"
"""Name of the configuration; the user names the dataset."""

NO_ENVIRONMENT = "none"
"""Name that stands for a missing environment."""

NEVER = "never"
"""Its termination function, which ends no rollout of the model."""

IN_THE_MODEL = "in the learned model, no simulator"
"""The label, in every output, of returns that no simulator has confirmed."""

MODEL_RETURN_KEY = "model_evaluation/return-average"
"""The column of progress.csv that holds it."""


def own_config() -> MOPOConfig:
    """Return initial coefficients, to be tuned for the data.

    ``rollout_length`` and ``penalty_coeff`` lie within the ranges that the paper searched (1 or 5;
    0.5 to 5). The entropy target is minus the action size.
    """
    return MOPOConfig(
        rollout_length=5,
        penalty_coeff=1.0,
        rollout_batch_size=10_000,
        n_epochs=100,
        eval_n_episodes=100,
        sac=SACConfig(target_entropy="auto"),
    )

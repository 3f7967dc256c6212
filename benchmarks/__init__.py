"""What is claimed to be fast, as commands."""

PHASES = ("sac", "ensemble", "rollout", "evaluation", "epoch", "load")

"""Configurations of the paper's two out-of-distribution tasks; the user collects their data."""

import dataclasses

from mopo_tf2.config import MOPOConfig


@dataclasses.dataclass(frozen=True, kw_only=True)
class OODTask:
    """One configuration. Every value that is not here is a default of ``MOPOConfig``.

    D-133: rollout_length and penalty_coeff are this project's; the original has no configuration
    for these tasks.

    name: of the configuration.
    environment: the task in which policies are evaluated.
    domain: the termination function.
    collection_task: the task in which the data are collected.
    rollout_length: h.
    penalty_coeff: lambda.
    """

    name: str
    environment: str
    domain: str
    collection_task: str
    rollout_length: int = 5
    penalty_coeff: float = 1.0

    @property
    def dataset_id(self) -> str:
        """Empty: the data have no id."""
        return ""

    @property
    def note(self) -> str:
        """What a user of the configuration should know."""
        return "not in the original program; rollout_length and penalty_coeff are this project's"

    @property
    def recipe(self) -> str:
        """The commands that make the data, on one line."""
        collected, relabelled = f"{self.collection_task}.hdf5", f"{self.environment}.hdf5"
        return (
            f"make them by mopo-tf2 collect {self.collection_task} --policy sac --steps 300000 "
            f"--save replay --out {collected}; mopo-tf2 relabel {collected} --task "
            f"{self.environment} --out {relabelled}; mopo-tf2 train {self.name} --dataset "
            f"{relabelled}"
        )

    def config(self) -> MOPOConfig:
        """Return the configuration."""
        return MOPOConfig(rollout_length=self.rollout_length, penalty_coeff=self.penalty_coeff)


OOD_TASKS: dict[str, OODTask] = {
    task.name: task
    for task in (
        OODTask(
            name="halfcheetah_jump",
            environment="halfcheetah-jump",
            domain="halfcheetahjump",
            collection_task="halfcheetah-capped",
        ),
        OODTask(
            name="ant_angle",
            environment="ant-angle",
            domain="antangle",
            collection_task="ant-straight",
        ),
    )
}

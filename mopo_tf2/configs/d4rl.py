"""The original's twelve configurations for D4RL, three for expert data, and how one is found."""

import dataclasses
import difflib
import re

from mopo_tf2.config import MOPOConfig
from mopo_tf2.configs.ood import OOD_TASKS, OODTask
from mopo_tf2.configs.own import OWN
from mopo_tf2.errors import InputError

_VERSION = re.compile(r"-v[012]$")


@dataclasses.dataclass(frozen=True)
class Task:
    """One shipped configuration. Every value that is not here is a default of ``MOPOConfig``.

    dataset_id: D4RL's name of the data.
    rollout_length: h.
    penalty_coeff: lambda.
    note: what a user of the configuration should know; empty if it is the original's.

    Original: examples/development/base.py; examples/config/d4rl/base_mopo.py
    """

    dataset_id: str
    rollout_length: int
    penalty_coeff: float
    note: str = ""

    @property
    def name(self) -> str:
        """The original's name of the configuration: its file in examples/config/d4rl."""
        base = _VERSION.sub("", self.dataset_id)
        return base.replace("medium-replay", "mixed").replace("-", "_")

    @property
    def domain(self) -> str:
        """Name of the environment and of the termination function."""
        return self.dataset_id.partition("-")[0]

    @property
    def environment(self) -> str:
        """The task in which policies are evaluated."""
        return self.domain

    def config(self) -> MOPOConfig:
        """Return the configuration as the original resolves it (recorded in variants.json)."""
        return MOPOConfig(rollout_length=self.rollout_length, penalty_coeff=self.penalty_coeff)


TASKS: dict[str, Task] = {
    task.name: task
    for task in (
        Task("halfcheetah-random-v0", 5, 0.5),
        Task("halfcheetah-medium-v0", 1, 1.0),
        Task("halfcheetah-medium-replay-v0", 5, 1.0),
        Task("halfcheetah-medium-expert-v0", 5, 5.0),
        Task("hopper-random-v0", 5, 1.0),
        Task("hopper-medium-v0", 5, 5.0),
        Task("hopper-medium-replay-v0", 5, 1.0),  # was hopper-mixed-v0
        Task("hopper-medium-expert-v0", 5, 1.0),
        Task("walker2d-random-v0", 1, 1.0),
        Task("walker2d-medium-v0", 5, 5.0),
        Task("walker2d-medium-replay-v0", 1, 1.0),
        Task("walker2d-medium-expert-v0", 1, 2.0),
    )
}
"""The paper's twelve by the original's names; the mixed data are D4RL's medium-replay."""

EXPERT_TASKS: dict[str, Task] = {
    task.name: task
    for task in (
        dataclasses.replace(
            TASKS[f"{domain}_medium_expert"],
            dataset_id=f"{domain}-expert-v0",
            note="not in the MOPO paper; uses the settings of medium-expert",
        )
        for domain in ("halfcheetah", "hopper", "walker2d")
    )
}
"""D4RL's expert data (D-145)."""

CONFIGURATIONS = (*TASKS, *EXPERT_TASKS, *OOD_TASKS, OWN)
"""Every name of a configuration. Dataset ids name one too, see ``find_task``."""


def find_task(name: str) -> Task | OODTask:
    """Return the configuration by its name or by dataset id.

    ``halfcheetah_mixed``, ``halfcheetah-medium-replay-v0`` and ``halfcheetah-mixed-v0`` name the
    same one; v1 and v2 data have the hyper-parameters of v0, and their own data.
    ``halfcheetah_jump`` and ``halfcheetah-jump`` name the same one too.

    Raises:
        InputError: if there is none; names the nearest.
    """
    by_name = {**TASKS, **EXPERT_TASKS}
    if name in by_name:
        return by_name[name]
    if name.replace("-", "_") in OOD_TASKS:
        return OOD_TASKS[name.replace("-", "_")]
    canonical = name.replace("-mixed-", "-medium-replay-")
    version = _VERSION.search(canonical)
    for task in by_name.values():
        if version and _VERSION.sub(version[0], task.dataset_id) == canonical:
            return dataclasses.replace(task, dataset_id=canonical)
    suffix = version[0] if version else "-v0"
    ids = [_VERSION.sub(suffix, task.dataset_id) for task in by_name.values()]
    known = [*CONFIGURATIONS, *ids]
    nearest = difflib.get_close_matches(name, known) or difflib.get_close_matches(
        name, known, cutoff=0.0
    )
    raise InputError(f"no configuration '{name}': did you mean {' or '.join(nearest)}?")

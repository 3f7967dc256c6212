"""The twelve configurations of the original for D4RL, and where each value is from."""

import dataclasses
import difflib
import re

from mopo_tf2.config import MOPOConfig
from mopo_tf2.configs.ood import OOD_TASKS, OODTask
from mopo_tf2.errors import InputError


@dataclasses.dataclass(frozen=True, kw_only=True)
class Task:
    """One shipped configuration. Every value that is not here is a default of ``MOPOConfig``.

    dataset_id: D4RL's name of the data.
    rollout_length: h.
    penalty_coeff: lambda.
    original: the file of the original that it comes from, under examples/config/d4rl/.

    Original: examples/development/base.py; examples/config/d4rl/base_mopo.py
    """

    dataset_id: str
    rollout_length: int
    penalty_coeff: float
    original: str

    @property
    def name(self) -> str:
        """The original's name of the configuration."""
        return self.original.removesuffix(".py")

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


def _task(dataset_id: str, rollout_length: int, penalty_coeff: float, original: str) -> Task:
    return Task(
        dataset_id=dataset_id,
        rollout_length=rollout_length,
        penalty_coeff=penalty_coeff,
        original=original,
    )


TASKS: dict[str, Task] = {
    task.name: task
    for task in (
        _task("halfcheetah-random-v0", 5, 0.5, "halfcheetah_random.py"),
        _task("halfcheetah-medium-v0", 1, 1.0, "halfcheetah_medium.py"),
        _task("halfcheetah-medium-replay-v0", 5, 1.0, "halfcheetah_mixed.py"),
        _task("halfcheetah-medium-expert-v0", 5, 5.0, "halfcheetah_medium_expert.py"),
        _task("hopper-random-v0", 5, 1.0, "hopper_random.py"),
        _task("hopper-medium-v0", 5, 5.0, "hopper_medium.py"),
        _task("hopper-medium-replay-v0", 5, 1.0, "hopper_mixed.py"),  # was hopper-mixed-v0
        _task("hopper-medium-expert-v0", 5, 1.0, "hopper_medium_expert.py"),
        _task("walker2d-random-v0", 1, 1.0, "walker2d_random.py"),
        _task("walker2d-medium-v0", 5, 5.0, "walker2d_medium.py"),
        _task("walker2d-medium-replay-v0", 1, 1.0, "walker2d_mixed.py"),
        _task("walker2d-medium-expert-v0", 1, 2.0, "walker2d_medium_expert.py"),
    )
}
"""By the original's names; the mixed sets are D4RL's medium-replay."""

_VERSION = re.compile(r"-v[012]$")


def find_task(name: str) -> Task | OODTask:
    """Return the configuration by the original's name, by dataset id, or of the paper's own tasks.

    ``halfcheetah_mixed``, ``halfcheetah-medium-replay-v0`` and ``halfcheetah-mixed-v0`` name the
    same one; v1 and v2 data have the hyper-parameters of v0, and their own data.
    ``halfcheetah_jump`` and ``halfcheetah-jump`` name the same one too.

    Raises:
        InputError: if there is none; names the nearest.
    """
    if name in TASKS:
        return TASKS[name]
    if name.replace("-", "_") in OOD_TASKS:
        return OOD_TASKS[name.replace("-", "_")]
    canonical = name.replace("-mixed-", "-medium-replay-")
    for task in TASKS.values():
        if _VERSION.sub("", task.dataset_id) == _VERSION.sub("", canonical):
            if _VERSION.search(canonical):
                return dataclasses.replace(task, dataset_id=canonical)
            break
    known = [*TASKS, *OOD_TASKS, *(task.dataset_id for task in TASKS.values())]
    nearest = difflib.get_close_matches(name, known, n=3, cutoff=0.4)
    hint = (
        f"did you mean {' or '.join(nearest)}?"
        if nearest
        else f"there are {', '.join([*TASKS, *OOD_TASKS])}."
    )
    raise InputError(f"no configuration '{name}': {hint}")

"""``mopo-tf2 collect``: from names to a dataset file."""

from pathlib import Path

import numpy as np

from experiments.collect import collect
from mopo_tf2.errors import InputError
from mopo_tf2.evaluation.environments import environment_info, make_environment
from mopo_tf2.types import PolicyFn


def collect_task(
    task: str,
    out: Path,
    n: int,
    *,
    policy: str = "random",
    seed: int = 0,
    physics: str = "d4rl",
    max_path_length: int = 1000,
) -> str:
    """Write ``n`` transitions of ``task`` into ``out``; return a summary as text.

    Args:
        task: a built-in task or ``module:function``.
        out: HDF5 file to write.
        n: number of transitions.
        policy: "random" for uniform actions, or a run folder for the mode of its policy.
        seed: of resets and actions.
        physics: of a built-in task.
        max_path_length: steps of an episode.

    Raises:
        InputError: if something is unfit, e.g. the policy is of another task.
    """
    if not 0 <= seed < 2**32:
        raise InputError(f"--seed must lie in [0, 2**32), got {seed}.")
    environment = make_environment(task, physics=physics)
    info = environment_info(environment, task, physics=physics)
    result = collect(
        environment,
        out,
        n,
        random_state=np.random.RandomState(seed),
        policy=None if policy == "random" else _policy_of(Path(policy), info.obs_dim, info.act_dim),
        max_path_length=max_path_length,
        attributes={
            "task": task,
            "physics": info.physics,
            "policy": policy,
            "seed": seed,
            "gymnasium": info.gymnasium_version,
            "mujoco": info.mujoco_version,
        },
    )
    return (
        f"{result.steps:,} transitions, {result.episodes} whole episodes with a mean return of "
        f"{result.return_average:.1f} -> {result.path}"
    )


def _policy_of(run: Path, obs_dim: int, act_dim: int) -> PolicyFn:
    from mopo_tf2.device import use_device  # random actions need no TensorFlow

    use_device()
    from experiments.exports import load_policy

    saved = load_policy(run)
    found = (saved.metadata["obs_dim"], saved.metadata["act_dim"])
    if found != (obs_dim, act_dim):
        raise InputError(
            f"the policy of {run} has {found[0]} observation and {found[1]} action dimensions, "
            f"the task has {obs_dim} and {act_dim}."
        )
    return saved.acting()

"""``mopo-tf2 collect``: from names to a dataset file."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np

from .collect import collect
from .dataset_files import Attributes, check_new_file
from mopo_tf2.config_fields import replace
from mopo_tf2.configs.online_sac import OnlineSACConfig
from mopo_tf2.errors import InputError
from mopo_tf2.evaluation.environments import (
    EnvironmentInfo,
    environment_info,
    make_environment,
)
from mopo_tf2.types import PolicyFn

RANDOM, SAC = "random", "sac"
SAVES = ("replay", "policy")


@dataclasses.dataclass(frozen=True, kw_only=True)
class SACOptions:
    """What ``--policy sac`` needs beside what every collection does.

    Attributes:
        steps: environment steps of the training; needed.
        save: "replay" or "policy".
        settings: further fields of ``OnlineSACConfig`` and of its SAC, as text.
    """

    steps: int | None
    save: str
    settings: Mapping[str, str] = dataclasses.field(default_factory=dict)


def collect_task(
    task: str,
    out: Path,
    n: int | None = None,
    *,
    policy: str = RANDOM,
    seed: int = 0,
    physics: str = "d4rl",
    max_path_length: int = 1000,
    sac: SACOptions | None = None,
) -> str:
    """Write transitions of ``task`` into ``out``; return a summary as text.

    Args:
        task: a built-in task or ``module:function``.
        out: HDF5 file to write.
        n: number of transitions; for SAC's rollouts its number of steps if left out.
        policy: "random" for uniform actions, a run folder for the mode of its policy, or "sac"
            for one that is trained in the task now.
        seed: of resets and actions.
        physics: of a built-in task.
        max_path_length: steps of an episode.
        sac: for the policy "sac", and needed there.

    Raises:
        InputError: if something is unfit, e.g. the policy is of another task.
    """
    if not 0 <= seed < 2**32:
        raise InputError(f"--seed must lie in [0, 2**32), got {seed}.")
    if (policy == SAC) != (sac is not None and sac.steps is not None):
        raise InputError("--steps, --save and --set belong to --policy sac, which needs --steps.")
    if n is None and sac is None:
        raise InputError("--n, the number of transitions, is missing.")
    check_new_file(out)
    environment = make_environment(task, physics=physics)
    info = environment_info(environment, task, physics=physics)
    attributes: Attributes = {
        "task": task,
        "physics": info.physics,
        "policy": policy,
        "seed": seed,
        "gymnasium": info.gymnasium_version,
        "mujoco": info.mujoco_version,
    }
    if sac is not None:
        return _collect_sac(environment, out, n, sac, attributes, max_path_length)
    result = collect(
        environment,
        out,
        n or 0,
        random_state=np.random.RandomState(seed),
        policy=None if policy == RANDOM else _policy_of(Path(policy), info),
        max_path_length=max_path_length,
        attributes=attributes,
    )
    return str(result)


def _collect_sac(
    environment: gymnasium.Env[Any, Any],
    out: Path,
    n: int | None,
    sac: SACOptions,
    attributes: Attributes,
    max_path_length: int,
) -> str:
    if sac.save not in SAVES:
        raise InputError(f"--save must be one of {', '.join(SAVES)}, got {sac.save!r}.")
    if sac.save == "replay" and n is not None:
        raise InputError("--n is the number of rollout steps of --save policy; leave it out.")
    if n is not None and n < 1:
        raise InputError(f"expected a positive number of rows, got {n}.")
    for name in {"steps", "max_path_length"} & set(sac.settings):
        raise InputError(f"give --{name.replace('_', '-')} instead of --set {name}.")
    # Through settings, so that a warm-up below --steps can be set with it.
    settings = {"steps": str(sac.steps), "max_path_length": str(max_path_length), **sac.settings}
    config = replace(OnlineSACConfig(steps=10**9), settings)
    from mopo_tf2.device import use_device  # random actions need no TensorFlow

    use_device()
    from .collect_sac import SACCollection, collect_with_sac

    collection = SACCollection(
        out=out,
        save=sac.save,
        n=n or config.steps,
        seed=int(attributes["seed"]),
        config=config,
        attributes={**attributes, "save": sac.save, "sac_steps": config.steps},
    )
    result, continued = collect_with_sac(environment, collection)
    beginning = "continued the interrupted collection: " if continued else ""
    return f"{beginning}{result}; policy and returns -> {collection.folder}"


def _policy_of(run: Path, info: EnvironmentInfo) -> PolicyFn:
    from mopo_tf2.device import use_device  # random actions need no TensorFlow

    use_device()
    from .exports import load_policy

    saved = load_policy(run)
    found = (saved.metadata["obs_dim"], saved.metadata["act_dim"])
    if found != (info.obs_dim, info.act_dim):
        raise InputError(
            f"the policy of {run} has {found[0]} observation and {found[1]} action dimensions, "
            f"the task has {info.obs_dim} and {info.act_dim}."
        )
    return saved.acting()

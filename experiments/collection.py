"""Datasets in D4RL's format: collected in a task, relabelled, joined; each appears whole or not."""

import functools
import math
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gymnasium
import h5py
import numpy as np

from mopo_tf2 import checkpoints
from mopo_tf2.config_fields import require, to_dict
from mopo_tf2.configs.online_sac import OnlineSACConfig
from mopo_tf2.configs.own import NO_ENVIRONMENT
from mopo_tf2.data.catalog import EPISODE_STEPS
from mopo_tf2.data.d4rl import read_hdf5
from mopo_tf2.data.hdf5 import require_own_values
from mopo_tf2.device import use_device
from mopo_tf2.errors import DivergenceError, InputError
from mopo_tf2.evaluation.environments import environment_info, make_environment
from mopo_tf2.evaluation.metrics import episode_returns
from mopo_tf2.evaluation.ood_tasks import RELABELLINGS
from mopo_tf2.evaluation.recording import Columns, Recorder
from mopo_tf2.files import ensure_writable_folder, replacing, write_json
from mopo_tf2.memory import require_memory
from mopo_tf2.types import PolicyFn

from .display import steps
from .run_folder import RunFolder
from .training import Interrupted, Interrupts

if TYPE_CHECKING:
    from mopo_tf2.algorithms.online_sac import OnlineSAC

Environment = gymnasium.Env[Any, Any]
RANDOM = "random"
_CHECKPOINT = "checkpoint.npz"
_SAC_REPORTS, _STEPS_PER_REPORT = 100, 100
_CHECKPOINT_STEPS = 25_000
"""A checkpoint is written at the first end of an episode after so many steps of SAC."""


def collect(
    task: str,
    out: Path,
    n: int,
    *,
    policy: str = RANDOM,
    seed: int = 0,
    physics: str = "d4rl",
    max_path_length: int = EPISODE_STEPS,
) -> str:
    """Write ``n`` transitions of ``task`` into ``out``; return a summary as text.

    Args:
        task: a built-in task or ``module:function``.
        out: HDF5 file to write.
        n: number of rows; the last one ends an episode, by a timeout if by nothing else.
        policy: "random" for uniform actions, or a run folder: its policy as evaluation runs it.
        seed: of resets and actions.
        physics: "d4rl" or "gymnasium", of a built-in task.
        max_path_length: steps of an episode.

    Raises:
        InputError: if ``out`` exists, there is no such task, or the policy has other sizes.
        DivergenceError: if the policy's actions are not finite.
    """
    environment, attributes = _begin(task, out, policy, seed, physics)
    shapes = environment.observation_space.shape, environment.action_space.shape
    row = 4.0 * sum(math.prod(shape or ()) for shape in (*shapes, shapes[0]))
    require_memory(n * row, f"--n {n:,}", "collect several files and mopo-tf2 join them")
    acting = None if policy == RANDOM else _policy_of(policy, environment, task, seed)
    random_state = np.random.RandomState(seed)
    recorder = _roll_out(environment, out, n, random_state, acting, max_path_length)
    return _write_rows(out, recorder, attributes)


def _begin(
    task: str, out: Path, policy: str, seed: int, physics: str
) -> tuple[Environment, dict[str, Any]]:
    """Make sure that ``out`` can be written; return the environment and the file's attributes."""
    require(0 <= seed < 2**32, f"--seed must lie in [0, 2**32), got {seed}.")
    _check_new_file(out)
    environment = make_environment(task, physics=physics)
    info = environment_info(environment, task, physics=physics)
    about = {"task": task, "physics": info.physics, "policy": policy, "seed": seed}
    versions = {"gymnasium": info.gymnasium_version, "mujoco": info.mujoco_version}
    return environment, {**about, **versions}


def _policy_of(folder: str, environment: Environment, task: str, seed: int) -> PolicyFn:
    run, info = RunFolder(Path(folder)), environment_info(environment, task)
    about = run.policy_metadata()
    require(
        (about["obs_dim"], about["act_dim"]) == (info.obs_dim, info.act_dim),
        f"the policy of {run} has {about['obs_dim']} observation and {about['act_dim']} action "
        f"dimensions, the task has {info.obs_dim} and {info.act_dim}.",
    )
    if about["environment"] not in (task, NO_ENVIRONMENT):
        warnings.warn(f"{run} was trained for {about['environment']}, not {task}.", stacklevel=3)
    use_device()
    return run.load_policy()[0].acting(1, seed)


def _roll_out(
    environment: Environment,
    out: Path,
    n: int,
    random_state: np.random.RandomState,
    policy: PolicyFn | None,
    max_path_length: int,
) -> Recorder:
    """Record ``n`` steps; without a ``policy`` [1, O] -> [1, A] the actions are uniform.

    Original: softlearning/samplers/simple_sampler.py:SimpleSampler.sample
    """
    shape = environment.action_space.shape or ()
    # Only the first reset is seeded; the environment's own random state goes on from there.
    seeds = {0: int(random_state.randint(2**31 - 1))}
    act = policy or (lambda observations: random_state.uniform(-1.0, 1.0, (1, *shape)))
    recorder = Recorder(environment, n, max_path_length=max_path_length, reset_seed=seeds.get)
    with steps(f"collecting {out.name}", n) as report:
        for row in range(n):
            action = act(recorder.observation[np.newaxis])[0]
            if not np.isfinite(action).all():
                raise DivergenceError(f"the policy's actions are not finite in step {row + 1}.")
            recorder.step(action)
            report(row + 1)
    return recorder


def collect_sac(
    task: str,
    out: Path,
    config: OnlineSACConfig,
    *,
    save: str = "replay",
    n: int | None = None,
    seed: int = 0,
    physics: str = "d4rl",
) -> str:
    """Train SAC in a task and write its data into ``out``; return a summary as text.

    ``config`` holds SAC's coefficients, the number of its steps and the length of an episode.
    "replay" saves all that SAC saw, in order of time (D4RL's "medium-replay" or "mixed"); "policy"
    saves ``n`` steps (as many as SAC's, if None) of the trained policy with sampled actions (D4RL's
    "medium"). The other arguments are those of ``collect``.

    The folder FILE.run beside FILE holds the settings, a checkpoint while SAC is trained, the
    returns of the episodes, and the trained policy. An interrupted collection continues where it
    stopped.

    Raises:
        InputError: if ``out`` exists, or the folder is of a collection with other settings or of a
            finished one.
        Interrupted: on Ctrl-C, at the end of the running episode; what was learned is kept.
        DivergenceError: if SAC diverges.
    """
    environment, attributes = _begin(task, out, "sac", seed, physics)
    attributes |= {"save": save, "sac_steps": config.steps}
    n, folder = n or config.steps, RunFolder(out.with_name(out.name + ".run"))
    # Everything that decides what is written.
    prefixed = {f"attributes/{name}": value for name, value in attributes.items()}
    settings = {"save": save, "n": n, "seed": seed, **prefixed, **to_dict(config)}
    checkpoint = folder.path / _CHECKPOINT
    interrupted = _read_checkpoint(folder, settings)
    use_device()
    from mopo_tf2.algorithms.online_sac import OnlineSAC  # after the errors of input

    algorithm = OnlineSAC(environment, config, seed=seed)
    if interrupted:
        try:
            algorithm.restore(interrupted[0], interrupted[1]["counters"])
        except (KeyError, ValueError) as error:
            raise InputError(f"{checkpoint} is damaged ({error}): remove it.") from error
    ensure_writable_folder(folder.path)
    write_json(folder.path / "collect.json", settings)
    if not algorithm.done:
        _train(algorithm, config.steps, out, lambda: _write_checkpoint(folder, algorithm, settings))
    about = {"environment": task, "physics": attributes["physics"], "method": "online-sac"}
    about |= {"max_path_length": config.max_path_length, "seed": seed}
    folder.write_policy(algorithm.policy, {**about, "epoch": algorithm.recorder.size})
    recorder = algorithm.recorder
    if save == "policy":
        # Apart from the streams of training, so that a repeated attempt gives the same rollouts.
        state = np.random.SeedSequence([seed, 2]).generate_state(4)
        random_state, length = np.random.RandomState(state), config.max_path_length
        sample = functools.partial(algorithm.sample_actions, random_state=random_state)
        recorder = _roll_out(environment, out, n, random_state, sample, length)
    summary = _write_rows(out, recorder, attributes)
    checkpoint.unlink(missing_ok=True)
    beginning = "continued the interrupted collection: " if interrupted else ""
    return f"{beginning}{summary}; policy and returns -> {folder}"


def _read_checkpoint(
    folder: RunFolder, settings: Mapping[str, Any]
) -> tuple[dict[str, np.ndarray], dict[str, Any]] | None:
    checkpoint = folder.path / _CHECKPOINT
    if not checkpoint.is_file():
        gone = f"{folder} is of a finished collection whose file {folder.path.stem} is gone"
        require(not folder.has_policy, f"{gone}: remove the folder or change --out.")
        return None
    arrays, metadata = checkpoints.load_arrays(checkpoint)
    for name, wanted in settings.items():
        found = metadata.get("settings", {}).get(name)
        require(
            found == wanted,
            f"{folder} holds an interrupted collection with {name.removeprefix('attributes/')} "
            f"{found}, now it is {wanted}: give the same options to continue it, or remove the "
            "folder to start anew.",
        )
    return arrays, metadata


def _train(
    algorithm: "OnlineSAC", total: int, out: Path, write_checkpoint: Callable[[], None]
) -> None:
    recorder = algorithm.recorder
    first, began = recorder.size, time.monotonic()
    next_checkpoint = first + _CHECKPOINT_STEPS
    message = "stopping at the end of the episode; Ctrl-C again stops at once ..."
    progress = steps(f"SAC, {out.name}", total, _SAC_REPORTS)
    with Interrupts(message) as interrupts, progress as report:
        while not algorithm.done:
            algorithm.step()
            if algorithm.done or not recorder.size % _STEPS_PER_REPORT:
                rate = (recorder.size - first) / (time.monotonic() - began)
                mean = np.mean(recorder.returns[-10:] or [np.nan])
                note = f"{len(recorder.returns)} episodes, recent mean return {mean:.1f}"
                report(recorder.size, f"{note}, {rate:.0f} steps/s")
            if algorithm.done or not recorder.between_episodes:
                continue
            if interrupts.requested or recorder.size >= next_checkpoint:
                write_checkpoint()
                next_checkpoint = recorder.size + _CHECKPOINT_STEPS
            if interrupts.requested:
                done = f"{recorder.size:,} of {total:,} steps"
                raise Interrupted(f"stopped after {done}; run the same command to continue.")
        interrupts.immediate = True
        write_checkpoint()


def _write_checkpoint(
    folder: RunFolder, algorithm: "OnlineSAC", settings: Mapping[str, Any]
) -> None:
    import pandas as pd

    ends, returns = algorithm.recorder.ends, algorithm.recorder.returns
    columns = {"timesteps_total": ends, "length": np.diff(ends, prepend=0), "return": returns}
    with replacing(folder.path / "episodes.csv") as temporary:
        pd.DataFrame(columns).to_csv(temporary, index_label="episode")
    metadata = {"counters": algorithm.counters(), "settings": settings}
    checkpoints.save_arrays(folder.path / _CHECKPOINT, algorithm.arrays(), metadata)


def relabel(path: Path, task: str, out: Path) -> str:
    """Write the rows of ``path`` with the rewards of ``task``; return a summary as text.

    Args:
        path: a file that ``collect`` wrote in a task of the same kind.
        task: a name of ``mopo_tf2.evaluation.ood_tasks.RELABELLINGS``.
        out: HDF5 file to write.

    Raises:
        InputError: if the file is of another kind of task or lacks a column, or ``out`` exists.
    """
    known = ", ".join(RELABELLINGS)
    require(task in RELABELLINGS, f"no rewards are known for --task {task}: give one of {known}.")
    rule = RELABELLINGS[task]
    _check_new_file(out)
    columns, attributes = read_dataset(path)
    source, family = attributes.get("task", "an unnamed task"), " or ".join(rule.family)
    fits = "task" not in attributes or source in rule.family
    require(fits, f"{path} is data of {source}: {task} needs data of {family}.")
    missing = ", ".join(name for name in rule.needs if name not in columns)
    advice = f"collect it with mopo-tf2 collect {rule.family[0]}"
    require(not missing, f"{path} has no column {missing}, which {task} needs: {advice}.")
    old = columns["rewards"]
    relabelled = {**columns, "rewards": rule.rewards(columns).astype(old.dtype).reshape(old.shape)}
    _write(out, relabelled, {**attributes, "task": task, "relabelled_from": source})
    return (
        f"{source} -> {task}: {len(old):,} transitions -> {out}\n"
        f"before: {_returns_text(columns)}\nafter:  {_returns_text(relabelled)}"
    )


def join(paths: Sequence[Path], out: Path) -> str:
    """Write the rows of ``paths``, one file after the other; return a summary as text.

    The last row of each file ends an episode: unless it is terminal it is marked as a timeout.
    Columns and attributes that not every file has are left out.

    Raises:
        InputError: if the files are fewer than two, or of different tasks, physics or sizes, or
            ``out`` exists.
    """
    require(len(paths) > 1, f"expected at least two files to join, got {len(paths)}.")
    _check_new_file(out)
    parts, attributes = zip(*map(read_dataset, paths), strict=True)
    kept = [name for name in parts[0] if all(name in columns for columns in parts)]
    for name in ("task", "physics"):
        _require_alike(paths, name, [about.get(name) for about in attributes])
    for name in kept:
        shapes = [f"of shape {columns[name].shape[1:]}" for columns in parts]
        _require_alike(paths, name, shapes)
    for columns in parts:
        columns["timeouts"][-1] |= not columns["terminals"][-1]
    joined = {name: np.concatenate([columns[name] for columns in parts]) for name in kept}
    shared = {
        name: value
        for name, value in attributes[0].items()
        if all(about.get(name) == value for about in attributes)
    }
    _write(out, joined, {**shared, "joined": ", ".join(path.name for path in paths)})
    lines = [
        f"{path.name}: {len(columns['rewards']):,} transitions, {_returns_text(columns)}"
        for path, columns in zip((*paths, out), (*parts, joined), strict=True)
    ]
    left_out = sorted({name for columns in parts for name in columns} - set(kept))
    if left_out:
        lines.append(f"left out, as not every file has them: {', '.join(left_out)}")
    return "\n".join([*lines, f"-> {out}"])


def _require_alike(paths: Sequence[Path], name: str, values: Sequence[Any]) -> None:
    found = {value: path for path, value in zip(paths, values, strict=True) if value is not None}
    listing = ", ".join(f"{path} has {name} {value}" for value, path in found.items())
    require(len(found) < 2, f"{listing}: only data of one task and physics can be joined.")


def _returns_text(columns: Columns) -> str:
    returns = episode_returns(columns["rewards"], columns["terminals"], columns["timeouts"])
    if not returns.size:
        return "no whole episode"
    count = f"{returns.size} episode" + "s" * (returns.size > 1)
    return f"{count}, batch mean {returns.mean():.1f}, batch max {returns.max():.1f}"


def _check_new_file(out: Path) -> None:
    require(not out.exists(), f"{out} exists already; remove it or choose another name.")
    require(out.parent.is_dir(), f"no folder {out.parent} to write into; make it first.")
    ensure_writable_folder(out.parent)


def _write(out: Path, columns: Columns, attributes: Mapping[str, Any]) -> None:
    with replacing(out) as temporary, h5py.File(temporary, "w") as file:
        for name, values in columns.items():
            file.create_dataset(name, data=values, compression="gzip")
        file.attrs.update(dict(attributes))


def _write_rows(out: Path, recorder: Recorder, attributes: Mapping[str, Any]) -> str:
    _write(out, recorder.closed_columns(), attributes)
    count = len(recorder.returns)
    mean = f" with a mean return of {np.mean(recorder.returns):.1f}" if count else ""
    return f"{recorder.size:,} transitions, {count} whole episodes{mean} -> {out}"


def read_dataset(path: Path) -> tuple[Columns, dict[str, Any]]:
    """Return every column [N, ...] of a file in D4RL's format by name, and its attributes.

    Columns with another number of rows than ``rewards`` (D4RL's ``metadata/*``) are left out.

    Raises:
        InputError: if the file is missing, damaged, or has no column that marks episodes.
    """
    columns: Columns = read_hdf5(path)
    require("timeouts" in columns, f"{path} has no column timeouts, which ends episodes too.")
    for name, values in columns.items():
        bad = np.argwhere(~np.isfinite(values))
        first = f", the first in row {bad[0, 0]}" if len(bad) else ""
        require(not first, f"{path}: {name} has {len(bad)} NaN or infinite values{first}.")

    def visit(name: str, item: Any) -> None:
        if name not in columns and isinstance(item, h5py.Dataset):
            require_own_values(item, path)
            if item.shape[:1] == columns["rewards"].shape:
                columns[name] = item[()]

    with h5py.File(path, "r") as file:
        file.visititems(visit)
        return columns, {name: np.asarray(value).tolist() for name, value in file.attrs.items()}

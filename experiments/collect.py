"""Data in D4RL's format from an environment: uniformly random actions, or a policy's."""

import contextlib
import dataclasses
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import gymnasium
import h5py
import numpy as np
import numpy.typing as npt
import rich.console
import rich.progress

from mopo_tf2.errors import InputError
from mopo_tf2.evaluation.episodes import rescale_actions
from mopo_tf2.types import PolicyFn

Columns = dict[str, npt.NDArray[Any]]

_PLAIN_REPORTS = 10  # lines of progress where there is no terminal


@dataclasses.dataclass(frozen=True, kw_only=True)
class Collected:
    """What ``collect`` wrote.

    Attributes:
        path: the HDF5 file.
        steps: number of rows.
        episodes: number of whole episodes (a last one that was cut is not counted).
        return_average: mean return of the whole episodes, nan if there is none.
    """

    path: Path
    steps: int
    episodes: int
    return_average: float


def collect(
    environment: gymnasium.Env[Any, Any],
    out: Path,
    n: int,
    *,
    random_state: np.random.RandomState,
    policy: PolicyFn | None = None,
    max_path_length: int = 1000,
    compression: str | None = "gzip",
    attributes: Mapping[str, str | int | float] | None = None,
) -> Collected:
    """Take ``n`` steps and write them as a D4RL-format HDF5 file.

    Rows: ``observations``, ``actions`` (in [-1, 1], rescaled to the environment's bounds as in
    evaluation), ``rewards``, ``next_observations`` float32; ``terminals``, ``timeouts`` bool; where
    the simulator has them, ``infos/qpos``, ``infos/qvel`` float64, the state in which the action
    was taken. An episode that reaches ``max_path_length`` ends with a timeout and no terminal; the
    last row is marked as a timeout if it ends no episode: what follows it is not in the file.

    The file appears whole under its name or not at all, whatever interrupts the collection.

    Args:
        environment: from ``make_environment``.
        out: file to write; it must not exist yet, its folder must.
        n: number of rows.
        random_state: drawn from for the environment's seed first, then for random actions.
        policy: [1, O] float32 -> [1, A]; None draws uniform actions.
        max_path_length: steps of an episode.
        compression: of the columns, "gzip" (as the file that ships) or None.
        attributes: written as the file's attributes: task, physics, versions, policy, seed.

    Raises:
        InputError: if ``n`` is not positive, ``out`` exists or its folder does not.

    Original: softlearning/samplers/simple_sampler.py:SimpleSampler.sample
    """
    if n < 1:
        raise InputError(f"expected a positive number of rows, got {n}.")
    if max_path_length < 1:
        raise InputError(f"expected a positive episode length, got {max_path_length}.")
    if out.exists():
        raise InputError(f"{out} exists already; remove it or choose another name.")
    if not out.parent.is_dir():
        raise InputError(f"no folder {out.parent} to write {out.name} into; make it first.")
    with _temporary_file(out) as temporary:
        with _progress(f"collecting {out.name}", n) as report:
            columns, returns = _roll_out(
                environment, n, random_state, policy, max_path_length, report
            )
        with h5py.File(temporary, "w") as file:
            for name, values in columns.items():
                file.create_dataset(name, data=values, compression=compression)
            file.attrs.update(dict(attributes or {}))
    return_average = float(np.mean(returns)) if returns else float("nan")
    return Collected(path=out, steps=n, episodes=len(returns), return_average=return_average)


def _roll_out(
    environment: gymnasium.Env[Any, Any],
    n: int,
    random_state: np.random.RandomState,
    policy: PolicyFn | None,
    max_path_length: int,
    report: Callable[[int], None],
) -> tuple[Columns, list[float]]:
    """``n`` rows, and the returns of the episodes that ended among them."""
    space: Any = environment.action_space
    columns = _empty_columns(environment, n)
    returns: list[float] = []
    # Only the first reset is seeded; the environment's own random state goes on from there.
    observation, _ = environment.reset(seed=int(random_state.randint(2**31 - 1)))
    length, path_return = 0, 0.0
    for row in range(n):
        if policy is None:
            action = random_state.uniform(-1.0, 1.0, space.shape)
        else:
            action = policy(np.asarray(observation, np.float32)[np.newaxis])[0]
        # Rounded as the rescaling rounds, so that within bounds of -1 and 1 the stored action is
        # the very one that was taken.
        action = (np.asarray(action, np.float32) + np.float32(1.0)) - np.float32(1.0)
        action = np.clip(action, -1.0, 1.0)
        _store_simulator_state(columns, row, environment)
        next_observation, reward, done, truncated, _ = environment.step(
            rescale_actions(action, space.low, space.high)
        )
        length += 1
        path_return += float(reward)
        timeout = length == max_path_length or (bool(truncated) and not done)
        values = (observation, action, next_observation, reward, done and not timeout, timeout)
        for name, value in zip(_COLUMNS, values, strict=True):
            columns[name][row] = value
        observation = next_observation
        if done or timeout:
            returns.append(path_return)
            observation, _ = environment.reset()
            length, path_return = 0, 0.0
        report(row + 1)
    if not columns["terminals"][-1]:
        columns["timeouts"][-1] = True
    return columns, returns


_COLUMNS = ("observations", "actions", "next_observations", "rewards", "terminals", "timeouts")


def _empty_columns(environment: gymnasium.Env[Any, Any], n: int) -> Columns:
    obs_shape, act_shape = environment.observation_space.shape, environment.action_space.shape
    columns: Columns = {
        "observations": np.empty((n, *(obs_shape or ())), np.float32),
        "actions": np.empty((n, *(act_shape or ())), np.float32),
        "next_observations": np.empty((n, *(obs_shape or ())), np.float32),
        "rewards": np.empty(n, np.float32),
        "terminals": np.empty(n, bool),
        "timeouts": np.empty(n, bool),
    }
    data = _simulator_data(environment)
    if data is not None:
        columns["infos/qpos"] = np.empty((n, data.qpos.size))
        columns["infos/qvel"] = np.empty((n, data.qvel.size))
    return columns


def _store_simulator_state(
    columns: Columns, row: int, environment: gymnasium.Env[Any, Any]
) -> None:
    if "infos/qpos" in columns:
        data = _simulator_data(environment)
        columns["infos/qpos"][row] = data.qpos
        columns["infos/qvel"][row] = data.qvel


def _simulator_data(environment: gymnasium.Env[Any, Any]) -> Any:
    """MuJoCo's state object if the environment stands on MuJoCo, else None."""
    data = getattr(environment.unwrapped, "data", None)
    return data if hasattr(data, "qpos") and hasattr(data, "qvel") else None


@contextlib.contextmanager
def _temporary_file(out: Path) -> Iterator[Path]:
    """Give a file beside ``out`` that takes its name at the end, or goes if anything is raised."""
    try:
        handle, name = tempfile.mkstemp(prefix=f".{out.name}.", suffix=".part", dir=out.parent)
    except OSError as error:
        raise InputError(f"cannot write into {out.parent}: {error.strerror}.") from error
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o666 & ~_umask())
        os.replace(temporary, out)
    finally:
        temporary.unlink(missing_ok=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


@contextlib.contextmanager
def _progress(title: str, total: int) -> Iterator[Callable[[int], None]]:
    """Show a bar on a terminal, else print a plain line at every tenth of the work."""
    if sys.stderr.isatty():
        bar = rich.progress.Progress(
            rich.progress.TextColumn("{task.description}"),
            rich.progress.BarColumn(),
            rich.progress.MofNCompleteColumn(),
            rich.progress.TimeRemainingColumn(),
            console=rich.console.Console(stderr=True),
        )
        with bar:
            task = bar.add_task(title, total=total)
            yield lambda done: bar.update(task, completed=done)
        return
    every = max(1, -(-total // _PLAIN_REPORTS))

    def report(done: int) -> None:
        if done % every == 0 or done == total:
            print(f"{title}: {done} of {total} steps", file=sys.stderr, flush=True)

    yield report

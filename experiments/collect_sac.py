"""Data of a policy that learns in the task: SAC's replay buffer, or rollouts of what it became."""

import collections
import csv
import dataclasses
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np

from .collect import Collected, Report, collect, collected, reporting
from .dataset_files import (
    Attributes,
    check_new_file,
    new_dataset_file,
    write_columns,
)
from .exports import POLICY_FILE
from .files import ensure_writable_folder, replacing, write_json
from .interrupts import Interrupted, Interrupts
from mopo_tf2.algorithms.online_sac import OnlineSAC
from mopo_tf2.checkpoints import load_arrays, save_arrays
from mopo_tf2.config_fields import to_dict
from mopo_tf2.configs.online_sac import OnlineSACConfig
from mopo_tf2.errors import InputError
from mopo_tf2.types import FloatArray

CHECKPOINT_FILE = "checkpoint.npz"
EPISODES_FILE = "episodes.csv"
SETTINGS_FILE = "collect.json"
_RECENT_EPISODES = 10
_PLAIN_REPORTS = 100
_REPORT_EVERY = 100  # steps
_RATE_WINDOW = 20  # reports


@dataclasses.dataclass(frozen=True, kw_only=True)
class SACCollection:
    """What to collect with SAC.

    Attributes:
        out: HDF5 file to write.
        save: "replay" for all that SAC saw while it learned, in order of time (D4RL's
            "medium-replay" or "mixed"); "policy" for rollouts of the policy at the end ("medium").
        n: rows of the rollouts; without meaning for "replay".
        seed: of everything random.
        config: SAC's coefficients and the number of steps.
        attributes: of the file.
        checkpoint_steps: a checkpoint is written at the first end of an episode after so many
            steps.
    """

    out: Path
    save: str
    n: int
    seed: int
    config: OnlineSACConfig
    attributes: Attributes
    checkpoint_steps: int = 25_000

    @property
    def folder(self) -> Path:
        """Folder beside the file: checkpoint, returns, and the trained policy."""
        return run_folder(self.out)

    @property
    def settings(self) -> dict[str, Any]:
        """Everything that decides what is written."""
        return {
            "save": self.save,
            "n": self.n,
            "seed": self.seed,
            **{f"attributes/{name}": value for name, value in self.attributes.items()},
            **to_dict(self.config),
        }


def run_folder(out: Path) -> Path:
    """Return the folder that belongs to the dataset file ``out``: data.hdf5.run."""
    return out.with_name(out.name + ".run")


def collect_with_sac(
    environment: gymnasium.Env[Any, Any], collection: SACCollection
) -> tuple[Collected, bool]:
    """Train SAC in ``environment`` and write the data; go on where an interrupted one stopped.

    Args:
        environment: from ``make_environment``.
        collection: what to write.

    Returns:
        What was written, and whether an interrupted collection was continued.

    Raises:
        InputError: if the file exists, or the folder beside it is of a collection with other
            settings, or of a finished one.
        Interrupted: on Ctrl-C, at the end of the running episode; what was learned is kept.
        DivergenceError: if SAC diverges.
    """
    out, folder = collection.out, collection.folder
    check_new_file(out)
    algorithm = OnlineSAC(environment, collection.config, seed=collection.seed)
    continued = _restore(algorithm, collection)
    ensure_writable_folder(folder)
    write_json(folder / SETTINGS_FILE, collection.settings)
    if not algorithm.done:
        _train(algorithm, collection)
    result = _write(environment, algorithm, collection)
    (folder / CHECKPOINT_FILE).unlink(missing_ok=True)
    return result, continued


def _restore(algorithm: OnlineSAC, collection: SACCollection) -> bool:
    """Put the checkpoint of the same collection into ``algorithm``, if there is one."""
    folder, checkpoint = collection.folder, collection.folder / CHECKPOINT_FILE
    if not checkpoint.is_file():
        if (folder / POLICY_FILE).exists():
            raise InputError(
                f"{folder} is of a finished collection whose file {collection.out.name} is gone: "
                "remove the folder, or choose another --out."
            )
        return False
    arrays, metadata = load_arrays(checkpoint)
    _refuse_other_settings(metadata.get("settings", {}), collection)
    try:
        algorithm.restore(arrays, metadata["counters"])
    except (KeyError, ValueError) as error:
        raise InputError(
            f"{checkpoint} does not fit this collection ({error}): remove {folder} to start anew."
        ) from error
    return True


def _refuse_other_settings(found: Mapping[str, Any], collection: SACCollection) -> None:
    wanted = collection.settings
    changed = [name for name in wanted if found.get(name) != wanted[name]]
    if changed:
        name = changed[0]
        raise InputError(
            f"{collection.folder} holds an interrupted collection with "
            f"{name.removeprefix('attributes/')} {found.get(name)}, now it is {wanted[name]}: give "
            "the same options to continue it, or remove the folder to start anew."
        )


def _train(algorithm: OnlineSAC, collection: SACCollection) -> None:
    """Take the steps that are left; keep checkpoints and the table of returns."""
    recorder, total = algorithm.recorder, collection.config.steps
    message = "stopping at the end of the episode; Ctrl-C again stops at once ..."
    next_checkpoint = recorder.size + collection.checkpoint_steps
    title = f"SAC, {collection.out.name}"
    with Interrupts(message) as interrupts, reporting(title, total, _PLAIN_REPORTS) as report:
        clock = _Clock(recorder.size)
        while not algorithm.done:
            algorithm.step()
            _report(report, algorithm, clock)
            if not recorder.between_episodes or algorithm.done:
                continue
            if interrupts.requested or recorder.size >= next_checkpoint:
                _save(algorithm, collection)
                next_checkpoint = recorder.size + collection.checkpoint_steps
            if interrupts.requested:
                raise Interrupted(
                    f"stopped after {recorder.size:,} of {total:,} steps; the same command goes on."
                )
        interrupts.immediate = True
        _save(algorithm, collection)


class _Clock:
    """Steps per second of late."""

    def __init__(self, steps: int):
        self._marks = collections.deque([(steps, time.monotonic())], maxlen=_RATE_WINDOW)

    def rate(self, steps: int) -> float:
        self._marks.append((steps, time.monotonic()))
        (first, started), (last, ended) = self._marks[0], self._marks[-1]
        return (last - first) / max(ended - started, 1e-9)


def _report(report: Report, algorithm: OnlineSAC, clock: _Clock) -> None:
    recorder = algorithm.recorder
    if recorder.size % _REPORT_EVERY and not algorithm.done:
        return
    note = f"{clock.rate(recorder.size):.0f} steps/s"
    if recorder.returns:
        recent = recorder.returns[-_RECENT_EPISODES:]
        note = (
            f"{len(recorder.returns)} episodes, mean return of the last {len(recent)}: "
            f"{np.mean(recent):.1f}, {note}"
        )
    report(recorder.size, note)


def _save(algorithm: OnlineSAC, collection: SACCollection) -> None:
    _write_episodes(algorithm, collection.folder / EPISODES_FILE)
    metadata = {"counters": algorithm.counters(), "settings": collection.settings}
    save_arrays(collection.folder / CHECKPOINT_FILE, algorithm.arrays(), metadata)


def _write_episodes(algorithm: OnlineSAC, path: Path) -> None:
    """Write the return of each episode that has ended, with the number of steps at its end."""
    recorder = algorithm.recorder
    with replacing(path) as temporary, temporary.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["episode", "timesteps_total", "length", "return"])
        starts = [0, *recorder.ends]
        for episode, (end, return_) in enumerate(zip(recorder.ends, recorder.returns, strict=True)):
            writer.writerow([episode, end, end - starts[episode], return_])


def _write(
    environment: gymnasium.Env[Any, Any], algorithm: OnlineSAC, collection: SACCollection
) -> Collected:
    """Export the policy and write the dataset."""
    _export(algorithm, collection)
    if collection.save == "replay":
        with new_dataset_file(collection.out) as temporary:
            write_columns(temporary, algorithm.recorder.closed_columns(), collection.attributes)
        return collected(collection.out, algorithm.recorder)
    # Apart from the streams of training, so that a repeated attempt gives the same rollouts.
    random_state = np.random.RandomState(
        np.random.SeedSequence([collection.seed, 2]).generate_state(4)
    )

    def sample(observations: FloatArray) -> FloatArray:
        return algorithm.sample_actions(observations, random_state)

    return collect(
        environment,
        collection.out,
        collection.n,
        random_state=random_state,
        policy=sample,
        max_path_length=collection.config.max_path_length,
        attributes=collection.attributes,
    )


def _export(algorithm: OnlineSAC, collection: SACCollection) -> None:
    """Write the policy so that ``collect --policy`` and ``evaluate`` take the folder."""
    arrays, description = algorithm.policy.exported()
    metadata = {
        **description,
        "kind": algorithm.policy.kind,
        "method": "online-sac",
        "environment": collection.attributes["task"],
        "physics": collection.attributes["physics"],
        "max_path_length": collection.config.max_path_length,
        "epoch": algorithm.recorder.size,
        "seed": collection.seed,
    }
    save_arrays(collection.folder / POLICY_FILE, arrays, metadata)

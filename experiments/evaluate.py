"""A run's policy in its real environment, or, where there is none, in its model."""

import contextlib
import math
from pathlib import Path
from typing import Any

import numpy as np
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from .evaluate_own import evaluate_without_simulator
from .exports import SavedPolicy, load_policy
from .files import ensure_writable_folder
from .film import film
from mopo_tf2.configs.own import NO_ENVIRONMENT
from mopo_tf2.data.catalog import reference_scores
from mopo_tf2.errors import InputError
from mopo_tf2.evaluation.environments import make_environment
from mopo_tf2.evaluation.episodes import (
    Episodes,
    evaluation_seeds,
    rescale_actions,
    run_episodes,
)
from mopo_tf2.evaluation.metrics import normalized_score, return_statistics


def evaluate_run(run: Path, episodes: int, seed: int, video: Path | None = None) -> str:
    """Run ``episodes`` deterministic episodes; return the result as text.

    Args:
        run: folder of the run.
        episodes: number of episodes, each reset from a seed of its own.
        seed: of those seeds.
        video: file to film a first episode into, or None.

    Raises:
        InputError: if the run has no policy, a number is unfit, or the video cannot be made.

    Original: examples/development/simulate_policy.py:simulate_policy
    """
    if episodes < 1:
        raise InputError(f"--episodes must be positive, got {episodes}.")
    if seed < 0:
        raise InputError(f"--seed must not be negative, got {seed}.")
    if video is not None and video.suffix.lower() not in (".mp4", ".gif"):
        raise InputError(f"--video expects a file .mp4 or .gif, got {video}.")
    saved = load_policy(run)
    if saved.metadata["environment"] == NO_ENVIRONMENT:
        if video is not None:
            raise InputError(f"{run} has no simulator that could be filmed: leave --video out.")
        return evaluate_without_simulator(run, episodes, seed)
    result = _run(saved, episodes, seed)
    lines = [_summary(saved, result, episodes, seed)]
    if video is not None:
        frames = _film(saved, evaluation_seeds(seed, 0, episodes)[0], video)
        lines.append(f"{frames} frames of the first episode -> {video}")
    return "\n".join(lines)


def _run(saved: SavedPolicy, episodes: int, seed: int) -> Episodes:
    metadata = saved.metadata
    environments = [
        make_environment(metadata["environment"], physics=metadata["physics"])
        for _ in range(episodes)
    ]
    columns = (TextColumn("evaluating"), BarColumn(), TimeRemainingColumn())
    with Progress(*columns, transient=True) as bar:
        task = bar.add_task("", total=metadata["max_path_length"])
        return run_episodes(
            saved.acting(episodes, seed),
            environments,
            evaluation_seeds(seed, 0, episodes),
            max_path_length=metadata["max_path_length"],
            on_step=lambda done, total: bar.update(task, completed=done),
        )


def _summary(saved: SavedPolicy, result: Episodes, episodes: int, seed: int) -> str:
    metadata, statistics = saved.metadata, return_statistics(result)
    score = math.nan
    with contextlib.suppress(InputError):  # a task that D4RL has no reference returns for
        references = reference_scores(metadata["environment"])
        score = normalized_score(statistics["evaluation/return-average"], *references)
    values = {name.removeprefix("evaluation/"): value for name, value in statistics.items()}
    return (
        f"{metadata['environment']} ({metadata['physics']} physics), policy of epoch "
        f"{metadata['epoch']}, {episodes} episodes, seed {seed}\n"
        f"return {values['return-average']:.1f} +- {values['return-std']:.1f} "
        f"(min {values['return-min']:.1f}, max {values['return-max']:.1f})"
        + (f", normalised score {score:.2f}" if math.isfinite(score) else "")
        + f"\nepisode length {values['episode-length-avg']:.1f} "
        f"(min {values['episode-length-min']:.0f}, max {values['episode-length-max']:.0f})"
    )


def _film(saved: SavedPolicy, seed: int, video: Path) -> int:
    """Write one episode as a film; return the number of frames.

    Drawn in a process of its own, which repeats the actions: where Mesa draws in software it brings
    an LLVM that crashes TensorFlow's compiler in the same process.
    """
    ensure_writable_folder(video.parent)
    metadata, act = saved.metadata, saved.acting(1, seed)
    environment = make_environment(metadata["environment"], physics=metadata["physics"])
    space: Any = environment.action_space
    observation, _ = environment.reset(seed=seed)
    actions = []
    for _ in range(metadata["max_path_length"]):
        action = act(np.asarray(observation, np.float32)[None])[0]
        actions.append(rescale_actions(action, space.low, space.high))
        observation, _, terminated, truncated, _ = environment.step(actions[-1])
        if terminated or truncated:
            break
    return film(
        metadata["environment"],
        metadata["physics"],
        seed=seed,
        actions=np.array(actions),
        out=video,
    )

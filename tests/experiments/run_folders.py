"""Run folders written by hand, with the files and the fields that ``train`` writes."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from experiments.logging import RunLogger
from mopo_tf2.configs.d4rl import find_task
from mopo_tf2.data.catalog import reference_scores
from mopo_tf2.errors import InputError

SHA256 = "0123456789abcdef" * 4


def write_run(
    folder: Path,
    scores: Sequence[float],
    *,
    seed: int = 0,
    config: str = "halfcheetah_mixed",
    dataset: str | None = None,
    asked: int | None = None,
    **changes: Any,
) -> Path:
    """Write a run whose evaluations have these normalised scores.

    ``asked`` epochs (as many as there are scores, if None). ``changes``: settings of the
    algorithm, or physics, environment, sha256, source, model, method. Without a method the folder
    is as those of before there were others than MOPO.
    """
    shipped = find_task(config)
    name = dataset or shipped.dataset_id
    environment = changes.pop("environment", shipped.domain)
    physics = changes.pop("physics", "d4rl")
    sha256 = changes.pop("sha256", SHA256)
    source = changes.pop("source", name)
    model = changes.pop("model", None)
    named = {"method": changes.pop("method")} if "method" in changes else {}
    of_mopo = {
        "rollout_length": shipped.rollout_length,
        "penalty_coeff": shipped.penalty_coeff,
    }
    algorithm = {
        **(of_mopo if named.get("method", "mopo") == "mopo" else {}),
        "n_epochs": len(scores) if asked is None else asked,
        **changes,
    }
    what = {
        **named,
        "dataset": source,
        "physics": physics,
        "seed": seed,
        "environment": environment,
    }
    recorded = {"dataset": {"name": name, "sha256": sha256}}
    params = {"config": config, "dataset": name, "task": environment, "physics": physics}
    with RunLogger(folder, tensorboard=False) as logger:
        logger.write_configuration(
            {"name": config, "model": model, **what, "algorithm": algorithm, "recorded": recorded},
            {**params, **named, "seed": seed, "model_from": model or "none", **algorithm},
        )
        for epoch, score in enumerate(scores):
            logger.write(
                {
                    "epoch": epoch,
                    "evaluation/normalized-score": _score(environment, score),
                    "evaluation/return-average": _return(environment, score),
                }
            )
    return folder


def _score(environment: str, score: float) -> float:
    return score if _references(environment) else math.nan


def _return(environment: str, score: float) -> float:
    """Undo the normalisation: score 0 is the random policy's return, 100 the expert's."""
    references = _references(environment)
    if references is None:
        return score
    low, high = references
    return low + score / 100.0 * (high - low)


def _references(environment: str) -> tuple[float, float] | None:
    try:
        return reference_scores(environment)
    except InputError:
        return None

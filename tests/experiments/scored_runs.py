"""Runs whose evaluations are given, in folders that ``RunFolder`` writes."""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from experiments.run_folder import RunFolder
from experiments.run_spec import build_spec
from mopo_tf2.data import catalog

SHA256 = "0123456789abcdef" * 4


def write_run(
    path: Path,
    scores: Sequence[float],
    config: str = "halfcheetah_mixed",
    *,
    asked: int | None = None,
    sha256: str | None = SHA256,
    settings: Mapping[str, Any] | None = None,
    **changes: Any,
) -> RunFolder:
    """Write a run with these normalized scores, or returns where the task has no score.

    ``asked`` epochs (as many as there are scores, if None); ``changes`` of ``RunSpec``'s fields.
    """
    own = {"n_epochs": max(len(scores), 1) if asked is None else asked, **(settings or {})}
    spec = build_spec(config, changes, {name: str(value) for name, value in own.items()})
    folder = RunFolder(path)
    folder.write_spec(spec, {"dataset": {"name": Path(spec.dataset).name, "sha256": sha256}})
    references = catalog.scores_of_task(spec.environment, spec.algorithm.max_path_length)
    low, high = (0.0, 100.0) if math.isnan(references[0]) else references
    for epoch, score in enumerate(scores):
        folder.write_row(
            {
                "epoch": epoch,
                "evaluation/normalized-score": score + 0.0 * references[0],
                "evaluation/return-average": low + score / 100.0 * (high - low),
            }
        )
    return folder


def edit_json(path: Path, **changes: Any) -> None:
    """Change entries of a JSON file by hand; None takes one out."""
    values = {**json.loads(path.read_text()), **changes}
    path.write_text(json.dumps({name: v for name, v in values.items() if v is not None}))

"""What is said of a run on data of the user's own, which no simulator stands behind."""

import numpy as np

from .run_spec import RunSpec
from mopo_tf2.config import MOPOConfig
from mopo_tf2.configs.own import IN_THE_MODEL, NO_ENVIRONMENT
from mopo_tf2.data.datasets import Dataset

_LARGE, _SMALL = 30.0, 0.03
"""Outside these a network that sees an observation as it is learns slowly."""


def has_simulator(spec: RunSpec) -> bool:
    """Whether the run's policy can be evaluated in an environment."""
    return spec.environment != NO_ENVIRONMENT


def where_evaluated(spec: RunSpec) -> str:
    """Say where the evaluations of a run take place, for its first line."""
    if has_simulator(spec):
        return f"{spec.environment} with {spec.physics} physics"
    if isinstance(spec.algorithm, MOPOConfig) and spec.algorithm.model_eval_horizon:
        return f"evaluation {IN_THE_MODEL}"
    return "no evaluation while it trains (no simulator)"


def closing_line(spec: RunSpec) -> str | None:
    """Return what is to be said of the evaluations once a run is done; None with a simulator."""
    if has_simulator(spec):
        return None
    if isinstance(spec.algorithm, MOPOConfig) and spec.algorithm.model_eval_horizon:
        return f"every return above is one {IN_THE_MODEL}."
    return "nothing is evaluated yet (no simulator): mopo-tf2 evaluate does so from the data."


def describe_table(dataset: Dataset) -> list[str]:
    """Return lines that say which column was what, and which ones the networks will mind."""
    columns, bounds, lines = dataset.columns, dataset.action_bounds, []
    if columns is not None:
        ends = f"terminal {columns.terminals}" if columns.terminals else "never terminal"
        successors = (
            f"the next row of the same {columns.episode}"
            if columns.next_observations is None
            else f"columns {', '.join(columns.next_observations)}"
        )
        lines.append(
            f"observations {', '.join(columns.observations)}; actions "
            f"{', '.join(columns.actions)}; reward {columns.rewards}; {ends}; successors: "
            f"{successors}."
        )
    if bounds is not None:
        pairs = zip(bounds.low, bounds.high, strict=True)
        ranges = ", ".join(f"[{low:g}, {high:g}]" for low, high in pairs)
        lines.append(f"the policy's [-1, 1] stands for {ranges} of the data's actions.")
    observations = dataset.transitions.observations
    sizes = np.abs(observations).max(axis=0)
    names = columns.observations if columns else [str(i) for i in range(len(sizes))]
    odd = [
        f"{name} (up to {size:g})"
        for name, size in zip(names, sizes, strict=True)
        if not (_SMALL <= size <= _LARGE or size == 0.0)
    ]
    if odd:
        lines.append(
            f"the policy sees observations as they are and learns best of sizes around 1: consider "
            f"other units for {', '.join(odd)}."
        )
    return lines

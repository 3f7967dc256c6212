"""Runs that are drawn alike: what a curve stands for, its colour, dashes and legend."""

import dataclasses
import itertools
from collections.abc import Sequence
from typing import Any

import pandas as pd
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from ..records.run_groups import Run, by_configuration, group_labels, parameter

# Distinct in colour (Okabe and Ito), in grey and in dash, so that a black-and-white print reads.
STYLES: tuple[tuple[str, Any], ...] = (
    ("#0072B2", "-"),
    ("#D55E00", (0, (6, 2))),
    ("#009E73", (0, (3, 1, 1, 1))),
    ("#CC79A7", (0, (8, 2, 2, 2))),
    ("#56B4E9", (0, (4, 1))),
    ("#E69F00", (0, (5, 1, 1, 1, 1, 1))),
)
REFERENCE_DASHES: tuple[Any, ...] = ((0, (1, 1)), (0, (1, 2.5)), (0, (4, 1.5, 1, 1.5)))
MEAN_WIDTH = 1.9
SEED_WIDTH = 0.6


@dataclasses.dataclass(frozen=True)
class CurveGroup:
    """Runs of one configuration, or one reference curve, drawn alike.

    Attributes:
        label: of the legend.
        runs: at least one.
        color: of lines and band.
        dashes: a line style of matplotlib.
        marker: a marker of matplotlib on the mean, or None.
        is_reference: whether it is a curve to compare with.
    """

    label: str
    runs: Sequence[Run]
    color: str
    dashes: Any
    marker: str | None = None
    is_reference: bool = False

    def table(self, key: str) -> pd.DataFrame:
        """[epochs, runs] of ``key``; nan where a run has no value."""
        columns = [run.series(key) for run in self.runs]
        return pd.concat(columns, axis=1).sort_index()


def curve_groups(runs: Sequence[Run]) -> list[CurveGroup]:
    """Group the runs that agree in all but the seed, each group in its own style."""
    members = by_configuration(runs)
    styles = itertools.cycle(STYLES)
    return [
        CurveGroup(label, group, color, dashes)
        for label, group, (color, dashes) in zip(
            group_labels(members), members, styles, strict=False
        )
    ]


def has_values(groups: Sequence[CurveGroup], key: str) -> bool:
    """Whether any run has a finite value of ``key``."""
    return any(len(run.series(key)) for group in groups for run in group.runs)


def legend_handles(groups: Sequence[CurveGroup]) -> list[Line2D | Patch]:
    """One line a group with how many seeds it stands for, then what thin lines and bands are."""
    handles: list[Line2D | Patch] = [
        Line2D([], [], color=g.color, linestyle=g.dashes, linewidth=MEAN_WIDTH, label=_label(g))
        for g in groups
    ]
    if any(len(group.runs) > 1 for group in groups):
        handles += spread_handles()
    return handles


def spread_handles(*, with_seeds: bool = True) -> list[Line2D | Patch]:
    """What thin lines (left out without ``with_seeds``) and bands are."""
    seeds = Line2D([], [], color="grey", linewidth=SEED_WIDTH, label="single seeds")
    band = Patch(color="grey", alpha=0.25, label="band: minimum to maximum of the seeds")
    return [seeds, band] if with_seeds else [band]


def _label(group: CurveGroup) -> str:
    """E.g. "hopper_mixed: mean of 3 seeds, of 2 after epoch 40"."""
    if group.is_reference:
        return group.label
    seeds = [parameter(run.params, "seed") for run in group.runs]
    total = len(group.runs)
    if total == 1:
        return f"{group.label}: 1 run" + ("" if seeds[0] is None else f", seed {seeds[0]}")
    # Two runs of one seed are not two samples; then do not call them seeds.
    noun = "seeds" if len(set(seeds)) == total and None not in seeds else "runs"
    parts = [f"{group.label}: mean of {total} {noun}"]
    lasts = sorted(float(run.progress["epoch"].max()) for run in group.runs)
    for last in sorted(set(lasts))[:-1]:
        parts.append(f"of {sum(x > last for x in lasts)} after epoch {last:g}")
    return ", ".join(parts)


def epoch_label(groups: Sequence[CurveGroup]) -> str:
    """The label of the epoch axis, with the updates of an epoch if all runs agree in them."""
    lengths = set()
    for group in groups:
        for run in group.runs:
            done = run.series("train-steps")
            lengths.update((done / (done.index.to_numpy() + 1)).round(6))
    if len(lengths) == 1 and (length := lengths.pop()).is_integer():
        return f"epoch of policy training (from 0; {length:,.0f} updates each)"
    return "epoch of policy training (from 0)"

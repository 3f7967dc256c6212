"""What one run scored: at the last epoch, over the last ten, at the best."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt

from ..records.run_records import RunRecord
from mopo_tf2.configs.own import IN_THE_MODEL, MODEL_RETURN_KEY
from mopo_tf2.data import catalog
from mopo_tf2.errors import InputError
from mopo_tf2.evaluation.metrics import normalized_score

Metric = Literal["score", "return", "model-return"]
METRICS: tuple[Metric, ...] = ("score", "return", "model-return")
METRIC_NAMES: Mapping[Metric, str] = {
    "score": "D4RL-normalised score",
    "return": "return (sum of an episode's rewards)",
    "model-return": f"return {IN_THE_MODEL}",
}
COLUMNS: Mapping[Metric, str] = {
    "score": "evaluation/normalized-score",
    "return": "evaluation/return-average",
    "model-return": MODEL_RETURN_KEY,
}

LAST, LAST_TEN, BEST = "LAST", "LAST TEN", "BEST"
# Q-87: the paper says that it reports the last iteration; its authors' own script did otherwise.
STATISTICS: Mapping[str, str] = {
    LAST: "the evaluation after a run's last epoch, what the paper says it reports",
    LAST_TEN: "the mean of a run's last ten evaluations, what the authors' table script took",
    BEST: "a run's highest evaluation; it picks the epoch by the evaluation itself, which "
    "offline training does not have, so it is an upper bound and no result",
}


@dataclasses.dataclass(frozen=True)
class RunScores:
    """The statistics of one run.

    values:  by name of ``STATISTICS``; nan where the run has none.
    remarks: why one is nan, or what was left out, without the run's name.
    """

    values: Mapping[str, float]
    remarks: tuple[str, ...]


def run_scores(record: RunRecord, metric: Metric) -> RunScores:
    """Return the three statistics of a run.

    Args:
        record: a run with at least one epoch.
        metric: which evaluation.

    Raises:
        ValueError: if the run has no epoch.
    """
    values = evaluations(record, metric)
    if values.size and not np.isfinite(values).any():
        return RunScores(dict.fromkeys(STATISTICS, math.nan), (_why_nothing(record, metric),))
    return summarise(values)


def summarise(values: npt.ArrayLike) -> RunScores:
    """Return LAST, LAST TEN and BEST of a run's evaluations.

    An evaluation that is not finite, or that the file lacks, makes LAST and LAST TEN nan if it is
    among the epochs that they take: it is not skipped in favour of an older one. BEST is the
    highest finite one. A run of fewer than ten epochs has the mean of all as its LAST TEN. Each of
    these is said in the remarks.

    Args:
        values: [epochs] evaluations from epoch 0 on, nan where there is none.

    Raises:
        ValueError: if there is no epoch.
    """
    array = np.asarray(values, dtype=np.float64)
    if not array.size:
        raise ValueError("expected at least one epoch, got none.")
    is_finite = np.isfinite(array)
    array = np.where(is_finite, array, np.nan)
    missing = np.flatnonzero(~is_finite)
    tail = missing[missing >= array.size - 10]
    remarks = []
    if not is_finite[-1]:
        remarks.append(f"the evaluation of the last epoch ({array.size - 1}) is nan: no {LAST}")
    if tail.size:
        remarks.append(f"{_epochs(tail)} of the last ten nan: no {LAST_TEN}")
    if missing.size:
        remarks.append(f"{BEST} leaves out {_epochs(missing)} nan")
    if array.size < 10:
        remarks.append(f"{array.size} epochs only: their mean stands for {LAST_TEN}")
    best = float(array[is_finite].max()) if is_finite.any() else math.nan
    values_by_name = {LAST: float(array[-1]), LAST_TEN: float(array[-10:].mean()), BEST: best}
    return RunScores(values_by_name, tuple(remarks))


def evaluations(record: RunRecord, metric: Metric) -> npt.NDArray[np.float64]:
    """Return [epochs_done] evaluations of a run, nan where it has none.

    The original records no normalised score; it is computed from the return (Q-86).
    """
    values = record.values(COLUMNS[metric])
    if metric != "score" or np.isfinite(values).any():
        return values
    try:
        low, high = catalog.reference_scores(record.task)
    except InputError:
        return values
    returns = record.values(COLUMNS["return"])
    return np.array([normalized_score(value, low, high) for value in returns], dtype=np.float64)


def are_without_simulator(records: Sequence[RunRecord]) -> bool:
    """Whether the learned model is all that any of the runs was evaluated in."""

    def has(column: str) -> bool:
        return any(np.isfinite(record.values(column)).any() for record in records)

    return has(MODEL_RETURN_KEY) and not has(COLUMNS["return"])


def _why_nothing(record: RunRecord, metric: Metric) -> str:
    if metric == "score" and np.isfinite(record.values(COLUMNS["return"])).any():
        return f"D4RL has no reference returns for {record.task}: use --metric return"
    if metric != "model-return" and np.isfinite(record.values(MODEL_RETURN_KEY)).any():
        return "it has no simulator, only returns in the learned model: use --metric model-return"
    if COLUMNS["return"] not in record.run.progress:
        return f"progress.csv has no column {COLUMNS['return']}: nothing was evaluated"
    return "every evaluation is nan"


def _epochs(numbers: npt.NDArray[np.intp]) -> str:
    shown = ", ".join(map(str, numbers[:5])) + (", ..." if numbers.size > 5 else "")
    return f"epoch {shown} is" if numbers.size == 1 else f"{numbers.size} epochs ({shown}) are"

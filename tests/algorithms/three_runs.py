"""One run, the same again, and another that is resumed from the first one's checkpoint."""

from typing import Any, NamedTuple


class Runs(NamedTuple):
    """Metrics of each epoch without times and nan, and all arrays after the last epoch.

    first, again: of two objects of the same seed.
    other: of one epoch of an object of another seed.
    resumed: of the further epochs of that object, restored to the end of ``first``'s epoch 0.
    """

    first: list[dict[str, float]]
    again: list[dict[str, float]]
    other: list[dict[str, float]]
    resumed: list[dict[str, float]]
    first_arrays: dict[str, Any]
    resumed_arrays: dict[str, Any]


def comparable(metrics):
    """Return the metrics that two equal runs share."""
    return {k: v for k, v in metrics.items() if not k.startswith("times/") and v == v}


def three_runs(make):
    """Return the runs of the algorithms that ``make`` (seed -> algorithm) gives."""
    first, again, other = make(5), make(5), make(6)
    run = first.train()
    metrics = [comparable(next(run))]
    arrays = {name: array.copy() for name, array in first.arrays().items()}
    counters = first.counters()
    metrics += [comparable(row) for row in run]
    repeated = [comparable(row) for row in again.train()]
    others = [comparable(next(other.train()))]
    other.restore(arrays, counters)
    resumed = [comparable(row) for row in other.train()]
    return Runs(metrics, repeated, others, resumed, first.arrays(), other.arrays())

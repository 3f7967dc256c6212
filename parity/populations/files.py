"""A population in files: one row per seed and epoch."""

import dataclasses
import io
from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from mopo_tf2.errors import InputError
from mopo_tf2.files import replacing

DATA = Path(__file__).with_name("data")
"""The populations that ship: of the original, and of the port."""

ORIGINAL, PORT = "original", "port"

LOGGED = (
    "evaluation/return-average",
    "evaluation/episode-length-avg",
    "Q-avg",
    "Q-std",
    "Q_loss",
    "alpha",
    "policy/shifts-mean",
    "policy/shifts-std",
    "policy/log_scale_diags-mean",
    "policy/log_scale_diags-std",
    "policy/-log-pis-mean",
    "policy/-log-pis-std",
    "policy/raw-actions-mean",
    "policy/raw-actions-std",
    "policy/actions-mean",
    "policy/actions-std",
    "model/val_loss",
    "model/mean_rollout_length",
)
"""The columns of progress.csv that are kept and compared."""


@dataclasses.dataclass(frozen=True)
class Population:
    """Runs of one configuration with different seeds.

    Attributes:
        progress: columns seed, epoch and ``LOGGED``; a row per run and epoch.
        holdout: columns seed, epoch, V0, V1, ...: hold-out losses of the ensemble's members after
            each epoch of its training.
    """

    progress: pd.DataFrame
    holdout: pd.DataFrame

    @property
    def seeds(self) -> list[int]:
        """The seeds, in order."""
        return sorted(int(seed) for seed in self.progress["seed"].unique())

    def joined(self, other: "Population") -> "Population":
        """Return both, ordered by seed."""
        pairs = ((self.progress, other.progress), (self.holdout, other.holdout))
        return Population(
            *(pd.concat(pair).sort_values(["seed", "epoch"], ignore_index=True) for pair in pairs)
        )

    def of_seeds(self, seeds: Iterable[int]) -> "Population":
        """Return the runs with one of ``seeds``."""
        wanted = list(seeds)
        return Population(*(t[t["seed"].isin(wanted)] for t in (self.progress, self.holdout)))


def _paths(folder: Path, task: str, who: str) -> tuple[Path, Path]:
    return tuple(folder / f"{task}.{who}.{part}.csv.gz" for part in ("progress", "holdout"))  # type: ignore[return-value]


def read_population(folder: Path, task: str, who: str) -> Population | None:
    """Read the population of ``who`` on ``task``; None if there is none.

    Args:
        folder: where it is.
        task: name of the configuration.
        who: ``ORIGINAL``, ``PORT``, or the name of a wrong port.

    Raises:
        InputError: if a file is damaged or lacks a column.
    """
    tables = []
    for path, columns in zip(_paths(folder, task, who), (LOGGED, ("V0",)), strict=True):
        if not path.is_file():
            return None
        try:
            table = pd.read_csv(io.BytesIO(path.read_bytes()), compression="gzip")
        except (OSError, EOFError, ValueError) as error:
            raise InputError(f"{path} cannot be read: {error}.") from error
        missing = {"seed", "epoch", *columns} - set(table)
        if missing:
            raise InputError(f"{path} has no column {min(missing)!r}: it is no population.")
        tables.append(table)
    return Population(*tables)


def write_population(folder: Path, task: str, who: str, population: Population) -> None:
    """Write ``population`` where ``read_population`` finds it, with seven digits."""
    tables = (population.progress, population.holdout)
    for path, table in zip(_paths(folder, task, who), tables, strict=True):
        with replacing(path) as temporary:
            # Without the time of writing, equal populations make equal files.
            table.to_csv(
                temporary,
                index=False,
                float_format="%.7g",
                compression={"method": "gzip", "mtime": 0},
            )

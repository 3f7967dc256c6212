"""Learning curves in run folders, of the port and of the original."""

import dataclasses
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mopo_tf2.errors import InputError

RETURN = "evaluation/return-average"
TRACES = ("Q-avg", "Q_loss", "alpha")


@dataclasses.dataclass(frozen=True)
class Curve:
    """One run: its columns by epoch.

    Attributes:
        name: of the folder.
        progress: progress.csv, indexed by epoch.
        holdout: [model epochs, E] hold-out losses of the ensemble's networks; None if not recorded.
        parameters: by the last part of their names.
    """

    name: str
    progress: pd.DataFrame
    holdout: pd.DataFrame | None
    parameters: dict[str, Any]

    @property
    def seed(self) -> int | None:
        """The run's seed, None if unknown."""
        seed = self.parameters.get("seed")
        return seed if isinstance(seed, int) else None

    def series(self, key: str, epochs: int) -> np.ndarray:
        """Return ``key`` in epochs 0, 1, ... ``epochs - 1``, float64."""
        return self.progress[key].to_numpy(np.float64)[:epochs]


def read_curve(folder: Path) -> Curve:
    """Read a run folder of the port or of the original.

    A last line without its end is a row in writing and left out, so a run that goes on can be read.

    Raises:
        InputError: if there is no progress.csv, or it lacks what is compared, or an epoch.
    """
    path = folder / "progress.csv"
    progress = _read_table(path)
    missing = [key for key in (RETURN, *TRACES) if key not in progress]
    if missing:
        raise InputError(f"{path} has no column {missing[0]!r}: it is not of a run of MOPO.")
    progress = progress[~progress.index.duplicated(keep="last")]
    if list(progress.index) != list(range(len(progress))):
        raise InputError(f"{path} must have every epoch from 0 on; got {list(progress.index)[:5]}.")
    if not np.isfinite(progress[RETURN]).all():
        raise InputError(f"{path} has epochs without a return: nothing to compare.")
    holdout_path = folder / "model_holdout.csv"
    holdout = None
    if holdout_path.is_file():
        table = _read_table(holdout_path)
        holdout = table[[name for name in table if str(name).startswith("V")]]
    return Curve(folder.resolve().name, progress, holdout, _read_parameters(folder))


def read_references(folder: Path) -> list[Curve]:
    """Read the original's run in ``folder``, or its runs in the folders below it.

    Raises:
        InputError: if there is none, or one is unfit.
    """
    if (folder / "progress.csv").is_file():
        return [read_curve(folder)]
    found = sorted(path.parent for path in folder.glob("*/progress.csv"))
    if not found:
        raise InputError(f"expected a reference curve, found no {folder / 'progress.csv'}.")
    return [read_curve(path) for path in found]


def _read_table(path: Path) -> pd.DataFrame:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.") from error
    whole = data[: data.rfind(b"\n") + 1]
    try:
        # Ray Tune's files have columns of text too.
        table = pd.read_csv(io.BytesIO(whole)).set_index("epoch").select_dtypes("number")
    except (KeyError, ValueError, pd.errors.ParserError) as error:
        raise InputError(f"{path} is no table with a column 'epoch' ({error}).") from error
    if table.empty:
        raise InputError(f"{path} has no row yet.")
    return table


def _read_parameters(folder: Path) -> dict[str, Any]:
    path = folder / "params.json"
    if not path.is_file():
        return {}
    try:
        return _leaves(json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, AttributeError) as error:
        raise InputError(f"{path} is not a JSON object of parameters: {error}.") from error


def _leaves(values: dict[str, Any]) -> dict[str, Any]:
    """Return nested parameters by the last part of their names."""
    leaves: dict[str, Any] = {}
    for name, value in values.items():
        leaves.update(_leaves(value) if isinstance(value, dict) else {name.split(".")[-1]: value})
    return leaves

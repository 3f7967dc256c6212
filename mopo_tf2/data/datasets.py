"""Loading of datasets, by file, folder or id."""

import dataclasses
import hashlib
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mopo_tf2.data import catalog, d4rl, minari, sources, table_columns, tables, trajectories
from mopo_tf2.data.d4rl import NextObservations
from mopo_tf2.data.download import DownloadBar, download
from mopo_tf2.data.minari import EnvironmentSpec
from mopo_tf2.data.table_columns import ActionBounds, TableColumns
from mopo_tf2.data.unpickling import load_pickle
from mopo_tf2.data.validation import check_finite, validate
from mopo_tf2.errors import InputError
from mopo_tf2.types import Transitions

_HDF5_SUFFIXES = (".hdf5", ".h5")
_PICKLE_SUFFIXES = (".pkl", ".pickle", ".gz")
_SUFFIXES = (*_HDF5_SUFFIXES, ".npy", ".npz", ".csv", *_PICKLE_SUFFIXES)
_SHIPPED_FOLDER = Path(__file__).resolve().parent.parent / "datasets"


@dataclasses.dataclass(frozen=True)
class Dataset:
    """A dataset in memory, and its source.

    name:         the id, or the file's name.
    path:         the file or folder that was read.
    sha256:       hash of the file's bytes (of several files: of their bytes one after the other).
    transitions:  B rows on the host, float32 and bool.
    task:         ``halfcheetah``, ``hopper``, ... from the id or D4RL's file name; None: unknown.
    rows_in_file: rows of the source; pairing leaves some of them out.
    action_bounds: the range of the actions in the data's units, if a columns file or Minari gives
                   it; the transitions have them in [-1, 1].
    columns:      the meaning of the columns of a CSV file.
    environment:  what the data name as their environment; None: nothing.
    """

    name: str
    path: Path | None
    sha256: str | None
    transitions: Transitions
    task: str | None
    rows_in_file: int
    action_bounds: ActionBounds | None = None
    columns: TableColumns | None = None
    environment: EnvironmentSpec | None = None


def load_dataset(
    spec: str,
    *,
    next_observations: NextObservations = "shift",
    terminate_on_end: bool = False,
    max_episode_steps: int = 1000,
    obs_dim: int | None = None,
    act_dim: int | None = None,
    max_size: int | None = None,
    allow_download: bool = True,
) -> Dataset:
    """Read the transitions that ``spec`` names.

    ``spec`` is, in this order: ``minari:ID``; a known id (``halfcheetah-medium-v2``,
    ``hopper-mixed-v0``, ``halfcheetah-sac-replay-v0``; write ``./NAME`` for a file of that name); a
    file with one of these suffixes (.hdf5, .h5: D4RL; .npy: contiguous table; .npz: D4RL
    columns; .csv, .csv.gz: named columns, see ``table_columns``; .pkl, .gz: BEAR pickle, or mjrl's
    list of trajectories); a folder of softlearning checkpoints. FILE.columns.json beside a .csv,
    .hdf5 or .npz gives the bounds of its actions, which are then mapped to [-1, 1] (D-141). D4RL's
    files are searched in ``$D4RL_DATASET_DIR`` and ``~/.d4rl/datasets``; missing ones are
    downloaded into the first of the two that is set, from the folders that ``$MOPO_D4RL_MIRROR``
    names or else from D4RL's own addresses.

    Args:
        spec: see above.
        next_observations: ``"shift"``, ``"drop"`` or ``"file"``: see
            ``d4rl.qlearning_transitions``. Applies to logs in order of time; sources whose rows
            hold their successor (.npy, pickles, Minari, .npz with next_observations) keep it.
        terminate_on_end: see there.
        max_episode_steps: see there. D-71: d4rl takes the task's, here it is 1000 unless given.
        obs_dim: O of the task; checked, and needed to read a .npy table. None: unchecked.
        act_dim: A of the task; likewise.
        max_size: for softlearning checkpoints: stop once this many rows are read.
        allow_download: download a D4RL or Minari dataset that is missing.

    Returns:
        The dataset, with finite values and the requested dimensions. ``validation.validate`` checks
        action bounds and the number of rows.

    Raises:
        InputError: if nothing has this name (with the nearest ids), if the download fails, or if
            the data are invalid.

    Original: mopo/off_policy/loader.py:restore_pool
    """
    if spec.startswith(minari.PREFIX):
        dataset = _load_minari(spec.removeprefix(minari.PREFIX), allow_download)
    elif tables.is_table(Path(spec)):
        dataset = _load_csv(Path(spec).expanduser(), next_observations)
    else:
        path, info = resolve(spec, allow_download=allow_download)
        if path.suffix.lower() in _HDF5_SUFFIXES:
            columns = d4rl.read_hdf5(path, with_next_observations=next_observations == "file")
            transitions = _pair(
                columns, str(path), next_observations, terminate_on_end, max_episode_steps
            )
            rows, used = len(columns["rewards"]), [path]
        elif path.suffix.lower() == ".npz":
            columns = sources.read_npz(path)
            # A .npz that brings successors is a table of transitions, not a log.
            mode: NextObservations = "file" if "next_observations" in columns else next_observations
            transitions = _pair(columns, str(path), mode, terminate_on_end, max_episode_steps)
            rows, used = len(columns["rewards"]), [path]
        else:
            transitions, used, rows = _read_table(path, obs_dim, act_dim, max_size)
        dataset = Dataset(
            name=info.dataset_id if info else path.name,
            path=path,
            sha256=sha256_of(used),
            transitions=transitions,
            task=info.task if info else _task_of_file(path),
            rows_in_file=rows,
        )
        if info is None:
            dataset = _scaled_by_file(dataset, path)
    validate(dataset.transitions, source=spec, obs_dim=obs_dim, act_dim=act_dim)
    return dataset


def resolve(spec: str, *, allow_download: bool = True) -> tuple[Path, catalog.DatasetInfo | None]:
    """Return the file or folder of a known id or of a path, and the entry of the id.

    Raises:
        InputError: if there is no such path or id, or the file cannot be downloaded.
    """
    info = catalog.find(spec)
    if info is not None:
        return _file_of(info, allow_download), info
    path = Path(spec).expanduser()
    if path.exists():
        if not path.is_dir() and path.suffix.lower() not in _SUFFIXES:
            raise InputError(
                f"{path} is of no known kind: expected a name that ends in {', '.join(_SUFFIXES)}, "
                "or a folder of softlearning checkpoints."
            )
        return path, None
    if path.suffix.lower() in _SUFFIXES or len(path.parts) > 1 or path.is_absolute():
        raise InputError(f"there is no file {path}.")
    near = catalog.nearest(spec)
    raise InputError(
        f"{spec!r} is neither a file nor a known dataset id"
        + (f"; did you mean {' or '.join(near)}?" if near else "; give a path or a D4RL id.")
    )


def d4rl_folders() -> list[Path]:
    """Return the folders that are searched for D4RL's files; downloads go to the first.

    D-69: D4RL searches ``$D4RL_DATASET_DIR`` only, if that is set.

    Original: d4rl/offline_env.py:set_dataset_path
    """
    named = os.environ.get("D4RL_DATASET_DIR")
    default = Path("~/.d4rl/datasets").expanduser()
    return [Path(named).expanduser(), default] if named else [default]


def mirrors() -> list[str]:
    """Return the addresses in ``$MOPO_D4RL_MIRROR``, of folders that hold D4RL's files.

    Raises:
        InputError: if one is no http address.
    """
    named = os.environ.get("MOPO_D4RL_MIRROR", "").replace(",", " ").split()
    for address in named:
        if not address.startswith(("http://", "https://")):
            raise InputError(
                f"MOPO_D4RL_MIRROR holds {address!r}: expected addresses as "
                "http://server/folder, separated by spaces or commas."
            )
    return named


def sha256_of(files: Iterable[Path]) -> str:
    """Return the SHA-256 of the bytes of ``files``, one after the other, in hexadecimal."""
    total = hashlib.sha256()
    for path in files:
        with open(path, "rb") as file:
            while block := file.read(1 << 20):
                total.update(block)
    return total.hexdigest()


def _file_of(info: catalog.DatasetInfo, allow_download: bool) -> Path:
    if info.address is None:
        path = _SHIPPED_FOLDER / info.file_name
        if not path.exists():
            raise InputError(
                f"{path}, which ships with this project, is missing: check it out anew."
            )
        return path
    folders = d4rl_folders()
    for folder in folders:
        if (folder / info.file_name).is_file():
            return folder / info.file_name
    if not allow_download:
        raise InputError(
            f"{info.file_name} of {info.dataset_id} is not in "
            f"{' or '.join(map(str, folders))}; get it from {info.address} and put it there."
        )
    addresses = [f"{mirror.rstrip('/')}/{info.file_name}" for mirror in mirrors()]
    addresses.append(info.address)
    with DownloadBar(info.file_name) as bar:
        named = " or ".join(addresses)
        bar.note(f"fetching {info.dataset_id} from {named} into {folders[0]}")
        return download(
            *(addresses, folders[0] / info.file_name), on_progress=bar, on_retry=bar.note
        )


def _pair(
    columns: dict[str, npt.NDArray[Any]],
    source: str,
    next_observations: NextObservations,
    terminate_on_end: bool,
    max_episode_steps: int,
) -> Transitions:
    """Pair a log and name rows of the file, not of the transitions, if values are not finite."""
    kept = d4rl.kept_rows(
        columns,
        max_episode_steps=max_episode_steps,
        terminate_on_end=terminate_on_end,
        next_observations=next_observations,
    )
    transitions = d4rl.select_transitions(columns, kept, own_successors=next_observations == "file")
    check_finite(transitions, source=source, file_rows=np.flatnonzero(kept))
    return transitions


def _read_table(
    path: Path, obs_dim: int | None, act_dim: int | None, max_size: int | None
) -> tuple[Transitions, list[Path], int]:
    """Return the transitions of a source that pairs its rows itself, its files and its rows."""
    if path.is_dir():
        transitions, used = sources.read_softlearning(path, max_size=max_size)
        return transitions, used, len(transitions.rewards)
    if path.suffix.lower() == ".npy":
        transitions = sources.read_contiguous(path, obs_dim=obs_dim, act_dim=act_dim)
        return transitions, [path], len(transitions.rewards)
    content = load_pickle(path)
    if isinstance(content, list):
        paired = trajectories.pair_trajectories(content, source=str(path))
        return paired, [path], trajectories.trajectory_rows(content)
    transitions = sources.as_transitions(content, source=str(path))
    return transitions, [path], len(transitions.rewards)


def _load_csv(path: Path, next_observations: NextObservations) -> Dataset:
    if path.is_dir() or not path.exists():
        raise InputError(f"{path} is a folder." if path.is_dir() else f"there is no file {path}.")
    table = tables.read_csv(path, terminal_rows=next_observations != "drop")
    if next_observations == "file" and table.columns.next_observations is None:
        raise InputError(
            f"next_observations='file' needs columns next_obs_NAME, but {path} has none; use "
            "'shift' or 'drop'."
        )
    beside = table_columns.columns_file(path)
    return Dataset(
        name=path.name,
        path=path,
        sha256=sha256_of([path, *([beside] if beside.exists() else [])]),
        transitions=table.transitions,
        task=None,
        rows_in_file=table.rows_in_file,
        action_bounds=table.action_bounds,
        columns=table.columns,
    )


def _scaled_by_file(dataset: Dataset, path: Path) -> Dataset:
    """Map the actions to [-1, 1] if a columns file beside ``path`` gives their bounds."""
    entries = table_columns.read_columns_file(path)
    named = [key for key in entries if key not in ("action_low", "action_high")]
    if named:
        raise InputError(
            f"{table_columns.columns_file(path)}: {named[0]} has a meaning beside a .csv only; "
            "beside other files give action_low and action_high."
        )
    bounds = table_columns.action_bounds(entries, path)
    if bounds is None:
        return dataset
    scaled = bounds.scale(dataset.transitions.actions, source=str(path))
    transitions = dataset.transitions._replace(actions=scaled)
    return dataclasses.replace(dataset, transitions=transitions, action_bounds=bounds)


def _load_minari(dataset_id: str, allow_download: bool) -> Dataset:
    transitions, folder, bounds = minari.read_minari(dataset_id, allow_download=allow_download)
    return Dataset(
        name=minari.PREFIX + dataset_id,
        path=folder,
        sha256=sha256_of(sorted(file for file in folder.rglob("*") if file.is_file())),
        transitions=transitions,
        task=minari.task_of(dataset_id),
        rows_in_file=len(transitions.rewards),
        action_bounds=bounds,
        environment=minari.read_environment(dataset_id, allow_download=False),
    )


def _task_of_file(path: Path) -> str | None:
    info = catalog.find_by_file_name(path.name)
    return info.task if info else None

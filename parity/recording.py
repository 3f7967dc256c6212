"""A folder of recordings: the manifests, and one case's arrays, verified against its hash."""

import hashlib
import io
import json
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mopo_tf2.errors import InputError

MANIFEST = "manifest.json"
_NOT_RECORDED = (MANIFEST, ".md")
"""Ends of the names of files that are not recordings."""


class DamagedRecordingError(Exception):
    """A file of the set is missing, damaged, or not what the manifest lists."""


class Recording(Mapping[str, np.ndarray]):
    """The arrays of one case, read-only, which remembers what was read.

    Args:
        name: of the case.
        arrays: by the names they have in the file.
        files: the side files of the set, by name relative to the set's folder, verified.

    Attributes:
        used: names of the arrays that were read so far.
    """

    def __init__(
        self, name: str, arrays: Mapping[str, np.ndarray], files: Mapping[str, Path] | None = None
    ):
        self.name = name
        self.files = dict(files or {})
        self.used: set[str] = set()
        self._arrays = dict(arrays)

    def __getitem__(self, array: str) -> np.ndarray:
        """Return an array; the same object each time."""
        values = self._arrays[array]
        self.used.add(array)
        return values

    def __iter__(self) -> Iterator[str]:
        return iter(self._arrays)

    def __len__(self) -> int:
        return len(self._arrays)

    def integer(self, array: str) -> int:
        """Return a recorded number as int."""
        return int(self[array])

    def number(self, array: str) -> float:
        """Return a recorded number as float."""
        return float(self[array])

    def optional_integer(self, array: str) -> int | None:
        """Return a recorded count, None for the -1 that stands for the original's None."""
        value = int(self[array])
        return None if value == -1 else value

    def under(self, prefix: str) -> dict[str, np.ndarray]:
        """Return the arrays named ``prefix/...`` by the rest of their names."""
        start = prefix + "/"
        return {name[len(start) :]: self[name] for name in self if name.startswith(start)}

    def prefixes(self, end: str) -> list[str]:
        """Return, sorted, every P for which there is an array ``P/end``."""
        found = (name.removesuffix("/" + end) for name in self if name.endswith("/" + end))
        return sorted(found)


class RecordingSet:
    """A folder with ``manifest.json``, one ``.npz`` per case, and side files.

    Folders in it that have a manifest of their own are parts of the set.

    Attributes:
        manifest: of the folder, with the cases of its parts.
        parts: names of the parts, and "" for the folder itself.

    Raises:
        InputError: if the folder or its manifest is missing or unfit.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        self.manifest = _read_manifest(folder)
        self.parts = {"", *(path.parent.name for path in folder.glob(f"*/{MANIFEST}"))}
        for part in self.parts - {""}:
            for case, entry in _read_manifest(folder / part)["cases"].items():
                self.manifest["cases"][case] = {**entry, "file": f"{part}/{entry.get('file')}"}

    @property
    def cases(self) -> set[str]:
        """Names of all cases that the manifest lists or of which there is a file."""
        files = (path for part in self.parts for path in (self.folder / part).glob("*.npz"))
        return set(self.manifest["cases"]) | {path.stem for path in files}

    @property
    def side_files(self) -> set[str]:
        """Names of all side files that the manifest lists or that are in the folder."""
        found = (path for path in self.folder.rglob("*") if path.is_file())
        names = {path.relative_to(self.folder).as_posix() for path in found}
        unlisted = {name for name in names if not name.endswith((".npz", *_NOT_RECORDED))}
        return unlisted | set(self.manifest["files"])

    def about(self, case: str) -> str:
        """Return what the manifest says of a case."""
        return str(self.manifest["cases"].get(case, {}).get("about", ""))

    def load(self, case: str, side_files: str | None = None) -> Recording:
        """Read a case, every byte of it verified.

        Args:
            case: its name.
            side_files: how the names of the side files start that belong to it; None for none.

        Raises:
            DamagedRecordingError: if a file is missing, not listed, or differs from its hash.
        """
        entry = self.manifest["cases"].get(case)
        if entry is None:
            raise DamagedRecordingError(f"{MANIFEST} does not list the case {case}")
        data = self._verified(str(entry.get("file", "")), entry.get("sha256"))
        try:
            with np.load(io.BytesIO(data), allow_pickle=False) as file:
                arrays = {name: file[name] for name in file.files}
        except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
            raise DamagedRecordingError(f"{entry['file']} cannot be read: {error}") from error
        for values in arrays.values():
            values.setflags(write=False)
        files = {}
        if side_files is not None:
            names = [name for name in self.side_files if name.startswith(side_files)]
            if not names:
                raise DamagedRecordingError(f"no side file {side_files}*")
            for name in names:
                self._verified(name, self.manifest["files"].get(name))
                files[name] = self.folder / name
        return Recording(case, arrays, files)

    def _verified(self, name: str, sha256: Any) -> bytes:
        if sha256 is None:
            raise DamagedRecordingError(f"{MANIFEST} has no hash of {name}")
        path = self.folder / name
        if not path.resolve().is_relative_to(self.folder.resolve()):
            raise DamagedRecordingError(f"{MANIFEST} lists {name}, which is outside the folder")
        try:
            data = path.read_bytes()
        except OSError as error:
            raise DamagedRecordingError(f"{name} cannot be read: {error.strerror}") from error
        if hashlib.sha256(data).hexdigest() != sha256:
            raise DamagedRecordingError(f"{name} differs from its hash in {MANIFEST}")
        return data


def _read_manifest(folder: Path) -> dict[str, Any]:
    path = folder / MANIFEST
    if not folder.is_dir():
        raise InputError(f"there is no folder {folder}: give --recordings a recording set.")
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise InputError(f"{folder} is no recording set: it has no {MANIFEST}.") from error
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read: {error}.") from error
    cases = manifest.get("cases") if isinstance(manifest, dict) else None
    files = manifest.get("files", {}) if isinstance(manifest, dict) else None
    if (
        not isinstance(cases, dict)
        or not isinstance(files, dict)
        or not all(isinstance(entry, dict) for entry in cases.values())
    ):
        raise InputError(f"{path} is no manifest: expected the objects 'cases' and 'files'.")
    return {**manifest, "files": files}

"""Refusal of work that cannot fit into this machine's memory, before it begins."""

import os
import zipfile
from pathlib import Path

from mopo_tf2.errors import InputError

_CGROUP_LIMIT = Path("/sys/fs/cgroup/memory.max")


def machine_memory() -> int:
    """Return the memory of this machine, or of the container this process runs in, in bytes."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    try:
        return min(total, int(_CGROUP_LIMIT.read_text()))
    except (OSError, ValueError):  # No container, or one without a limit ("max").
        return total


def require_memory(needed: float, what: str, advice: str) -> None:
    """Refuse ``what`` if it takes more memory than there is.

    Args:
        needed: bytes, an estimate from below.
        what: subject of the message, e.g. "rollout_batch_size = 100000".
        advice: what to do instead.

    Raises:
        InputError: if ``needed`` exceeds the memory of the machine.
    """
    total = machine_memory()
    if needed > total:
        raise InputError(
            f"{what} needs at least {_gibibytes(needed)}, and this machine has "
            f"{_gibibytes(total)}: {advice}."
        )


def require_archive_fits(path: Path) -> None:
    """Refuse a .npz whose arrays, unpacked, do not fit into memory; other files pass.

    Raises:
        InputError: if they do not fit.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            size = sum(member.file_size for member in archive.infolist())
    except (OSError, zipfile.BadZipFile, NotImplementedError, ValueError):
        return  # Whoever reads the file says what is wrong with it.
    require_memory(size, f"{path}, unpacked,", "it is damaged, or too large for this machine")


def _gibibytes(size: float) -> str:
    return f"{size / 2**30:,.3g} GiB" if size < 1e15 else f"{size / 2**40:,.3g} TiB"

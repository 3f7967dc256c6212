"""One writer per folder, also when the folder is shared by several machines.

A lock is a row of numbered files in ``FOLDER/.lock``; who made the one with the highest number
holds the folder. A number is taken by making its file exclusively, which exactly one process can
do, and the highest file is never removed: a holder that ends writes into its own that it left.
So of two processes that find the same dead holder, one gets the next number and the other sees
it. The holder touches its file every few seconds. A waiter takes over if the holder said that it
left, if it is a dead process of this machine, or if a holder on another machine did not touch its
file for half a minute *of the waiter's clock*: the clocks of two machines need not agree.
"""

import contextlib
import json
import os
import re
import socket
import threading
import time
import uuid
from pathlib import Path
from types import TracebackType
from typing import Any, Self

BEAT_SECONDS = 3.0
STALE_SECONDS = 30.0
_FOLDER = ".lock"
_NUMBER = re.compile(r"\d{6}")


class FolderTaken(Exception):
    """Another process writes in the folder; the message says which.

    Attributes:
        elsewhere: it is, or was, on another machine, so that only waiting tells if it is alive.
    """

    def __init__(self, message: str, *, elsewhere: bool):
        super().__init__(message)
        self.elsewhere = elsewhere


class FolderLost(Exception):
    """Another process took the folder over from this one, which must write no more."""


class FolderLock:
    """Holds a folder while the ``with`` block runs.

    Args:
        folder: to be held; must exist.
        patience: seconds to wait for another holder to leave or to be found dead.
        beat: seconds between two signs of life.
        stale: seconds without a sign of life after which a holder elsewhere counts as dead.
        machine: name of this machine; None: found out.

    Raises:
        FolderTaken: on entering, if another process holds the folder still after ``patience``.
        OSError: if the folder cannot be written in.
    """

    def __init__(
        self,
        folder: Path,
        *,
        patience: float = 2 * STALE_SECONDS,
        beat: float = BEAT_SECONDS,
        stale: float = STALE_SECONDS,
        machine: str | None = None,
    ):
        self._folder = Path(folder)
        self._files = self._folder / _FOLDER
        self._patience, self._beat, self._stale = patience, beat, stale
        self._owner = {
            "machine": machine or _machine(),
            "pid": os.getpid(),
            "started": _start_time(os.getpid()),
            "id": uuid.uuid4().hex,
        }
        self._own: Path | None = None
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    def check(self) -> None:
        """Make sure that this process holds the folder still.

        Raises:
            FolderLost: if it does not.
        """
        if self._own is None or self._highest() != self._own:
            raise FolderLost(f"another process took {self._folder} over; this one stops.")

    def __enter__(self) -> Self:
        self._files.mkdir(exist_ok=True)
        end = time.monotonic() + self._patience
        watched: tuple[Path, int] | None = None
        since = time.monotonic()
        while True:
            highest = self._highest()
            sign = (highest, _touched(highest)) if highest is not None else None
            if sign != watched:
                watched, since = sign, time.monotonic()
            if self._is_free(highest, time.monotonic() - since) and self._take(highest):
                break
            if time.monotonic() >= end:
                raise self._taken(_read(highest))
            time.sleep(min(self._beat, 0.2))
        self._thread = threading.Thread(target=self._keep_alive, daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ended.set()
        if self._thread is not None:
            self._thread.join()
        if self._own is not None and self._highest() == self._own:
            # If the disk is full or the folder gone, the next one finds a dead holder.
            with contextlib.suppress(OSError):
                self._own.write_text(json.dumps({**self._owner, "left": True}))
        self._own = None

    def _taken(self, holder: dict[str, Any]) -> FolderTaken:
        elsewhere = holder.get("machine") != self._owner["machine"]
        return FolderTaken(f"{self._folder} is in use by {_describe(holder)}.", elsewhere=elsewhere)

    def _highest(self) -> Path | None:
        names = [name for name in os.listdir(self._files) if _NUMBER.fullmatch(name)]
        return self._files / max(names) if names else None

    def _is_free(self, highest: Path | None, unchanged: float) -> bool:
        if highest is None:
            return True
        holder = _read(highest)
        if holder.get("left"):
            return True
        if holder.get("machine") == self._owner["machine"]:
            return not _lives(holder)
        return unchanged >= self._stale  # another machine, or killed as it made the file

    def _take(self, highest: Path | None) -> bool:
        """Try to get the number after ``highest``."""
        number = 0 if highest is None else int(highest.name) + 1
        own = self._files / f"{number:06d}"
        try:
            with own.open("x") as file:
                json.dump(self._owner, file)
        except FileExistsError:
            return False
        if self._highest() != own:  # ``highest`` was long out of date, and its files are cleared
            own.unlink(missing_ok=True)
            return False
        self._own = own
        for name in os.listdir(self._files):
            if _NUMBER.fullmatch(name) and name < own.name:
                (self._files / name).unlink(missing_ok=True)
        return True

    def _keep_alive(self) -> None:
        while not self._ended.wait(self._beat):
            if self._own is not None:
                # A hitch of the network: the next beat may pass; if none does, check() tells.
                with contextlib.suppress(OSError):
                    os.utime(self._own)


def _machine() -> str:
    """Name this machine, so that two with one host name differ, and one that was restarted."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        boot = ""
    return f"{socket.gethostname()} {boot}".strip()


def _start_time(pid: int) -> str | None:
    """Return when a process began, which tells it from a later one of the same number."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    state, *fields = stat.rpartition(")")[2].split()
    return None if state == "Z" else fields[18]


def _lives(holder: dict[str, Any]) -> bool:
    """Whether a holder on this machine still runs."""
    try:
        os.kill(holder["pid"], 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # it runs, as another user
    return holder.get("started") == _start_time(holder["pid"])


def _touched(path: Path) -> int:
    # Opened, because a network file system may answer stat alone from memory.
    try:
        with path.open("rb") as file:
            return os.fstat(file.fileno()).st_mtime_ns
    except OSError:
        return 0


def _read(path: Path | None) -> dict[str, Any]:
    try:
        values = json.loads(path.read_text()) if path is not None else {}
    except (OSError, ValueError):
        return {}
    return values if isinstance(values, dict) else {}


def _describe(holder: dict[str, Any]) -> str:
    if "pid" not in holder:
        return "another process"
    return f"process {holder['pid']} on {str(holder['machine']).split()[0]}"

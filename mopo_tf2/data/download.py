"""Download of a dataset file: resumed, checked for completeness, and only then named (D-63).

D4RL writes directly to the final name, so that a broken transfer leaves a file that looks complete.
"""

import contextlib
import http.client
import os
import re
import socket
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from mopo_tf2.data.d4rl import check_whole_hdf5
from mopo_tf2.errors import InputError

OnProgress = Callable[[int, int | None], None]
"""Called with (bytes received, total bytes or None if the server does not send it)."""

_BLOCK = 1 << 18
_WORTH_A_RETRY = (408, 425, 429, 500, 502, 503, 504)
_CONTENT_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+|\*)")


class _Interrupted(Exception):
    """The transfer broke off, but another attempt may succeed."""


def download(
    urls: Sequence[str],
    destination: str | Path,
    *,
    timeout: float = 30.0,
    retries: int = 4,
    retry_wait: float = 1.0,
    opener: urllib.request.OpenerDirector | None = None,
    on_progress: OnProgress | None = None,
    on_retry: Callable[[str], None] | None = None,
) -> Path:
    """Download an HDF5 file to ``destination``, resuming an earlier ``destination.part``.

    If several processes request the same file, one downloads it and the others wait.

    Args:
        urls: http addresses of the file, each tried if those before fail.
        destination: final path; its folder is created. An existing file is returned as it is.
        timeout: seconds without data after which the connection counts as stalled.
        retries: number of consecutive retries without progress.
        retry_wait: seconds before the first retry; doubles with each.
        opener: opens the address; None: urllib's default, which uses proxy settings.
        on_progress: called with the number of bytes received so far.
        on_retry: called with the reason of another attempt, in one line.

    Returns:
        ``destination``.

    Raises:
        InputError: if the server refuses, sends a page of text or a file that is not a complete
            HDF5 file, if it cannot be reached, or if the folder cannot be written. The message
            names the file, the last address and the folder. Its partial transfer is kept as
            ``.part``, nothing of the others.

    Original: d4rl/offline_env.py:download_dataset_from_url
    """
    destination = Path(destination)
    opener = opener or urllib.request.build_opener()

    def fetch(address: str, part: Path) -> None:
        failures = best_size = 0
        while not destination.exists():
            best_size = max(best_size, _size(part))
            try:
                _transfer(opener, address, part, timeout, on_progress)
            except _Interrupted as error:
                failures = 0 if _size(part) > best_size else failures + 1
                if failures > retries:
                    raise InputError(_advice(address, destination, str(error))) from error
                if on_retry is not None:
                    on_retry(f"{destination.name}: {error}; trying again.")
                time.sleep(retry_wait * 2 ** max(failures - 1, 0))
                continue
            except _Refused as error:
                raise InputError(_advice(address, destination, str(error))) from error
            _give_name(address, part, destination)

    try:
        destination.parent.mkdir(parents=True, exist_ok=True)
        with _folder_lock(destination.parent):
            for mirror in urls[:-1]:
                # Files of two servers may differ, so that one is not completed from the other.
                part = destination.with_name(destination.name + ".mirror.part")
                try:
                    fetch(mirror, part)
                except InputError as error:
                    if on_retry is not None:
                        on_retry(f"{str(error).partition(' Get the')[0]} Trying the next address.")
                finally:
                    part.unlink(missing_ok=True)
            fetch(urls[-1], destination.with_name(destination.name + ".part"))
    except OSError as error:
        reason = f"{destination.parent} cannot be written ({error.strerror or error})"
        raise InputError(_advice(urls[-1], destination, reason)) from error
    return destination


class DownloadBar:
    """Shows a download on stderr: a bar on a terminal, otherwise a line after each tenth."""

    def __init__(self, name: str, *, stream: IO[str] | None = None) -> None:
        """Show the download of ``name`` on ``stream`` (None: stderr)."""
        self._name = name
        self._console = Console(file=stream if stream is not None else sys.stderr)
        self._next_tenth = 0
        self._bar: Progress | None = None
        if self._console.is_terminal:
            self._bar = Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                DownloadColumn(),
                TransferSpeedColumn(),
                TimeRemainingColumn(),
                console=self._console,
            )
            self._task = self._bar.add_task(name, total=None)

    def __enter__(self) -> Self:
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def __call__(self, done: int, total: int | None) -> None:
        """Show that ``done`` of ``total`` bytes are received."""
        if self._bar is not None:
            self._bar.update(self._task, completed=done, total=total)
        elif total and done * 10 >= self._next_tenth * total:
            self._next_tenth = done * 10 // total + 1
            self.note(f"{self._name}: {done / 1e6:.1f} of {total / 1e6:.1f} MB")

    def note(self, line: str) -> None:
        """Show a line of text."""
        self._console.print(line, markup=False, highlight=False, soft_wrap=True)


class _Refused(Exception):
    """The server's answer is final and is not the file."""


def _transfer(
    opener: urllib.request.OpenerDirector,
    url: str,
    part: Path,
    timeout: float,
    on_progress: OnProgress | None,
) -> None:
    """Make one attempt to complete ``part``."""
    offset = _size(part)
    # Compressed transfer would break the arithmetic of ranges.
    headers = {"User-Agent": "mopo-tf2", "Accept-Encoding": "identity"}
    if offset:
        headers["Range"] = f"bytes={offset}-"
    try:
        response = opener.open(urllib.request.Request(url, headers=headers), timeout=timeout)
    except urllib.error.HTTPError as error:
        with error:
            _after_http_error(error, part, offset)
        return
    except urllib.error.URLError as error:
        if isinstance(error.reason, socket.gaierror):
            raise _Refused(
                f"the server's name cannot be found ({error.reason.strerror})"
            ) from error
        raise _Interrupted(f"the server cannot be reached ({error.reason})") from error
    except (OSError, http.client.HTTPException) as error:
        raise _Interrupted(f"the server does not answer ({error!r})") from error
    with response:
        kind = response.headers.get_content_type()
        is_page = kind.startswith("text/") or kind.endswith(("html", "xml", "json"))
        # Without the header, get_content_type() says text/plain.
        if is_page and response.headers.get("Content-Type") is not None:
            raise _Refused(f"the server answered with {kind} instead of a file")
        offset, total = _where_the_answer_starts(response, part, offset)
        received = _receive(response, part, offset, total, on_progress)
    if total is not None and received < total:
        raise _Interrupted(f"the connection ended at {received} of {total} bytes")


def _after_http_error(error: urllib.error.HTTPError, part: Path, offset: int) -> None:
    """Return if ``part`` is complete; otherwise raise the error for the status."""
    if error.code == 416 and offset:
        if error.headers.get("Content-Range") == f"bytes */{offset}":
            return
        part.unlink()
        raise _Interrupted("the file on the server is another one than before") from error
    if error.code in _WORTH_A_RETRY:
        raise _Interrupted(f"the server answered {error.code} {error.reason}") from error
    raise _Refused(f"the server answered {error.code} {error.reason}") from error


def _where_the_answer_starts(
    response: http.client.HTTPResponse, part: Path, offset: int
) -> tuple[int, int | None]:
    """Return (first byte of the answer, size of the whole file if the server sends it)."""
    if response.status == 206:
        match = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
        if match is None or int(match.group(1)) != offset:
            part.unlink(missing_ok=True)
            raise _Interrupted("the server answered with another range than asked for")
        return offset, None if match.group(2) == "*" else int(match.group(2))
    length = response.headers.get("Content-Length")
    return 0, int(length) if length is not None and length.isdigit() else None


def _receive(
    response: http.client.HTTPResponse,
    part: Path,
    offset: int,
    total: int | None,
    on_progress: OnProgress | None,
) -> int:
    """Write the answer to ``part`` from ``offset`` on; return the size of ``part`` after it."""
    with open(part, "r+b" if offset else "wb") as file:
        file.seek(offset)
        while True:
            if on_progress is not None:
                on_progress(offset, total)
            try:
                block = response.read1(_BLOCK)
            except TimeoutError as error:
                raise _Interrupted(f"the connection stalled at {offset} bytes") from error
            except (OSError, http.client.HTTPException) as error:
                raise _Interrupted(f"the connection broke at {offset} bytes ({error})") from error
            if not block:
                return offset
            file.write(block)
            offset += len(block)


def _size(part: Path) -> int:
    return part.stat().st_size if part.exists() else 0


def _give_name(url: str, part: Path, destination: Path) -> None:
    try:
        check_whole_hdf5(part)
    except InputError as error:
        part.unlink()  # complete, but invalid: there is nothing to resume
        raise InputError(_advice(url, destination, f"the file is invalid: {error}")) from error
    os.replace(part, destination)


def _advice(url: str, destination: Path, reason: str) -> str:
    return (
        f"{destination.name} could not be downloaded from {url}: {reason.rstrip('.')}. Get the "
        f"file from there by other means and put it into {destination.parent}."
    )


@contextlib.contextmanager
def _folder_lock(folder: Path) -> Iterator[None]:
    """Hold an advisory lock on a folder, if the system has such locks; creates no file."""
    try:
        import fcntl
    except ImportError:  # Windows
        yield
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):  # some network file systems cannot lock
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)

"""Ctrl-C that lets an epoch end."""

import signal
from types import FrameType, TracebackType
from typing import Any, Self


class Interrupted(Exception):
    """The user stopped a run; the message says what is kept and how to go on."""


class Interrupts:
    """While active, the first SIGINT or SIGTERM asks to stop, the second one stops at once.

    Attributes:
        requested: whether a signal came.
        immediate: if set, the first signal stops at once too (there is nothing to keep).
    """

    def __init__(self, on_request: str):
        self.requested = False
        self.immediate = False
        self._message = on_request
        self._previous: dict[int, Any] = {}

    def __enter__(self) -> Self:
        for number in (signal.SIGINT, signal.SIGTERM):
            self._previous[number] = signal.signal(number, self._receive)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _receive(self, number: int, frame: FrameType | None) -> None:
        if self.immediate or self.requested:
            raise KeyboardInterrupt
        self.requested = True
        print(self._message, flush=True)

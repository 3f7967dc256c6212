"""``python -m mopo_tf2``: the command ``mopo-tf2``."""

import os
import signal
import sys
from typing import Any


def main() -> int:
    """Run one command. Ctrl-C ends it in one line, even while Python imports it."""
    previous = signal.getsignal(signal.SIGINT)
    if previous is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, _stop)
    from mopo_tf2.experiments.cli import main as run

    signal.signal(signal.SIGINT, previous)
    return run()


def _stop(*_: Any) -> None:
    # No exception: a module that is being imported could catch it. Nothing is open yet.
    os.write(2, b"error: interrupted.\n")
    os._exit(130)


if __name__ == "__main__":
    sys.exit(main())

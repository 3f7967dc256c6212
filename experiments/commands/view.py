"""``mopo-tf2 view``: viskit or TensorBoard on run folders, for this machine only.

viskit binds every network interface and evaluates expressions out of request arguments: whoever
reaches its port runs code. Here it listens on the loopback interface and evaluates nothing.
"""

import argparse
import contextlib
import csv
import json
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any, NoReturn

from mopo_tf2.errors import InputError

from . import add_command

LOOPBACK = "127.0.0.1"
_PORTS = {"viskit": 5000, "tensorboard": 6006}
INSTALL_VISKIT = (
    "pip install flask plotly && pip install --no-deps git+https://github.com/vitchyr/viskit"
)
"""viskit's own pins fail on import, so what it needs comes first and viskit alone after it."""

_EPILOG = f"""viskit:
  Its first page draws training/return-average, a copy of evaluation/return-average: viskit looks
  for that name. It draws one column for all runs, and no colours of methods: choose "method" under
  "Split by" (a panel each) or "Group by" (a line each); likewise dataset or any setting.
  Expressions in its custom filters and series are refused: viskit would run them as code.
  To install it: {INSTALL_VISKIT}
"""


def add_parsers(commands: Any) -> None:
    """Add ``view`` to the parser."""
    parser = add_command(
        commands,
        "view",
        view,
        "browse runs with viskit or TensorBoard, on this machine only",
        description="Starts viskit or TensorBoard on the loopback interface. Ctrl-C ends it.",
        epilog=_EPILOG,
    )
    add = parser.add_argument
    add("folder", type=Path, metavar="DIR", help="a folder of runs, or a run folder")
    add("--viewer", choices=tuple(_PORTS), default="viskit", help="default viskit, to be installed")
    add("--port", type=int, help="default 5000 for viskit, 6006 for TensorBoard")


def view(options: argparse.Namespace) -> int:
    """Serve runs to a browser until Ctrl-C."""
    from ..run_folder import PROGRESS, find_runs

    folder, viewer = options.folder, options.viewer
    runs = [run.path for run in find_runs(folder) if (run.path / PROGRESS).is_file()]
    if not runs:
        raise InputError(f"expected runs in {folder}, but none has a {PROGRESS}.")
    port = _free_port(options.port if options.port is not None else _PORTS[viewer])
    if viewer == "tensorboard":
        print(f"TensorBoard: http://{LOOPBACK}:{port} (Ctrl-C ends it)", flush=True)
        arguments = ["--logdir", str(folder), "--host", LOOPBACK, "--port", str(port)]
        return _run_child([sys.executable, "-m", "tensorboard.main", *arguments])
    try:
        from viskit import frontend
    except ImportError as error:
        raise InputError(
            f"viskit cannot be imported ({error}): {INSTALL_VISKIT}; or use --viewer tensorboard."
        ) from error
    restrain(frontend, port)
    for run in runs:
        for fault in viskit_faults(run):
            print(f"warning: viskit misreads {run}: {fault}", file=sys.stderr, flush=True)
    print(f"viskit: http://{LOOPBACK}:{port} (Ctrl-C ends it)", flush=True)
    sys.argv = ["viskit", str(folder), "--port", str(port)]
    with contextlib.suppress(KeyboardInterrupt):
        frontend.main()
    return 0


def restrain(frontend: Any, port: int) -> None:
    """Let ``viskit.frontend`` serve only ``port`` of the loopback interface, and evaluate nothing.

    Raises:
        InputError: if it lacks what has to be replaced, so that it cannot be made safe.
    """
    run = getattr(getattr(frontend, "app", None), "run", None)
    if run is None or not (hasattr(frontend, "main") and hasattr(frontend, "safer_eval")):
        raise InputError(
            "viskit.frontend lacks main, safer_eval or app.run, so its evaluation of requests "
            f"cannot be switched off: install the version that can be with {INSTALL_VISKIT}."
        )

    def run_on_loopback(*_: Any, **__: Any) -> Any:
        # Whatever it asks for: no other interface, no debugger, no second process.
        return run(host=LOOPBACK, port=port, debug=False, use_reloader=False)

    def refuse(*_: Any, **__: Any) -> NoReturn:
        raise ValueError("Expressions are switched off by mopo-tf2 view: viskit would run them.")

    frontend.app.run = run_on_loopback
    # A name of the module hides the builtin, should a version call it directly.
    frontend.safer_eval = frontend.eval = refuse


def viskit_faults(folder: Path) -> list[str]:
    """Return what viskit would misread in a folder that another program or version wrote.

    viskit takes an empty cell for 0.0, fails on inf, and cannot group by null, lists and objects.
    """
    from ..run_folder import PARAMS, PROGRESS, VARIANT, VISKIT_RETURN

    with (folder / PROGRESS).open(newline="", errors="replace") as file:
        header, *rows = [*csv.reader(file)] or [[]]
    faults = []
    if VISKIT_RETURN not in header:
        faults.append(f"no column {VISKIT_RETURN}, so its first page draws another one.")
    if any("" in row or len(row) != len(header) for row in rows):
        faults.append(f"{PROGRESS} has empty cells, which it reads as 0.0.")
    # In viskit's own order.
    path = next((folder / n for n in (VARIANT, PARAMS) if (folder / n).is_file()), folder / PARAMS)
    try:
        values = dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return [*faults, f"{path.name} is missing or no JSON object, so runs have no settings."]
    for name, text in ((name, json.dumps(value)) for name, value in values.items()):
        if re.match(r"[nN[{]|-?I", text):  # null, NaN, lists, objects, Infinity
            faults.append(f"{path.name}: {name} is {text[:60]}.")
    return faults


def _free_port(port: int) -> int:
    with socket.socket() as probe:
        # As the servers do it: a port that was left a moment ago is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port or -1))
        except (OSError, OverflowError) as error:
            why = getattr(error, "strerror", None) or "it must lie between 1 and 65535"
            raise InputError(f"cannot listen on --port {port}: {why}; give another.") from error
    return port


def _run_child(command: list[str]) -> int:
    """Run ``command`` until it ends; Ctrl-C or SIGTERM to this process ends it first."""
    child: subprocess.Popen[bytes] | None = None
    asked = False

    def stop(*_: Any) -> None:
        nonlocal asked
        if child is not None:
            (child.kill if asked else child.terminate)()
        asked = True

    # The handlers come first: a signal that arrives while the child is made is acted on below.
    previous = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        child = subprocess.Popen(command)
        if asked:
            child.terminate()
        code = child.wait()
        return 0 if asked else code
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)

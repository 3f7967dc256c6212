"""``mopo-tf2 view``: viskit or TensorBoard on run folders, for this machine only.

viskit binds every network interface and evaluates expressions out of request arguments: whoever
reaches its port runs code. Here it listens on the loopback interface and evaluates nothing.
"""

import argparse
import contextlib
import csv
import json
import re
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from mopo_tf2.config_fields import require
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
    add = add_command(commands, view, epilog=_EPILOG).add_argument
    add("folder", type=Path, metavar="DIR", help="a folder of runs, or a run folder")
    add("--viewer", choices=tuple(_PORTS), default="viskit", help="default viskit, to be installed")
    add("--port", type=int, help="default 5000 for viskit, 6006 for TensorBoard")


def view(options: argparse.Namespace) -> int:
    """Browse runs with viskit or TensorBoard, on this machine only.

    Starts viskit or TensorBoard on the loopback interface. Ctrl-C ends it.
    """
    from ..run_folder import PROGRESS, find_runs

    folder, viewer = options.folder, options.viewer
    runs = [run.path for run in find_runs(folder) if (run.path / PROGRESS).is_file()]
    require(bool(runs), f"expected runs in {folder}, but none has a {PROGRESS}.")
    port = _PORTS[viewer] if options.port is None else options.port
    _require_free(port)
    if viewer == "tensorboard":
        from tensorboard.main import run_main as serve

        arguments = ["--logdir", str(folder), "--host", LOOPBACK]
    else:
        serve, arguments = _restrained_viskit(port), [str(folder)]
        for run in runs:
            for fault in viskit_faults(run):
                print(f"warning: viskit misreads {run}: {fault}", file=sys.stderr, flush=True)
    print(f"{viewer}: http://{LOOPBACK}:{port} (Ctrl-C ends it)", flush=True)
    sys.argv = [viewer, *arguments, "--port", str(port)]
    with contextlib.suppress(KeyboardInterrupt):
        serve()
    return 0


def _restrained_viskit(port: int) -> Callable[[], Any]:
    """Return viskit's main, which serves only ``port`` of the loopback interface."""
    try:
        from viskit import frontend
    except ImportError as error:
        raise InputError(
            f"viskit cannot be imported ({error}): {INSTALL_VISKIT}; or use --viewer tensorboard."
        ) from error
    run = getattr(getattr(frontend, "app", None), "run", None)
    # One that lacks what is replaced below cannot be made safe.
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
    main: Callable[[], Any] = frontend.main
    return main


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


def _require_free(port: int) -> None:
    require(0 < port < 65536, f"--port must lie between 1 and 65535, got {port}.")
    try:
        # As the servers bind: a port that was left a moment ago is free.
        socket.create_server((LOOPBACK, port)).close()
    except OSError as error:
        raise InputError(f"cannot listen on --port {port}: {error.strerror}.") from error

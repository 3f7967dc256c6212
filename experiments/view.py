"""Start viskit or TensorBoard on run folders, for this machine only.

viskit binds every network interface and evaluates expressions out of request arguments: whoever
reaches its port runs code. Here it listens on the loopback interface, and evaluates nothing.
"""

import importlib
import importlib.util
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from .logging import PROGRESS_FILE
from .records.run_records import find_run_folders
from .viskit_rules import viskit_faults
from mopo_tf2.errors import InputError

LOOPBACK = "127.0.0.1"
DEFAULT_PORTS = {"viskit": 5000, "tensorboard": 6006}

INSTALL_VISKIT = (
    "pip install flask plotly",
    "pip install --no-deps git+https://github.com/vitchyr/viskit",
)
"""viskit's own pins fail on import, so what it needs comes first and viskit alone after it."""


def view_runs(folder: Path, *, viewer: str = "viskit", port: int | None = None) -> int:
    """Serve the runs under ``folder`` to a browser on this machine until Ctrl-C.

    Runs that viskit would misread are named first. Without viskit: how to install it, and how
    to have TensorBoard instead.

    Args:
        folder: a run folder, or a folder of them at any depth.
        viewer: "viskit" or "tensorboard".
        port: of the loopback interface; None for the viewer's usual one.

    Returns:
        The exit code: 0 after Ctrl-C, 1 if the viewer is not installed, TensorBoard's own if it
        fails.

    Raises:
        InputError: if there is no run under ``folder``, the port is taken, or the installed
            viskit is not one whose evaluation of requests can be switched off.
    """
    runs = _run_folders(folder)
    port = DEFAULT_PORTS[viewer] if port is None else port
    if not _is_installed(viewer):
        print(_how_to_install(viewer, folder), file=sys.stderr, flush=True)
        return 1
    _check_port(port)
    if viewer == "tensorboard":
        return _run_tensorboard(folder, port)
    frontend = _viskit_frontend()
    for run in runs:
        for fault in viskit_faults(run):
            print(f"warning: viskit misreads {run}: {fault}", file=sys.stderr, flush=True)
    _run_viskit(frontend, [str(folder)], port)
    return 0


def restrain(frontend: Any, port: int) -> None:
    """Let the module ``viskit.frontend`` serve the loopback interface only, and evaluate nothing.

    Args:
        frontend: the module; its ``app.run`` and ``safer_eval`` are replaced.
        port: to listen on.

    Raises:
        InputError: if it has none of these, so that it cannot be made safe.
    """
    app = getattr(frontend, "app", None)
    missing = [name for name in ("main", "safer_eval") if not hasattr(frontend, name)]
    if not hasattr(app, "run"):
        missing.append("app.run")
    if app is None or missing:
        raise InputError(
            f"The installed viskit has no {', '.join(missing)} in viskit.frontend, so its "
            "evaluation of requests cannot be switched off: install vitchyr/viskit with "
            f"{INSTALL_VISKIT[1]}."
        )
    run = app.run

    def run_on_loopback(*_arguments: Any, **_options: Any) -> Any:
        # Whatever it asks for: no other interface, no debugger, no second process.
        return run(host=LOOPBACK, port=port, debug=False, use_reloader=False)

    app.run = run_on_loopback
    frontend.safer_eval = _refuse_to_evaluate
    # A name of the module hides the builtin, should a version call it directly.
    frontend.eval = _refuse_to_evaluate


def _refuse_to_evaluate(expression: Any, *_: Any) -> NoReturn:
    raise ValueError("Expressions are switched off by mopo-tf2 view: viskit would run them.")


def _run_viskit(frontend: Any, folders: Sequence[str], port: int) -> None:
    restrain(frontend, port)
    print(f"viskit: http://{LOOPBACK}:{port} (Ctrl-C ends it)", flush=True)
    arguments = sys.argv
    # viskit has no other entry than its command line.
    sys.argv = ["viskit", *folders, "--port", str(port)]
    try:
        frontend.main()
    except KeyboardInterrupt:
        pass
    finally:
        sys.argv = arguments


def _viskit_frontend() -> Any:
    try:
        return importlib.import_module("viskit.frontend")
    except ImportError as error:
        raise InputError(
            f"The installed viskit cannot be imported ({error}): remove it, then "
            f"{' and then '.join(INSTALL_VISKIT)}."
        ) from error


def _run_tensorboard(folder: Path, port: int) -> int:
    print(f"TensorBoard: http://{LOOPBACK}:{port} (Ctrl-C ends it)", flush=True)
    # A module of this Python, not the first program of that name on PATH.
    command = [sys.executable, "-m", "tensorboard.main", "--logdir", str(folder)]
    command += ["--host", LOOPBACK, "--port", str(port)]
    try:
        return subprocess.run(command, check=False).returncode
    except KeyboardInterrupt:
        return 0


def _is_installed(package: str) -> bool:
    return importlib.util.find_spec(package) is not None


def _how_to_install(viewer: str, folder: Path) -> str:
    if viewer == "tensorboard":
        return "TensorBoard is not installed: pip install tensorboard"
    lines = ["viskit is not installed. These two commands install it:"]
    lines += [f"  {command}" for command in INSTALL_VISKIT]
    if _is_installed("tensorboard"):
        lines.append("TensorBoard is installed and shows the same runs:")
        lines.append(f"  mopo-tf2 view {folder} --viewer tensorboard")
    return "\n".join(lines)


def _run_folders(folder: Path) -> list[Path]:
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"Expected a folder of runs, but there is no folder {folder}.")
    runs = [run for run in find_run_folders(folder) if (run / PROGRESS_FILE).is_file()]
    if not runs:
        raise InputError(f"Expected runs under {folder}, but none in it has a {PROGRESS_FILE}.")
    return runs


def _check_port(port: int) -> None:
    if not 0 < port < 65536:
        raise InputError(f"--port must lie between 1 and 65535, got {port}.")
    with socket.socket() as probe:
        # As the servers do it: a port that was left a moment ago is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError as error:
            raise InputError(
                f"Cannot listen on port {port} ({error.strerror}): give another --port."
            ) from error

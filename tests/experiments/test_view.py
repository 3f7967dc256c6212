"""The launcher, against a module of the shape of viskit.frontend that really serves requests."""

import contextlib
import importlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from experiments import view
from experiments.cli import main
from experiments.view import INSTALL_VISKIT, restrain, view_runs
from mopo_tf2.errors import InputError
from tests.experiments.run_folders import write_run

ROOT = Path(__file__).parents[2]

# Like the real one: app with run(host, port, debug), safer_eval on request arguments, main() that
# reads sys.argv and asks for every interface.
FRONTEND = """
import argparse
import sys
import urllib.parse

from werkzeug.serving import run_simple

data_paths = []


def safer_eval(some_string):
    return eval(some_string, {"__builtins__": {}})


class App:
    def __call__(self, environ, start_response):
        query = urllib.parse.parse_qs(environ["QUERY_STRING"])
        try:
            body = repr([data_paths, *map(safer_eval, query.get("custom_filter", []))])
        except ValueError as error:
            start_response("500 Error", [("Content-Type", "text/plain")])
            return [str(error).encode()]
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [body.encode()]

    def run(self, host=None, port=None, debug=None, **options):
        print("BIND", host, port, debug, options, flush=True)
        run_simple(host, port, self, use_debugger=debug, **options)


app = App()


def main():
    global data_paths
    parser = argparse.ArgumentParser()
    parser.add_argument("data_paths", nargs="*")
    parser.add_argument("--port", type=int, default=5000)
    arguments = parser.parse_args(sys.argv[1:])
    data_paths = arguments.data_paths
    app.run("0.0.0.0", port=arguments.port, debug=True)
"""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def run(tmp_path):
    return write_run(tmp_path / "runs/seed_0", [1.0, 2.0])


@pytest.fixture
def viskit(tmp_path):
    """A folder for sys.path in which there is a viskit."""
    package = tmp_path / "site/viskit"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "frontend.py").write_text(FRONTEND)
    return package.parent


@pytest.fixture
def frontend(viskit, monkeypatch):
    monkeypatch.syspath_prepend(viskit)
    yield importlib.import_module("viskit.frontend")
    for name in ("viskit", "viskit.frontend"):
        sys.modules.pop(name, None)


@contextlib.contextmanager
def started(arguments, extra_path, log):
    """The command line in a process of its own, stopped by the Ctrl-C of a user at the end."""
    environment = {**os.environ, "PYTHONPATH": f"{extra_path}{os.pathsep}{ROOT}"}
    with log.open("w") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "experiments.cli", *map(str, arguments)],
            env=environment,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield process
        # A terminal sends it to the whole group.
        os.killpg(process.pid, signal.SIGINT)
        process.wait(timeout=30)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def fetch(port, query=""):
    """Status and body of a page, tried until the server is up."""
    end = time.monotonic() + 60
    while True:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/{query}", timeout=10) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except (urllib.error.URLError, ConnectionError):
            if time.monotonic() > end:
                raise
            time.sleep(0.1)


def listening_addresses(port):
    """The local addresses that listen on ``port``, from the kernel's tables."""
    lines = []
    for table in ("tcp", "tcp6"):
        path = Path("/proc/net", table)
        lines += path.read_text().splitlines()[1:] if path.exists() else []
    fields = [line.split() for line in lines]
    return {
        address.rpartition(":")[0]
        for _, address, _, state, *_ in fields
        if state == "0A" and int(address.rpartition(":")[2], 16) == port
    }


# viskit.


def test_viskit_serves_the_runs_on_loopback_only_and_evaluates_nothing(run, viskit, tmp_path):
    port, log = free_port(), tmp_path / "log"
    with started(["view", run.parent, "--port", port], viskit, log) as process:
        assert fetch(port) == (200, repr([[str(run.parent)]]))
        status, body = fetch(port, "?custom_filter=1%2B1")
        if sys.platform == "linux":
            assert listening_addresses(port) == {"0100007F"}
    assert (status, "switched off" in body) == (500, True)
    assert f"BIND 127.0.0.1 {port} False" in log.read_text()
    assert process.returncode == 0


def test_stand_in_evaluates_requests_if_it_is_not_restrained(frontend):
    assert frontend.safer_eval("1+1") == 2


def test_direct_calls_of_eval_in_the_module_are_refused_too(frontend):
    unrestrained = frontend.safer_eval
    restrain(frontend, 5000)
    with pytest.raises(ValueError, match="switched off"):
        unrestrained("1+1")


def test_every_host_port_and_debugger_that_viskit_asks_for_is_overruled(frontend, monkeypatch):
    asked = []
    monkeypatch.setattr(frontend.app, "run", lambda **options: asked.append(options), raising=False)
    restrain(frontend, 5001)
    frontend.app.run("0.0.0.0", 80, True, threaded=True)
    expected = {"host": "127.0.0.1", "port": 5001, "debug": False, "use_reloader": False}
    assert asked == [expected]


@pytest.mark.parametrize("name", ["safer_eval", "main", "app"])
def test_viskit_that_cannot_be_restrained_is_not_started(frontend, monkeypatch, name):
    monkeypatch.delattr(frontend, name)
    with pytest.raises(InputError, match=rf"has no .*{name}.* cannot be switched off"):
        restrain(frontend, 5000)


def test_arguments_of_the_program_are_put_back(frontend, run, monkeypatch):
    monkeypatch.setattr(frontend.app, "run", lambda **_: None, raising=False)
    before = list(sys.argv)
    assert view_runs(run.parent, port=free_port()) == 0
    assert sys.argv == before


def test_runs_that_viskit_misreads_are_named(frontend, run, monkeypatch, capsys):
    monkeypatch.setattr(frontend.app, "run", lambda **_: None, raising=False)
    for name in ("variant.json", "params.json"):
        (run / name).write_text(json.dumps({"lr": None}))
    view_runs(run.parent, port=free_port())
    assert f"viskit misreads {run}: variant.json: lr is null." in capsys.readouterr().err


def test_viskit_that_fails_on_import_is_one_line_with_the_cure(frontend, run, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "viskit.frontend", None)
    assert main(["view", str(run.parent), "--port", str(free_port())]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert all(command in error for command in INSTALL_VISKIT)


def test_without_viskit_the_two_commands_and_tensorboard_are_told(run, monkeypatch, capsys):
    monkeypatch.setattr(view, "_is_installed", lambda package: package == "tensorboard")
    assert main(["view", str(run.parent)]) == 1
    lines = capsys.readouterr().err.splitlines()
    assert [line.strip() for line in lines if "pip install" in line] == list(INSTALL_VISKIT)
    assert lines[-1].strip() == f"mopo-tf2 view {run.parent} --viewer tensorboard"


# TensorBoard.


def test_tensorboard_serves_on_loopback_only(run, tmp_path):
    port, log = free_port(), tmp_path / "log"
    arguments = ["view", run.parent, "--viewer", "tensorboard", "--port", port]
    with started(arguments, tmp_path, log):
        status, body = fetch(port)
        if sys.platform == "linux":
            assert listening_addresses(port) == {"0100007F"}
    assert (status, "TensorBoard" in body) == (200, True), log.read_text()


# Bad input.


def test_port_that_is_taken_is_an_input_error(frontend, run):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(InputError, match=f"port {port} .*give another --port"):
            view_runs(run.parent, port=port)


def test_port_out_of_range_is_an_input_error(frontend, run):
    with pytest.raises(InputError, match="between 1 and 65535, got 70000"):
        view_runs(run.parent, port=70000)


def test_folder_without_runs_is_an_input_error(tmp_path):
    with pytest.raises(InputError, match=r"none in it has a progress\.csv"):
        view_runs(tmp_path)


def test_folder_that_is_not_there_is_an_input_error(tmp_path):
    with pytest.raises(InputError, match="there is no folder"):
        view_runs(tmp_path / "nowhere")

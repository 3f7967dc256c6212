"""The launcher: TensorBoard as it is, viskit as a stand-in for what the launcher replaces in it."""

import json
import math
import socket
import subprocess
import sys
import time
import types
import urllib.request

import pytest

from experiments.commands import view
from experiments.run_folder import PROGRESS, VISKIT_RETURN, RunFolder
from experiments.run_spec import build_spec
from tests.experiments.tiny_runs import mopo, refused


def free_port():
    with socket.socket() as probe:
        probe.bind((view.LOOPBACK, 0))
        return probe.getsockname()[1]


@pytest.fixture
def run(tmp_path):
    folder = RunFolder(tmp_path / "runs/seed_0")
    folder.write_spec(build_spec("halfcheetah_mixed", {"model": None}))
    for epoch in range(2):
        folder.write_row({"epoch": epoch, VISKIT_RETURN: 1.5, "alpha": math.nan})
    return folder.path


@pytest.fixture
def frontend(monkeypatch):
    """A module of the shape of viskit.frontend; ``served`` holds how its server was started."""
    module = types.ModuleType("viskit.frontend")
    module.served = []
    module.app = types.SimpleNamespace(run=lambda **options: module.served.append(options))
    module.safer_eval = lambda text: module.eval(text)
    module.eval = len
    module.main = lambda: module.app.run("0.0.0.0", port=80, debug=True)
    package = types.ModuleType("viskit")
    package.frontend = module
    monkeypatch.setitem(sys.modules, "viskit", package)
    monkeypatch.setattr(sys, "argv", list(sys.argv))
    return module


# viskit.


def test_viskit_serves_the_folder_on_loopback_and_evaluates_nothing(frontend, run):
    port, evaluate = free_port(), frontend.safer_eval
    assert mopo("view", run.parent, "--port", str(port)).code == 0
    expected = {"host": "127.0.0.1", "port": port, "debug": False, "use_reloader": False}
    assert frontend.served == [expected]
    assert sys.argv[1] == str(run.parent)
    for function in (evaluate, frontend.safer_eval):
        with pytest.raises(ValueError, match="switched off"):
            function("1+1")


@pytest.mark.parametrize("name", ["safer_eval", "main", "app"])
def test_viskit_that_cannot_be_restrained_is_not_started(frontend, run, name):
    delattr(frontend, name)
    assert "cannot be switched off" in refused("view", run, "--port", str(free_port()))
    assert frontend.served == []


def test_without_viskit_the_error_names_its_installation_and_tensorboard(run, monkeypatch):
    monkeypatch.setitem(sys.modules, "viskit", None)
    error = refused("view", run, "--port", str(free_port()))
    assert all(part in error for part in (view.INSTALL_VISKIT, "tensorboard"))


# What viskit misreads.


def test_folder_of_this_project_is_read_rightly(run):
    assert view.viskit_faults(run) == []


@pytest.mark.parametrize(
    ("file", "text", "fault"),
    [
        ("variant.json", '{"lr": -Infinity}', "lr is -Infinity"),
        ("variant.json", '{"lr": NaN}', "lr is NaN"),
        ("variant.json", '{"lr": null}', "lr is null"),
        ("variant.json", '{"sac": {"lr": 1}}', "sac is {"),
        ("variant.json", '{"sizes": [1]}', "sizes is ["),
        ("variant.json", "{", "no JSON object"),
        ("variant.json", "[1]", "no JSON object"),
        (PROGRESS, f"epoch,{VISKIT_RETURN}\n0,1.0\n1,\n", "empty cells"),
        (PROGRESS, f"epoch,{VISKIT_RETURN}\n0\n", "empty cells"),
        (PROGRESS, "epoch,return\n0,1.0\n", f"no column {VISKIT_RETURN}"),
    ],
)
def test_what_viskit_misreads_is_named(run, file, text, fault):
    (run / file).write_text(text)
    (found,) = view.viskit_faults(run)
    assert fault in found


@pytest.mark.usefixtures("frontend")
def test_warning_names_the_run_and_what_is_misread(run):
    (run / "variant.json").write_text(json.dumps({"lr": None}))
    answer = mopo("view", run.parent, "--port", str(free_port()))
    assert f"viskit misreads {run}: variant.json: lr is null." in answer.err


# TensorBoard.


def fetch(port):
    """The body of the page, tried until the server is up."""
    end = time.monotonic() + 120
    while True:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=10) as answer:
                return answer.read().decode()
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.1)


@pytest.mark.skipif(
    sys.platform != "linux", reason="only Linux gives 127.0.0.2 without being asked"
)
def test_tensorboard_serves_on_loopback_only_until_it_is_ended(run):
    port = free_port()
    command = [sys.executable, "-m", "mopo_tf2", "view", run.parent, "--viewer", "tensorboard"]
    process = subprocess.Popen([*command, "--port", str(port)], stderr=subprocess.DEVNULL)
    try:
        assert "TensorBoard" in fetch(port)
        # A server on all interfaces would answer here too.
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.2", port), timeout=10)
        process.terminate()
        assert process.wait(timeout=60) == 0
    finally:
        process.kill()


# Bad input.


def test_port_that_is_taken_is_refused(run):
    with socket.create_server((view.LOOPBACK, 0)) as other:
        port = str(other.getsockname()[1])
        assert f"cannot listen on --port {port}" in refused("view", run, "--port", port)


@pytest.mark.parametrize("port", ["0", "70000"])
def test_port_out_of_range_is_refused(run, port):
    assert "between 1 and 65535" in refused("view", run, "--port", port)


def test_folder_without_runs_is_refused(tmp_path):
    assert f"none has a {PROGRESS}" in refused("view", tmp_path)

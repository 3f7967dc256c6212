"""Sweeps: their checks, a trial's process, and Ray at work (one cluster, one local Ray)."""

import contextlib
import dataclasses
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from experiments import sweep
from experiments.results import load, runs_of
from experiments.run_folder import RunFolder, State, Status, held
from experiments.sweep import LOCK_FILE, STOP_FILE, Resources, run_trial, update_run, write_plan
from experiments.sweep_plan import SWEEP_FILE, Trial, plan_trials
from experiments.training import Interrupted
from mopo_tf2.errors import DivergenceError, InputError
from tests.eager import eagerly
from tests.experiments.tiny_runs import (
    TINY_SETTINGS,
    assert_same_run,
    mopo,
    refused,
    start_mopo,
    wait_for,
)

LOOP = ["eval_n_episodes=1", "max_path_length=4", "min_pool_size=10", "checkpoint_frequency=2"]
BC = [*LOOP, "policy_hidden_sizes=4", "batch_size=8", "epoch_length=6", "updates_per_call=3"]


def plan(data: Path, epochs: int, **options: Any) -> list[Trial]:
    settings = dict(setting.split("=") for setting in BC) | {"n_epochs": str(epochs)}
    given = {"algorithms": ["bc"], "datasets": [str(data)], "settings": settings, **options}
    return plan_trials(["halfcheetah_mixed"], 1, **given)


def words(data: Path, out: Path, *more: str | Path) -> list[str | Path]:
    return [
        *("sweep", "--tasks", "halfcheetah_mixed", "--algorithms", "bc", "--seeds", "1"),
        *("--dataset", data, "--out", out, "--set", *BC, *more),
    ]


# What is refused, before Ray starts.


@pytest.fixture
def closed_port() -> str:
    """An address of this machine at which nothing answers."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{one.getsockname()[1]}"


@pytest.mark.parametrize(
    ("more", "named"),
    [
        (["--out", ""], "--out"),
        (["--seeds", "0"], "--seeds"),
        (["--seeds", "9" * 30], "trials"),
        (["--epochs", "3", "--set", "n_epochs=4"], "--epochs"),
        (["--cpus-per-trial", "0"], "--cpus-per-trial"),
        (["--cpus-per-trial", "100000"], "--cpus-per-trial 100000"),
        (["--gpus-per-trial", "-1"], "--gpus-per-trial"),
        (["--gpus-per-trial", "1.5"], "--gpus-per-trial"),
        (["--max-failures", "-1"], "--max-failures"),
        (["--dataset", "halfcheetah_mixed=no.hdf5"], "no.hdf5"),
        (["--set", "min_pool_size=100000"], "min_pool_size"),
        (["--resume"], "no sweep"),
    ],
)
def test_what_cannot_run_is_refused_in_a_second(
    data: Path, tmp_path: Path, more: list[str], named: str
) -> None:
    out = tmp_path / "a" / "b"
    start = time.process_time()
    arguments = words(data, out)
    if "min_pool_size=100000" in more:
        arguments.remove("min_pool_size=10")
    assert named in refused(*arguments, *more)
    assert time.process_time() - start < 3.0
    assert not (tmp_path / "a").exists()


@pytest.mark.parametrize("given", ["HOST:PORT", "auto", "nonsense"])
def test_a_cluster_that_does_not_answer_is_refused_in_seconds(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, closed_port: str, given: str
) -> None:
    pytest.importorskip("ray")
    monkeypatch.setenv("RAY_ADDRESS", closed_port if given == "auto" else "")
    address = closed_port if given == "HOST:PORT" else given
    start = time.process_time()
    line = refused(*words(data, tmp_path / "out", "--address", address))
    assert f"--address {address}" in line
    assert time.process_time() - start < 10.0
    assert not (tmp_path / "out").exists()


def test_a_missing_extra_is_one_line(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    assert "mopo-tf2[tune]" in refused(*words(data, tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_two_sweeps_do_not_run_in_one_folder(data: Path, tmp_path: Path) -> None:
    with held(tmp_path / LOCK_FILE):
        assert "in use by another process" in refused(*words(data, tmp_path))
    assert not (tmp_path / SWEEP_FILE).exists()


# Runs that are there.


def test_runs_ask_for_the_new_epochs_once_the_sweep_is_planned(data: Path, tmp_path: Path) -> None:
    first, more = plan(data, 2), plan(data, 5)
    run = RunFolder(tmp_path / first[0].folder)
    run.write_spec(first[0].spec, {"dataset": {"name": "mine"}})
    (run.path / "progress.csv").write_text("epoch\n0\n1\n")
    assert run.facts().state is State.FINISHED
    write_plan(tmp_path, more)
    assert (run.facts().epochs_asked, run.facts().state) == (5, State.UNFINISHED)
    assert run.recorded == {"dataset": {"name": "mine"}}
    assert list(runs_of(load([tmp_path]))["epochs_asked"]) == [5]


def test_a_moved_sweep_finds_its_ensemble(data: Path, tmp_path: Path) -> None:
    options = {"algorithms": ["mopo"], "settings": {}, "grid": ["lr=1,2"], "share_model": True}
    trial = plan(data, 2, **options)[1]
    run = RunFolder(tmp_path / trial.folder)
    run.write_spec(trial.spec_in(Path("/before")), {})
    update_run(tmp_path, trial)
    assert run.spec.model == str(tmp_path / "halfcheetah_mixed" / "model_seed_0")


def test_another_run_is_not_continued(data: Path, tmp_path: Path) -> None:
    (trial,) = plan(data, 2)
    other = dataclasses.replace(trial.spec, seed=1)
    run = RunFolder(tmp_path / trial.folder)
    run.write_spec(other, {})
    with pytest.raises(InputError, match="seed = 1, not 0"):
        update_run(tmp_path, trial)
    assert run.spec == other


# A trial's process.


@pytest.fixture
def process_that(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """Give a function that puts a program in the place of a trial's process."""

    def put(code: str) -> Path:
        program = tmp_path / "program"
        program.write_text(f"#!{sys.executable}\nimport os, signal, sys, time\n{code}\n")
        program.chmod(0o700)
        monkeypatch.setattr(sys, "executable", str(program))
        return tmp_path

    return put


@pytest.mark.parametrize(
    ("code", "state", "error"),
    [
        ("print('done')", "finished", None),
        ("print('no\\nsuch data'); sys.exit(2)", "failed", "such data"),
        ("print('nan'); sys.exit(3)", "failed", "nan"),
    ],
)
def test_an_end_that_another_attempt_repeats_is_noted(
    process_that: Callable[[str], Path], code: str, state: Any, error: str | None
) -> None:
    out = process_that(code)
    run_trial(out, "run", Resources(), "/")
    assert RunFolder(out / "run").status == Status(state=state, attempts=1, error=error)


@pytest.mark.parametrize(
    ("code", "named"),
    [
        ("raise OSError('disk full')", "OSError: disk full"),
        ("os.kill(os.getpid(), signal.SIGKILL)", "SIGKILL"),
        ("sys.exit(130)", "130"),
    ],
)
def test_any_other_end_is_retried(
    process_that: Callable[[str], Path], code: str, named: str
) -> None:
    out = process_that(code)
    for attempt in (1, 2):
        with pytest.raises(RuntimeError, match=named):
            run_trial(out, "run", Resources(), "/")
        assert RunFolder(out / "run").status == Status(state="running", attempts=attempt)


def test_the_stop_file_interrupts_a_trial_once(process_that: Callable[[str], Path]) -> None:
    out = process_that(
        "signal.signal(signal.SIGINT, lambda *_: print('asked', flush=True))\n"
        "print('ready', flush=True)\n"
        "signal.pause(); time.sleep(1.2); sys.exit(130)"
    )
    task = threading.Thread(target=run_trial, args=(out, "run", Resources(), "/"))
    task.start()
    log = RunFolder(out / "run").log
    while not (log.is_file() and "ready" in log.read_text()):
        time.sleep(0.01)
    (out / STOP_FILE).touch()
    task.join()
    assert log.read_text() == "ready\nasked\n"
    run_trial(out, "later", Resources(), "/")
    assert not (out / "later").exists()


def test_a_trial_does_not_outlive_the_task_that_started_it(tmp_path: Path) -> None:
    with held(tmp_path / "run" / "run.lock"):  # So that it waits.
        command = [sys.executable, "-m", "mopo_tf2.experiments.sweep", str(tmp_path), "run"]
        write_plan(tmp_path, [dataclasses.replace(plan(tmp_path, 1)[0], folder="run")])
        process = subprocess.Popen([*command, "1", "cpu"], stdin=subprocess.PIPE)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(3.0)
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(30.0) == 1


@pytest.fixture
def one_process(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Train eagerly, in this process, where it is too late to choose a device."""
    monkeypatch.setattr("mopo_tf2.device.use_device", lambda *_, **__: None)
    with eagerly():
        yield


@pytest.mark.usefixtures("one_process")
def test_a_trial_starts_its_run_or_resumes_it(data: Path, tmp_path: Path) -> None:
    for epochs in (1, 2):
        (trial,) = plan(data, epochs)
        write_plan(tmp_path, [trial])
        assert sweep.main(tmp_path, trial.folder, 1, "cpu") == sweep.DONE
        assert RunFolder(tmp_path / trial.folder).last_row()[0] == epochs
        assert trial.is_finished(tmp_path)


@pytest.mark.usefixtures("one_process")
def test_an_ensemble_is_trained_once_and_found_after_a_move(data: Path, tmp_path: Path) -> None:
    settings = dict(setting.split("=", 1) for setting in TINY_SETTINGS) | {"n_epochs": "1"}
    options = {"algorithms": ["mopo"], "settings": settings, "grid": ["lr=1e-3,1e-4"]}
    trials = plan(data, 1, share_model=True, **options)
    (tmp_path / "before").mkdir()
    write_plan(tmp_path / "before", trials)
    model, trial, _ = (trial.folder for trial in trials)
    assert sweep.main(tmp_path / "before", trial, 1, "cpu") == sweep.INVALID
    assert sweep.main(tmp_path / "before", model, 1, "cpu") == sweep.DONE
    out = (tmp_path / "before").rename(tmp_path / "after")
    assert sweep.main(out, trial, 1, "cpu") == sweep.DONE
    assert RunFolder(out / model).last_row()[0] == 0
    arrays, wanted = (RunFolder(out / folder).load_model()[0] for folder in (trial, model))
    for name, array in wanted.items():
        np.testing.assert_array_equal(arrays[name], array, err_msg=name)


@pytest.mark.parametrize(
    ("raised", "code"),
    [
        (Interrupted("stopped; resume with ..."), sweep.INTERRUPTED),
        (InputError("no such data."), sweep.INVALID),
        (DivergenceError("nan in Q."), sweep.DIVERGED),
    ],
)
def test_a_trials_process_says_how_it_ended(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    raised: Exception,
    code: int,
) -> None:
    def start_run(*_: Any, **__: Any) -> None:
        raise raised

    monkeypatch.setattr("experiments.training.start_run", start_run)
    (trial,) = plan(tmp_path, 1)
    write_plan(tmp_path, [trial])
    assert sweep.main(tmp_path, trial.folder, 1, "cpu") == code
    assert capsys.readouterr().out == f"{str(raised).partition(';')[0]}\n"


def test_a_trial_waits_for_an_attempt_that_is_still_dying(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("experiments.training.start_run", lambda *_, **__: None)
    (trial,) = plan(tmp_path, 1)
    write_plan(tmp_path, [trial])
    taken = threading.Event()

    def hold() -> None:
        with RunFolder(tmp_path / trial.folder).lock():
            taken.set()
            time.sleep(0.5)

    threading.Thread(target=hold).start()
    assert taken.wait(30.0)
    assert sweep.main(tmp_path, trial.folder, 1, "cpu") == sweep.DONE


# The command, with Ray's part played in this process.


class Lost(Exception):
    """What Ray raises for a task that ended with an exception, its ``cause``."""

    def __init__(self, cause: Exception):
        super().__init__("a traceback")
        self.cause = cause


class RayInThisProcess:
    exceptions = SimpleNamespace(RayError=Lost)

    def __init__(self, run: Callable[..., None] | None = None):
        self.run = run

    def __getattr__(self, name: str) -> Any:  # init, shutdown
        return lambda *_, **__: None

    def nodes(self) -> list[dict[str, Any]]:
        return [{"Alive": True, "Resources": {"CPU": 2.0}}]

    def remote(self, *, max_retries: int, **_: Any) -> Callable[..., Any]:
        def call(*arguments: Any) -> Lost | None:
            for _ in range(max_retries + 1):
                try:
                    (self.run or run_trial)(*arguments)
                except RuntimeError as error:
                    lost = Lost(error)
                else:
                    return None
            return lost

        return lambda _: SimpleNamespace(remote=call)

    def wait(self, tasks: list[Any], **_: Any) -> tuple[list[Any], list[Any]]:
        return tasks, []

    def get(self, task: Lost | None) -> None:
        if task is not None:
            raise task


@pytest.fixture
def ray_here(monkeypatch: pytest.MonkeyPatch) -> RayInThisProcess:
    ray = RayInThisProcess()
    monkeypatch.setattr(sweep, "_import_ray", lambda resources: ray)
    return ray


def test_a_trial_that_always_dies_has_failed(
    data: Path, process_that: Callable[[str], Path], ray_here: RayInThisProcess
) -> None:
    out = process_that("sys.exit('no memory')") / "out"
    answer = mopo(*words(data, out, "--max-failures", "1"))
    assert answer.code == 1
    run = out / "halfcheetah_mixed-bc" / "seed_0"
    assert RunFolder(run).status == Status(state="failed", attempts=2, error="no memory")
    assert "0 finished, 0 running, 0 pending, 1 failed of 1 trials." in answer.out
    assert f"failed: {run} (attempts: 2): no memory" in answer.out


def test_a_sweep_that_was_extended_and_stopped_is_unfinished(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ray_here: RayInThisProcess
) -> None:
    """The old sweep rewrote config.json when the extended run ended."""

    def finish(out: Path, folder: str, *_: Any) -> None:
        RunFolder(out / folder).write_spec(plan(data, 2)[0].spec, {})
        (out / folder / "progress.csv").write_text("epoch\n0\n1\n")
        (out / folder / "checkpoints").mkdir()
        (out / folder / "checkpoints" / "epoch_00002.npz").touch()

    def stop(out: Path, folder: str, *_: Any) -> None:
        os.kill(os.getpid(), signal.SIGINT)

    ray_here.run = finish
    assert mopo(*words(data, tmp_path / "out", "--epochs", "2")).code == 0
    ray_here.run = stop
    assert mopo(*words(data, tmp_path / "out", "--epochs", "9", "--resume")).code == 130
    facts = RunFolder(tmp_path / "out" / "halfcheetah_mixed-bc" / "seed_0").facts()
    assert (facts.epochs_done, facts.epochs_asked, facts.state) == (2, 9, State.UNFINISHED)


def test_plain_lines_tell_changes_once_and_what_runs_every_minute(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = [60.0]
    monkeypatch.setattr("experiments.sweep.time.monotonic", lambda: now[0])
    (trial,) = trials = plan(data, 9)
    run = RunFolder(tmp_path / trial.folder)
    with sweep._screen() as show:
        show(sweep._rows(tmp_path, trials))
        run.write_status(Status(state="running", attempts=1))
        (run.path / "progress.csv").write_text("epoch,evaluation/return-average\n0,5\n1,10\n")
        for now[0] in (61.0, 119.0, 121.0):
            show(sweep._rows(tmp_path, trials))
    line = f"{trial.folder}: running, epoch 2/9, return 10.0, attempt 1\n"
    assert capsys.readouterr().out == line * 2


# Ray itself.


def descendants(pid: int) -> list[int]:
    """Return ``pid`` and the processes below it, parents first."""
    children: list[str] = []
    for path in Path("/proc", str(pid), "task").glob("*/children"):
        with contextlib.suppress(OSError):
            children += path.read_text().split()
    return [pid, *(one for child in children for one in descendants(int(child)))]


def kill_tree(pid: int) -> None:
    """SIGKILL a process of ours and all that it started, as a machine that dies does."""
    for one in descendants(pid):
        with contextlib.suppress(ProcessLookupError):
            os.kill(one, signal.SIGKILL)


@pytest.mark.slow
def test_ray_listens_on_loopback_and_an_interrupt_lets_trials_end_their_epoch(
    data: Path, tmp_path: Path
) -> None:
    pytest.importorskip("ray")
    import psutil  # Ray brings it.

    process = start_mopo(*words(data, tmp_path, "--epochs", "100000"))
    run = RunFolder(tmp_path / "halfcheetah_mixed-bc" / "seed_0")
    try:
        wait_for(lambda: run.last_row()[0] >= 3, process)
        connections = [
            connection
            for one in descendants(process.pid)
            for connection in psutil.Process(one).net_connections()
            if connection.status == psutil.CONN_LISTEN
        ]
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=120)
    finally:
        kill_tree(process.pid)
    assert {connection.laddr.ip.removeprefix("::ffff:") for connection in connections} == {
        "127.0.0.1"
    }
    assert process.returncode == 130, out + err
    assert "--resume" in out.splitlines()[-1]
    assert err == ""
    assert run.status == Status(state="pending", attempts=1)
    checkpoint = run.load_checkpoint()
    assert checkpoint is not None
    assert checkpoint[1]["epoch"] == run.last_row()[0]


@pytest.mark.slow
def test_a_machine_that_dies_costs_its_trials_some_epochs_only(data: Path, tmp_path: Path) -> None:
    pytest.importorskip("ray")
    from ray.cluster_utils import Cluster

    epochs = "300"
    whole = tmp_path / "whole"
    assert mopo("train", *words(data, whole, "--epochs", epochs)[2:]).code == 0
    out = tmp_path / "sweep"
    runs = [RunFolder(out / "halfcheetah_mixed-bc" / f"seed_{seed}") for seed in (0, 1)]
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    try:
        node = cluster.add_node(num_cpus=1)
        address = ["--address", cluster.address]
        process = start_mopo(*words(data, out, "--epochs", epochs, "--seeds", "2", *address))
        wait_for(lambda: all(run.last_row()[0] >= 3 for run in runs), process)
        kill_tree(node.all_processes["raylet"][0].process.pid)
        said, err = process.communicate(timeout=300)
    finally:
        cluster.shutdown()
    assert process.returncode == 0, said + err
    assert sorted(run.status.attempts for run in runs) == [1, 2]
    assert_same_run(runs[0].path, whole)

"""Sweeps: what is refused, a trial's process, and Ray at work (one local, one of two nodes)."""

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
from tests.algorithms.tiny_methods import LOOP, MOPO
from tests.eager import eagerly
from tests.experiments.tiny_runs import Answer, mopo, refused, start_mopo, wait_for

BC = {**LOOP, "policy_hidden_sizes": 4, "batch_size": 8, "checkpoint_frequency": 2}
RUN = Path("halfcheetah_mixed-bc", "seed_0")


def plan(data: Path, epochs: int, **options: Any) -> Trial:
    """Return the last trial of a sweep of one seed."""
    settings = {name: str(value).strip("(),") for name, value in BC.items()}
    given = {"algorithms": ["bc"], "settings": {**settings, "n_epochs": str(epochs)}, **options}
    return plan_trials(["halfcheetah_mixed"], 1, datasets=[str(data)], **given)[-1]


def words(data: Path, out: Path, epochs: int, *more: str | Path) -> list[str | Path]:
    settings = [f"{name}={value}" for name, value in {**BC, "n_epochs": epochs}.items()]
    task = ["sweep", "--tasks", "halfcheetah_mixed", "--algorithms", "bc", "--seeds", "1"]
    return [*task, "--dataset", data, "--out", out, "--set", *settings, *more]


# What is refused, before Ray starts.


@pytest.mark.parametrize(
    ("more", "named"),
    [
        (["--out", ""], "--out"),
        (["--seeds", "0"], "--seeds"),
        (["--seeds", "9" * 30], "trials"),
        (["--epochs", "3"], "--epochs"),
        (["--cpus-per-trial", "0"], "--cpus-per-trial"),
        (["--cpus-per-trial", "100000"], "--cpus-per-trial 100000"),
        (["--gpus-per-trial", "1.5"], "--gpus-per-trial"),
        (["--max-failures", "-1"], "--max-failures"),
        (["--dataset", "halfcheetah_mixed=no.hdf5"], "no.hdf5"),
        (["--set", "bc.min_pool_size=100000"], "min_pool_size"),
        (["--resume"], "no sweep"),
        (["--address", "CLOSED"], "--address 127.0.0.1:"),
        (["--address", "auto"], "--address auto"),
        (["--address", "nonsense"], "--address nonsense"),
    ],
)
def test_what_cannot_run_is_refused_at_once_and_leaves_nothing(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, more: list[str], named: str
) -> None:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        closed = f"127.0.0.1:{one.getsockname()[1]}"
    monkeypatch.setenv("RAY_ADDRESS", closed if "auto" in more else "")
    start = time.process_time()
    arguments = words(data, tmp_path / "a" / "b", 2, *more)
    assert named in refused(*(closed if word == "CLOSED" else word for word in arguments))
    assert time.process_time() - start < 5.0
    assert not (tmp_path / "a").exists()


def test_a_missing_extra_is_one_line(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    assert "mopo-tf2[tune]" in refused(*words(data, tmp_path / "out", 2))
    assert not (tmp_path / "out").exists()


def test_two_sweeps_do_not_run_in_one_folder(data: Path, tmp_path: Path) -> None:
    with held(tmp_path / LOCK_FILE):
        assert "in use by another process" in refused(*words(data, tmp_path, 2))
    assert not (tmp_path / SWEEP_FILE).exists()


# Runs that are there.


def test_runs_ask_for_the_new_epochs_once_a_sweep_is_planned(data: Path, tmp_path: Path) -> None:
    """The first version rewrote config.json when the extended run ended."""
    run = RunFolder(tmp_path / RUN)
    run.write_spec(plan(data, 2).spec, {"dataset": {"name": "mine"}})
    (run.path / "progress.csv").write_text("epoch\n0\n1\n")
    assert run.facts().state is State.FINISHED
    write_plan(tmp_path, [plan(data, 5)])
    assert (run.facts().epochs_asked, run.facts().state) == (5, State.UNFINISHED)
    assert list(runs_of(load([tmp_path]))["epochs_asked"]) == [5]
    assert run.recorded == {"dataset": {"name": "mine"}}


def test_another_run_is_not_continued(data: Path, tmp_path: Path) -> None:
    other = dataclasses.replace(plan(data, 2).spec, seed=1)
    RunFolder(tmp_path / RUN).write_spec(other, {})
    with pytest.raises(InputError, match="seed = 1, not 0"):
        update_run(tmp_path, plan(data, 2))
    assert RunFolder(tmp_path / RUN).spec == other


# A Ray task, with a program of ours in the place of a trial's process.

Put = Callable[[str], Path]


@pytest.fixture
def put(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Put:
    python = sys.executable

    def program(code: str) -> Path:
        path = tmp_path / "program"
        path.write_text(f"#!{python}\nimport os, signal, sys, time\n{code}\n")
        path.chmod(0o700)
        monkeypatch.setattr(sys, "executable", str(path))
        return tmp_path

    return program


@pytest.mark.parametrize(
    ("code", "state", "error"),
    [
        ("print('done')", "finished", None),
        ("print('no\\nsuch data'); sys.exit(2)", "failed", "such data"),
        ("print('nan'); sys.exit(3)", "failed", "nan"),
    ],
)
def test_an_end_that_another_attempt_repeats_is_noted(
    put: Put, code: str, state: Any, error: str | None
) -> None:
    out = put(code)
    run_trial(out, "run", Resources(), "/")
    assert RunFolder(out / "run").status == Status(state=state, attempts=1, error=error)


def test_a_trial_is_told_the_loggers_of_the_sweep(put: Put) -> None:
    out = put("print(' '.join(sys.argv[-2:]))")
    run_trial(out, "run", Resources(loggers=("wandb", "mlflow")), "/")
    assert RunFolder(out / "run").log.read_text() == "wandb mlflow\n"


@pytest.mark.parametrize(
    ("code", "named"),
    [
        ("raise OSError('disk full')", "OSError: disk full"),
        ("os.kill(os.getpid(), signal.SIGKILL)", "SIGKILL"),
        ("sys.exit(130)", "130"),
    ],
)
def test_any_other_end_is_retried(put: Put, code: str, named: str) -> None:
    out = put(code)
    with pytest.raises(RuntimeError, match=named):
        run_trial(out, "run", Resources(), "/")
    assert RunFolder(out / "run").status == Status(state="running", attempts=1)


def test_the_stop_file_interrupts_a_trial_once_and_keeps_others_from_starting(put: Put) -> None:
    out = put(
        "signal.signal(signal.SIGINT, lambda *_: print('asked', flush=True))\n"
        "print('ready', flush=True); signal.pause(); time.sleep(1.2); sys.exit(130)"
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


# A trial's process.


@pytest.fixture
def one_process(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Train eagerly, in this process, where it is too late to choose a device."""
    monkeypatch.setattr("mopo_tf2.device.use_device", lambda *_, **__: None)
    with eagerly():
        yield


@pytest.mark.usefixtures("one_process")
def test_a_trial_starts_its_run_or_resumes_it(data: Path, tmp_path: Path) -> None:
    for epochs in (1, 2):
        trial = plan(data, epochs)
        write_plan(tmp_path, [trial])
        assert sweep.main(tmp_path, trial.folder, 1, "cpu") == sweep.DONE
        assert RunFolder(tmp_path / RUN).last_row()[0] == epochs
        assert trial.is_finished(tmp_path)


@pytest.mark.usefixtures("one_process")
def test_an_ensemble_is_trained_once_and_found_after_a_move(few_rows: Path, tmp_path: Path) -> None:
    settings = {name: str(value).strip("(),") for name, value in {**LOOP, **MOPO}.items()}
    model, trial, _ = trials = plan_trials(
        *(["halfcheetah_mixed"], 1),
        **{"datasets": [str(few_rows)], "settings": {**settings, "n_epochs": "1"}},
        **{"grid": ["lr=1e-3,1e-4"], "share_model": True},
    )
    out = tmp_path / "before"
    out.mkdir()
    write_plan(out, trials)
    assert sweep.main(out, trial.folder, 1, "cpu") == sweep.INVALID
    assert sweep.main(out, model.folder, 1, "cpu") == sweep.DONE
    out = out.rename(tmp_path / "after")
    assert sweep.main(out, trial.folder, 1, "cpu") == sweep.DONE
    assert RunFolder(out / model.folder).last_row()[0] == 0
    arrays, wanted = (RunFolder(out / one.folder).load_model()[0] for one in (trial, model))
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
def test_the_exit_code_says_how_a_trial_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, raised: Exception, code: int
) -> None:
    def train_run(*_: Any, loggers: Any, **__: Any) -> None:
        assert loggers == ["mlflow"]
        raise raised

    monkeypatch.setattr("experiments.training.train_run", train_run)
    write_plan(tmp_path, [plan(tmp_path, 1)])
    assert sweep.main(tmp_path, str(RUN), 1, "cpu", ["mlflow"]) == code


def test_a_trial_waits_for_the_last_attempt_and_does_not_outlive_its_task(tmp_path: Path) -> None:
    write_plan(tmp_path, [plan(tmp_path, 1)])
    command = [sys.executable, "-m", "mopo_tf2.experiments.sweep", tmp_path, RUN, "1", "cpu"]
    with RunFolder(tmp_path / RUN).lock():
        process = subprocess.Popen(command, stdin=subprocess.PIPE)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(3.0)
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(30.0) == 1


# The command, with Ray's part played here; and what it prints.


def sweep_without_ray(monkeypatch: pytest.MonkeyPatch, *arguments: str | Path) -> Answer:
    class Lost(Exception):
        cause = RuntimeError("no memory")

    def run(*arguments: Any) -> Exception | None:
        try:
            return run_trial(*arguments)
        except RuntimeError as error:
            return error

    def get(error: Exception | None) -> None:
        if error:
            raise Lost

    ray = SimpleNamespace(init=lambda *_, **__: None, shutdown=lambda: None, get=get)
    ray.nodes = lambda: [{"Alive": True, "Resources": {"CPU": 1.0}}]
    ray.remote = lambda **_: lambda _: SimpleNamespace(remote=run)
    ray.wait = lambda tasks, **_: (tasks, [])
    ray.exceptions = SimpleNamespace(RayError=Lost)
    monkeypatch.setattr(sweep, "_import_ray", lambda address: ray)
    return mopo(*arguments)


def test_a_sweep_says_how_its_trials_ended(
    data: Path, put: Put, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = put("sys.exit('no memory')") / "out"
    answer = sweep_without_ray(monkeypatch, *words(data, out, 2))
    assert answer.code == 1
    assert RunFolder(out / RUN).status == Status(state="failed", attempts=1, error="no memory")
    assert "0 finished, 0 running, 0 pending, 1 failed of 1 trials." in answer.out
    assert f"failed: {out / RUN}: no memory" in answer.out
    put("print('done')")
    answer = sweep_without_ray(monkeypatch, *words(data, out, 2, "--resume"))
    assert answer.code == 0
    assert RunFolder(out / RUN).status == Status(state="finished", attempts=2)
    assert f"see mopo-tf2 table {out}" in answer.out


def test_plain_lines_tell_changes_once_and_what_runs_every_minute(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    times = iter((60.0, 119.0, 121.0))
    monkeypatch.setattr("experiments.sweep.time.monotonic", lambda: next(times))
    run, trials = RunFolder(tmp_path / RUN), [plan(data, 9)]
    with sweep._screen() as show:
        show(sweep._rows(tmp_path, trials))
        run.write_status(Status(state="running", attempts=1))
        (run.path / "progress.csv").write_text("epoch,evaluation/return-average\n0,5\n1,10\n")
        for _ in range(3):
            show(sweep._rows(tmp_path, trials))
    line = f"{RUN}: running, epoch 2/9, return 10.0, attempt 1\n"
    assert capsys.readouterr().out == line * 2


# Ray itself.


def tree(pid: int) -> list[Any]:
    import psutil  # Ray brings it.

    return [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]


@pytest.mark.slow
def test_ray_on_this_machine_listens_on_loopback_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("ray")
    for name in ("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "RAY_USAGE_STATS_ENABLED"):
        monkeypatch.setenv(name, "1")
    with sweep._ray_running(sweep._import_ray(None), Resources()):
        sockets = [one for each in tree(os.getpid()) for one in each.net_connections()]
    listening = {one.laddr.ip for one in sockets if one.status == "LISTEN"}
    assert {ip.removeprefix("::ffff:") for ip in listening} == {"127.0.0.1"}


@pytest.mark.slow
def test_a_dead_machine_costs_some_epochs_only_and_an_interrupt_lets_trials_end_theirs(
    few_rows: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("ray")
    monkeypatch.setenv("RAY_worker_niceness", "0")  # Else other work holds the trials up.
    from ray.cluster_utils import Cluster

    out = tmp_path / "sweep"
    runs = [RunFolder(out / RUN.parent / f"seed_{seed}") for seed in (0, 1)]
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    try:
        machine = cluster.add_node(num_cpus=1)
        more = ["--seeds", "2", "--address", cluster.address]
        process = start_mopo(*words(few_rows, out, 100_000, *more))
        wait_for(lambda: all(run.last_row()[0] >= 3 for run in runs), process)
        for dead in tree(machine.all_processes["raylet"][0].process.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(dead.pid, signal.SIGKILL)
        done = {run: run.last_row()[0] for run in runs}
        cluster.add_node(num_cpus=1)
        wait_for(lambda: any(run.status.attempts == 2 for run in runs), process)
        wait_for(lambda: all(run.last_row()[0] >= done[run] + 3 for run in runs), process)
        process.send_signal(signal.SIGINT)
        said, err = process.communicate(timeout=300)
    finally:
        cluster.shutdown()
    assert (process.returncode, err) == (130, ""), said + err
    assert "--resume" in said.splitlines()[-1]
    assert sorted(run.status.attempts for run in runs) == [1, 2]
    for run in runs:
        assert run.status.state == "pending"
        checkpoint = run.load_checkpoint()
        assert checkpoint is not None
        assert checkpoint[1]["epoch"] == run.last_row()[0]

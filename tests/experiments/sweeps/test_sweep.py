"""Sweeps on a real Ray: whole, with a node killed, and killed as a whole."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from experiments.collect_task import collect_task
from experiments.sweeps.folder_lock import FolderLock
from experiments.sweeps.trial_state import last_row, read_status
from mopo_tf2.checkpoints import checkpoints
from tests.experiments.test_run import assert_same_run
from tests.experiments.tiny_runs import TINY_SETTINGS, mopo

ray = pytest.importorskip("ray")
pytestmark = pytest.mark.slow

EPOCHS = 40
TASKS = ("halfcheetah_mixed", "hopper_mixed")
SETTINGS = [*TINY_SETTINGS[:-1], "checkpoint_frequency=5"]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("data")
    paths = {task: folder / f"{task}.hdf5" for task in TASKS}
    for task, path in paths.items():
        collect_task(task.removesuffix("_mixed"), path, 1200)
    return paths


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Every trial compiles the same programs: kept on disk, they need it once."""
    cache = tmp_path_factory.mktemp("xla")
    flags = f"--tf_xla_persistent_cache_directory={cache}"
    return {
        **os.environ,
        "TF_XLA_FLAGS": f"{flags} --tf_xla_persistent_cache_read_only=false",
        "PYTHONPATH": str(Path(__file__).parents[3]),
    }


Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start(data: dict[str, Path], environment: dict[str, str]) -> Iterator[Start]:
    """Give a function that starts a sweep; what still runs at the end is killed."""
    started: list[subprocess.Popen[str]] = []

    def start_sweep(
        out: Path, tasks: tuple[str, ...], seeds: int, *more: str
    ) -> "subprocess.Popen[str]":
        chosen = [f"--dataset={task}={data[task]}" for task in tasks]
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "experiments.cli", "sweep", "--tasks", *tasks),
                *("--seeds", str(seeds), "--epochs", str(EPOCHS), "--out", str(out)),
                *(*chosen, "--set", *SETTINGS, *more),
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=environment,
            start_new_session=True,
        )
        started.append(process)
        return process

    yield start_sweep
    for process in started:
        if process.poll() is None:
            kill_tree(process.pid)
            process.communicate()


@pytest.fixture(scope="module")
def whole(
    data: dict[str, Path],
    environment: dict[str, str],
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """A sweep of two tasks and two seeds that nothing disturbed."""
    out = tmp_path_factory.mktemp("sweeps") / "whole"
    chosen = [f"--dataset={task}={data[task]}" for task in TASKS]
    answer = subprocess.run(
        [
            *(sys.executable, "-m", "experiments.cli", "sweep", "--tasks", *TASKS),
            *("--seeds", "2", "--epochs", str(EPOCHS), "--out", str(out)),
            *(*chosen, "--set", *SETTINGS),
        ],
        capture_output=True,
        text=True,
        env=environment,
        timeout=560,
    )
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert "4 finished, 0 running, 0 pending, 0 failed of 4 trials." in answer.stdout
    return out


def descendants(pid: int) -> list[int]:
    """Return ``pid`` and the processes below it, parents first."""
    found = [pid]
    for path in Path("/proc", str(pid), "task").glob("*/children"):
        try:
            children = path.read_text().split()
        except OSError:
            continue
        for child in children:
            found += descendants(int(child))
    return found


def kill_tree(pid: int) -> None:
    """SIGKILL a process of ours and all that it started, as a machine that dies does."""
    for one in descendants(pid):
        with contextlib.suppress(ProcessLookupError):
            os.kill(one, signal.SIGKILL)


def wait_for(condition: Callable[[], bool], process: "subprocess.Popen[str]") -> None:
    end = time.monotonic() + 400.0
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


def finish(process: "subprocess.Popen[str]") -> str:
    """Wait for a sweep that must end well; return what it printed."""
    out, _ = process.communicate(timeout=500)
    assert process.returncode == 0, out
    return out


def test_a_trial_is_a_run_folder_that_train_could_have_written(whole: Path) -> None:
    folders = sorted(str(path.parent.relative_to(whole)) for path in whole.rglob("config.json"))
    assert folders == [f"{task}/seed_{seed}" for task in TASKS for seed in (0, 1)]
    for folder in folders:
        run = whole / folder
        status = json.loads((run / "status.json").read_text())
        assert status == {"state": "finished", "attempts": 1, "error": None}
        assert last_row(run)[0] == EPOCHS
        assert checkpoints(run / "checkpoints")[-1].name == f"epoch_{EPOCHS:05d}.npz"
        assert json.loads((run / "params.json").read_text())["seed"] == int(folder[-1])
    assert not list((whole / ".ray").rglob("progress.csv"))


def test_a_finished_sweep_resumed_runs_nothing(whole: Path, start: Start) -> None:
    before = {path: path.stat().st_mtime_ns for path in whole.rglob("epoch_*.npz")}
    out = finish(start(whole, TASKS, 2, "--resume"))
    assert "4 trials, 4 of them finished" in out
    assert {path: path.stat().st_mtime_ns for path in whole.rglob("epoch_*.npz")} == before


def test_a_sweep_killed_as_a_whole_then_interrupted_and_resumed_equals_an_undisturbed_one(
    whole: Path, start: Start, tmp_path: Path
) -> None:
    out, task = tmp_path / "killed", ("hopper_mixed",)
    run = out / "hopper_mixed" / "seed_0"
    process = start(out, task, 1)
    wait_for(lambda: last_row(run)[0] >= 7, process)
    kill_tree(process.pid)
    process.communicate()
    assert last_row(run)[0] < EPOCHS, "the trial ended before it was killed"

    process = start(out, task, 1, "--resume")
    wait_for(lambda: "resuming" in (run / "trial.log").read_text(), process)
    process.send_signal(signal.SIGINT)
    text, _ = process.communicate(timeout=300)
    assert process.returncode == 130, text
    assert "--resume" in text.splitlines()[-1]
    assert read_status(run).state == "pending"

    # One more seed, whose folder holds something that is no run: the other one goes on.
    unfit = out / "hopper_mixed" / "seed_1"
    unfit.mkdir()
    (unfit / "config.json").write_text("{}")
    process = start(out, task, 2, "--resume")
    text, _ = process.communicate(timeout=500)
    assert process.returncode == 1, text
    assert "1 finished, 0 running, 0 pending, 1 failed of 2 trials." in text
    assert f"failed: {unfit} (1 attempt): " in text
    assert "algorithm" in str(read_status(unfit).error)
    assert read_status(run).attempts == 3
    assert_same_run(run, whole / "hopper_mixed" / "seed_0")


def test_a_ray_node_killed_in_mid_trial_costs_its_trials_some_epochs_only(
    whole: Path, start: Start, environment: dict[str, str], tmp_path: Path
) -> None:
    from ray.cluster_utils import Cluster

    out, task = tmp_path / "cluster", ("hopper_mixed",)
    runs = [out / "hopper_mixed" / f"seed_{seed}" for seed in (0, 1)]
    saved = dict(os.environ)
    os.environ.update(environment)  # a node hands its environment to its workers
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
    try:
        nodes = [cluster.add_node(num_cpus=1) for _ in range(2)]
        process = start(out, task, 2, "--address", cluster.address)
        wait_for(lambda: last_row(runs[0])[0] >= 7, process)
        raylets = [node.all_processes["raylet"][0].process.pid for node in nodes]
        kill_tree(next(pid for pid in raylets if trial_process(runs[0]) in descendants(pid)))
        assert last_row(runs[0])[0] < EPOCHS, "the trial ended before its node was killed"
        finish(process)
    finally:
        cluster.shutdown()
        os.environ.clear()
        os.environ.update(saved)
    assert read_status(runs[0]).attempts == 2
    assert read_status(runs[1]).attempts == 1
    assert "resuming" in (runs[0] / "trial.log").read_text()
    for run in runs:
        assert_same_run(run, whole / "hopper_mixed" / run.name)


def trial_process(run: Path) -> int:
    """Return the process that holds a run's folder."""
    lock = max((run / ".lock").iterdir())
    return int(json.loads(lock.read_text())["pid"])


def test_unfit_requests_are_refused_before_ray_starts(
    data: dict[str, Path], tmp_path: Path
) -> None:
    options = ["--seeds", "1", "--out", tmp_path / "out"]
    missing = mopo("sweep", "--tasks", "hopper_mixed", *options, "--dataset", tmp_path / "no.hdf5")
    assert (missing.code, "no.hdf5" in missing.err) == (2, True)
    wrong = mopo(
        *("sweep", "--tasks", "hopper_mixed", *options),
        *("--dataset", data["halfcheetah_mixed"], "--set", "min_pool_size=100"),
    )
    assert (wrong.code, "observation" in wrong.err) == (2, True)
    unwritable = mopo(
        *("sweep", "--tasks", "hopper_mixed", "--seeds", "1", "--out", data["hopper_mixed"]),
        *("--dataset", data["hopper_mixed"]),
    )
    assert (unwritable.code, "is a file" in unwritable.err) == (2, True)
    assert not (tmp_path / "out").exists()


def test_a_missing_extra_is_one_line(
    data: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    answer = mopo(
        *("sweep", "--tasks", "hopper_mixed", "--seeds", "1", "--out", tmp_path / "out"),
        *("--dataset", data["hopper_mixed"], "--set", "min_pool_size=100"),
    )
    assert answer.code == 2
    assert "mopo-tf2[tune]" in answer.err
    assert answer.err.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_two_sweeps_do_not_run_in_one_folder(data: dict[str, Path], tmp_path: Path) -> None:
    with FolderLock(tmp_path):
        answer = mopo(
            *("sweep", "--tasks", "hopper_mixed", "--seeds", "1", "--out", tmp_path),
            *("--dataset", data["hopper_mixed"], "--set", "min_pool_size=100"),
        )
    assert answer.code == 2
    assert f"in use by process {os.getpid()}" in answer.err
    assert not (tmp_path / "sweep.json").exists()

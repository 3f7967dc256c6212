"""What each sink shows, read back from where it was written."""

import importlib.util
import math
import struct
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from experiments.loggers import DEFAULT_LOGGERS, LOGGERS, Loggers, require_loggers
from experiments.run_folder import RETURN, RunFolder
from experiments.run_spec import build_spec
from mopo_tf2.errors import InputError
from tests.eager import eagerly
from tests.experiments.tiny_runs import method_words, mopo, refused

EXPECTED = [(epoch, 10.0 * epoch) for epoch in range(4)]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunFolder:
    """A run that is about to begin; MLflow's store lies beside it."""
    for name in ("WANDB_MODE", "WANDB_API_KEY", "MLFLOW_EXPERIMENT_NAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("NETRC", str(tmp_path / "none"))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    monkeypatch.chdir(tmp_path)
    made = RunFolder(tmp_path / "run")
    made.write_spec(build_spec("hopper_mixed"), {})
    return made


def session(name: str, folder: RunFolder, epochs: range, model_epochs: range, *, end: bool) -> None:
    """Write as a run does that trains its ensemble and its policy, and stops."""
    loggers = Loggers(folder)
    loggers.start([name])
    for epoch in model_epochs:
        loggers.holdout(epoch, np.array([0.5, 0.25]) + epoch)
    for epoch in epochs:
        loggers.distribution("evaluation/return", np.arange(5.0) + epoch)
        loggers.distribution("model/penalty", np.array([1.0, math.nan, 3.0]))
        loggers.row({"epoch": epoch, RETURN: 10.0 * epoch, "empty": math.nan})
    loggers.close(finished=end)
    assert name in LOGGERS


def interrupted(name: str, folder: RunFolder) -> None:
    """Write four epochs; the second session repeats one of each kind, as after a checkpoint."""
    session(name, folder, range(3), range(2), end=False)
    session(name, folder, range(2, 4), range(1, 3), end=True)


def test_tensorboard_shows_each_epoch_of_a_continued_run_once(
    folder: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    # Event files are ordered by the second in their names.
    now = 1.7e9
    session_time = iter([now, now + 5.0])
    for epochs, model_epochs in ((range(3), range(2)), (range(2, 4), range(1, 3))):
        start = next(session_time)
        monkeypatch.setattr("time.time", lambda start=start: start)
        session("tensorboard", folder, epochs, model_epochs, end=True)
    guidance = dict.fromkeys(("scalars", "histograms"), 0)
    events = EventAccumulator(str(folder.path / "tensorboard"), guidance).Reload()
    assert [(event.step, event.value) for event in events.Scalars(RETURN)] == EXPECTED
    for name, count in (("evaluation/return", 5), ("model/penalty", 2)):
        shown = events.Histograms(name)
        assert [event.step for event in shown] == [0, 1, 2, 3]
        assert shown[-1].histogram_value.num == sum(shown[-1].histogram_value.bucket) == count
    hparams = events.SummaryMetadata("_hparams_/session_start_info").plugin_data
    assert b"penalty_coeff" in hparams.content
    model = EventAccumulator(str(folder.path / "tensorboard" / "model"), guidance).Reload()
    shown = [(event.step, event.value) for event in model.Scalars("model_holdout/V1")]
    assert shown == [(0, 0.25), (1, 1.25), (2, 2.25)]


def test_mlflow_continues_its_run_in_an_sqlite_store(folder: RunFolder) -> None:
    pytest.importorskip("mlflow")
    import mlflow

    session("mlflow", folder, range(3), range(2), end=False)
    client = mlflow.MlflowClient()
    (experiment,) = [e for e in client.search_experiments() if e.name == "mopo-tf2"]
    (run,) = client.search_runs([experiment.experiment_id])
    assert run.info.status == "KILLED"
    session("mlflow", folder, range(2, 4), range(1, 3), end=True)
    (run,) = client.search_runs([experiment.experiment_id])
    assert run.info.status == "FINISHED"
    assert run.data.params["penalty_coeff"] == "1.0"
    assert "empty" not in run.data.metrics

    def history(name: str) -> list[tuple[int, float]]:
        return sorted((m.step, m.value) for m in client.get_metric_history(run.info.run_id, name))

    assert history(RETURN) == EXPECTED
    assert history("model_holdout/V1") == [(0, 0.25), (1, 1.25), (2, 2.25)]
    assert history("evaluation/return-p50") == [(epoch, epoch + 2.0) for epoch in range(4)]
    assert history("model/penalty-p50") == [(epoch, 2.0) for epoch in range(4)]


def leveldb_log(content: bytes) -> Iterator[bytes]:
    """Yield the records of wandb's file: a header of seven bytes, then LevelDB's log format."""
    offset, record = 7, b""
    while offset + 7 <= len(content):
        if (left := -offset % 32768) < 7:  # No room for a header before the next block.
            offset += left
        _, size, kind = struct.unpack_from("<IHB", content, offset)
        record += content[offset + 7 : offset + 7 + size]
        offset += 7 + size
        if kind in (1, 4):  # The whole or the last part.
            yield record
            record = b""


def wandb_records(folder: RunFolder) -> tuple[set[str], dict[str, list[tuple[int, float]]]]:
    """Return the ids and the history, by metric, of wandb's local files."""
    import wandb

    wandb.teardown()  # As at the end of the process: its service may still be writing.
    from wandb.proto.wandb_internal_pb2 import Record

    ids, history = set(), defaultdict[str, list[tuple[int, float]]](list)
    for path in sorted(folder.path.glob("wandb/offline-run-*/*.wandb")):
        for data in leveldb_log(path.read_bytes()):
            record = Record()
            record.ParseFromString(data)
            if record.WhichOneof("record_type") == "run":
                ids.add(record.run.run_id)
            if record.WhichOneof("record_type") == "history":
                row = {
                    "/".join(item.nested_key) or item.key: item.value_json
                    for item in record.history.item
                }
                for name in row:
                    history[name].append((int(row["_step"]), row[name]))
    return ids, history


def test_wandb_writes_one_offline_run_without_a_question(
    folder: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("wandb")

    def refuse(*_: Any) -> str:
        raise AssertionError("a question on the terminal")

    monkeypatch.setattr("builtins.input", refuse)
    interrupted("wandb", folder)
    ids, history = wandb_records(folder)
    assert ids == {folder.logger_state("wandb")["run"]}
    assert [float(value) for _, value in history[RETURN]] == [0.0, 10.0, 20.0, 30.0]
    assert [float(value) for _, value in history["epoch"]] == [0, 1, 2, 3]
    assert [float(value) for _, value in history["model_holdout/V1"]] == [0.25, 1.25, 2.25]
    steps = sorted(step for step, _ in [*history["epoch"], *history["model_epoch"]])
    assert steps == list(range(7))
    parts = [len(rows) for name, rows in history.items() if "model/penalty-histogram" in name]
    assert parts
    assert set(parts) == {4}


class Broken:
    """A server that goes away after its first row."""

    def __init__(self, folder: RunFolder, config: Any):
        self.rows = 0

    def row(self, axis: str, step: int, metrics: Any) -> None:
        self.rows += 1
        if self.rows > 1:
            raise ConnectionError("server\nis away")

    def histogram(self, step: int, name: str, values: Any) -> None:
        assert self.rows < 2

    def close(self, *, finished: bool) -> None:
        raise AssertionError("it is left out by then")


def test_a_sink_that_fails_is_left_out_in_one_line(
    folder: RunFolder, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules["experiments.loggers"]._SINKS, "mlflow", Broken)
    session("mlflow", folder, range(4), range(0), end=True)
    said = capsys.readouterr().err.splitlines()
    expected = "ConnectionError: server is away"
    assert said == [f"warning: --logger mlflow failed and gets nothing more: {expected}"]


def test_a_server_that_is_away_from_the_beginning_does_not_end_the_run(
    folder: RunFolder, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("mlflow")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    session("mlflow", folder, range(2), range(0), end=True)
    assert "--logger mlflow failed" in capsys.readouterr().err


def test_a_run_and_its_continuation_reach_every_sink(
    folder: RunFolder, few_rows: Path, tmp_path: Path
) -> None:
    pytest.importorskip("mlflow")
    import mlflow
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    out = tmp_path / "trained"
    with eagerly():
        for epochs, more in ((1, []), (2, ["--resume"])):
            words = method_words("mopo", few_rows, out, epochs)
            answer = mopo(*words, "--logger", "tensorboard", "mlflow", *more)
            assert answer.code == 0, answer.err
            time.sleep(1.1)  # Event files are ordered by the second in their names.
    run = RunFolder(out)
    client, number = mlflow.MlflowClient(), run.logger_state("mlflow")["run"]
    assert client.get_run(number).info.status == "FINISHED"
    history = {metric.step: metric.value for metric in client.get_metric_history(number, RETURN)}
    assert history == dict(enumerate(run.progress()[RETURN]))
    assert len(client.get_metric_history(number, "model_holdout/V0")) == len(run.holdout())
    events = EventAccumulator(str(out / "tensorboard"), {"scalars": 0, "histograms": 0}).Reload()
    for name in ("evaluation/return", "model/penalty"):
        assert [event.step for event in events.Histograms(name)] == [0, 1]
    returns = [event.histogram_value.max for event in events.Histograms("evaluation/return")]
    assert returns == pytest.approx(list(run.progress()["evaluation/return-max"]))
    penalties = [event.histogram_value.max for event in events.Histograms("model/penalty")]
    assert penalties == pytest.approx(list(run.progress()["model/penalty-max"]))


def test_a_missing_package_is_named_before_anything_begins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    find = importlib.util.find_spec
    gone = lambda name, *args: None if name in ("wandb", "mlflow") else find(name, *args)  # noqa: E731
    monkeypatch.setattr("importlib.util.find_spec", gone)
    with pytest.raises(InputError, match=r"pip install 'mopo-tf2\[wandb\]'"):
        require_loggers(["wandb"])
    out = tmp_path / "run"
    words = ["hopper_mixed", "--dataset", "minari:x/y-v0", "--environment", "none"]
    line = refused("train", *words, "--out", out, "--logger", "tensorboard", "mlflow")
    assert "pip install 'mopo-tf2[mlflow]'" in line
    assert not out.exists()


def test_the_command_line_names_the_sinks_that_there_are() -> None:
    line = refused("train", "own", "--logger", "tensorbord")
    assert "did you mean tensorboard?" in line
    for name in LOGGERS:
        assert "no choice" not in refused("train", "own", "--logger", name)
    assert DEFAULT_LOGGERS == ("tensorboard",)

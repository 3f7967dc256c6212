"""Where a run's numbers go beside its own files: TensorBoard, Weights & Biases, MLflow.

Each is a ``Sink``. A resumed run repeats the epochs after its checkpoint; none of them shows an
epoch twice. What a sink needs to go on is in the run folder's loggers.json.
"""

import functools
import importlib.util
import math
import netrc
import os
import sys
import time
import urllib.parse
import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from mopo_tf2.config_fields import require
from mopo_tf2.own_functions import one_line

from .run_folder import RunFolder

DEFAULT_LOGGERS = ("tensorboard",)
EPOCH, MODEL_EPOCH = "epoch", "model_epoch"
"""What rows are counted in: epochs of the policy's training, and of the ensemble's."""
_TENSORBOARD = "tensorboard"
_PACKAGES = {"tensorboard": "tensorboard", "wandb": "wandb", "mlflow": "mlflow"}
_BUCKETS = 30
_PARAMS_A_CALL = 100  # MLflow's own limit.


class Sink(Protocol):
    """Receives the numbers of one run. What a method raises ends the sink, never the run."""

    def row(self, axis: str, step: int, metrics: Mapping[str, float]) -> None:
        """Write what was measured in epoch ``step``, counted on ``axis``; nan where nothing was."""

    def histogram(self, step: int, name: str, values: np.ndarray) -> None:
        """Write the distribution of ``values`` [n] in epoch ``step``, before the row of it."""

    def close(self, *, finished: bool) -> None:
        """Finish writing; ``finished`` says whether the run has reached its last epoch."""


class TensorBoard:
    """Event files in the run folder; the ensemble's training is the run "model" in it.

    Args:
        folder: of the run.
        config: settings by flat name, shown among the hparams.
    """

    def __init__(self, folder: RunFolder, config: Mapping[str, Any]):
        self._folder, self._config = folder.path / _TENSORBOARD, config
        self._writers: dict[str, Any] = {}

    def row(self, axis: str, step: int, metrics: Mapping[str, float]) -> None:
        """See ``Sink.row``; the row is on disk after."""
        from tensorboard.compat.proto.summary_pb2 import Summary

        values = [Summary.Value(tag=k, simple_value=float(v)) for k, v in metrics.items()]
        self._write(axis, step, Summary(value=values))
        self._writers[axis].flush()

    def histogram(self, step: int, name: str, values: np.ndarray) -> None:
        """See ``Sink.histogram``."""
        from tensorboard.compat.proto.summary_pb2 import HistogramProto, Summary

        counts, edges = np.histogram(values, _BUCKETS)
        about = {"min": values.min(), "max": values.max(), "num": values.size}
        sums = {"sum": values.sum(), "sum_squares": np.square(values).sum()}
        shown = HistogramProto(**about, **sums, bucket=counts, bucket_limit=edges[1:])
        self._write(EPOCH, step, Summary(value=[Summary.Value(tag=name, histo=shown)]))

    def close(self, *, finished: bool) -> None:
        """See ``Sink.close``."""
        writers, self._writers = self._writers, {}
        for writer in writers.values():
            writer.close()

    def _write(self, axis: str, step: int, summary: Any) -> None:
        from tensorboard.compat.proto import event_pb2
        from tensorboard.plugins.hparams.summary_v2 import hparams_pb
        from tensorboard.summary.writer.event_file_writer import EventFileWriter

        about = {"step": step, "wall_time": time.time()}
        if axis not in self._writers:
            # A mark drops all older events of later steps, whatever they count: each axis has
            # files of its own.
            folder = self._folder if axis == EPOCH else self._folder / "model"
            writer = self._writers[axis] = EventFileWriter(str(folder))
            # From this epoch on TensorBoard drops what older files say. The first session needs
            # the mark too: to TensorBoard the first one of a run is not a restart.
            start = event_pb2.SessionLog(status=event_pb2.SessionLog.START)
            writer.add_event(event_pb2.Event(session_log=start, **about))
            if axis == EPOCH:
                params = hparams_pb(dict(self._config), trial_id=str(self._folder))
                writer.add_event(event_pb2.Event(summary=params, **about))
        self._writers[axis].add_event(event_pb2.Event(summary=summary, **about))


class _Remembering:
    """What a sink whose rows cannot be taken back remembers in the run folder."""

    def __init__(self, folder: RunFolder, name: str):
        self._folder, self._name = folder, name
        self._state = folder.logger_state(name)
        self._state.setdefault("run", None)

    def is_new(self, axis: str, step: int) -> bool:
        """Whether this epoch has not been written yet."""
        return step > int(self._state.get(axis, -1))

    def note(self, **values: Any) -> None:
        """Keep ``values``."""
        self._state.update(values)
        self._folder.write_logger_state(self._name, self._state)


class WandB(_Remembering):
    """A run of Weights & Biases: offline, in the run folder, unless there is a key for it.

    Args:
        folder: of the run.
        config: settings by flat name.
    """

    def __init__(self, folder: RunFolder, config: Mapping[str, Any]):
        super().__init__(folder, "wandb")
        import wandb

        self._wandb, self._waiting = wandb, dict[str, Any]()
        self.note(run=self._state["run"] or uuid.uuid4().hex[:8])
        # Never a question on the terminal.
        mode: Any = os.environ.get("WANDB_MODE") or ("online" if _has_wandb_key() else "offline")
        self._run = wandb.init(
            project=os.environ.get("WANDB_PROJECT", "mopo-tf2"),
            id=self._state["run"],
            name=str(folder.path),
            dir=str(folder.path),
            config=dict(config),
            mode=mode,
            resume="allow" if mode == "online" else None,
            settings=wandb.Settings(console="off", silent=True, init_timeout=30.0),
        )
        for name, axis in (("*", EPOCH), ("model_holdout/*", MODEL_EPOCH)):
            self._run.define_metric(name, step_metric=axis, step_sync=False)

    def row(self, axis: str, step: int, metrics: Mapping[str, float]) -> None:
        """See ``Sink.row``."""
        waiting, self._waiting = self._waiting, {}
        if self.is_new(axis, step):
            rows = int(self._state.get("rows", 0))
            self._run.log({**metrics, **waiting, axis: step}, step=rows)
            self.note(**{axis: step, "rows": rows + 1})

    def histogram(self, step: int, name: str, values: np.ndarray) -> None:
        """See ``Sink.histogram``; it goes with the row."""
        self._waiting[f"{name}-histogram"] = self._wandb.Histogram(values.tolist())

    def close(self, *, finished: bool) -> None:
        """See ``Sink.close``."""
        self._run.finish(exit_code=0 if finished else 1)


class MLflow(_Remembering):
    """A run of MLflow, where ``$MLFLOW_TRACKING_URI`` says; by default mlflow.db in this folder.

    Args:
        folder: of the run.
        config: settings by flat name, MLflow's parameters.
    """

    def __init__(self, folder: RunFolder, config: Mapping[str, Any]):
        super().__init__(folder, "mlflow")
        # By itself it tries for minutes, and tells of the tables that it makes.
        os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "WARNING")
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")
        import mlflow
        from mlflow.entities import Metric, Param

        self._metric, self._client = Metric, mlflow.MlflowClient()
        self._id = self._state["run"]
        if self._id is not None:
            self._client.update_run(self._id, status="RUNNING")
            return
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME", "mopo-tf2")
        experiment = self._client.get_experiment_by_name(name)
        number = experiment.experiment_id if experiment else self._client.create_experiment(name)
        self._id = self._client.create_run(number, run_name=str(folder.path)).info.run_id
        params = [Param(key, str(value)) for key, value in config.items()]
        for first in range(0, len(params), _PARAMS_A_CALL):
            self._client.log_batch(self._id, params=params[first : first + _PARAMS_A_CALL])
        self.note(run=self._id)

    def row(self, axis: str, step: int, metrics: Mapping[str, float]) -> None:
        """See ``Sink.row``."""
        if self.is_new(axis, step):
            now = int(time.time() * 1000)
            known = {k: float(v) for k, v in metrics.items() if not math.isnan(v)}
            rows = [self._metric(name, value, now, step) for name, value in known.items()]
            self._client.log_batch(self._id, metrics=rows)
            self.note(**{axis: step})

    def histogram(self, step: int, name: str, values: np.ndarray) -> None:
        """See ``Sink.histogram``; MLflow has none, so that it is three quantiles."""
        if self.is_new(EPOCH, step):
            now, shares = int(time.time() * 1000), (5, 50, 95)
            found = np.percentile(values, shares)
            rows = [
                self._metric(f"{name}-p{share:02d}", float(value), now, step)
                for share, value in zip(shares, found, strict=True)
            ]
            self._client.log_batch(self._id, metrics=rows)

    def close(self, *, finished: bool) -> None:
        """See ``Sink.close``."""
        self._client.set_terminated(self._id, "FINISHED" if finished else "KILLED")


_SINKS: Mapping[str, Callable[[RunFolder, Mapping[str, Any]], Sink]] = {
    _TENSORBOARD: TensorBoard,
    "wandb": WandB,
    "mlflow": MLflow,
}
LOGGERS = tuple(_SINKS)
"""Names of the sinks."""


def require_loggers(names: Sequence[str]) -> None:
    """Refuse sinks that are unknown or whose package is missing.

    Raises:
        InputError: with the command that installs it.
    """
    for name in names:
        require(name in _SINKS, f"no logger '{name}': there are {', '.join(LOGGERS)}.")
        missing = importlib.util.find_spec(_PACKAGES[name]) is None
        advice = f"--logger {name} needs the package {name}: pip install 'mopo-tf2[{name}]'."
        require(not missing, advice)


class Loggers:
    """The sinks of one run. One that fails is left out, and said so in one line.

    Args:
        folder: of the run.
    """

    def __init__(self, folder: RunFolder):
        self._folder = folder
        self._sinks: dict[str, Sink] = {}
        self._values: dict[str, np.ndarray] = {}

    def start(self, names: Sequence[str]) -> None:
        """Make the sinks of these names; the folder's settings are written."""
        config = self._folder.params
        for name in dict.fromkeys(names):
            self._guarded(name, functools.partial(self._make, name, config))

    def distribution(self, name: str, values: np.ndarray) -> None:
        """Keep the values [n] of a quantity for this epoch's histogram; the last ones count."""
        if self._sinks:
            self._values[name] = np.asarray(values, np.float64).ravel()

    def row(self, metrics: Mapping[str, float]) -> None:
        """Write an epoch's metrics ("epoch" among them) and its histograms."""
        epoch, values = int(metrics[EPOCH]), self._values
        self._values = {}
        for name in [*self._sinks]:
            for quantity, array in values.items():
                finite = array[np.isfinite(array)]
                if finite.size:
                    self._call(name, "histogram", epoch, quantity, finite)
            self._call(name, "row", EPOCH, epoch, metrics)

    def holdout(self, epoch: int, losses: np.ndarray) -> None:
        """Write the hold-out losses [E] of an epoch of the ensemble's training."""
        metrics = {f"model_holdout/V{i}": float(loss) for i, loss in enumerate(losses)}
        for name in [*self._sinks]:
            self._call(name, "row", MODEL_EPOCH, epoch, metrics)

    def close(self, *, finished: bool) -> None:
        """Close every sink."""
        for name in [*self._sinks]:
            self._call(name, "close", finished=finished)

    def _make(self, name: str, config: Mapping[str, Any]) -> None:
        self._sinks[name] = _SINKS[name](self._folder, config)

    def _call(self, name: str, method: str, *args: Any, **named: Any) -> None:
        sink = self._sinks.get(name)
        if sink is not None:
            self._guarded(name, lambda: getattr(sink, method)(*args, **named))

    def _guarded(self, name: str, action: Callable[[], None]) -> None:
        try:
            action()
        except Exception as error:  # noqa: BLE001  a server that is away raises anything
            self._sinks.pop(name, None)
            text = f"warning: --logger {name} failed and gets nothing more: {one_line(error)[:300]}"
            print(text, file=sys.stderr, flush=True)


def _has_wandb_key() -> bool:
    """Whether `wandb login` or the environment gave a key."""
    if os.environ.get("WANDB_API_KEY"):
        return True
    address = os.environ.get("WANDB_BASE_URL", "https://api.wandb.ai")
    file = os.environ.get("NETRC") or Path("~/.netrc").expanduser()
    try:
        return (
            netrc.netrc(str(file)).authenticators(urllib.parse.urlsplit(address).netloc) is not None
        )
    except (OSError, netrc.NetrcParseError):
        return False

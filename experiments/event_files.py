"""The metrics of a run as TensorBoard events."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any


class EventWriter:
    """Writes scalars for TensorBoard into ``folder``; opens its file with the first row."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._writer: Any = None

    def write(self, metrics: Mapping[str, float], epoch: int) -> None:
        """Write one scalar a key at step ``epoch``; on disk after."""
        import tensorflow as tf  # Late: reading a progress.csv needs no TensorFlow.

        if self._writer is None:
            _mark_session_start(self._folder, epoch)
            self._writer = tf.summary.create_file_writer(str(self._folder))
        with self._writer.as_default(step=epoch):
            for key, value in metrics.items():
                tf.summary.scalar(key, float(value))
        self._writer.flush()

    def close(self) -> None:
        """Close the file, if there is one."""
        if self._writer is not None:
            self._writer.close()


def _mark_session_start(folder: Path, epoch: int) -> None:
    """Write the event at which TensorBoard drops what older files say from ``epoch`` on.

    The first session needs one too: to TensorBoard the first mark of a run is no restart.
    """
    # tf.summary of TensorFlow 2 has lost SessionLog; TensorBoard's own writer still has it.
    from tensorboard.compat.proto import event_pb2
    from tensorboard.summary.writer.event_file_writer import EventFileWriter

    writer = EventFileWriter(str(folder))
    start = event_pb2.SessionLog(status=event_pb2.SessionLog.START)
    writer.add_event(event_pb2.Event(session_log=start, step=epoch, wall_time=time.time()))
    writer.close()

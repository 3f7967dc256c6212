"""Choice of the device that TensorFlow computes on."""

import contextlib
import os
import sys
from collections.abc import Iterator

from mopo_tf2.errors import InputError


@contextlib.contextmanager
def silent_stderr() -> Iterator[None]:
    """Drop what the block writes to standard error, by C++ libraries too."""
    sys.stderr.flush()
    stderr = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        sys.stderr.flush()
        os.dup2(stderr, 2)
        os.close(stderr)
        os.close(nowhere)


def use_device(device: str = "auto", *, tf32: bool = False, threads: int | None = None) -> None:
    """Load TensorFlow and choose the device. Call it before anything is computed.

    Args:
        device: "auto" (a GPU if TensorFlow sees one), "cpu" or "gpu".
        tf32: let a GPU round the factors of matrix products to 10 bits of mantissa. Off by
            default, for parity; has no effect on a CPU.
        threads: CPU threads that TensorFlow may use; None: all.

    Raises:
        InputError: if ``device`` is "gpu" and TensorFlow sees none.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with silent_stderr():
        # While loading, TensorFlow reports missing CUDA drivers whatever the log level.
        import tensorflow as tf

        gpus = tf.config.list_physical_devices("GPU")
    if threads is not None:
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(threads)
    tf.config.experimental.enable_tensor_float_32_execution(tf32)
    if device == "cpu":
        tf.config.set_visible_devices([], "GPU")
    elif device == "gpu" and not gpus:
        raise InputError(
            "--device gpu: TensorFlow sees no GPU here; install the extra mopo-tf2[gpu], or use "
            "--device cpu."
        )

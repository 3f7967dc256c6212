"""Where TensorFlow computes, and how."""

import os
import sys

from mopo_tf2.errors import InputError


def use_device(device: str = "auto") -> None:
    """Load TensorFlow and choose the device; TF32 stays off, as parity demands.

    Args:
        device: "auto" (a GPU if TensorFlow sees one), "cpu" or "gpu".

    Raises:
        InputError: if "gpu" is asked for and TensorFlow sees none.
    """
    sys.stderr.flush()
    stderr = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        # TensorFlow writes of missing CUDA drivers past every log level while it is loaded.
        import tensorflow as tf

        gpus = tf.config.list_physical_devices("GPU")
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)
        os.close(nowhere)
    tf.config.experimental.enable_tensor_float_32_execution(False)
    if device == "cpu":
        tf.config.set_visible_devices([], "GPU")
    elif device == "gpu" and not gpus:
        raise InputError(
            "--device gpu: TensorFlow sees no GPU here; install the extra mopo-tf2[gpu], or use "
            "--device cpu."
        )

"""Where TensorFlow computes, and how."""

import tensorflow as tf

from mopo_tf2.errors import InputError


def use_device(device: str) -> None:
    """Choose the device before anything is computed; TF32 stays off, as parity demands.

    Args:
        device: "auto" (a GPU if TensorFlow sees one), "cpu" or "gpu".

    Raises:
        InputError: if "gpu" is asked for and TensorFlow sees none.
    """
    tf.config.experimental.enable_tensor_float_32_execution(False)
    gpus = tf.config.list_physical_devices("GPU")
    if device == "cpu":
        tf.config.set_visible_devices([], "GPU")
    elif device == "gpu" and not gpus:
        raise InputError(
            "--device gpu: TensorFlow sees no GPU here; install the extra mopo-tf2[gpu], or use "
            "--device cpu."
        )

"""A fresh TensorFlow session and the random streams of a case."""

import numpy as np
import tensorflow as tf

from .settings import ARGUMENTS, SEED


def session():
    """Start a TF1 graph and session anew, with fixed seed and threads; it becomes Keras's."""
    tf.reset_default_graph()
    tf.keras.backend.clear_session()
    tf.set_random_seed(SEED)
    s = tf.Session(
        config=tf.ConfigProto(
            inter_op_parallelism_threads=ARGUMENTS.threads,
            intra_op_parallelism_threads=ARGUMENTS.threads,
        )
    )
    tf.keras.backend.set_session(s)
    return s


def rng(offset=0):
    """Return the stream number ``offset`` of this set; ``--seed`` changes every one of them."""
    return np.random.RandomState(1000 * SEED + offset)

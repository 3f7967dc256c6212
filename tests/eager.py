"""Compiled functions run eagerly: for tests of what does not depend on compilation.

A compiled block takes seconds to build and microseconds to run; tests that make an object of every
method would do nothing but compile.
"""

import contextlib
from collections.abc import Iterator

import tensorflow as tf


@contextlib.contextmanager
def eagerly() -> Iterator[None]:
    """Run ``tf.function`` as plain Python within the block."""
    tf.config.run_functions_eagerly(True)
    try:
        yield
    finally:
        tf.config.run_functions_eagerly(False)

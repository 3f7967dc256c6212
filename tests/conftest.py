"""Settings that must be in place before any test imports TensorFlow."""

import contextlib
import os
import sys
from collections.abc import Iterator

import pytest

# Set, not setdefault: a test's numbers must not depend on the caller's shell.
os.environ["TF_DETERMINISTIC_OPS"] = "1"
# TF32 is on by default and keeps ten bits of the mantissa: this turns it off in the CUDA
# libraries, whenever TensorFlow is imported.
os.environ["NVIDIA_TF32_OVERRIDE"] = "0"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

# Absent where only the comparison with d4rl runs (make test-d4rl).
with contextlib.suppress(ImportError):
    import hypothesis

    # No deadline: a loaded machine is no failure. Derandomized: the same examples every run.
    hypothesis.settings.register_profile("mopo-tf2", deadline=None, derandomize=True)
    hypothesis.settings.load_profile("mopo-tf2")


def pytest_runtest_setup() -> None:
    """Turn TF32 off in TensorFlow too, without importing it for tests that do not need it."""
    tensorflow = sys.modules.get("tensorflow")
    if tensorflow is not None:
        tensorflow.config.experimental.enable_tensor_float_32_execution(False)


@pytest.fixture
def eager() -> Iterator[None]:
    """Run the test without compilation."""
    from tests.eager import eagerly

    with eagerly():
        yield

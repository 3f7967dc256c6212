"""Tiny datasets and one tiny run, shared by all tests of a worker. Neither may be changed."""

from pathlib import Path

import pytest

from tests.experiments.tiny_runs import mopo, train_arguments, write_random_dataset

EPOCHS = 5


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small dataset of HalfCheetah's sizes."""
    return write_random_dataset(tmp_path_factory.mktemp("data") / "random.hdf5")


@pytest.fixture(scope="session")
def few_rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """So few rows that training without compilation takes a second or two."""
    return write_random_dataset(tmp_path_factory.mktemp("data") / "few.hdf5", rows=120)


@pytest.fixture(scope="session")
def tiny_run(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of five epochs that nothing disturbed."""
    out = tmp_path_factory.mktemp("runs") / "whole"
    answer = mopo(*train_arguments(data, out, epochs=EPOCHS))
    assert answer.code == 0, answer.err
    return out

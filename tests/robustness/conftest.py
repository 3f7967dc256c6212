"""One small run for the tests of this folder."""

from pathlib import Path

import pytest

from tests.eager import eagerly
from tests.experiments.tiny_runs import method_words, mopo, write_random_dataset

ROWS = 120


def tiny_arguments(data: Path, out: Path, *settings: str, epochs: int = 2) -> list[str | Path]:
    """Return the arguments of a tiny run of MOPO; ``settings`` take the place of its own."""
    own = {setting.partition("=")[0] for setting in settings}
    words = method_words("mopo", data, out, epochs)
    return [*(word for word in words if str(word).partition("=")[0] not in own), *settings]


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of two epochs with everything that a run folder holds; do not change it."""
    folder = tmp_path_factory.mktemp("fuzz")
    data = write_random_dataset(folder / "data.hdf5", ROWS)
    with eagerly():
        answer = mopo(*tiny_arguments(data, folder / "run"))
    assert answer.code == 0, answer.err
    return folder / "run"

"""The demo, much shorter."""

from pathlib import Path

import pytest

from experiments.commands import demo
from experiments.run_folder import RunFolder
from tests.eager import eagerly
from tests.experiments.tiny_runs import mopo, refused, settings_words

SHORT = dict(setting.split("=") for setting in settings_words("mopo", 2))


def test_the_demo_shows_the_policy_beside_the_data_it_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(demo, "_STEPS", 1100)
    monkeypatch.setattr(demo, "_SHORTER", SHORT)
    for _ in range(2):  # A former demo is made anew.
        with eagerly():
            answer = mopo("demo", "--out", tmp_path / "demo")
        assert answer.code == 0, answer.err
    folder = RunFolder(tmp_path / "demo")
    assert folder.is_finished(2)
    assert folder.spec.dataset == str(tmp_path / "demo" / "random.hdf5")
    assert (folder.path / "curves.png").stat().st_size > 10_000
    assert "the data: return -" in answer.out
    assert "mopo-tf2 train halfcheetah_random --dataset" in answer.out


def test_the_demo_removes_nothing_but_a_former_demo(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("data")
    assert "former demo" in refused("demo", "--out", tmp_path)
    assert (tmp_path / "precious").exists()

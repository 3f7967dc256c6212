"""Films of episodes, drawn in a process of their own."""

import os
from pathlib import Path

import imageio.v3 as imageio
import numpy as np
import pytest

from experiments import film as films
from experiments.film import GRAPHICS, film, keep_graphics_for_films
from mopo_tf2.errors import InputError

ACTIONS = np.zeros((5, 6), np.float32)


def test_an_episode_becomes_a_film(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "episode.mp4"
    for choice in ("egl", "osmesa"):
        monkeypatch.setattr(films, "_graphics", [choice])
        try:
            assert film("halfcheetah", "d4rl", seed=0, actions=ACTIONS, out=out) == 6
        except InputError:
            continue
        frames = imageio.imread(out)
        assert len(frames) == 6
        assert frames.std() > 1.0
        return
    pytest.skip("nothing here draws: neither egl nor osmesa")


def test_what_cannot_be_drawn_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot draw none_such"):
        film("none_such", "d4rl", seed=0, actions=ACTIONS, out=tmp_path / "episode.mp4")
    assert list(tmp_path.iterdir()) == []


def test_the_choice_of_graphics_leaves_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(films, "_graphics", [])
    monkeypatch.setenv(GRAPHICS, "osmesa")
    keep_graphics_for_films()
    assert GRAPHICS not in os.environ
    assert films._graphics == ["osmesa"]

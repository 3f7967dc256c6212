"""Films of episodes, drawn in a process of their own."""

import os

import imageio.v3 as imageio
import numpy as np
import pytest

from experiments.film import extend_floor, film, set_graphics_aside
from mopo_tf2.errors import InputError
from mopo_tf2.evaluation.environments import make_environment

ACTIONS = np.zeros((5, 6), np.float32)
EPISODE = {"environment": "halfcheetah", "physics": "d4rl", "reset_seed": 0}


@pytest.mark.parametrize("suffix", [".mp4", ".gif"])
def test_an_episode_becomes_a_film(tmp_path, monkeypatch, suffix):
    out = tmp_path / f"episode{suffix}"
    for graphics in ("egl", "osmesa"):
        monkeypatch.setenv("MUJOCO_GL", graphics)
        set_graphics_aside()
        assert "MUJOCO_GL" not in os.environ
        try:
            assert film(EPISODE, ACTIONS, out) == 6
        except InputError:
            continue
        frames = imageio.imread(out)
        assert len(frames) == 6
        assert frames.std() > 1.0
        return
    pytest.skip("nothing here draws: neither egl nor osmesa")


def test_what_cannot_be_drawn_is_refused_and_leaves_nothing(tmp_path):
    with pytest.raises(InputError, match="cannot draw none_such"):
        film({**EPISODE, "environment": "none_such"}, ACTIONS, tmp_path / "episode.mp4")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("task", ["halfcheetah", "hopper", "ant"])
def test_the_floor_has_no_end_and_keeps_the_size_of_its_tiles(task):
    model = make_environment(task).unwrapped.model
    (floor,) = np.flatnonzero(model.geom_type == 0)
    material = model.geom_matid[floor]
    tiles_per_metre = model.mat_texrepeat[material] / (2.0 * model.geom_size[floor, :2])
    extend_floor(model)
    np.testing.assert_array_equal(model.geom_size[floor, :2], 0.0)
    np.testing.assert_allclose(model.mat_texrepeat[material], tiles_per_metre, rtol=1e-6)

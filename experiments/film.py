"""An episode as a film, drawn in a process without TensorFlow."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import imageio.v3 as imageio
import numpy as np
import numpy.typing as npt

from .files import replacing
from mopo_tf2.errors import InputError

FRAMES_PER_SECOND = 30
GRAPHICS = "MUJOCO_GL"
"""Environment variable by which MuJoCo chooses what draws; it is read when MuJoCo is imported."""
_graphics: list[str] = []


def keep_graphics_for_films() -> None:
    """Take the choice of graphics out of this process, for the one that draws.

    MuJoCo would load the graphics stack when it is imported, and with Mesa's the LLVM that crashes
    TensorFlow's compiler. To be called before that.
    """
    if GRAPHICS in os.environ:
        _graphics[:] = [os.environ.pop(GRAPHICS)]


def film(task: str, physics: str, *, seed: int, actions: npt.NDArray[Any], out: Path) -> int:
    """Repeat an episode and write it as a film; return the number of frames.

    Args:
        task: see ``make_environment``.
        physics: likewise.
        seed: of the reset.
        actions: [T, A], as the environment takes them.
        out: .mp4 or .gif; written whole or not at all.

    Raises:
        InputError: if it cannot be drawn.
    """
    environment = {**os.environ, **({GRAPHICS: _graphics[0]} if _graphics else {})}
    with tempfile.TemporaryDirectory() as folder, replacing(out) as temporary:
        order = Path(folder, "order.npz")
        words = {"task": task, "physics": physics, "seed": seed, "suffix": out.suffix.lower()}
        np.savez(order, actions=actions, words=json.dumps({**words, "out": str(temporary)}))
        command = [sys.executable, "-m", "mopo_tf2.experiments.film", str(order)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            reason = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
            raise InputError(
                f"cannot draw {task}: {reason}. On a machine without a screen install libegl1 and "
                "set MUJOCO_GL=egl, or libosmesa6 and MUJOCO_GL=osmesa."
            )
    return len(actions) + 1


def main(order: Path) -> None:
    """Draw what the file ``order`` of ``film`` asks for."""
    from mopo_tf2.evaluation.environments import make_environment  # imports MuJoCo

    with np.load(order, allow_pickle=False) as file:
        actions, words = file["actions"], json.loads(str(file["words"]))
    environment = make_environment(words["task"], physics=words["physics"], render_mode="rgb_array")
    _follow(environment.unwrapped)
    environment.reset(seed=words["seed"])
    frames: list[Any] = [environment.render()]
    for action in actions:
        environment.step(action)
        frames.append(environment.render())
    imageio.imwrite(
        words["out"], np.stack(frames), extension=words["suffix"], fps=FRAMES_PER_SECOND
    )


def _follow(environment: Any) -> None:
    """Draw by the camera that goes along with the body, where the task has one.

    Gymnasium's own choice stays where the episode begins, and a runner is out of sight in a second.
    """
    renderer = getattr(environment, "mujoco_renderer", None)
    if renderer is not None:
        import mujoco

        camera = mujoco.mj_name2id(environment.model, mujoco.mjtObj.mjOBJ_CAMERA, "track")
        if camera != -1:
            renderer.camera_id = camera


if __name__ == "__main__":
    main(Path(sys.argv[1]))

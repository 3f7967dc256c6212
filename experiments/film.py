"""An episode as a film, drawn in a process without TensorFlow."""

import io
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mopo_tf2.errors import InputError
from mopo_tf2.files import replacing

SUFFIXES = (".mp4", ".gif")
_SET_ASIDE = "MOPO_TF2_GRAPHICS"


def set_graphics_aside() -> None:
    """Keep MUJOCO_GL, the choice of what draws, for the process that draws.

    Elsewhere MuJoCo would load Mesa's LLVM, which crashes TensorFlow's compiler. Call this before
    MuJoCo is loaded.
    """
    if chosen := os.environ.pop("MUJOCO_GL", None):
        os.environ[_SET_ASIDE] = chosen


def film(episode: Mapping[str, Any], actions: npt.NDArray[Any], out: Path) -> int:
    """Repeat an episode and write it as a film, whole or not at all; return the number of frames.

    Args:
        episode: a result of ``evaluation.evaluate_run``; of it "environment" and "physics" as for
            ``make_environment``, and "reset_seed".
        actions: [T, A], as the environment takes them.
        out: .mp4 or .gif.

    Raises:
        InputError: if it cannot be drawn.
    """
    graphics = os.environ.get(_SET_ASIDE)
    environment = {**os.environ, **({"MUJOCO_GL": graphics} if graphics else {})}
    with replacing(out) as temporary:
        order = io.BytesIO()
        repeated = {name: episode[name] for name in ("environment", "physics", "reset_seed")}
        np.savez(order, actions=actions, out=str(temporary), **repeated)
        command = [sys.executable, "-m", "mopo_tf2.experiments.film"]
        done = subprocess.run(command, env=environment, input=order.getvalue(), capture_output=True)
        if done.returncode:
            said = done.stderr.decode(errors="replace").strip() or f"exit code {done.returncode}"
            raise InputError(
                f"cannot draw {episode['environment']}: {said.splitlines()[-1].rstrip('.')}. Where "
                "there is no screen set MUJOCO_GL=egl (needs libegl1) or osmesa (libosmesa6)."
            )
    return len(actions) + 1


def main() -> None:
    """Draw what ``film`` writes to standard input."""
    import imageio.v3 as imageio
    import mujoco

    from mopo_tf2.evaluation.environments import make_environment

    order = dict(np.load(io.BytesIO(sys.stdin.buffer.read()), allow_pickle=False))
    task, physics = str(order["environment"]), str(order["physics"])
    environment = make_environment(task, physics=physics, render_mode="rgb_array")
    renderer: Any = getattr(environment.unwrapped, "mujoco_renderer", None)
    if renderer is not None:  # its own camera stays where the episode begins
        camera = mujoco.mjtObj.mjOBJ_CAMERA
        renderer.camera_id = mujoco.mj_name2id(renderer.model, camera, "track")
        extend_floor(renderer.model)
    environment.reset(seed=int(order["reset_seed"]))
    frames: list[Any] = [environment.render()]
    for action in order["actions"]:
        environment.step(action)
        frames.append(environment.render())
    imageio.imwrite(str(order["out"]), np.stack(frames), fps=30)


def extend_floor(model: Any) -> None:
    """Draw the planes of a MuJoCo model without end; Gymnasium's end after 40 m at most."""
    for plane in np.flatnonzero(model.geom_type == 0):  # mjGEOM_PLANE
        size, material = model.geom_size[plane, :2], model.geom_matid[plane]
        if material != -1 and size.all():  # an endless plane repeats its texture per metre
            model.mat_texrepeat[material] /= 2.0 * size
        size[:] = 0.0


if __name__ == "__main__":
    main()

"""The simulated tasks from given states."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from mopo_tf2.evaluation.environments import make_environment

from ..comparison import Comparison, compare
from ..recording import Recording
from ..registry import Case

TASKS = {"antangle": "ant"}
"""Names of the port's tasks where the original's module has another."""

FIRST_STEPS = 10
"""Of the open-loop stretch: contacts amplify every rounding from step to step."""


def _replay(recording: Recording) -> Iterator[Comparison]:
    for name in recording.prefixes("open_loop/obs"):
        environment: Any = make_environment(TASKS.get(name, name))
        try:
            environment.reset(seed=0)
            yield from _model(recording, name, environment)
            yield from _single_steps(recording, name, environment)
            yield from _open_loop(recording, name, environment)
        finally:
            environment.close()


def _model(recording: Recording, name: str, environment: Any) -> Iterator[Comparison]:
    model = environment.model
    for array in ("body_mass", "body_inertia", "body_ipos"):
        ours = np.asarray(getattr(model, array))
        yield compare(recording, f"{name}/model/{array}", ours, "float64", "masses and inertias")
    group = "time between steps"
    timestep, frame_skip = float(model.opt.timestep), np.int64(environment.frame_skip)
    yield compare(recording, f"{name}/model/timestep", timestep, "exact", group)
    yield compare(recording, f"{name}/model/frame_skip", frame_skip, "exact", group)


def _set_state(environment: Any, qpos: np.ndarray, qvel: np.ndarray) -> None:
    environment.set_state(qpos, qvel)
    environment.data.qacc_warmstart[:] = 0.0


def _single_steps(recording: Recording, name: str, environment: Any) -> Iterator[Comparison]:
    states = (recording[f"{name}/{array}"] for array in ("qpos", "qvel", "action"))
    steps = []
    for qpos, qvel, action in zip(*states, strict=True):
        _set_state(environment, qpos, qvel)
        steps.append(environment.step(action)[:3])
    observations, rewards, done = (np.array(column) for column in zip(*steps, strict=True))
    group = "single steps"
    yield compare(recording, f"{name}/next_obs", observations, "simulator", group)
    yield compare(recording, f"{name}/reward", rewards, "simulator", f"{group}: rewards")
    yield compare(recording, f"{name}/done", done, "exact", f"{group}: terminals")


def _open_loop(recording: Recording, name: str, environment: Any) -> Iterator[Comparison]:
    prefix = f"{name}/open_loop"
    _set_state(environment, recording[f"{prefix}/qpos"], recording[f"{prefix}/qvel"])
    steps = [environment.step(action)[:2] for action in recording[f"{prefix}/actions"]]
    for array, column in zip(("obs", "reward"), zip(*steps, strict=True), strict=True):
        ours = np.array(column)
        first = np.arange(len(ours)) < FIRST_STEPS
        for rows, rung, group in (
            (first, "simulator", f"open loop, first {FIRST_STEPS} steps"),
            (~first, "open_loop", "open loop, further steps"),
        ):
            yield compare(recording, f"{prefix}/{array}", ours, rung, group, rows=rows)


CASES = [
    Case(
        name="environment_steps",
        replay=_replay,
        inputs=(
            "*/qpos",
            "*/qvel",
            "*/action",
            "*/open_loop/actions",
        ),
        compared=(
            "*/next_obs",
            "*/reward",
            "*/done",
            "*/open_loop/obs",
            "*/model/*",
        ),
    )
]

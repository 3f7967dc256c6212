"""The ensemble at given weights: predictions, losses, gradients, Adam steps."""

from collections.abc import Iterator

import numpy as np

from mopo_tf2.dynamics.snapshots import select_elites
from mopo_tf2.dynamics.training import EnsembleTrainer

from ..comparison import Comparison, compare
from ..loading import (
    ENSEMBLE_ARRAYS,
    below,
    build_ensemble,
    compare_ensemble,
    load_ensemble,
    recorded_ensemble,
)
from ..recording import Recording
from ..registry import Case

VALIDATION_ROWS = 300
"""The recorder validates on the first rows of the inputs."""


def _replay(recording: Recording) -> Iterator[Comparison]:
    initial = recorded_ensemble(recording, "initial")
    ensemble = build_ensemble(
        initial,
        num_networks=recording.integer("num_networks"),
        num_elites=recording.integer("num_elites"),
        hidden_dim=recording.integer("hidden_dim"),
        separate_mean_var=bool(recording["separate_mean_var"]),
        deterministic=bool(recording["deterministic"]),
    )
    yield from load_ensemble(ensemble, initial, "initial")
    decays = np.array(ensemble.weight_decays, np.float32)
    yield compare(recording, "weight_decays", decays, "exact", "weight decays")
    trainer = EnsembleTrainer(ensemble)
    yield from _predictions(recording, trainer)
    yield from _losses(recording, trainer)
    yield from _gradients(recording, trainer)
    yield from _steps(recording, trainer, initial)


def _first_batch(recording: Recording) -> tuple[np.ndarray, np.ndarray]:
    rows = recording["batch_indices"][0]
    return recording["inputs"][rows], recording["targets"][rows]


def _predictions(recording: Recording, trainer: EnsembleTrainer) -> Iterator[Comparison]:
    inputs, _ = _first_batch(recording)
    for name, batch in (("predict_2d_factored", inputs[0]), ("predict_3d", inputs)):
        mean, variance = trainer.ensemble.predict(batch)
        yield compare(recording, f"{name}/mean", mean.numpy(), "forward", "predicted mean")
        yield compare(recording, f"{name}/var", variance.numpy(), "variance", "predicted variance")


def _losses(recording: Recording, trainer: EnsembleTrainer) -> Iterator[Comparison]:
    inputs, targets = _first_batch(recording)
    ensemble = trainer.ensemble
    objective = ensemble.objective(inputs, targets).numpy()
    yield compare(recording, "train_loss", objective, "loss", "objective")
    squared_error = ensemble.squared_error(inputs, targets).numpy()
    yield compare(recording, "mse_loss", squared_error, "loss", "squared error")
    losses = trainer.holdout_losses(
        recording["inputs"][:VALIDATION_ROWS], recording["targets"][:VALIDATION_ROWS]
    )
    elites = select_elites(losses, recording.integer("num_elites"))
    validation = losses[elites].mean()
    yield compare(recording, "validate", validation, "loss", "hold-out loss of the elites")


def _gradients(recording: Recording, trainer: EnsembleTrainer) -> Iterator[Comparison]:
    if not any(name.startswith("gradients/") for name in recording):
        return
    variables = trainer.ensemble.named_variables()
    trained = [name for name in variables if not name.startswith("scaler/")]
    gradients = trainer.gradients(*_first_batch(recording))
    for name, gradient in zip(trained, gradients, strict=True):
        # The recorder writes zeros for what the objective does not depend on.
        values = np.zeros(variables[name].shape, np.float32) if gradient is None else gradient
        bounds = name.endswith("logvar")
        rung = "gradient_of_bounds" if bounds else "gradient"
        group = "gradients: log-variance bounds" if bounds else "gradients"
        yield compare(recording, f"gradients/{name}", np.asarray(values), rung, group)


def _steps(
    recording: Recording, trainer: EnsembleTrainer, initial: dict[str, np.ndarray]
) -> Iterator[Comparison]:
    """Step by step for the losses on the way, then all steps in one compiled call."""
    indices = recording["batch_indices"]
    inputs, targets = recording["inputs"][indices], recording["targets"][indices]
    fresh = [variable.numpy() for variable in trainer.optimizer.variables]
    objectives, squared_errors = [], []
    for k in range(len(indices)):
        objectives.append(trainer.ensemble.objective(inputs[k], targets[k]).numpy())
        squared_errors.append(trainer.ensemble.squared_error(inputs[k], targets[k]).numpy())
        trainer.steps(inputs[k : k + 1], targets[k : k + 1])
        if k == 0 and "after_1_step/max_logvar" in recording:
            yield from compare_ensemble(
                recording, "after_1_step", trainer.ensemble, "adam_steps", "weights after 1 step"
            )
    group = "losses before each step"
    yield compare(recording, "step_train_losses", np.array(objectives), "loss_on_the_way", group)
    yield compare(recording, "step_mse_losses", np.array(squared_errors), "loss_on_the_way", group)
    for name, variable in trainer.ensemble.named_variables().items():
        variable.assign(initial[name])
    for variable, value in zip(trainer.optimizer.variables, fresh, strict=True):
        variable.assign(value)
    trainer.steps(inputs, targets)
    prefix = f"after_{len(indices)}_steps"
    group = f"weights after {len(indices)} steps"
    yield from compare_ensemble(recording, prefix, trainer.ensemble, "adam_steps", group)


CASES = [
    Case(
        name=name,
        replay=_replay,
        inputs=(
            *below("initial", ENSEMBLE_ARRAYS),
            "inputs",
            "targets",
            "batch_indices",
            "separate_mean_var",
            "deterministic",
            "hidden_dim",
            "num_networks",
            "num_elites",
        ),
        compared=(
            "weight_decays",
            "predict_2d_factored/*",
            "predict_3d/*",
            "train_loss",
            "mse_loss",
            "validate",
            "gradients/*",
            "after_*_step/*",
            "after_*_steps/*",
            "step_train_losses",
            "step_mse_losses",
        ),
        not_compared={
            "predict_2d/*": "mean and total variance over the members: no run needs them (Q-17); "
            "the members themselves are compared (predict_2d_factored)",
        },
    )
    for name in ("bnn_joint_head", "bnn_separate_head", "bnn_deterministic", "bnn_full_size")
]

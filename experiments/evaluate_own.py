"""A run's policy without a simulator: in the learned model, and by fitted-Q evaluation."""

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from .exports import MODEL_FILE, SavedPolicy, load_model, load_policy
from .run_parts import load_data
from .run_spec import RunSpec, read_spec
from mopo_tf2.algorithms.fitted_q import FittedQEstimate, fitted_q_evaluation
from mopo_tf2.algorithms.model_evaluation import evaluate_in_model, model_return_statistics
from mopo_tf2.config import MOPOConfig
from mopo_tf2.configs.fitted_q import FittedQConfig
from mopo_tf2.configs.own import IN_THE_MODEL
from mopo_tf2.data.datasets import Dataset, load_dataset
from mopo_tf2.data.table_columns import columns_file, require_unit_actions
from mopo_tf2.dynamics.ensemble import GaussianEnsemble
from mopo_tf2.dynamics.model_env import ModelEnvironment
from mopo_tf2.dynamics.termination import find_termination_fn
from mopo_tf2.errors import InputError

_ROWS = 1_000


def evaluate_without_simulator(run: Path, episodes: int, seed: int) -> str:
    """Return what model and data say of a run's policy, as text.

    Args:
        run: folder of the run, whose data must still be where they were.
        episodes: in the model.
        seed: of start states, noise, critics.

    Raises:
        InputError: if the run or its data cannot be read.
        DivergenceError: if fitted-Q evaluation diverges.
    """
    saved, spec = load_policy(run), read_spec(run / "config.json")
    dataset = load_data(spec, None)
    return "\n".join(
        [
            f"policy of epoch {saved.metadata['epoch']}; no simulator: nothing here is a return of "
            "the real process.",
            *_changed(run, dataset),
            *_in_the_model(run, spec, saved, dataset, episodes, seed),
            *_fitted_q(saved, dataset, FittedQConfig(discount=discount_of(spec)), seed),
        ]
    )


def fitted_q_of_run(run: Path, dataset: str | None, settings: Mapping[str, Any], seed: int) -> str:
    """Return the fitted-Q evaluation of a run's policy, as text.

    Args:
        run: folder of the run.
        dataset: data other than the run's own, or None.
        settings: fields of ``FittedQConfig`` that the user set; the discount is the run's own
            otherwise.
        seed: of initial weights and batches.

    Raises:
        InputError: if the run or the data cannot be read, or do not fit each other.
        DivergenceError: if the values run away.
    """
    saved, spec = load_policy(run), read_spec(run / "config.json")
    config = FittedQConfig(**{"discount": discount_of(spec), **settings})
    data = load_dataset(
        dataset or spec.dataset,
        next_observations=spec.algorithm.next_observations,  # type: ignore[arg-type]
        obs_dim=saved.metadata["obs_dim"],
        act_dim=saved.metadata["act_dim"],
        max_size=spec.algorithm.pool_max_size,
    )
    _require_same_bounds(run, data)
    changed = [] if dataset else _changed(run, data)
    return "\n".join([*changed, *_fitted_q(saved, data, config, seed)])


def _require_same_bounds(run: Path, data: Dataset) -> None:
    """Refuse data whose -1 and 1 mean something else than those of the run."""
    trained = _recorded(run).get("action_bounds")
    given = dataclasses.asdict(data.action_bounds) if data.action_bounds else None
    if trained is not None and (
        given is None or any(list(given[key]) != list(trained[key]) for key in given)
    ):
        raise InputError(
            f"{data.path}: the run was trained with action_low {trained['low']} and action_high "
            f"{trained['high']}; write the same into {columns_file(data.path or Path(data.name))}."
        )
    if given is None:
        require_unit_actions(data.transitions.actions, source=str(data.path))


def _recorded(run: Path) -> dict[str, Any]:
    """Return what the run recorded of its data."""
    content = json.loads((run / "config.json").read_text(encoding="utf-8"))
    recorded: dict[str, Any] = content.get("recorded", {}).get("dataset", {})
    return recorded


def _changed(run: Path, dataset: Dataset) -> list[str]:
    """Say so if the data are not those that the run was trained on."""
    before = _recorded(run).get("sha256")
    if before in (None, dataset.sha256):
        return []
    return [f"note: {dataset.path} is not the file of the training any more (its hash differs)."]


def _in_the_model(
    run: Path, spec: RunSpec, saved: SavedPolicy, dataset: Dataset, episodes: int, seed: int
) -> list[str]:
    config = spec.algorithm
    if not isinstance(config, MOPOConfig) or not (run / MODEL_FILE).is_file():
        return [f"{spec.method} has no model of its own to evaluate in."]
    transitions = dataset.transitions
    ensemble = GaussianEnsemble(
        transitions.observations.shape[1], transitions.actions.shape[1], config.ensemble
    )
    load_model(run, ensemble)
    environment = ModelEnvironment(
        ensemble,
        find_termination_fn(spec.termination),
        penalty_coeff=config.penalty_coeff,
        penalty_learned_var=config.penalty_learned_var,
        chunk_size=episodes,
    )
    horizon = config.model_eval_horizon or config.max_path_length
    result = evaluate_in_model(
        environment,
        saved.acting(episodes, seed),
        transitions,
        episodes=episodes,
        horizon=horizon,
        seed=seed,
    )
    values = {
        name.removeprefix("model_evaluation/"): value
        for name, value in model_return_statistics(result).items()
    }
    return [
        f"{IN_THE_MODEL} ({episodes} episodes of at most {horizon} steps from starts of the data, "
        f"seed {seed}):",
        f"  return {values['return-average']:.4g} +- {values['return-std']:.4g} "
        f"(min {values['return-min']:.4g}, max {values['return-max']:.4g}), penalised "
        f"{values['penalized-return-average']:.4g}",
        f"  episode length {values['episode-length-avg']:.1f} (min "
        f"{values['episode-length-min']:.0f}, max {values['episode-length-max']:.0f})",
    ]


def _fitted_q(saved: SavedPolicy, dataset: Dataset, config: FittedQConfig, seed: int) -> list[str]:
    columns = (TextColumn("fitted-Q evaluation"), BarColumn(), TimeRemainingColumn())
    with Progress(*columns, transient=True) as bar:
        task = bar.add_task("", total=config.steps)
        estimate = fitted_q_evaluation(
            dataset.transitions,
            saved.acting(_ROWS, seed),
            config,
            seed=seed,
            on_step=lambda done, total: bar.update(task, completed=done),
        )
    return _estimate_lines(estimate, dataset, seed)


def _estimate_lines(estimate: FittedQEstimate, dataset: Dataset, seed: int) -> list[str]:
    config, values = estimate.config, estimate.values
    return [
        f"fitted-Q evaluation, no simulator ({len(dataset.transitions.rewards):,} rows of "
        f"{dataset.name}, {config.steps:,} steps, seed {seed}):",
        f"  discounted return {estimate.mean:.4g} (gamma {config.discount:g}, no horizon; "
        f"{config.num_critics} critics from {values.min():.4g} to {values.max():.4g}), mean over "
        f"{estimate.starts:,} starts",
        f"  moved by {estimate.drift:+.2g} in the last tenth of the steps; Bellman error "
        f"{estimate.bellman_error:.2g}; the data's own episodes, as far as they go: "
        f"{estimate.logged_return:.4g}",
    ]


def discount_of(spec: RunSpec) -> float:
    """Return the discount that a run's policy was trained for; 0.99 if its method has none."""
    sac = getattr(spec.algorithm, "sac", None)
    value = getattr(sac if sac is not None else spec.algorithm, "discount", 0.99)
    return float(value)

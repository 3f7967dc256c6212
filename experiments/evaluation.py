"""What a run's policy is worth: in its environment, or by its model and its data alone."""

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mopo_tf2.config import MOPOConfig
from mopo_tf2.config_fields import require
from mopo_tf2.configs.fitted_q import FittedQConfig
from mopo_tf2.configs.memory import ENVIRONMENT_BYTES
from mopo_tf2.configs.own import IN_THE_MODEL, NO_ENVIRONMENT
from mopo_tf2.data.catalog import scores_of_task, why_no_score
from mopo_tf2.data.datasets import Dataset, load_dataset
from mopo_tf2.data.table_columns import columns_file, require_unit_actions
from mopo_tf2.device import use_device
from mopo_tf2.errors import DivergenceError
from mopo_tf2.evaluation.environments import make_environment
from mopo_tf2.evaluation.episodes import evaluation_seeds, rescale_actions, run_episodes
from mopo_tf2.evaluation.metrics import normalized_score, return_statistics
from mopo_tf2.memory import require_memory
from mopo_tf2.types import FloatArray

from .display import number, steps
from .run_folder import RunFolder, put_model
from .run_spec import require_named

if TYPE_CHECKING:
    from mopo_tf2.dynamics.model_env import ModelEnvironment

Numbers = dict[str, Any]
_SCORE = "evaluation/normalized-score"


def evaluate_run(
    run: Path, episodes: int, seed: int, named: Mapping[str, str | None] | None = None
) -> tuple[Numbers, FloatArray]:
    """Evaluate a policy in its environment; without one, by its model and its data.

    Each episode has a reset seed of its own, made of ``seed``; without a simulator ``seed`` is that
    of start states, noise and critics. ``named`` holds the code of the run that the user knows of,
    see ``require_named``.

    Returns:
        A result for ``text`` and ``to_json``, with metrics by their names in progress.csv, and the
        actions [T, A] of the first episode as the environment takes them, for a film.

    Raises:
        InputError: if the run has no policy, or its data cannot be read.
        DivergenceError: if actions are not finite, or fitted-Q evaluation diverges.

    Original: examples/development/simulate_policy.py:simulate_policy
    """
    folder = RunFolder(run)
    about = folder.policy_metadata()
    task, physics, horizon = about["environment"], about["physics"], about["max_path_length"]
    named = named or {}
    require_named({"environment": task}, named, run)
    if task == NO_ENVIRONMENT:
        if folder.has_model:
            require_named({"termination": folder.spec.termination}, named, run)
        return fitted_q_of_run(run, None, {}, seed, episodes=episodes), np.zeros((0, 0))
    require_memory(episodes * ENVIRONMENT_BYTES, f"--episodes {episodes}", "give fewer")
    environments = [make_environment(task, physics=physics) for _ in range(episodes)]
    seeds, actions = evaluation_seeds(seed, 0, episodes), list[FloatArray]()
    use_device()
    act = folder.load_policy()[0].acting(episodes, seed)

    def policy(observations: FloatArray) -> FloatArray:
        actions.append(act(observations))
        return actions[-1]

    try:
        with steps("evaluating", horizon) as report:
            result = run_episodes(
                *(policy, environments, seeds),
                max_path_length=horizon,
                on_step=lambda done, _: report(done),
            )
    except FloatingPointError as error:
        raise DivergenceError(str(error)) from error
    numbers = {"run": str(run), "epoch": about.get("epoch", "unknown"), "seed": seed}
    physics = "own" if ":" in task else physics
    numbers |= {"environment": task, "physics": physics}
    numbers |= {"episodes": episodes, "max_path_length": horizon, **return_statistics(result)}
    numbers |= _score(numbers["evaluation/return-average"], task, horizon, physics)
    numbers |= {**result._asdict(), "reset_seed": seeds[0], "reset_seeds": seeds}
    space: Any = environments[0].action_space
    first = np.array([rows[0] for rows in actions[: result.lengths[0]]])
    return numbers, rescale_actions(first, space.low, space.high)


def _score(mean: float, task: str, horizon: int, physics: str) -> Numbers:
    why = why_no_score(task, horizon, physics)
    score = normalized_score(mean, *scores_of_task(task, horizon, physics))
    return {_SCORE: score, "note": f"no normalized score: {why}" if why else ""}


def fitted_q_of_run(
    run: Path, dataset: str | None, settings: Mapping[str, Any], seed: int, *, episodes: int = 0
) -> Numbers:
    """Estimate a run's policy by fitted-Q evaluation; return a result for ``text``, ``to_json``.

    Args:
        run: folder of the run.
        dataset: data other than the run's own, or None.
        settings: fields of ``FittedQConfig`` that are not its defaults; the discount is by default
            the one that the policy was trained for.
        seed: of initial weights and batches.
        episodes: in the learned model, if there is one; 0: do not evaluate there.

    Raises:
        InputError: if the run or the data cannot be read, or do not fit each other.
        DivergenceError: if the values run away.
    """
    folder = RunFolder(run)
    about, spec = folder.policy_metadata(), folder.spec
    config = FittedQConfig(**{"discount": spec.algorithm.policy_discount, **settings})
    data, changed = data_of_run(folder, dataset)
    numbers = {"run": str(run), "epoch": about.get("epoch", "unknown"), "seed": seed}
    use_device()
    from mopo_tf2.algorithms.fitted_q import fitted_q_evaluation  # after the errors of input

    if episodes:
        numbers |= {"method": spec.method, "episodes": episodes}
        numbers["model"] = _in_the_model(folder, data, episodes, seed)
    with steps("fitted-Q evaluation", config.steps) as report:
        found = fitted_q_evaluation(
            *(data.transitions, folder.load_policy()[0].acting(1_000, seed), config),
            seed=seed,
            on_step=lambda done, _: report(done),
        )
    numbers |= {"dataset": str(data.path or data.name), "rows": len(data.transitions.rewards)}
    numbers |= {"dataset_changed": changed, "mean": found.mean, "drift": found.drift}
    return {**numbers, **dataclasses.asdict(found)}


def data_of_run(folder: RunFolder, dataset: str | None) -> tuple[Dataset, bool]:
    """Return a run's data, or other data of its task, and whether its own have changed since.

    Args:
        folder: the run; it has a policy.
        dataset: data other than the run's own, or None.

    Raises:
        InputError: if the run or the data cannot be read, or do not fit each other.
    """
    about, spec = folder.policy_metadata(), folder.spec
    data = load_dataset(
        dataset or spec.dataset,
        next_observations=spec.algorithm.next_observations,  # type: ignore[arg-type]
        obs_dim=about["obs_dim"],
        act_dim=about["act_dim"],
        max_size=spec.algorithm.pool_max_size,
    )
    recorded = folder.recorded.get("dataset", {})
    _require_same_bounds(recorded.get("action_bounds"), data)
    return data, not dataset and recorded.get("sha256") not in (None, data.sha256)


def _require_same_bounds(trained: Mapping[str, Any] | None, data: Dataset) -> None:
    """Refuse data whose -1 and 1 mean something else than those of the run."""
    source, bounds = data.path or Path(data.name), data.action_bounds
    given = json.loads(json.dumps(bounds and dataclasses.asdict(bounds)))
    if trained is None and given is None:
        require_unit_actions(data.transitions.actions, source=str(source))
    words = ", ".join(f"action_{name} {value}" for name, value in (trained or {}).items())
    advice = f"write the same into {columns_file(source)}"
    require(trained in (None, given), f"{source}: the run was trained with {words}; {advice}.")


def _in_the_model(folder: RunFolder, data: Dataset, episodes: int, seed: int) -> Numbers | None:
    from mopo_tf2.algorithms.model_evaluation import evaluate_in_model, model_return_statistics

    config, (policy, _) = folder.spec.algorithm, folder.load_policy()
    if not isinstance(config, MOPOConfig) or not folder.has_model:
        return None
    environment, _ = model_of_run(folder, config.penalty_coeff, episodes)
    horizon = config.model_eval_horizon or config.max_path_length
    args = environment, policy.acting(episodes, seed), data.transitions
    result = evaluate_in_model(*args, episodes=episodes, horizon=horizon, seed=seed)
    return {"horizon": horizon, **model_return_statistics(result)}


def model_of_run(
    folder: RunFolder, penalty_coeff: float, chunk_size: int
) -> "tuple[ModelEnvironment, float]":
    """Return a run's model with the given penalty, and its hold-out loss, nan if unknown.

    InputError as ``put_model``. The run is one of MOPO or its variants.
    """
    from mopo_tf2.dynamics.ensemble import GaussianEnsemble
    from mopo_tf2.dynamics.model_env import ModelEnvironment
    from mopo_tf2.dynamics.termination import find_termination_fn

    config: Any = folder.spec.algorithm
    about = folder.policy_metadata()
    ensemble = GaussianEnsemble(about["obs_dim"], about["act_dim"], config.ensemble)
    loss = put_model(folder, ensemble)
    environment = ModelEnvironment(
        *(ensemble, find_termination_fn(folder.spec.termination)),
        penalty_coeff=penalty_coeff,
        penalty_learned_var=config.penalty_learned_var,
        chunk_size=chunk_size,
    )
    return environment, loss


def to_json(numbers: Numbers) -> str:
    """Return a result as a JSON object; what is not finite is null."""
    raw = json.dumps(numbers, default=lambda value: np.asarray(value).tolist())
    return json.dumps(json.loads(raw, parse_constant=lambda _: None), indent=2)


def text(numbers: Numbers) -> str:
    """Return a result as text."""
    if "environment" not in numbers:
        return _offline_text(numbers)
    score = numbers["note"] or f"normalized score {numbers[_SCORE]:.2f}"
    return (
        f"{numbers['environment']} ({numbers['physics']} physics), policy of epoch "
        f"{numbers['epoch']}, {numbers['episodes']} episodes, seed {numbers['seed']}\n"
        f"return {_spread(numbers, 'evaluation/return', 'average')}\n"
        f"episode length {_spread(numbers, 'evaluation/episode-length', 'avg')}\n{score}"
    )


def _spread(numbers: Numbers, name: str, mean: str) -> str:
    parts = (number(numbers[f"{name}-{part}"]) for part in (mean, "std", "min", "max"))
    return "{} +- {} (min {}, max {})".format(*parts)


def _offline_text(found: Numbers) -> str:
    model, config, values = found.get("model"), found["config"], found["values"]
    policy = f"policy of epoch {found['epoch']}, seed {found['seed']}"
    lines = [f"{policy}; no simulator: nothing here is a return of the real process."]
    if found["dataset_changed"]:
        lines.append(f"note: {found['dataset']} has changed since the training (other hash).")
    if model:
        count = f"{found['episodes']} episodes of at most {model['horizon']} steps"
        lines.append(f"{IN_THE_MODEL} ({count} from starts of the data):")
        penalized = number(model["model_evaluation/penalized-return-average"])
        spread = _spread(model, "model_evaluation/return", "average")
        lines.append(f"  return {spread}, penalized {penalized}")
        lines.append(f"  episode length {_spread(model, 'model_evaluation/episode-length', 'avg')}")
    elif "model" in found:
        lines.append(f"{found['method']} keeps no model that its policy could be evaluated in.")
    spread = f"{len(values)} critics from {number(values.min())} to {number(values.max())}"
    data = f"{found['rows']:,} rows of {found['dataset']}, {config['steps']:,} steps"
    lines += [
        f"fitted-Q evaluation ({data}, {found['starts']:,} starts):",
        f"  discounted return {number(found['mean'])} (gamma {config['discount']:g}; {spread})",
        f"  changed by {found['drift']:+.2g} in the last tenth of the steps",
        f"  Bellman error {found['bellman_error']:.2g}; logged: {number(found['logged_return'])}",
    ]
    return "\n".join(lines)

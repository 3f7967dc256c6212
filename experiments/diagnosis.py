"""Whether a run's model is to be trusted: what is measured on a run, as numbers and as text."""

import contextlib
import dataclasses
import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from mopo_tf2.config import MOPOConfig
from mopo_tf2.config_fields import require
from mopo_tf2.configs.methods import TITLES
from mopo_tf2.data.datasets import Dataset
from mopo_tf2.data.replay_pool import pool_of
from mopo_tf2.data.starts import episode_starts, rows_left
from mopo_tf2.device import use_device
from mopo_tf2.errors import InputError
from mopo_tf2.evaluation import calibration
from mopo_tf2.evaluation.data_distance import DataDistance
from mopo_tf2.evaluation.environments import make_environment
from mopo_tf2.evaluation.model_advice import Findings, advice
from mopo_tf2.evaluation.simulator import Simulator
from mopo_tf2.types import FloatArray, Transitions

from .display import number, steps
from .evaluation import Numbers, data_of_run, model_of_run
from .run_folder import RunFolder
from .run_spec import CODE_FIELDS, RunSpec, require_named

if TYPE_CHECKING:
    from mopo_tf2.algorithms.model_diagnosis import CheckedRows, PolicyRollouts
    from mopo_tf2.dynamics.model_env import ModelEnvironment

_CHUNK = 2_500
_LEAST_HORIZON = 10
_STRETCHES = 30  # Fewer do not make a quantile.
_SIMULATED = 200  # Rollouts that the simulator follows.
OUTSIDE = 0.99
"""Farther from the data than this share of its own rows are from each other is outside."""
_PIT_BINS = 10
_SAME_LOSS = 1e-3  # Relative; sums in another order.
_QUANTILES = (0.5, 0.9)


class Rows(NamedTuple):
    """The rows on which a model is checked: ``chosen`` of ``data``, which is in order of time."""

    data: Transitions
    chosen: np.ndarray
    source: str
    trained_on: bool
    training: np.ndarray  # Rows of the run's own data that the model was trained on.


class Subject(NamedTuple):
    """A run and what its model is compared with."""

    folder: RunFolder
    config: MOPOConfig
    about: dict[str, Any]
    model: "ModelEnvironment"  # Its penalty is u itself.
    own: Transitions
    rows: Rows
    names: list[str]
    stds: FloatArray  # [1 + O] of the run's data, nan where they are constant.


def diagnose_run(
    run: Path,
    data: str | None = None,
    *,
    rows: int = 1_000,
    seed: int = 0,
    named: Mapping[str, str | None] | None = None,
) -> Numbers:
    """Measure a run's model and policy; return a result for ``text``, ``to_json`` and the picture.

    Args:
        run: folder of a run of MOPO, MBPO or a variant.
        data: data other than the run's; None: the rows that its training held out.
        rows: largest number of rows, of stretches and of rollouts.
        seed: of the choice of rows, samples, noise and bootstraps.
        named: code of the run that the user knows of, see ``require_named``.

    Raises:
        InputError: if the run has no ensemble of Gaussian networks, or it or the data cannot be
            read, or do not fit each other.
    """
    random_state = np.random.RandomState(seed)
    subject, dataset, changed = _subject(RunFolder(run), data, rows, random_state, named or {})
    folder, config, chosen = subject.folder, subject.config, subject.rows
    horizon = max(2 * config.rollout_length, _LEAST_HORIZON)
    from mopo_tf2.algorithms.model_diagnosis import check_rows  # after the errors of input

    checked = check_rows(subject.model, _take(chosen.data, chosen.chosen))
    numbers: Numbers = {"run": str(run), "method": folder.spec.method, "seed": seed}
    numbers |= {"epoch": subject.about.get("epoch", "unknown"), "dataset": dataset.name}
    numbers |= {"dataset_changed": changed, "rows": len(chosen.chosen), "source": chosen.source}
    numbers |= {"trained_on": chosen.trained_on, "rollout_length": config.rollout_length}
    numbers |= {"penalty_coeff": config.penalty_coeff, "names": subject.names}
    numbers["learned_std"] = config.penalty_learned_var
    numbers["calibration"] = _calibration(subject, checked)
    numbers["open_loop"] = _open_loop(subject, horizon, rows, random_state)
    numbers["penalty"] = _penalty_on_rows(subject, checked, random_state)
    numbers["policy"] = None
    if numbers["epoch"] != 0:
        numbers["policy"] = _policy(subject, horizon, rows, random_state, numbers)
    numbers["advice"] = advice(findings(numbers))
    return numbers


def _subject(
    folder: RunFolder,
    data: str | None,
    count: int,
    random_state: np.random.RandomState,
    named: Mapping[str, str | None],
) -> tuple[Subject, Dataset, bool]:
    """Load everything that is compared; return also the data that are checked."""
    spec = folder.spec
    config = require_gaussian_model(folder)
    about = folder.policy_metadata()
    require_named({name: getattr(spec, name) for name in CODE_FIELDS}, named, folder.path)
    dataset, changed = data_of_run(folder, None)
    own: Transitions = pool_of(dataset.transitions, config.pool_max_size).stored()
    other = data_of_run(folder, data)[0] if data else None
    use_device()
    model, loss = model_of_run(folder, 1.0, _CHUNK)
    rows = _rows_to_check(folder, model, own, math.nan if changed else loss)
    if other is not None:
        every = random_state.permutation(len(other.transitions.rewards))
        rows = Rows(other.transitions, every, f"of {data}", False, rows.training)
    rows = rows._replace(chosen=rows.chosen[:count])
    columns = dataset.columns
    observations = columns.observations if columns else map(str, range(about["obs_dim"]))
    names = [columns.rewards if columns else "reward", *observations]
    stds = np.concatenate([own.rewards, own.observations], axis=1).std(axis=0, dtype=np.float64)
    stds = np.where(stds > 0.0, stds, np.nan)
    subject = Subject(folder, config, about, model, own, rows, names, stds)
    return subject, other or dataset, changed


def require_gaussian_model(folder: RunFolder) -> MOPOConfig:
    """Return the configuration of a run whose model is an ensemble of Gaussian networks.

    Raises:
        InputError: if the run has another model or none, or cannot be read.
    """
    spec = folder.spec
    config = spec.algorithm
    if not isinstance(config, MOPOConfig):
        raise InputError(
            f"diagnose looks at an ensemble of Gaussian networks, and {folder} is a run of "
            f"{TITLES[spec.method]}, which has none: give a run of MOPO, MBPO or a variant."
        )
    require(
        not config.ensemble.deterministic,
        f"the model of {folder} predicts no standard deviations (deterministic = True): train one "
        "without that setting.",
    )
    return config


def _rows_to_check(
    folder: RunFolder, model: "ModelEnvironment", own: Transitions, loss: float
) -> Rows:
    """Return the rows that the training held out, or rows of the training.

    The split is repeated from the seed of the run that trained the model. It is the right one if
    the elites' loss on it is the one that was recorded.
    """
    from mopo_tf2.algorithms.model_diagnosis import check_rows
    from mopo_tf2.dynamics.training import holdout_rows

    total = len(own.rewards)
    with contextlib.suppress(InputError):  # The run that trained the model is gone.
        spec = folder.spec
        while spec.model is not None:
            spec = RunFolder(Path(spec.model)).spec
        if isinstance(spec.algorithm, MOPOConfig):
            split = np.random.RandomState(spec.seed)
            held, kept = holdout_rows(split, total, spec.algorithm.ensemble)
            if len(held) and len(kept):
                found = check_rows(model, _take(own, held)).squared_error()
                if math.isclose(found, loss, rel_tol=_SAME_LOSS):
                    return Rows(own, held, "held out by the training", False, kept)
    every = np.random.RandomState(0).permutation(total)
    return Rows(own, every, "of the training", True, every)


def _take(transitions: Transitions, rows: Any) -> Transitions:
    return Transitions(*(np.asarray(column)[rows] for column in transitions))


# The model on real rows.


def _calibration(subject: Subject, checked: "CheckedRows") -> Numbers:
    from mopo_tf2.algorithms.model_diagnosis import check_rows

    predicted = checked.values, checked.means, checked.stds
    transformed = calibration.probability_integral_transform(*predicted)
    constant = np.isnan(subject.stds)
    bins = np.linspace(0.0, 1.0, _PIT_BINS + 1)
    overfit, rows = math.nan, subject.rows
    if not rows.trained_on:
        training = _take(subject.own, rows.training[: len(rows.chosen)])
        usual = np.median(check_rows(subject.model, training).errors())
        overfit = float(np.median(checked.errors()) / usual) if usual else math.nan
    return {
        "levels": list(calibration.LEVELS),
        "coverage": np.array(
            [
                np.where(constant, np.nan, calibration.coverage(transformed, level))
                for level in calibration.LEVELS
            ]
        ),
        "pit_median": np.where(constant, np.nan, np.median(transformed, axis=0)),
        "pit_histogram": np.array([np.histogram(one, bins)[0] for one in transformed.T]),
        "error_ratio": np.where(constant, np.nan, calibration.error_ratio(*predicted)),
        "penalty_parts": checked.variances / checked.variances.sum(),
        "data_std": subject.stds,
        "binomial_error": [
            calibration.binomial_error(level, len(checked.values)) for level in calibration.LEVELS
        ],
        "overfit": overfit,
    }


def _open_loop(
    subject: Subject, horizon: int, count: int, random_state: np.random.RandomState
) -> Numbers:
    from mopo_tf2.algorithms.model_diagnosis import open_loop

    data, chosen = subject.rows.data, subject.rows.chosen
    left = rows_left(data)
    if (left[chosen] >= horizon).sum() < _STRETCHES:  # Few rows, or short episodes.
        chosen = random_state.permutation(len(left))
        horizon = int(min(horizon, np.sort(left)[::-1][:_STRETCHES][-1]))
    begins = chosen[left[chosen] >= horizon][:count]
    with steps("open loop", horizon, 2) as report:
        found = open_loop(subject.model, data, begins, horizon, random_state, report)
    stds = subject.stds
    errors, coefficient = np.abs(found.errors[:, :, 1:]) / stds[1:], subject.config.penalty_coeff
    overall = np.sqrt(np.nanmean(np.square(errors), axis=2))
    rewards = found.errors[:, :, 0]
    penalized = rewards - coefficient * found.penalties
    varies = np.isfinite(stds[1:])
    return {
        "stretches": len(begins),
        "error": np.quantile(overall, _QUANTILES, axis=1),
        "error_by_column": np.quantile(errors, _QUANTILES, axis=1),
        "covered": found.within[:, :, 1:][:, :, varies].mean(axis=(1, 2)),
        "covered_by_column": found.within.mean(axis=1),
        "reward_error": np.quantile(np.abs(rewards) / stds[0], _QUANTILES, axis=1),
        "penalized_error": np.quantile(penalized / stds[0], _QUANTILES, axis=1),
        "penalized_below": (penalized <= 0.0).mean(axis=1),
    }


def _penalty_on_rows(
    subject: Subject, checked: "CheckedRows", random_state: np.random.RandomState
) -> Numbers:
    """Rank correlation of u with the error on the checked rows, whose noise limits it."""
    rows, errors = subject.rows, checked.errors()
    episodes = np.cumsum(episode_starts(rows.data))[rows.chosen]
    seed = int(random_state.randint(2**31))
    found = calibration.rank_correlation(checked.penalties, errors, episodes, seed=seed)
    drawn = checked.sampled_errors(random_state)
    attainable = calibration.rank_correlation(
        checked.penalties, drawn, episodes, seed=seed, draws=0
    )
    return {
        **{"by": "rows", "pairs": len(errors), "correlation": found._asdict()},
        "attainable": attainable.value,
        "error_on_data": float(np.median(errors)),
        "points": np.stack([checked.penalties, errors]),
    }


# The policy in the model.


def _policy(
    subject: Subject,
    horizon: int,
    count: int,
    random_state: np.random.RandomState,
    numbers: Numbers,
) -> Numbers:
    """Measure rollouts of the policy; with a simulator also the penalty in ``numbers``."""
    from mopo_tf2.algorithms.model_diagnosis import policy_rollouts

    own, config = subject.own, subject.config
    policy = subject.folder.load_policy()[0].acting(min(count, _CHUNK))
    starts = own.observations[random_state.randint(0, len(own.rewards), count)]
    with steps("rollouts of the policy", horizon, 2) as report:
        rollouts = policy_rollouts(subject.model, policy, starts, horizon, random_state, report)
    horizon = int(rollouts.taken.any(axis=1).sum())
    rollouts = rollouts.first(horizon)
    simulator, note = _simulator(subject.folder.spec)
    found: Numbers = {"rollouts": count, "note": note, **_outside(subject, rollouts)}
    if simulator is not None:
        found |= _true_errors(subject, rollouts, simulator, random_state, numbers["penalty"])
    coefficient = config.penalty_coeff
    found["reward"] = np.nanmean(rollouts.rewards, axis=1)
    found["reward_size"] = np.nanmean(np.abs(rollouts.rewards), axis=1)
    found["penalty"] = coefficient * np.nanmean(rollouts.penalties, axis=1)
    found["running"] = rollouts.taken.mean(axis=1)
    found["parts"] = _parts(subject, rollouts, policy)
    return found


def _simulator(spec: RunSpec) -> tuple[Simulator | None, str]:
    """Return the simulator of a run's task, or why there is none."""
    if not spec.has_simulator:
        return None, "no simulator"
    try:
        return Simulator(make_environment(spec.environment, physics=spec.physics)), ""
    except InputError as error:
        return None, str(error)


def _outside(subject: Subject, rollouts: "PolicyRollouts") -> Numbers:
    """Shares of states after each step, and of state-action pairs in it, outside the data."""
    own = _take(subject.own, subject.rows.training)
    rows = _take(subject.rows.data, subject.rows.chosen)
    pairs = np.concatenate([rollouts.observations, rollouts.actions], axis=2)
    found: Numbers = {}
    for name, data, real, visited in (
        ("outside", own.observations, rows.observations, rollouts.next_observations),
        (
            "pairs_outside",
            np.concatenate([own.observations, own.actions], axis=1),
            np.concatenate([rows.observations, rows.actions], axis=1),
            pairs,
        ),
    ):
        distance = DataDistance(data)
        limit = distance.quantile(OUTSIDE)
        # A state that is not a number is as far as can be.
        shares = [
            np.mean(~(distance(states[taken]) <= limit))
            for states, taken in zip(visited, rollouts.taken, strict=True)
        ]
        real_share = math.nan if subject.rows.trained_on else np.mean(distance(real) > limit)
        found |= {name: np.array(shares), f"{name}_real": float(real_share)}
    return found


def _true_errors(
    subject: Subject,
    rollouts: "PolicyRollouts",
    simulator: Simulator,
    random_state: np.random.RandomState,
    penalty: Numbers,
) -> Numbers:
    """Compare the model with the simulator along rollouts; put the correlation into ``penalty``."""
    from mopo_tf2.algorithms.model_diagnosis import distance

    few = rollouts.taken[:, :_SIMULATED]
    finite = few & np.isfinite(rollouts.observations[:, :_SIMULATED]).all(axis=2)
    errors, groups = np.full(few.shape, np.nan), np.tile(np.arange(few.shape[1]), (len(few), 1))
    with steps("simulator", len(few), 2) as report:
        for step, which in enumerate(finite):
            states = rollouts.observations[step, : len(which)][which]
            actions = rollouts.actions[step, : len(which)][which]
            if len(states):
                means = subject.model.predict(states, actions).means
                mean = means[:, subject.model.ensemble.elites, 1:].mean(axis=1)
                reached = simulator.next_observations(states, actions)
                errors[step, which] = distance(mean, reached)
            report(step + 1)
    known = np.isfinite(errors)
    penalties = rollouts.penalties[:, : few.shape[1]][known]
    seed = int(random_state.randint(2**31))
    correlation = calibration.rank_correlation(penalties, errors[known], groups[known], seed=seed)
    penalty |= {"by": "simulator", "pairs": int(known.sum()), "attainable": math.nan}
    penalty |= {"correlation": correlation._asdict()}
    penalty["points"] = np.stack([penalties, errors[known]])
    return {"true_error": np.nanquantile(errors, _QUANTILES, axis=1)}


def _parts(subject: Subject, rollouts: "PolicyRollouts", policy: Any) -> Numbers:
    """Where the discounted reward of the first h steps comes from."""
    from mopo_tf2.algorithms.model_diagnosis import last_values, saved_critics

    config, values, highest = subject.config, None, math.nan
    sac, h = config.sac, min(config.rollout_length, len(rollouts.taken))
    checkpoint = subject.folder.load_checkpoint()
    with contextlib.suppress(KeyError, ValueError):  # Saved by a version with other names.
        if checkpoint is not None:
            arrays, sizes = checkpoint[0], (subject.about["obs_dim"], subject.about["act_dim"])
            critics = saved_critics(arrays, *sizes, sac)
            values = last_values(rollouts, h, policy, critics, _CHUNK) / sac.reward_scale
            rewards = subject.own.rewards
            best = max(float(rewards.max()), 0.0 if subject.own.terminals.any() else -math.inf)
            # Soft values count entropy too, at most that of uniform actions.
            entropy = math.exp(float(arrays["sac/log_alpha"])) * sizes[1] * math.log(2.0)
            highest = (best + entropy / sac.reward_scale) / max(1.0 - sac.discount, 1e-9)
    penalties = config.penalty_coeff * rollouts.penalties
    found = calibration.reward_parts(
        *(rollouts.rewards[:h], penalties[:h], rollouts.taken[:h], values, sac.discount)
    )
    mean = math.nan if values is None else float(values.mean())
    return {
        **{"discount": sac.discount, **found._asdict(), "shares": found.shares},
        **{"value": mean, "highest_value": highest},
    }


# What follows from it.


def findings(numbers: Numbers) -> Findings:
    """Return what the rules of the advice look at, of a result of ``diagnose_run``."""
    calibrated, opened, penalty = (
        numbers[name] for name in ("calibration", "open_loop", "penalty")
    )
    policy, h = numbers["policy"], numbers["rollout_length"]
    found = Findings(
        names=numbers["names"],
        rows=numbers["rows"],
        trained_on=numbers["trained_on"],
        coverage=calibrated["coverage"][calibration.LEVELS.index(0.9)],
        ratios=calibrated["error_ratio"],
        centers=calibrated["pit_median"],
        overfit=calibrated["overfit"],
        penalty_parts=calibrated["penalty_parts"],
        data_stds=calibrated["data_std"],
        rollout_length=h,
        penalty_coeff=numbers["penalty_coeff"],
        learned_std=numbers["learned_std"],
        open_errors=opened["error"][0],
        open_coverage=opened["covered"],
        correlation=calibration.RankCorrelation(**penalty["correlation"]),
        attainable=penalty["attainable"],
    )
    if policy is None:
        return found
    last = min(h, len(policy["reward"])) - 1
    growth = math.nan
    if "true_error" in policy and penalty["error_on_data"]:
        growth = float(policy["true_error"][0][last] / penalty["error_on_data"])
    return dataclasses.replace(
        found,
        outside=float(policy["outside"][last]),
        growth=growth,
        reward_size=float(policy["reward_size"][: last + 1].mean()),
        penalty_size=float(policy["penalty"][: last + 1].mean()),
        value=policy["parts"]["value"],
        highest_value=policy["parts"]["highest_value"],
    )


# As text.


def text(numbers: Numbers) -> str:
    """Return a result of ``diagnose_run`` as tables and one paragraph."""
    h, coefficient = numbers["rollout_length"], numbers["penalty_coeff"]
    lines = [
        f"{numbers['run']}: {TITLES[numbers['method']]}, h = {h}, penalty {coefficient:g}, epoch "
        f"{numbers['epoch']}; checked on {numbers['rows']:,} rows {numbers['source']}."
    ]
    if numbers["dataset_changed"]:
        lines.append("note: the run's data have changed since the training (other hash).")
    lines += ["", *_calibration_lines(numbers), "", *_open_loop_lines(numbers), ""]
    lines += [_penalty_line(numbers["penalty"]), ""]
    lines += _policy_lines(numbers["policy"], h, numbers["penalty"]["error_on_data"])
    return "\n".join([*lines, "", numbers["advice"]])


def _table(columns: Mapping[str, Any], index: Any) -> str:
    frame = pd.DataFrame(columns, index=index)
    shown = frame.map(lambda value: value if isinstance(value, str) else number(value))
    return str(shown.to_string())


def _percent(values: Any) -> list[str]:
    return ["-" if math.isnan(value) else f"{100 * value:.1f} %" for value in values]


def _calibration_lines(numbers: Numbers) -> list[str]:
    found = numbers["calibration"]
    error = 100 * found["binomial_error"][found["levels"].index(0.9)]
    columns = {
        f"in {100 * level:g} %": _percent(shares)
        for level, shares in zip(found["levels"], found["coverage"], strict=True)
    }
    columns |= {
        "median PIT": found["pit_median"],
        "error/std": found["error_ratio"],
        "part of u^2": _percent(found["penalty_parts"]),
    }
    lines = [
        "One step: real values within the central intervals of the elites' mixture "
        f"(standard error at 90 %: {error:.1f} %)",
        _table(columns, numbers["names"]),
    ]
    if math.isfinite(found["overfit"]):
        ratio = found["overfit"]
        lines.append(f"The median error is {ratio:.2f} times that on rows of the training.")
    return lines


def _open_loop_lines(numbers: Numbers) -> list[str]:
    found = numbers["open_loop"]
    horizon = len(found["covered"])
    columns = {
        "error": found["error"][0],
        "error 90 %": found["error"][1],
        "in samples": _percent(found["covered"]),
        "reward": found["reward_error"][0],
        "reward 90 %": found["reward_error"][1],
        "penalized": found["penalized_error"][0],
        "penal. 90 %": found["penalized_error"][1],
        "below real": _percent(found["penalized_below"]),
    }
    title = (
        f"Open loop: {found['stretches']:,} stretches of {horizon} real actions; median and 90 % "
        "of the errors, in standard deviations of the data"
    )
    index = [f"step {step}" for step in range(1, horizon + 1)]
    return [title, _table(columns, index), "Samples of a right model hold 90 % of the real values."]


def _penalty_line(found: Numbers) -> str:
    interval = found["correlation"]
    value = "{value:.2f} [{low:.2f}, {high:.2f}]".format(**interval)
    by = "the simulator's" if found["by"] == "simulator" else "the observed"
    line = f"Penalty u against {by} error: Spearman {value}, {found['pairs']:,} pairs"
    if math.isfinite(found["attainable"]):
        line += f"; {found['attainable']:.2f} if the predicted distributions were right"
    return f"{line}."


def _policy_lines(found: Numbers | None, h: int, error_on_data: float) -> list[str]:
    if found is None:
        return ["The policy is not trained yet: nothing is said of it."]
    columns = {
        "states outside": _percent(found["outside"]),
        "pairs outside": _percent(found["pairs_outside"]),
        "reward": found["reward"],
        "penalty": found["penalty"],
        "running": _percent(found["running"]),
    }
    if "true_error" in found:
        columns |= {"true error": found["true_error"][0], "its 90 %": found["true_error"][1]}
    index = [f"step {step}" for step in range(1, len(found["reward"]) + 1)]
    lines = [f"The policy in the model: {found['rollouts']:,} rollouts from rows of the data"]
    lines.append(_table(columns, index))
    own = found["outside_real"], found["pairs_outside_real"]
    if math.isfinite(own[0]):
        states, pairs = _percent(own)
        lines.append(
            f"Of the checked rows {states} of the states and {pairs} of pairs are outside."
        )
    if "true_error" in found:
        lines.append(f"The median error on the checked rows is {number(error_on_data)}.")
    parts = found["parts"]
    said = ", ".join(
        f"{words} {number(parts[name])} ({_percent([parts['shares'][name]])[0]})"
        for name, words in (
            ("real", "reward"),
            ("penalty", "penalty"),
            ("beyond", f"value beyond step {h}"),
        )
    )
    lines.append(f"Discounted over {h} steps: {said}; total {number(parts['total'])}.")
    return lines

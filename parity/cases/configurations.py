"""The twelve configurations, leaf by leaf of what the original resolves."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from mopo_tf2.config_fields import flatten
from mopo_tf2.configs.d4rl import TASKS, Task, find_task

from ..comparison import Comparison, Finding, NotCompared, compare, compare_values
from ..recording import Recording
from ..registry import Case

VARIANTS = "variants.json"

_KWARGS = "algorithm_params.kwargs."
_SAME_NAME = (
    "deterministic",
    "discount",
    "epoch_length",
    "eval_deterministic",
    "eval_n_episodes",
    "lr",
    "max_model_t",
    "model_retain_epochs",
    "model_train_freq",
    "n_train_repeat",
    "num_elites",
    "num_networks",
    "penalty_coeff",
    "penalty_learned_var",
    "real_ratio",
    "reward_scale",
    "rollout_batch_size",
    "rollout_length",
    "separate_mean_var",
    "target_entropy",
    "target_update_interval",
    "tau",
    "train_every_n_steps",
)
FIELDS = {
    **{_KWARGS + name: name for name in _SAME_NAME},
    "Q_params.kwargs.hidden_layer_sizes": "hidden_layer_sizes",
    "policy_params.kwargs.hidden_layer_sizes": "hidden_layer_sizes",
    "replay_pool_params.kwargs.max_size": "pool_max_size",
    "run_params.checkpoint_frequency": "checkpoint_frequency",
    "sampler_params.kwargs.batch_size": "batch_size",
    "sampler_params.kwargs.max_path_length": "max_path_length",
    "sampler_params.kwargs.min_pool_size": "min_pool_size",
}
"""Leaf of a variant -> field of the port's configuration."""

_ONLY_WAY = "the port knows no other way"
_NAME = "a name or a path of the original's, no setting"
NOT_COMPARED = {
    f"{_KWARGS}action_prior": _ONLY_WAY,
    f"{_KWARGS}reparameterize": _ONLY_WAY,
    f"{_KWARGS}store_extra_policy_info": "for importance weights, which MOPO does not use",
    f"{_KWARGS}eval_render_mode": "pictures are made by the command line",
    f"{_KWARGS}n_initial_exploration_steps": "never taken offline (Q-81)",
    f"{_KWARGS}pool_load_max_size": "ignored by the original for D4RL data (Q-60)",
    "policy_params.kwargs.squash": _ONLY_WAY,
    "run_params.checkpoint_at_end": _ONLY_WAY,
    "run_params.checkpoint_replay_pool": "a dataset does not change, and is loaded again (D-31)",
    "run_params.seed": "given to each run",
    "Q_params.type": _NAME,
    "policy_params.type": _NAME,
    "replay_pool_params.type": _NAME,
    "sampler_params.type": _NAME,
    "algorithm_params.type": _NAME,
    "algorithm_params.exp_name": _NAME,
    "algorithm_params.log_dir": _NAME,
    "algorithm_params.universe": _NAME,
    "environment_params.evaluation.universe": _NAME,
    "environment_params.training.universe": _NAME,
    "environment_params.evaluation.kwargs": "empty",
    "environment_params.training.kwargs": "empty",
}
"""Leaf of a variant -> why it is not compared."""

_DATA = f"{_KWARGS}pool_load_path"


def leaves(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield (dotted name, value) of every leaf; an empty object is one."""
    for name, value in tree.items():
        if isinstance(value, dict) and value:
            yield from leaves(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value


def _replay(recording: Recording) -> Iterator[Finding]:
    variants = json.loads(recording.files[VARIANTS].read_text(encoding="utf-8"))
    names = np.array(sorted(TASKS))
    yield compare(recording, "names", names, "exact", "names of the configurations")
    skipped: dict[str, set[str]] = {}
    for name in sorted(set(variants) & set(TASKS)):
        for leaf, value in leaves(variants[name]):
            if leaf in NOT_COMPARED:
                skipped.setdefault(NOT_COMPARED[leaf], set()).add(leaf)
            else:
                yield _compare_leaf(TASKS[name], name, leaf, value)
    for reason, names_of_leaves in skipped.items():
        yield NotCompared("configurations", tuple(sorted(names_of_leaves)), reason)


def _compare_leaf(task: Task, name: str, leaf: str, value: Any) -> Comparison:
    values = flatten(task.config())
    if leaf in FIELDS:
        ours, group = values[FIELDS[leaf]], leaf.partition(".")[0]
    elif leaf == _DATA:
        # D4RL renamed the mixed sets.
        found = find_task(str(value).removeprefix("d4rl/"))
        return _equal(task.dataset_id, found.dataset_id, "names of domain and dataset", name, leaf)
    elif leaf.endswith(".domain"):
        ours, group = task.domain, "names of domain and dataset"
    elif leaf.endswith(".task"):
        ours, group = task.dataset_id.partition("-")[2], "names of domain and dataset"
    else:
        ours, group = "(none)", "unaccounted leaf"
    return _equal(value, ours, group, name, leaf)


def _equal(recorded: Any, ours: Any, group: str, name: str, leaf: str) -> Comparison:
    """Compare as JSON, in which 50000 is 50000.0 and a tuple a list."""
    texts = [json.dumps(_plain(value)) for value in (recorded, ours)]
    note = "" if texts[0] == texts[1] else f"{texts[1]} where {texts[0]} was recorded"
    label = f"{name}: {leaf}"
    return compare_values(np.array(texts[0]), np.array(texts[1]), "exact", group, label, note=note)


def _plain(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if number else value


CASES = [
    Case(name="variants", replay=_replay, compared=("names",), side_files=VARIANTS),
]

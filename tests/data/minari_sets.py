"""Small Minari datasets, written by Minari itself where that package is installed."""

import json
import warnings

import numpy as np
import pytest
from gymnasium import spaces


def write(dataset_id, observations, actions, episodes, metadata=None):
    """Write a dataset; each episode is observations, actions and whether it ends for good.

    ``metadata`` are set in the dataset's metadata.json, as text if they are a dict.
    """
    minari = pytest.importorskip("minari")
    from minari.data_collector.episode_buffer import EpisodeBuffer
    from minari.storage.datasets_root_dir import get_dataset_path

    buffers = [
        EpisodeBuffer(
            id=number,
            observations=rows,
            actions=list(taken),
            rewards=[float(step) for step in range(len(taken))],
            terminations=[False] * (len(taken) - 1) + [terminal],
            truncations=[False] * (len(taken) - 1) + [not terminal],
        )
        for number, (rows, taken, terminal) in enumerate(episodes)
    ]
    kinds = {"observation_space": observations, "action_space": actions}
    about = dict.fromkeys(
        ("algorithm_name", "code_permalink", "author", "author_email", "description"), "none"
    )
    with warnings.catch_warnings():
        # It names no environment.
        warnings.simplefilter("ignore")
        minari.create_dataset_from_buffers(dataset_id=dataset_id, buffer=buffers, **kinds, **about)
    path = get_dataset_path(dataset_id) / "data" / "metadata.json"
    texts = {k: json.dumps(v) if isinstance(v, dict) else v for k, v in (metadata or {}).items()}
    path.write_text(json.dumps({**json.loads(path.read_text()), **texts}))


def env_spec(name, *, steps=1000, wrappers=(), entry_point="evil:Environment", **arguments):
    """Return a specification as Gymnasium writes it; what it would import does not exist."""
    return {
        "id": name,
        "entry_point": entry_point,
        "reward_threshold": None,
        "nondeterministic": False,
        "max_episode_steps": steps,
        "order_enforce": True,
        "disable_env_checker": False,
        "kwargs": arguments,
        "additional_wrappers": list(wrappers),
        "vector_entry_point": None,
    }


def box(size, bound=np.inf):
    """Return a space of vectors."""
    return spaces.Box(-bound, bound, (size,), np.float64)


def random_episodes(obs_dim, act_dim, *, bound=1.0, rows=120):
    """Return episodes of ten random steps; the last one ends for good."""
    random_state = np.random.RandomState(0)
    return [
        (
            list(random_state.normal(size=(11, obs_dim))),
            random_state.uniform(-bound, bound, size=(10, act_dim)),
            start + 10 >= rows,
        )
        for start in range(0, rows, 10)
    ]

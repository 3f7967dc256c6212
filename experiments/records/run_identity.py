"""What a run is and on which data, from what its folder records."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mopo_tf2.configs.methods import DEFAULT_METHOD, TITLES
from mopo_tf2.data import catalog

UNKNOWN = "unknown"


def method_of(values: Mapping[str, Any]) -> str:
    """Return the method that a run's parameters name; MOPO if none.

    Folders of before there were other methods name none.
    """
    return str(values.get("method") or DEFAULT_METHOD)


def method_title(method: str) -> str:
    """Return a method as tables and legends name it."""
    return TITLES.get(method, method)


def run_identity(config: Mapping[str, Any], params: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of ``RunRecord`` that say what a run is.

    Args:
        config: the content of config.json, empty if there is none.
        params: flat parameters, of this project or of the original, empty likewise.
    """
    if not config and "algorithm_params.type" in params:
        return _original_identity(params)
    recorded = config.get("recorded")
    data = recorded.get("dataset") if isinstance(recorded, dict) else None
    data = data if isinstance(data, dict) else {}
    source = str(config.get("dataset") or params.get("dataset") or UNKNOWN)
    dataset = str(data.get("name") or params.get("dataset") or Path(source).name)
    known = catalog.find(dataset) or catalog.find_by_file_name(dataset)
    return {
        "method": method_of({**params, **config}),
        "config": str(config.get("name") or params.get("config") or UNKNOWN),
        "task": str(config.get("environment") or params.get("task") or UNKNOWN),
        "dataset": dataset,
        "dataset_source": source,
        "dataset_id": known.dataset_id if known else None,
        "dataset_sha256": data.get("sha256"),
        "physics": str(config.get("physics") or params.get("physics") or UNKNOWN),
        "is_original": False,
    }


def _original_identity(params: Mapping[str, Any]) -> dict[str, Any]:
    """The same from the parameters that the TF1 program writes."""
    source = str(params.get("algorithm_params.kwargs.pool_load_path", UNKNOWN))
    dataset = source.removeprefix("d4rl/")
    known = catalog.find(dataset)
    return {
        "method": DEFAULT_METHOD,
        "config": str(params.get("algorithm_params.exp_name", UNKNOWN)),
        "task": str(params.get("algorithm_params.domain", UNKNOWN)).lower(),
        "dataset": dataset,
        "dataset_source": source,
        "dataset_id": known.dataset_id if known else None,
        "dataset_sha256": None,
        "physics": "d4rl",
        "is_original": True,
    }

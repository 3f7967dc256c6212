"""The methods by their names for ``--algorithm``, and conversion between their configurations.

Only configurations are here, so that ``--help`` reads them without TensorFlow; the classes that
train are in ``mopo_tf2.algorithms.registry``, under the same names.
"""

import dataclasses
import difflib
from typing import Any

from mopo_tf2.config import LoopConfig, MOPOConfig, OfflineSACConfig
from mopo_tf2.config_fields import from_dict, parts, to_dict
from mopo_tf2.configs.bc import BCConfig
from mopo_tf2.configs.bcq import BCQConfig
from mopo_tf2.configs.mopo_variants import (
    DisagreementConfig,
    MBPOConfig,
    OneNetworkConfig,
    TruePenaltyConfig,
)
from mopo_tf2.configs.morel import MORELConfig
from mopo_tf2.errors import InputError

DEFAULT_METHOD = "mopo"

METHODS: dict[str, type[LoopConfig]] = {
    "mopo": MOPOConfig,
    "mbpo": MBPOConfig,
    "sac": OfflineSACConfig,
    "bc": BCConfig,
    "bcq": BCQConfig,
    "mopo-disagreement": DisagreementConfig,
    "mopo-one-network": OneNetworkConfig,
    "mopo-true-penalty": TruePenaltyConfig,
    "morel": MORELConfig,
}
"""Configuration class of each method."""

TITLES = {
    "mopo": "MOPO",
    "mbpo": "MBPO",
    "sac": "SAC",
    "bc": "BC",
    "bcq": "BCQ",
    "mopo-disagreement": "MOPO, ens. pen.",
    "mopo-one-network": "MOPO, no ens.",
    "mopo-true-penalty": "MOPO, true pen.",
    "morel": "MOReL",
}
"""Names of the methods in tables and curves, as in the paper."""


def find_method(name: str) -> type[LoopConfig]:
    """Return the configuration class of a method.

    Raises:
        InputError: if there is none; names the nearest.
    """
    if name in METHODS:
        return METHODS[name]
    nearest = difflib.get_close_matches(name.lower(), METHODS, n=1, cutoff=0.5)
    hint = f"did you mean {nearest[0]}?" if nearest else f"there are {', '.join(METHODS)}."
    raise InputError(f"no algorithm '{name}': {hint}")


def convert_config(config: LoopConfig, method: str) -> LoopConfig:
    """Return the configuration of ``method`` for the task and data that ``config`` is for.

    Fields that both configurations have are carried over: plain fields by name, parts (``sac``,
    ``ensemble``) as a whole. The fields that define the method keep their fixed values.

    Raises:
        InputError: if there is no such method, or it needs a value that ``config`` lacks.
    """
    cls = find_method(method)
    if type(config) is cls:
        return config
    present, wanted = parts(type(config)), parts(cls)
    values: dict[str, Any] = {}
    for name, value in to_dict(config).items():
        if name not in {field.name for field in dataclasses.fields(cls)} or name in cls.FIXED:
            continue
        if present.get(name) == wanted.get(name):
            values[name] = value
    for part, part_cls in wanted.items():
        fixed = {
            f.name: cls.FIXED[f.name] for f in dataclasses.fields(part_cls) if f.name in cls.FIXED
        }
        if fixed:
            values[part] = {**values.get(part, {}), **fixed}
    return from_dict(cls, values)

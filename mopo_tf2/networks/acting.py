"""What evaluation and export need of a policy, whatever method trained it."""

from typing import Any, ClassVar, Protocol, Self

import numpy as np

from mopo_tf2.types import PolicyFn


class ExportablePolicy(Protocol):
    """A policy that acts on the host and can be written to a file and read back.

    Attributes:
        kind: names the class in exported files.
    """

    kind: ClassVar[str]

    def exported(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Return weights by name, and plain metadata with at least ``obs_dim`` and ``act_dim``."""

    @classmethod
    def from_exported(cls, arrays: dict[str, np.ndarray], metadata: dict[str, Any]) -> Self:
        """Return the policy that ``exported`` described.

        Raises:
            KeyError: if an array or an entry is missing.
            ValueError: if one has another shape.
        """

    def acting(self, rows: int, seed: int) -> PolicyFn:
        """Return the policy as evaluation runs it: a host function [B, O] -> [B, A] in [-1, 1].

        It sees the weights as they are when it is called, and is compiled for ``rows`` at a time.

        Args:
            rows: episodes that run in lockstep.
            seed: of whatever the policy draws; a deterministic one ignores it.
        """

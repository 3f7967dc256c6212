"""What a case is, the list of all cases, and the account of every recorded array."""

import dataclasses
import fnmatch
import importlib
from collections.abc import Callable, Iterable, Iterator, Mapping

from .comparison import Finding
from .recording import Recording

_MODULES = (
    "layers",
    "ensemble",
    "training",
    "training_spread",
    "saved_files",
    "termination",
    "model_env",
    "rollouts",
    "policy",
    "sac",
    "pools",
    "sources",
    "epoch",
    "environments",
    "configurations",
    "bcq",
    "morel",
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Case:
    """One recorded case and how it is replayed.

    Attributes:
        name: of the recording.
        replay: yields one finding per compared array.
        inputs: patterns (as of a shell; ``*`` also matches ``/``) of the arrays that the replay is
            given. Each of them must be read.
        compared: patterns of the arrays that must be compared.
        not_compared: pattern -> reason, for arrays that are neither.
        side_files: how the names of its side files start; None if it has none.
        part: folder of the recording set that holds it; "" for the set itself. A set without this
            folder is complete without the case.
    """

    name: str
    replay: Callable[[Recording], Iterator[Finding]]
    inputs: tuple[str, ...] = ()
    compared: tuple[str, ...] = ()
    not_compared: Mapping[str, str] = dataclasses.field(default_factory=dict)
    side_files: str | None = None
    part: str = ""

    def kinds_of(self, array: str) -> list[str]:
        """Return which of "input", "compared", "not compared" the array is declared as."""
        declared = {
            "input": self.inputs,
            "compared": self.compared,
            "not compared": tuple(self.not_compared),
        }
        return [kind for kind, patterns in declared.items() if matches(array, patterns)]


def matches(array: str, patterns: Iterable[str]) -> bool:
    """Return whether the name of an array fits any of the patterns."""
    return any(fnmatch.fnmatchcase(array, pattern) for pattern in patterns)


def all_cases() -> dict[str, Case]:
    """Return every case by name. Imports TensorFlow."""
    modules = [importlib.import_module(f".cases.{name}", __package__) for name in _MODULES]
    return {case.name: case for module in modules for case in module.CASES}


def unaccounted(case: Case, recording: Recording, seen: set[str]) -> Iterator[tuple[str, str]]:
    """Yield (array, fault) for every array that the case passes over.

    Args:
        case: whose declarations hold.
        recording: after its replay.
        seen: arrays that were compared, or reported as not comparable.
    """
    for array in recording:
        kinds = case.kinds_of(array)
        if not kinds:
            yield array, "unaccounted array: neither input, compared nor declared not compared"
        elif len(kinds) > 1:
            yield array, f"declared as {' and as '.join(kinds)}: choose one"
        elif kinds == ["compared"] and array not in seen:
            yield array, "declared as compared, but the replay did not compare it"
        elif kinds == ["input"] and array not in recording.used:
            yield array, "declared as an input, but the replay did not read it"
        elif kinds == ["not compared"] and array in seen:
            yield array, "declared as not compared, but the replay compares it"

"""The ladder of tolerances. Every comparison of the suite names one of these rungs.

The limits come from what a plain TensorFlow 2 replay of the recordings reaches (README of the
recordings), times ten at most, and are set once for every recording set. Loosening one needs a
measured reason in the same commit.
"""

import dataclasses
from typing import Literal

SMALLEST_P_VALUE = 1e-3
"""Two samples of one law give a smaller p-value once in a thousand tests."""

LEARNING_RATE_OF_SAC = 3e-4


@dataclasses.dataclass(frozen=True)
class Rung:
    """How far a value may be from the recorded one.

    rtol:            relative part of the limit.
    atol:            absolute part of the limit.
    reason:          why this much.
    relative_to:     what ``rtol`` refers to: each recorded "value", or the "array"'s largest one
                     (for sums of terms that cancel, where a value next to 0 has no accuracy of
                     its own).
    exceptions:      share of a group's values that may exceed the limit.
    exception_limit: absolute limit of those.
    """

    rtol: float
    atol: float
    reason: str
    relative_to: Literal["value", "array"] = "value"
    exceptions: float = 0.0
    exception_limit: float = 0.0

    @property
    def limit(self) -> str:
        """The limit in a table's words."""
        if not self.rtol and not self.atol:
            return "equal"
        parts = [f"{self.atol:.0e}"] if self.atol else []
        if self.rtol:
            parts.append(f"{self.rtol:.0e} {'×max' if self.relative_to == 'array' else 'rel'}")
        text = " + ".join(parts).replace("e-0", "e-")
        if self.exceptions:
            share = f"; {self.exceptions:.0%} to {self.exception_limit:.0e}"
            text += share.replace("e-0", "e-")
        return text


_KINKS = (
    "Adam moves a weight whose gradient is next to 0 by the learning rate times the gradient's "
    "rounding, and a ReLU input or a tie of the critics within rounding of 0 may fall to the "
    "other side: few weights, and no more than was seen after 60 steps"
)

LADDER: dict[str, Rung] = {
    "exact": Rung(
        0.0, 0.0, "indices, booleans, counts, configurations, copies, NumPy's random streams"
    ),
    "float64": Rung(1e-12, 0.0, "a few float64 operations on the host, in another order"),
    "op": Rung(1e-6, 2e-7, "one float32 kernel: a few units in the last place"),
    "forward": Rung(
        3e-6, 0.0, "a float32 network: ten times the few 1e-7 of a replay", relative_to="array"
    ),
    "loss": Rung(3e-6, 1e-7, "a float32 sum over a batch: ten times the few 1e-7 of a replay"),
    "gradient": Rung(
        1e-5, 0.0, "float32 sums over batch and layers, back and forth", relative_to="array"
    ),
}

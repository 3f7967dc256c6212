"""Scaling of rewards, so that values have a magnitude that networks learn well."""

import dataclasses
import math

import numpy as np

from mopo_tf2.types import FloatArray, Transitions


@dataclasses.dataclass(frozen=True)
class ValueScale:
    """Units of the critics: value = shift / (1 - discount) + scale * output.

    Rewards become ``(r - shift) / scale``, so a constant reward costs no capacity. The end of a
    task, whose value is 0, has the output ``end_value``. The fixed points stay the same.

    shift:    mean reward of the data, reward units.
    scale:    deviation of the rewards (root mean square if there are terminals, which bounds
              ``end_value``) over sqrt(1 - discount), reward units.
    discount: gamma.
    """

    shift: float
    scale: float
    discount: float

    @classmethod
    def of(cls, transitions: Transitions, discount: float) -> "ValueScale":
        """Return the scale for the rewards of a dataset."""
        rewards = np.asarray(transitions.rewards, np.float64)
        shift, deviation = float(rewards.mean()), float(rewards.std())
        if np.any(transitions.terminals):
            deviation = math.hypot(shift, deviation)
        return cls(shift, (deviation or 1.0) / math.sqrt(1.0 - discount), discount)

    @property
    def end_value(self) -> float:
        """The critics' output for a task that has ended."""
        return -self.shift / (1.0 - self.discount) / self.scale

    def rewards(self, rewards: FloatArray) -> FloatArray:
        """Return rewards in the critics' units, float32."""
        return ((np.asarray(rewards, np.float64) - self.shift) / self.scale).astype(np.float32)

    def values(self, outputs: FloatArray) -> FloatArray:
        """Return outputs of the critics in reward units, float64."""
        return self.shift / (1.0 - self.discount) + self.scale * outputs.astype(np.float64)

"""The ladder of tolerances. Every comparison of the suite names one of these rungs.

The limits come from what a plain TensorFlow 2 replay of the recordings reaches (README of the
recordings), times ten at most, and are set once for every recording set. Loosening one needs a
measured reason in the same commit.
"""

import dataclasses
from typing import Literal

SMALLEST_P_VALUE = 1e-3
"""Two samples of one law give a smaller p-value once in a thousand tests."""


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
            share = f"; {self.exceptions:.1%} to {self.exception_limit:.0e}"
            text += share.replace("e-0", "e-")
        return text


_ADAM = (
    "Adam moves a weight by the learning rate times g / (|g| + 1e-8): where the gradient g is next "
    "to 0, its rounding moves the weight, and a ReLU input within rounding of 0 may fall to the "
    "other side. Few weights, each by a share of a step"
)

_RACE = (
    "the original applies all gradients in one session.run, in which a read can follow a write: "
    "the recorded critics' target saw the temperature after its update, and from step 47 on the "
    "policy's output kernel instead (found by replaying the recorded Q losses with every "
    "combination). The port reads everything on entry (Q-40)"
)

LADDER: dict[str, Rung] = {
    "exact": Rung(
        0.0, 0.0, "indices, booleans, counts, configurations, copies, NumPy's random streams"
    ),
    "float64": Rung(1e-12, 0.0, "a few float64 operations on the host, in another order"),
    "op": Rung(1e-6, 2e-7, "one float32 operation: a few units in the last place"),
    "layer": Rung(
        1e-6, 0.0, "one float32 sum of products, of which terms may cancel", relative_to="array"
    ),
    "forward": Rung(
        3e-6, 0.0, "a float32 network: ten times the few 1e-7 of a replay", relative_to="array"
    ),
    "variance": Rung(
        1e-5, 0.0, "exp of a log-variance of size 10, whose rounding is 1e-6 by itself"
    ),
    "penalty": Rung(
        1e-5, 5e-6, "norms of differences of observations of size 10, each rounded to 1e-6"
    ),
    "log_pi": Rung(3e-6, 1e-6, "a float32 sum over action components: as of a network"),
    "log_pi_of_given": Rung(
        1e-5, 1e-4, "the way back through atanh, divided by a stddev of e^-5 at least"
    ),
    "loss": Rung(3e-6, 1e-7, "a float32 sum over a batch: ten times the few 1e-7 of a replay"),
    "gradient": Rung(
        1e-5, 0.0, "float32 sums over batch and layers, forth and back", relative_to="array"
    ),
    "gradient_of_bounds": Rung(
        1e-4, 0.0, "a sum over all members and rows that nearly cancels", relative_to="array"
    ),
    "adam_steps": Rung(
        3e-7,
        1e-6,
        f"weights after 1 to 20 steps of Adam, the bounds of size 10 included. {_ADAM}",
        exceptions=0.001,
        exception_limit=2e-5,
    ),
    "loss_on_the_way": Rung(
        1e-5, 1e-6, "a loss at weights that are the result of 1 to 20 steps of Adam"
    ),
    "trained": Rung(
        0.0,
        1e-4,
        f"weights after a whole training, some 600 steps: ten times the 1e-5 of a replay. {_ADAM} "
        "(of twelve trainings with weights moved by one unit in the last place, one reached 1e-4)",
        exceptions=0.001,
        exception_limit=1e-3,
    ),
    "trained_loss": Rung(1e-4, 0.0, "a hold-out loss at such weights"),
    "trained_forward": Rung(1e-4, 1e-4, "predictions at such weights", relative_to="array"),
    "pool": Rung(0.0, 2e-5, "up to five model steps in a row: ten times the 2e-6 of a replay"),
    "sac_updates": Rung(
        0.0,
        1e-6,
        f"weights after up to 40 SAC updates: ten times the 1e-7 of a replay. {_ADAM}; ten times "
        f"the 6e-6 of a replay for those. Also, {_RACE}",
        exceptions=0.001,
        exception_limit=6e-5,
    ),
    "sac_many_updates": Rung(
        0.0,
        5e-6,
        "after 60 SAC updates: ten times the 6e-7 of a replay with the original's reads",
    ),
    "critics_after_race": Rung(
        0.0,
        4e-4,
        "critics after steps whose recorded Q loss only the policy's new kernel explains: ten "
        f"times the 4e-5 of a replay, since {_RACE}",
    ),
    "sac_epochs": Rung(
        0.0,
        1e-5,
        "weights after 40 to 120 SAC updates over several epochs: 3e-7 where the original read "
        f"everything on entry, 1.4e-5 where it did not, since {_RACE}. {_ADAM}: single ones by up "
        "to 3e-3 of the largest weight on another set",
        exceptions=0.002,
        exception_limit=1e-3,
    ),
    "first_moment": Rung(
        2e-3, 0.0, f"ten times the 2e-4 that is measured, since {_RACE}; 7e-7 where not", "array"
    ),
    "second_moment": Rung(
        5e-3, 0.0, f"ten times the 5e-4 that is measured, since {_RACE}; 6e-7 where not", "array"
    ),
    "metric": Rung(2e-4, 2e-5, "diagnostics at such weights: ten times what is measured"),
    "sac_actions": Rung(0.0, 2e-4, "actions at such weights: ten times the 2e-5 that is measured"),
    "returns": Rung(
        1e-6, 1e-5, "a sum of up to 60 rewards, which the original takes in float32, and its spread"
    ),
    "recorded_state": Rung(
        0.0,
        2e-4,
        "one simulator step from a state that was recorded in float32: contacts amplify the "
        "rounding to 3e-5",
    ),
    "episode": Rung(
        0.0, 4e-4, "rewards of ten steps that start so: up to 8e-5, amplified by contacts"
    ),
    "recorded_state_reward": Rung(0.0, 5e-6, "its reward: ten times the 4e-7 that is measured"),
    "torch_updates": Rung(
        0.0,
        3e-6,
        "weights after 1 to 50 steps against PyTorch, which sums in another order: four times the "
        f"7e-7 of a replay. {_ADAM}",
        exceptions=0.001,
        exception_limit=6e-5,
    ),
    "model_path": Rung(
        1e-5, 0.0, "up to 20 steps in a row of policy and model, and sums over them", "array"
    ),
    "npg_direction": Rung(
        2e-3,
        0.0,
        "ten conjugate-gradient iterations amplify rounding by up to the condition number, 30: "
        "three times the 6e-4 of a replay",
        "array",
    ),
    "npg_step": Rung(1e-4, 0.0, "length and KL of a step along such a direction: ten times 1e-5"),
    "npg_weights": Rung(0.0, 2e-5, "weights after one or two such steps: five times the 4e-6"),
    "q_mean": Rung(
        2e-5, 0.0, "mean of critics that 1 to 20 updates have moved", relative_to="array"
    ),
    "q_mean_later": Rung(
        1e-2, 0.0, f"ten times the 1e-3 that is measured, since {_RACE}", relative_to="array"
    ),
    "q_loss_later": Rung(
        1e-3, 0.0, "the loss with the reads of its step: ten times the 1.5e-4 that is measured"
    ),
    "simulator": Rung(0.0, 5e-12, "MuJoCo in float64, one step: ten times the 5e-13 of a replay"),
    "open_loop": Rung(
        0.0,
        1e-5,
        "contacts amplify every rounding: 100 steps of the Ant make 2e-7 of a difference of 1e-15",
    ),
}

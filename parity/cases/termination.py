"""Termination functions of twelve domains."""

from collections.abc import Iterator

from mopo_tf2.dynamics.termination import find_termination_fn

from ..comparison import Comparison, compare
from ..recording import Recording
from ..registry import Case


def _replay(recording: Recording) -> Iterator[Comparison]:
    for domain in recording.prefixes("done"):
        done = find_termination_fn(domain)(
            recording[f"{domain}/obs"], recording[f"{domain}/act"], recording[f"{domain}/next_obs"]
        )
        note = ""
        if domain == "pendulum" and done.dtype == bool:
            # D-28: bool in the port; the values are what counts.
            note = "0 and 1 as float64 in the original, bool here (D-28)"
            done = done.astype(recording[f"{domain}/done"].dtype)
        yield compare(recording, f"{domain}/done", done, "exact", domain, note=note)


_REASON = (
    "halfcheetah's reward computed anew sums the squared actions over the whole batch (Q-30): "
    "no configuration asks for it, the port has none"
)

CASES = [
    Case(
        name="termination",
        replay=_replay,
        inputs=("*/obs", "*/act", "*/next_obs"),
        compared=("*/done",),
        not_compared={"*/recomputed_reward": _REASON, "*/rew": "input of recomputed_reward"},
    )
]

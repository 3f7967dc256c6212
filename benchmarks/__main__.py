"""``python -m benchmarks``: measure what is claimed to be fast, on this machine, now."""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from mopo_tf2.device import use_device

from . import PHASES

_DESCRIPTION = """\
Measures the machine's own float32 matrix product and the phases of a full-size training run
(halfcheetah_mixed on the dataset that ships) with the code that trains, after warm-up, as the
median of several repeats. A fraction is the phase's floating-point operations a second divided by
those of the matrix product, measured in the same run. Stop other work first. All phases take about
five minutes on two cores.

  sac         SAC updates, drawing their batches included
  ensemble    gradient steps of the ensemble; shuffles and hold-out evaluations included
  rollout     states of model rollouts; noise, penalty and filling the pool included
  evaluation  steps of the real environment with the policy; raw: without it
  epoch       one whole epoch: 1000 updates, 50,000 rollouts of 5 steps, 10 episodes
  load        a million rows: seconds to load and pair, peak memory of a run on them
"""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--phase", nargs="+", choices=PHASES, default=list(PHASES), help="only these phases"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the numbers there too")
    parser.add_argument(
        "--device", choices=("auto", "cpu", "gpu"), default="auto", help="where to compute"
    )
    parser.add_argument(
        "--tf32", action="store_true", help="let a GPU round matrix products (parity needs it off)"
    )
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmarks that ``arguments`` name; return the exit code."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.json is not None and not options.json.resolve().parent.is_dir():
        parser.error(
            f"--json {options.json}: expected a folder that exists, {options.json.parent}."
        )
    use_device(options.device, tf32=options.tf32)
    # These load TensorFlow, which use_device has to see first.
    from .report import lines, measure_phases

    report = measure_phases(set(options.phase), say=lambda text: print(text, flush=True))
    print("\n".join(lines(report)), flush=True)
    if options.json is not None:
        options.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)

"""``python -m parity``: does the port compute what the TF1 program computed?"""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from mopo_tf2.device import use_device
from mopo_tf2.errors import InputError

RECORDINGS = Path(__file__).with_name("recordings")

_DESCRIPTION = """\
Replays what the original TF1 MOPO and the authors' code of BCQ and MOReL computed, case by case,
through the classes and functions that train, and prints how far the port is from it: per quantity
the number of values, the worst absolute and relative difference, the share of its limit that this
is, and where it is."""

_EPILOG = """\
examples:
  python -m parity                               every case: a few minutes on two cores
  python -m parity --list                        the cases and what they are about
  python -m parity --case sac_updates bnn_train  only these
  python -m parity --recordings DIR --json FILE  another recording set; the table as JSON too

exit code: 0 if everything passed; 1 if something missed, a case is missing, extra or damaged, or
an array is neither compared nor declared; 2 if the call or the folder is unfit.
How to read a miss, and how to record again: parity/README.md."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit code."""
    options = _parser().parse_args(arguments)
    try:
        return _run(options)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m parity",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--recordings",
        type=Path,
        default=RECORDINGS,
        metavar="DIR",
        help="a recording set: manifest.json, one .npz per case, side files (default: the set "
        "that ships with the project)",
    )
    parser.add_argument("--case", nargs="+", metavar="NAME", help="run only these cases")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the table as JSON too")
    parser.add_argument("--list", action="store_true", help="list the cases and run none")
    return parser


def _run(options: argparse.Namespace) -> int:
    # Imported late, so that --help does not wait for TensorFlow.
    from .recording import RecordingSet

    recordings = RecordingSet(options.recordings)
    if options.json is not None and not options.json.absolute().parent.is_dir():
        raise InputError(f"--json {options.json}: its folder does not exist; make it first.")
    _prepare_tensorflow()
    from .registry import all_cases
    from .runner import run_cases
    from .table import print_report, write_json

    cases = all_cases()
    if options.list:
        for name in cases:
            print(f"{name:20} {recordings.about(name)}")
        return 0
    unknown = [name for name in options.case or () if name not in cases]
    if unknown:
        raise InputError(f"no case {', '.join(unknown)}: there are {', '.join(cases)}.")
    names = None if options.case is None else list(dict.fromkeys(options.case))
    console = Console(stderr=True)
    with console.status("Starting") as status:
        report = run_cases(
            recordings, cases, names, lambda name: status.update(f"Replaying {name}")
        )
    print_report(report, sys.stdout)
    if options.json is not None:
        write_json(report, options.json)
    return 0 if report.passed else 1


def _prepare_tensorflow() -> None:
    """Full float32 precision and the same order of sums every time, before the first import."""
    os.environ["TF_DETERMINISTIC_OPS"] = "1"
    os.environ["NVIDIA_TF32_OVERRIDE"] = "0"
    use_device()
    import tensorflow as tf

    # Every case compiles for its own sizes, on purpose: no warnings of retracing.
    tf.get_logger().setLevel("ERROR")


if __name__ == "__main__":
    sys.exit(main())

"""``python -m parity.populations``: do whole training runs follow the original's law?"""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from mopo_tf2.errors import InputError
from mopo_tf2.files import ensure_writable_folder

TASKS = ("hopper_random", "halfcheetah_mixed")

_DESCRIPTION = """\
Compares whole training runs of the port with runs of the original TF1 MOPO, many seeds each, at a
reduced size (64 units, 20 epochs of 250 updates). Every logged signal is tested: the energy
distance between the two sets of curves, with a permutation test over runs, and Holm's correction
over signals."""

_EPILOG = """\
examples:
  python -m parity.populations                             train 16 seeds on both tasks and compare
  python -m parity.populations hopper_random --seeds 4     fewer, on one task
  python -m parity.populations --shipped                   compare the runs that ship; trains none
  python -m parity.populations hopper_random --wrong mean-critics
                                                           is this wrong port told apart?
  python -m parity.populations --list                      the wrong ports

A run takes 15 to 60 seconds of one core. What is trained stays in --out; a second call goes on.

exit code: 0 if no signal differs; 1 if one does; 2 if the call is invalid."""


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
        prog="python -m parity.populations",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("tasks", nargs="*", metavar="TASK", help=f"{' or '.join(TASKS)} (default: both)")
    add("--seeds", type=int, default=16, metavar="N", help="runs a task (default: 16)")
    add(
        "--first-seed",
        type=int,
        default=100,
        metavar="S",
        help="the runs have seeds S, S + 1, ...; the original's are 0 to 15 (default: 100)",
    )
    add(
        "--processes",
        type=int,
        default=os.cpu_count() or 1,
        metavar="N",
        help="runs at a time, each on one thread (default: one per core)",
    )
    add("--out", type=Path, default=Path("populations"), metavar="DIR", help="(populations)")
    add("--shipped", action="store_true", help="compare the port's runs that ship; train none")
    add("--wrong", metavar="NAME", help="train a port that is wrong on purpose")
    add("--list", action="store_true", help="list the wrong ports and train none")
    return parser


def _run(options: argparse.Namespace) -> int:
    tasks = list(dict.fromkeys(options.tasks)) or list(TASKS)
    unknown = [task for task in tasks if task not in TASKS]
    if unknown:
        raise InputError(f"no population of {unknown[0]!r}: there are {', '.join(TASKS)}.")
    for name in ("seeds", "processes"):
        if getattr(options, name) < 1:
            raise InputError(f"--{name} must be positive, got {getattr(options, name)}.")
    if options.wrong is not None or options.list:
        from .wrong_ports import WRONG_PORTS

        if options.list:
            for name, wrong in WRONG_PORTS.items():
                print(f"{name:18} {wrong.about}")
            return 0
        if options.wrong not in WRONG_PORTS:
            raise InputError(f"no wrong port {options.wrong!r}: see --list.")
    results = [_compare(task, options) for task in tasks]
    return 0 if all(results) else 1


def _compare(task: str, options: argparse.Namespace) -> bool:
    """Train unless told not to, print table and verdict; return whether nothing differs."""
    from .files import DATA, ORIGINAL, PORT, read_population
    from .law import compare_populations, table, verdict

    who = options.wrong or PORT
    folder = DATA if options.shipped else ensure_writable_folder(options.out)
    wanted = range(options.first_seed, options.first_seed + options.seeds)
    if not options.shipped:
        _train(folder, task, who, wanted, options)
    original, port = (
        read_population(DATA, task, ORIGINAL),
        read_population(folder, task, who),
    )
    if original is None or port is None:
        raise InputError(f"there is no shipped population of {who} on {task}: leave out --shipped.")
    if not options.shipped:
        port = port.of_seeds(wanted)
    signals = compare_populations(original, port)
    print(f"{task}: {len(original.seeds)} runs of the original, {len(port.seeds)} of {who}")
    print(table(signals))
    print(verdict(signals), end="\n\n")
    return not any(signal.differs for signal in signals)


def _train(
    folder: Path, task: str, who: str, wanted: Sequence[int], options: argparse.Namespace
) -> None:
    """Train the wanted seeds that ``folder`` does not hold yet."""
    from .files import Population, read_population, write_population
    from .training import train_population

    population = read_population(folder, task, who)
    missing = [s for s in wanted if population is None or s not in population.seeds]

    def keep(run: Population) -> None:
        nonlocal population
        population = run if population is None else population.joined(run)
        write_population(folder, task, who, population)
        done = len(set(wanted) & set(population.seeds))
        print(f"{task}: {done} of {len(wanted)} runs of {who}", file=sys.stderr)

    train_population(task, missing, wrong=options.wrong, processes=options.processes, on_run=keep)


if __name__ == "__main__":
    sys.exit(main())

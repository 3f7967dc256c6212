"""``mopo-tf2 diagnose``."""

import argparse
from pathlib import Path
from typing import Any

from mopo_tf2.config_fields import require

from . import add_command, whole

_EPILOG = """reading the answer:
  in 90 %        share of real values in the model's central 90 % intervals. Less than 90 %: the
                 model is too sure, and the penalty, which is made of these deviations, too small.
  error/std      size of the errors in predicted standard deviations; 1 is right.
  in samples     after k steps without looking: share of real values among 19 sampled paths; 90 %
                 is right. Rollouts should not be longer than that holds.
  Spearman       whether the penalty is large where the model errs. Noise limits it: compare it
                 with the value that right distributions would give.
  outside        farther from the data than 99 % of its own rows are from each other.
  true error     of the model in the policy's states, by the simulator. If it grows far above the
                 error on the data, the policy exploits the model.

examples:
  mopo-tf2 diagnose runs/pump
  mopo-tf2 diagnose runs/pump --data held_out.csv --out pages --json
"""


def add_parsers(commands: Any) -> None:
    """Add ``diagnose`` to the parser."""
    add = add_command(commands, diagnose, epilog=_EPILOG).add_argument
    add("run", type=Path, metavar="RUN", help="run folder of MOPO, MBPO or a variant")
    add("--data", "--dataset", metavar="ID|PATH", help="data held out from the training")
    rows = "largest number of rows, stretches and rollouts (1000)"
    add("--rows", type=whole(2), default=1_000, help=rows)
    add("--seed", type=whole(0), default=0, help="of the choice of rows, noise and bootstraps (0)")
    out = "picture, or the folder for diagnosis.png (the run's folder)"
    add("--out", type=Path, metavar="FOLDER|FILE.png", help=out)
    add("--environment", metavar="TASK", help="the run's own task, if it is a module:function")
    help = "the run's own termination function, if it is a module:function"
    add("--termination", metavar="NAME", help=help)
    add("--json", action="store_true", help="print every number as a JSON object")


def diagnose(options: argparse.Namespace) -> int:
    """Tell whether a run's model is to be trusted, and what to change.

    Compares the ensemble's predictions with rows that it was not trained on (those that the
    training held out, or --data), follows real stretches through it, rolls the policy out in it,
    and says in one paragraph what to change: rollout_length, penalty_coeff, more data, or nothing.
    The numbers go to the terminal, the pictures to one PNG.
    """
    from mopo_tf2.files import ensure_writable_folder

    from ..run_spec import CODE_FIELDS

    out = options.run if options.out is None else options.out
    require(out.suffix in ("", ".png") or out.is_dir(), f"--out expects .png, got {out}.")
    picture = out if out.suffix == ".png" else out / "diagnosis.png"
    from ..diagnosis import diagnose_run, require_gaussian_model, text
    from ..evaluation import to_json
    from ..run_folder import RunFolder

    named = {name: getattr(options, name) for name in CODE_FIELDS}
    chosen = {"rows": options.rows, "seed": options.seed, "named": named}
    require_gaussian_model(RunFolder(options.run))
    ensure_writable_folder(picture.parent)
    numbers = diagnose_run(options.run, options.data, **chosen)
    from ..diagnosis_picture import draw_diagnosis

    draw_diagnosis(numbers, picture)
    print(to_json(numbers) if options.json else f"{text(numbers)}\n\n-> {picture}", flush=True)
    return 0

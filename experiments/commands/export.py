"""``mopo-tf2 export``."""

import argparse
from pathlib import Path
from typing import Any

from . import add_command, whole

_FILES = {
    "savedmodel": "policy_savedmodel",
    "onnx": "policy.onnx",
    "litert": "policy.tflite",
    "numpy": "policy.npz",
}
"""Default of --out by format; a SavedModel is a folder."""


def add_parsers(commands: Any) -> None:
    """Add the command to the parser."""
    add = add_command(commands, export).add_argument
    add("run", type=Path, metavar="RUN", help="run folder of any method")
    add("--format", choices=_FILES, required=True, help="of the file")
    help = f"file, or folder of a SavedModel ({', '.join(_FILES.values())})"
    add("--out", type=Path, metavar="PATH", help=help)
    help = "let standard normal latents be a second input: a random policy"
    add("--stochastic", action="store_true", help=help)
    help = "of the latents that BCQ samples its candidates from, without --stochastic (0)"
    add("--seed", type=whole(0), default=0, help=help)


def export(options: argparse.Namespace) -> int:
    """Write a run's policy as a file that needs nothing of this project.

    Input are observations [batch, O] in the columns and units of the run's data, output are actions
    [batch, A] in the units and within the bounds of its actions, float32. The file holds the names
    of the columns, the bounds, and where the policy comes from. docs/deploy.md shows how each
    format is loaded: savedmodel by TensorFlow, onnx by ONNX Runtime, litert (.tflite) by LiteRT,
    numpy (.npz) by NumPy alone.
    """
    from ..export import export_policy, text

    out = options.out or Path(_FILES[options.format])
    how = {"stochastic": options.stochastic, "seed": options.seed}
    print(text(export_policy(options.run, options.format, out, **how), out), flush=True)
    return 0

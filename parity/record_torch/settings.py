"""The call of the recorder; the folders of the authors' code become importable."""

import argparse
import sys
from pathlib import Path

from unittest import mock

import torch

_parser = argparse.ArgumentParser(prog="python -m parity.record_torch", description=__doc__)
_parser.add_argument("out", type=Path, help="folder of the recordings; made if missing")
_parser.add_argument("--bcq", type=Path, required=True, help="checkout of sfujim/BCQ")
_parser.add_argument("--mjrl", type=Path, required=True, help="checkout of aravindr93/mjrl, v2")
_parser.add_argument("--seed", type=int, default=1)
_parser.add_argument("--only", nargs="+", metavar="CASE")
ARGUMENTS = _parser.parse_args()
ORIGINALS = {"sfujim/BCQ": ARGUMENTS.bcq, "aravindr93/mjrl": ARGUMENTS.mjrl}

sys.path[:0] = [str(ARGUMENTS.bcq / "continuous_BCQ"), str(ARGUMENTS.mjrl)]
# mjrl imports a simulator and a plotting library that the recorded parts do not use.
for _name in ("gym", "gym.envs", "gym.envs.registration", "matplotlib", "matplotlib.pyplot"):
    sys.modules[_name] = mock.MagicMock()
for _name in ("mujoco_env", "point_mass", "swimmer", "reacher_sawyer", "peg_insertion_sawyer"):
    sys.modules[f"mjrl.envs.{_name}"] = mock.MagicMock()
torch.set_num_threads(1)

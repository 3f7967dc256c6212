"""The comparison runs only in the virtual environment that build.py makes, with MuJoCo 2.1.0."""

import os
import sys
from pathlib import Path

BINARIES = Path(sys.prefix) / "mujoco210"

collect_ignore = []
if BINARIES.is_dir():
    # mujoco-py looks for these when it is imported, and refuses to go on without.
    os.environ["MUJOCO_PY_MUJOCO_PATH"] = str(BINARIES)
    os.environ["MUJOCO_PY_FORCE_CPU"] = "1"
    os.environ["LD_LIBRARY_PATH"] = str(BINARIES / "bin")
    os.environ["D4RL_SUPPRESS_IMPORT_ERROR"] = "1"
else:
    collect_ignore.append("test_against_d4rl.py")

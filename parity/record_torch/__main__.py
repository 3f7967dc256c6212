"""Record every case, then write the manifest: ``python -m parity.record_torch OUT ...``."""

from .settings import ARGUMENTS, ORIGINALS  # first: it makes the authors' code importable

import hashlib
import json
import platform
import subprocess

import numpy as np
import torch

# Importing a module registers its cases; they are recorded in this order.
from . import bcq, morel
from ..record.registry import CASES, META

OUT = ARGUMENTS.out


def record():
    """Run the cases that were asked for and write each as ``OUT/NAME.npz``."""
    for name, function in CASES.items():
        if ARGUMENTS.only and name not in ARGUMENTS.only:
            continue
        arrays, path = function(), OUT / f"{name}.npz"
        np.savez_compressed(path, **arrays)
        print("RECORDED", name, len(arrays), "arrays", path.stat().st_size // 1024, "KiB")


def commit(folder):
    """Return the commit of a checkout."""
    call = ["git", "-C", str(folder), "rev-parse", "HEAD"]
    return subprocess.check_output(call).decode().strip()


def write_manifest():
    """Write ``OUT/manifest.json``: versions, and source, description and hash of every case."""
    files = {name: OUT / f"{name}.npz" for name in CASES}
    manifest = {
        "originals": {name: commit(folder) for name, folder in ORIGINALS.items()},
        "seed": ARGUMENTS.seed,
        "versions": {
            "python": platform.python_version(),
            "torch": torch.__version__,
            "numpy": np.__version__,
        },
        "session": "CPU, float32, one thread",
        "cases": {
            name: dict(
                META[name],
                file=path.name,
                sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
            )
            for name, path in files.items()
            if path.exists()
        },
        "files": {},
    }
    text = json.dumps(manifest, indent=1, sort_keys=True)
    (OUT / "manifest.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    OUT.mkdir(parents=True, exist_ok=True)
    record()
    write_manifest()

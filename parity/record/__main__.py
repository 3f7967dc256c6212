"""Record every case, then write the manifest: ``python -m parity.record OUT --data DATA``."""

import hashlib
import json
import os
import platform
import subprocess

from .settings import ARGUMENTS, OUT, REPO, SEED  # first: it changes into the original's folder

import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp
import gym
import d4rl.gym_mujoco  # registers the tasks

# Importing a module registers its cases; they are recorded in this order.
from . import (
    layers,
    ensemble,
    training,
    model_checkpoint,
    termination,
    model_env,
    policy,
    pools,
    loaders,
    sac,
    epoch,
    epochs,
    run_checkpoint,
    environments,
    configurations,
)
from .registry import CASES, META


def record():
    """Run the cases that were asked for and write each as ``OUT/NAME.npz``."""
    for n, f in CASES.items():
        if ARGUMENTS.only and n not in ARGUMENTS.only:
            continue
        np.random.seed(SEED)
        arrays = f()
        np.savez_compressed(os.path.join(OUT, n + '.npz'), **arrays)
        print(
            'RECORDED',
            n,
            len(arrays),
            'arrays',
            os.path.getsize(os.path.join(OUT, n + '.npz')) // 1024,
            'KiB',
            flush=True,
        )


def write_manifest():
    """Write ``OUT/manifest.json``: versions, and source, description and hash of every case."""
    sha = subprocess.check_output(['git', '-C', REPO, 'rev-parse', 'HEAD']).decode().strip()
    manifest = {
        'original': {'repository': 'tianheyu927/mopo', 'commit': sha},
        'seed': SEED,
        'versions': {
            'python': platform.python_version(),
            'tensorflow': tf.__version__,
            'tensorflow_probability': tfp.__version__,
            'numpy': np.__version__,
            'gym': gym.__version__,
            'mujoco': '2.1.0',
            'mujoco_py': '2.0.2.13',
        },
        'session': 'CPU, float32, inter-op and intra-op threads: %s'
        % (ARGUMENTS.threads or 'default'),
        'cases': {
            n: dict(
                META[n],
                file=n + '.npz',
                sha256=hashlib.sha256(open(os.path.join(OUT, n + '.npz'), 'rb').read()).hexdigest(),
            )
            for n in CASES
            if os.path.exists(os.path.join(OUT, n + '.npz'))
        },
    }
    side = [
        os.path.relpath(os.path.join(r, f), OUT)
        for r, _, fs in os.walk(OUT)
        for f in fs
        if not f.endswith(('.npz', 'manifest.json', '.md'))
    ]
    manifest['files'] = {
        f: hashlib.sha256(open(os.path.join(OUT, f), 'rb').read()).hexdigest() for f in sorted(side)
    }
    json.dump(manifest, open(os.path.join(OUT, 'manifest.json'), 'w'), indent=1, sort_keys=True)


if __name__ == '__main__':
    record()
    write_manifest()

"""Run the original MOPO end to end: ``python -m parity.record.run_original CONFIG LOG_DIR``.

CONFIG is a module of the original, ``examples.config.d4rl.halfcheetah_mixed``. Writes progress.csv,
one row an epoch with the seconds since the start, and params.json.
"""

import argparse
import csv
import json
import os
import time

parser = argparse.ArgumentParser()
parser.add_argument('config')
parser.add_argument('log_dir')
parser.add_argument('--epochs', type=int, default=2)
parser.add_argument('--seed', type=int, default=0)
parser.add_argument('--kw', type=json.loads, default={})
arguments = parser.parse_args()
log_dir = os.path.abspath(arguments.log_dir)
os.chdir(os.environ['REF'] + '/mopo')
import d4rl.gym_mujoco
from . import original

spec = original.variant(
    arguments.config, seed=arguments.seed, n_epochs=arguments.epochs, **arguments.kw
)
spec['replay_pool_params']['kwargs']['max_size'] = int(
    spec['replay_pool_params']['kwargs']['max_size']
)
t0 = time.time()
r = original.runner(spec, log_dir)
f = None
for _ in range(arguments.epochs):
    d = r._train()
    d['wall'] = time.time() - t0
    if f is None:
        f = open(os.path.join(log_dir, 'progress.csv'), 'w')
        w = csv.DictWriter(f, list(d))
        w.writeheader()
        json.dump(spec, open(os.path.join(log_dir, 'params.json'), 'w'), default=str, indent=1)
    w.writerow(d)
    f.flush()
    print(
        'EPOCH',
        d['epoch'],
        'ret',
        d['evaluation/return-average'],
        'Qloss',
        d['Q_loss'],
        'wall',
        d['wall'],
        flush=True,
    )

"""Run the original MOPO end to end: ``python -m parity.record.run_original CONFIG LOG_DIR``.

CONFIG is a module of the original, ``examples.config.d4rl.halfcheetah_mixed``. Writes progress.csv,
one row an epoch with the seconds since the start, params.json, and model_holdout.csv with the
hold-out losses of the ensemble's networks. ``parity/populations`` says how its runs were made.
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
parser.add_argument('--hidden', type=int, help='units of both hidden layers, policy and critics')
parser.add_argument('--max-path-length', type=int)
parser.add_argument('--model-max-epochs', type=int, help='cap on the training of the ensemble')
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
if arguments.hidden:
    for part in ('policy_params', 'Q_params'):
        spec[part]['kwargs']['hidden_layer_sizes'] = (arguments.hidden, arguments.hidden)
if arguments.max_path_length:
    spec['sampler_params']['kwargs']['max_path_length'] = arguments.max_path_length
t0 = time.time()
r = original.runner(spec, log_dir)
r._build()
r._built = True
model = r.algorithm._model
train, save_best, holdout = model.train, model._save_best, []


def spy(epoch, losses):
    """Keep the hold-out losses that the snapshots are chosen by."""
    holdout.append([epoch, time.time() - t0] + [float(v) for v in losses])
    return save_best(epoch, losses)


model._save_best = spy
model.train = lambda *a, **k: train(*a, **dict(k, max_epochs=arguments.model_max_epochs))
f = None
for _ in range(arguments.epochs):
    d = r._train()
    d['wall'] = time.time() - t0
    if f is None:
        with open(os.path.join(log_dir, 'model_holdout.csv'), 'w') as h:
            head = ['epoch', 'wall'] + ['V%d' % i for i in range(7)]
            csv.writer(h).writerows([head] + holdout)
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

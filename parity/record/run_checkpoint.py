"""A run checkpoint as the original's experiment runner writes it."""

import os
import shutil
import tempfile

import numpy as np

from . import original
from .policy import weights
from .registry import case
from .session import rng, session
from .settings import OUT, SEED


@case(
    'examples/development/main.py (ExperimentRunner._save)',
    (
        "a run checkpoint as the original writes it (checkpoint.pkl beside TF's files): policy "
        'and critic weights in it, and what the policy answers'
    ),
)
def run_checkpoint():
    session()
    spec = original.variant(
        'examples.config.d4rl.halfcheetah_medium', seed=SEED + 81, hidden_dim=16
    )
    for net in ('policy_params', 'Q_params'):
        spec[net]['kwargs']['hidden_layer_sizes'] = (32, 32)
    spec['replay_pool_params']['kwargs']['max_size'] = 10000
    cwd = os.getcwd()
    run = original.runner(spec, os.path.join(tempfile.gettempdir(), 'mopo_run_checkpoint'))
    run._build()
    run.algorithm._epoch = 0
    folder = os.path.join(OUT, 'run_checkpoint_files')
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    run._save(folder)
    os.chdir(cwd)
    obs = rng(14).normal(size=(32, 17)).astype('f')
    out = weights(run.policy, 'policy')
    for i, q in enumerate(run.Qs):
        out.update(weights(q, 'q%d' % (i + 1)))
    out.update(
        observations=obs,
        deterministic_actions=run.policy.deterministic_actions_model.predict(obs),
        hidden_layer_sizes=np.array([32, 32]),
    )
    return out

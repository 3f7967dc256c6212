"""How datasets come into the pool: D4RL, and the other sources of the loader."""

import gzip
import os
import pickle
import shutil
import types

import d4rl
import h5py
import mopo.off_policy.loader as loader
import numpy as np
from softlearning.environments.adapters.gym_adapter import GymAdapter
from softlearning.replay_pools.simple_replay_pool import SimpleReplayPool

from .data import dataset
from .registry import case
from .session import rng
from .settings import DATA, OUT, SEED


@case(
    'd4rl/__init__.py (qlearning_dataset), mopo/off_policy/loader.py#L23-L29',
    'D4RL transitions as the original loads them: with a timeouts field, and without',
)
def d4rl_qlearning():
    out = {}
    for dom in ('hopper', 'halfcheetah'):
        with h5py.File(os.path.join(DATA, '%s_random_5k.hdf5' % dom), 'r') as f:
            d = {k: f[k][()] for k in f}
        lo = 200 * (SEED % 3)
        d = {k: v[lo : lo + 1200] for k, v in d.items()}
        r = rng(9)
        d['timeouts'] = d['timeouts'] | (r.uniform(size=1200) < 0.01)
        env = types.SimpleNamespace(_max_episode_steps=150)
        for mode in ('timeouts', 'no_timeouts'):
            dd = dict(d)
            if mode == 'no_timeouts':
                dd.pop('timeouts')
            for toe in (False, True):
                q = d4rl.qlearning_dataset(env, dataset=dd, terminate_on_end=toe)
                out.update(
                    {'%s/%s/terminate_on_end_%s/%s' % (dom, mode, toe, k): v for k, v in q.items()}
                )
        out.update({'%s/dataset/%s' % (dom, k): v for k, v in d.items()})
    out['max_episode_steps'] = np.int64(150)
    return out


@case(
    'mopo/off_policy/loader.py#L32-L126',
    (
        'other data sources of the loader: a contiguous .npy table, a BEAR gzip pickle, '
        'softlearning checkpoints'
    ),
)
def loaders():
    env = GymAdapter('HalfCheetah', 'v2')
    d = dataset('halfcheetah', 120)
    folder = os.path.join(OUT, 'loader_files')
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(os.path.join(folder, 'softlearning'))
    out = {}
    rew, term = d['rewards'][:, None], d['terminals'][:, None]
    table = np.concatenate(
        [d['observations'], d['actions'], d['next_observations'], rew, term.astype('f')], 1
    )
    np.save(os.path.join(folder, 'contiguous.npy'), table)
    bear = {
        'observations': d['observations'],
        'actions': d['actions'],
        'next_observations': d['next_observations'],
        'rewards': rew,
        'terminals': term,
        'log_pis': np.zeros((120, 1), 'f'),
        'data_policy_mean': np.zeros((120, 6), 'f'),
        'data_policy_logvar': np.zeros((120, 6), 'f'),
    }
    with gzip.open(os.path.join(folder, 'bear.pkl.gz'), 'wb') as f:
        pickle.dump(bear, f, protocol=2)
    for i in range(3):
        c = os.path.join(folder, 'softlearning', 'checkpoint_%d' % (50 * (i + 1)))
        os.makedirs(c)
        with gzip.open(os.path.join(c, 'replay_pool.pkl'), 'wb') as f:
            pickle.dump(
                {
                    k: v[40 * i : 40 * i + 40]
                    for k, v in bear.items()
                    if k in ('observations', 'actions', 'next_observations', 'rewards', 'terminals')
                },
                f,
                protocol=2,
            )
    for name, path, mx in (
        ('contiguous', 'contiguous.npy', 10**6),
        ('bear', 'bear.pkl.gz', 10**6),
        ('softlearning', 'softlearning', 80),
    ):
        pool = SimpleReplayPool(env.observation_space, env.action_space, 200)
        loader.restore_pool(pool, os.path.join(folder, path), mx, save_path=None)
        out.update({name + '/' + k: v for k, v in pool.return_all_samples().items()})
    out['softlearning_max_size'] = np.int64(80)
    return out

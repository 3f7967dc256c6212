"""The replay pool."""

import numpy as np
from softlearning.environments.adapters.gym_adapter import GymAdapter
from softlearning.replay_pools.simple_replay_pool import SimpleReplayPool

from .data import dataset
from .registry import case
from .settings import SEED


@case(
    (
        'softlearning/replay_pools/flexible_replay_pool.py#L45-L132, '
        'softlearning/replay_pools/simple_replay_pool.py#L38-L106'
    ),
    'ring buffer: wrap-around, return_all_samples, seeded random_batch, last_n_batch',
)
def replay_pool():
    env = GymAdapter('HalfCheetah', 'v2')
    pool = SimpleReplayPool(env.observation_space, env.action_space, 100)
    d = dataset('halfcheetah', 170)
    out = {}
    fill = lambda lo, hi: pool.add_samples(
        {
            'observations': d['observations'][lo:hi],
            'actions': d['actions'][lo:hi],
            'next_observations': d['next_observations'][lo:hi],
            'rewards': d['rewards'][lo:hi, None],
            'terminals': d['terminals'][lo:hi, None],
        }
    )
    for step, (lo, hi) in enumerate(((0, 60), (60, 90), (90, 130), (130, 170))):
        fill(lo, hi)
        out.update(
            {'after_%d/%s' % (step, k): v.copy() for k, v in pool.return_all_samples().items()}
        )
        out['after_%d/pointer' % step], out['after_%d/size' % step] = (
            np.int64(pool._pointer),
            np.int64(pool.size),
        )
        np.random.seed(SEED + 31 + step)
        out['after_%d/random_indices' % step] = pool.random_indices(16)
        np.random.seed(SEED + 31 + step)
        out.update(
            {'after_%d/random_batch/%s' % (step, k): v for k, v in pool.random_batch(16).items()}
        )
        out.update({'after_%d/last_25/%s' % (step, k): v for k, v in pool.last_n_batch(25).items()})
    out.update(
        {
            'source/' + k: d[k]
            for k in ('observations', 'actions', 'next_observations', 'rewards', 'terminals')
        }
    )
    out.update(
        max_size=np.int64(100),
        numpy_seed=np.int64(SEED + 31),
        splits=np.array([0, 60, 90, 130, 170]),
    )
    return out

"""Roll out uniformly random actions and write a D4RL-format HDF5 file.

This is what D4RL's own --random generator does.
"""

import argparse

import gym
import h5py
import numpy as np

parser = argparse.ArgumentParser()
parser.add_argument('env')
parser.add_argument('out')
parser.add_argument('--n', type=int, default=10000)
parser.add_argument('--seed', type=int, default=0)
parser.add_argument('--horizon', type=int, default=1000)
arguments = parser.parse_args()

env = gym.make(arguments.env).unwrapped
env.seed(arguments.seed)
rng = np.random.RandomState(arguments.seed)
low, high = env.action_space.low, env.action_space.high
cols = {
    k: []
    for k in ('observations', 'actions', 'next_observations', 'rewards', 'terminals', 'timeouts')
}
s, t = env.reset(), 0
for _ in range(arguments.n):
    act = rng.uniform(low, high).astype(np.float32)
    ns, r, d, _i = env.step(act)
    t += 1
    timeout = t == arguments.horizon
    for k, v in zip(cols, (s, act, ns, r, d and not timeout, timeout)):
        cols[k].append(v)
    s = ns
    if d or timeout:
        s, t = env.reset(), 0
with h5py.File(arguments.out, 'w') as f:
    for k, v in cols.items():
        v = np.asarray(v)
        f.create_dataset(
            k,
            data=v.astype(bool if k in ('terminals', 'timeouts') else np.float32),
            compression='gzip',
        )

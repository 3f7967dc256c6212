"""Train the original's own online SAC until its replay pool holds --n transitions; save the pool.

The file is in D4RL's format, whose medium-replay ('mixed') sets are exactly this: the replay buffer
of SAC at a medium level. ``python -m parity.record.run_sac HalfCheetah-v2 OUT``.
"""

import argparse
import os
import time

parser = argparse.ArgumentParser()
parser.add_argument('env')
parser.add_argument('out')
parser.add_argument('--n', type=int, default=101000)
parser.add_argument('--seed', type=int, default=0)
arguments = parser.parse_args()
os.chdir(os.environ['REF'] + '/mopo')
import h5py, numpy as np, tensorflow as tf
import d4rl.gym_mujoco
from softlearning.misc.utils import set_seed

set_seed(arguments.seed)
s = tf.Session()
tf.keras.backend.set_session(s)
from softlearning.environments.adapters.gym_adapter import GymAdapter
from softlearning.policies.gaussian_policy import FeedforwardGaussianPolicy
from softlearning.policies.uniform_policy import UniformPolicy
from softlearning.replay_pools.simple_replay_pool import SimpleReplayPool
from softlearning.samplers.simple_sampler import SimpleSampler
from softlearning.value_functions.vanilla import create_feedforward_Q_function
from softlearning.algorithms.sac import SAC

env, ev = GymAdapter(arguments.env, 'v2'), GymAdapter(arguments.env, 'v2')
env.seed(arguments.seed)
shapes = (env.active_observation_shape, env.action_space.shape)
Qs = tuple(create_feedforward_Q_function(*shapes, hidden_layer_sizes=(256, 256)) for _ in range(2))
pol = FeedforwardGaussianPolicy(
    input_shapes=(shapes[0],), output_shape=shapes[1], hidden_layer_sizes=(256, 256), squash=True
)
init = UniformPolicy(input_shapes=(shapes[0],), output_shape=shapes[1])
pool = SimpleReplayPool(env.observation_space, env.action_space, arguments.n)
sampler = SimpleSampler(max_path_length=1000, min_pool_size=1000, batch_size=256)
lengths = []
alg = SAC(
    training_environment=env,
    evaluation_environment=ev,
    policy=pol,
    initial_exploration_policy=init,
    Qs=Qs,
    pool=pool,
    sampler=sampler,
    session=s,
    reparameterize=True,
    lr=3e-4,
    target_entropy='auto',
    discount=0.99,
    tau=5e-3,
    n_epochs=10**4,
    epoch_length=1000,
    n_initial_exploration_steps=5000,
    eval_n_episodes=1,
)
s.run(
    tf.variables_initializer(
        [v for v in tf.global_variables() if not s.run(tf.is_variable_initialized(v))]
    )
)
timeouts = np.zeros(arguments.n, bool)
add_path = pool.add_path


def spy(path):
    n = len(path['rewards'])
    end = min(pool.size + n, arguments.n) - 1
    add_path(path)
    timeouts[end] = n == 1000


pool.add_path = spy
t0 = time.time()
for d in alg.train():
    print(
        'SAC',
        d['timesteps_total'],
        'pool',
        pool.size,
        'eval',
        round(float(d['evaluation/return-average']), 1),
        'last',
        round(float(d['sampler/last-path-return']), 1),
        int(time.time() - t0),
        flush=True,
    )
    if pool.size >= arguments.n:
        break
with h5py.File(arguments.out, 'w') as f:
    for k, v in pool.return_all_samples().items():
        v = v[:, 0] if k in ('rewards', 'terminals') else v
        f.create_dataset(k, data=v, compression='gzip')
    f.create_dataset('timeouts', data=timeouts[: pool.size], compression='gzip')

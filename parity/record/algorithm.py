"""The original's MOPO without its runner, with the noise of its losses laid open."""

import os
import tempfile

import mopo.models.constructor as constructor
import mopo.static
import numpy as np
import tensorflow as tf
from mopo.algorithms.mopo import MOPO
from softlearning.environments.adapters.gym_adapter import GymAdapter
from softlearning.policies.gaussian_policy import FeedforwardGaussianPolicy
from softlearning.replay_pools.simple_replay_pool import SimpleReplayPool
from softlearning.samplers.simple_sampler import SimpleSampler
from softlearning.value_functions.vanilla import create_feedforward_Q_function

from .data import dataset
from .policy import weights


def build_mopo(s, domain, hidden_policy, hidden_model, nets, elites, n_data, **kw):
    """Build the original's MOPO with small networks on ``n_data`` rows of a dataset.

    Returns the algorithm, its data, and the ops that draw the actor's and the critics' noise, by
    which a case fetches the very numbers that a step used.
    """
    env = GymAdapter(
        {'halfcheetah': 'HalfCheetah', 'hopper': 'Hopper', 'walker2d': 'Walker2d'}[domain], 'v2'
    )
    pool = SimpleReplayPool(env.observation_space, env.action_space, n_data)
    sampler = SimpleSampler(max_path_length=1000, min_pool_size=10, batch_size=kw.pop('batch_size'))
    shapes = (env.active_observation_shape, env.action_space.shape)
    Qs = tuple(
        create_feedforward_Q_function(*shapes, hidden_layer_sizes=hidden_policy) for _ in range(2)
    )
    pol = FeedforwardGaussianPolicy(
        input_shapes=(shapes[0],),
        output_shape=shapes[1],
        hidden_layer_sizes=hidden_policy,
        squash=True,
    )
    d = dataset(domain, n_data)
    table = np.concatenate(
        [
            d['observations'],
            d['actions'],
            d['next_observations'],
            d['rewards'][:, None],
            d['terminals'][:, None].astype('f'),
        ],
        1,
    )
    path = os.path.join(tempfile.gettempdir(), 'mopo_pool.npy')
    np.save(path, table)
    marks = {}
    actor, critic = MOPO._init_actor_update, MOPO._init_critic_update

    def mark(name, f):
        def g(self):
            before = set(o.name for o in tf.get_default_graph().get_operations())
            f(self)
            marks[name] = [
                o
                for o in tf.get_default_graph().get_operations()
                if o.name not in before and o.type == 'RandomStandardNormal'
            ]

        return g

    MOPO._init_actor_update, MOPO._init_critic_update = mark('actor', actor), mark('critic', critic)
    construct = MOPO.__init__.__globals__['construct_model']
    MOPO.__init__.__globals__['construct_model'] = lambda **k: constructor.construct_model(
        session=s, **k
    )
    cwd = os.getcwd()
    try:
        alg = MOPO(
            training_environment=env,
            evaluation_environment=env,
            policy=pol,
            Qs=Qs,
            pool=pool,
            static_fns=mopo.static[domain],
            sampler=sampler,
            session=s,
            reparameterize=True,
            pool_load_path=path,
            pool_load_max_size=n_data,
            hidden_dim=hidden_model,
            num_networks=nets,
            num_elites=elites,
            separate_mean_var=True,
            penalty_learned_var=True,
            **kw,
        )
    finally:
        MOPO._init_actor_update, MOPO._init_critic_update = actor, critic
        MOPO.__init__.__globals__['construct_model'] = construct
        os.chdir(cwd)
    uninit = [v for v in tf.global_variables() if not s.run(tf.is_variable_initialized(v))]
    s.run(tf.variables_initializer(uninit))
    sampler.initialize(env, pol, pool)
    return alg, d, marks


def sac_params(alg, prefix):
    """Return the weights of policy, critics and targets, and log alpha, as ``prefix/...``."""
    out = {}
    out.update(weights(alg._policy, prefix + '/policy'))
    for i, (q, t) in enumerate(zip(alg._Qs, alg._Q_targets)):
        out.update(weights(q, prefix + '/q%d' % (i + 1)))
        out.update(weights(t, prefix + '/target_q%d' % (i + 1)))
    out[prefix + '/log_alpha'] = alg._session.run(alg._log_alpha)
    return out

"""Model rollouts, and one whole epoch of MOPO."""

import os
import tempfile

import mopo.models.constructor as constructor
import numpy as np

from .algorithm import build_mopo, sac_params
from .ensembles import params
from .registry import case
from .session import session
from .settings import SEED


@case(
    'mopo/algorithms/mopo.py#L360-L479',
    (
        'penalised model rollouts into the model pool for the actions that were taken, pool '
        'sizes, mixed training batches'
    ),
)
def model_rollouts():
    out = {}
    for dom in ('hopper', 'halfcheetah'):
        s = session()
        np.random.seed(SEED + 51)
        alg, d, _ = build_mopo(
            s,
            dom,
            (32, 32),
            24,
            5,
            3,
            600,
            batch_size=64,
            real_ratio=0.05,
            target_entropy=-3,
            rollout_batch_size=80,
            rollout_length=4,
            penalty_coeff=1.0,
            model_train_freq=1000,
            model_retain_epochs=5,
            epoch_length=1000,
        )
        m = alg._model
        inputs, targets = constructor.format_samples_for_training(alg._pool.return_all_samples())
        np.random.seed(SEED + 52)
        metrics = m.train(inputs, targets, batch_size=128, max_epochs=4, holdout_ratio=0.2)
        out.update(params(m, s, dom + '/params'))
        acts = []
        actions_np = alg._policy.actions_np

        def spy(obs):
            a = actions_np(obs)
            acts.append(a)
            return a

        alg._policy.actions_np = spy
        alg._set_rollout_length()
        alg._reallocate_model_pool()
        np.random.seed(SEED + 53)
        stats = alg._rollout_model(rollout_batch_size=80, deterministic=False)
        out.update(
            {
                '%s/model_pool/%s' % (dom, k): v.copy()
                for k, v in alg._model_pool.return_all_samples().items()
            }
        )
        out.update({'%s/actions/%d' % (dom, i): a for i, a in enumerate(acts)})
        np.random.seed(SEED + 54)
        b = alg._training_batch()
        out.update({'%s/training_batch/%s' % (dom, k): v for k, v in b.items()})
        out.update(
            {'%s/env_pool/%s' % (dom, k): v for k, v in alg._pool.return_all_samples().items()}
        )
        out.update(
            {
                dom + '/elites': np.array(m._model_inds),
                dom + '/model_pool_max_size': np.int64(alg._model_pool._max_size),
                dom + '/mean_rollout_length': np.float64(stats['mean_rollout_length']),
                dom + '/num_actions': np.int64(len(acts)),
            }
        )
    out.update(
        rollout_numpy_seed=np.int64(SEED + 53),
        batch_numpy_seed=np.int64(SEED + 54),
        penalty_coeff=np.float64(1.0),
        rollout_length=np.int64(4),
        rollout_batch_size=np.int64(80),
        batch_size=np.int64(64),
        real_ratio=np.float64(0.05),
        hidden_dim=np.int64(24),
        num_networks=np.int64(5),
        epoch_length=np.int64(1000),
        model_train_freq=np.int64(1000),
        model_retain_epochs=np.int64(5),
    )
    return out


@case(
    'mopo/algorithms/mopo.py#L193-L334',
    (
        'one whole epoch as the original runs it, from numpy seed to final weights: ensemble '
        'training, two rounds of rollouts, 40 SAC steps, target updates'
    ),
)
def whole_epoch():
    s = session()
    np.random.seed(SEED + 71)
    batch, length = 32, 40
    alg, d, marks = build_mopo(
        s,
        'hopper',
        (32, 32),
        24,
        4,
        2,
        600,
        batch_size=batch,
        real_ratio=0.25,
        target_entropy=-3,
        rollout_batch_size=50,
        rollout_length=3,
        penalty_coeff=1.0,
        model_train_freq=20,
        model_retain_epochs=2,
        epoch_length=length,
        n_epochs=1,
        n_train_repeat=1,
        eval_n_episodes=0,
        max_model_t=None,
    )
    z_act, z_crit = marks['actor'][0].outputs[0], marks['critic'][0].outputs[0]
    m = alg._model
    out = params(m, s, 'initial/model')
    out.update(sac_params(alg, 'initial'))
    out.update({'env_pool/' + k: v.copy() for k, v in alg._pool.return_all_samples().items()})
    acts, za, zc, pool_sizes, rollout_obs = [], [], [], [], []
    actions_np, rollout, train = alg._policy.actions_np, alg._rollout_model, m.train

    def spy_actions(obs):
        acts.append(actions_np(obs))
        rollout_obs.append(obs.copy())
        return acts[-1]

    def spy_rollout(**kw):
        r_ = rollout(**kw)
        pool_sizes.append(alg._model_pool.size)
        return r_

    # the original's body, fetching the drawn noise in the same run
    def do_training(iteration, batch):
        feed = alg._get_feed_dict(iteration, batch)
        _, a_, c_ = s.run([alg._training_ops, z_act, z_crit], feed)
        za.append(a_.reshape(len(batch['rewards']), -1))
        zc.append(c_.reshape(len(batch['rewards']), -1))
        if iteration % alg._target_update_interval == 0:
            alg._update_target()

    alg._policy.actions_np, alg._rollout_model, alg._do_training = (
        spy_actions,
        spy_rollout,
        do_training,
    )
    m.train = lambda *a, **k: train(*a, **dict(k, batch_size=128, max_epochs=3))
    np.random.seed(SEED + 72)
    cwd = os.getcwd()
    os.makedirs(os.path.join(tempfile.gettempdir(), 'mopo_whole_epoch'), exist_ok=True)
    alg._log_dir = os.path.join(tempfile.gettempdir(), 'mopo_whole_epoch')
    diag = next(alg.train())
    os.chdir(cwd)
    out.update(params(m, s, 'final/model'))
    out.update(sac_params(alg, 'final'))
    out.update(
        {'model_pool/' + k: v.copy() for k, v in alg._model_pool.return_all_samples().items()}
    )
    out.update({'rollout_actions/%d' % i: a for i, a in enumerate(acts)})
    out.update({'rollout_observations/%d' % i: a for i, a in enumerate(rollout_obs)})
    out.update(
        actor_latents=np.array(za),
        critic_latents=np.array(zc),
        model_pool_sizes=np.array(pool_sizes),
        model_pool_max_size=np.int64(alg._model_pool._max_size),
        elites=np.array(m._model_inds),
        val_loss=np.float64(diag['model/val_loss']),
        mean_rollout_length=np.float64(diag['model/mean_rollout_length']),
        numpy_seed=np.int64(SEED + 72),
        num_rollout_steps=np.int64(len(acts)),
        batch_size=np.int64(batch),
        epoch_length=np.int64(length),
        model_train_freq=np.int64(20),
        model_batch_size=np.int64(128),
        model_max_epochs=np.int64(3),
        max_epochs_since_update=np.int64(5),
        holdout_ratio=np.float64(0.2),
        real_ratio=np.float64(0.25),
        rollout_batch_size=np.int64(50),
        rollout_length=np.int64(3),
        model_retain_epochs=np.int64(2),
        penalty_coeff=np.float64(1),
        target_entropy=np.float64(-3),
        learning_rate=np.float64(3e-4),
        discount=np.float64(0.99),
        tau=np.float64(5e-3),
        hidden_layer_sizes=np.array([32, 32]),
        hidden_dim=np.int64(24),
        num_networks=np.int64(4),
        num_elites=np.int64(2),
        diagnostics_keys=np.array(sorted(diag)),
    )
    return out

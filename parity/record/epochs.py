"""MOPO over several epochs: the loop, the pool wrapping around, diagnostics, evaluation."""

import os
import tempfile

import numpy as np

from .algorithm import build_mopo, sac_params
from .ensembles import params
from .registry import case
from .session import session
from .settings import SEED


def record_epochs(domain, epochs, offset, deterministic=False, retain=1):
    """Run ``epochs`` epochs of MOPO as the original runs them; return everything it computed.

    Every host draw comes from one numpy seed and every device draw is recorded. After each epoch:
    weights, Adam's slots, the model pool, diagnostics with the batch and the noise that they saw,
    and two evaluation episodes.
    """
    batch, length, freq, path_length = 32, 40, 16, 60
    s = session()
    np.random.seed(SEED + offset)
    alg, d, marks = build_mopo(
        s,
        domain,
        (32, 32),
        24,
        4,
        2,
        600,
        batch_size=batch,
        real_ratio=0.05,
        target_entropy=-3,
        rollout_batch_size=47,
        rollout_length=3,
        penalty_coeff=1.0,
        model_train_freq=freq,
        model_retain_epochs=retain,
        epoch_length=length,
        n_epochs=epochs,
        n_train_repeat=1,
        eval_n_episodes=2,
        eval_deterministic=True,
        max_model_t=None,
        deterministic=deterministic,
    )
    alg.sampler._max_path_length = path_length
    alg._evaluation_environment.unwrapped.seed(SEED + offset + 2)
    m = alg._model
    out = params(m, s, 'initial/model')
    out.update(sac_params(alg, 'initial'))
    out.update({'env_pool/' + k: v.copy() for k, v in alg._pool.return_all_samples().items()})
    seen = spy(alg, s, marks, out)
    train = m.train
    m.train = lambda *a, **k: train(*a, **dict(k, batch_size=128, max_epochs=3))
    np.random.seed(SEED + offset + 1)
    cwd = os.getcwd()
    alg._log_dir = os.path.join(tempfile.gettempdir(), 'mopo_epochs')
    os.makedirs(alg._log_dir, exist_ok=True)
    run = alg.train()
    for e in range(epochs):
        seen['epoch'] = e
        diag = next(run)
        keys = sorted(k for k in diag if not k.startswith('times/'))
        out.update(after_epoch(alg, s, diag, keys, 'epoch_%d/' % e))
    os.chdir(cwd)
    out.update(params(m, s, 'final/model'))
    out.update({'rollout_actions/%d' % i: a for i, a in enumerate(seen['actions'])})
    out.update({'rollout_observations/%d' % i: a for i, a in enumerate(seen['observations'])})
    out.update(
        actor_latents=np.array(seen['actor']),
        critic_latents=np.array(seen['critic']),
        model_pool_sizes=np.array(seen['sizes']),
        model_pool_pointers=np.array(seen['pointers']),
        model_pool_max_size=np.int64(alg._model_pool._max_size),
        metrics_keys=np.array(keys),
        elites=np.array(m._model_inds),
        val_loss=np.float64(diag['model/val_loss']),
        numpy_seed=np.int64(SEED + offset + 1),
        num_rollout_steps=np.int64(len(seen['actions'])),
        domain=np.array(domain),
        deterministic=np.bool_(deterministic),
        n_epochs=np.int64(epochs),
        batch_size=np.int64(batch),
        epoch_length=np.int64(length),
        model_train_freq=np.int64(freq),
        model_batch_size=np.int64(128),
        model_max_epochs=np.int64(3),
        max_epochs_since_update=np.int64(5),
        holdout_ratio=np.float64(0.2),
        real_ratio=np.float64(0.05),
        rollout_batch_size=np.int64(47),
        rollout_length=np.int64(3),
        model_retain_epochs=np.int64(retain),
        max_path_length=np.int64(path_length),
        eval_n_episodes=np.int64(2),
        penalty_coeff=np.float64(1),
        target_entropy=np.float64(-3),
        learning_rate=np.float64(3e-4),
        discount=np.float64(0.99),
        tau=np.float64(5e-3),
        hidden_layer_sizes=np.array([32, 32]),
        hidden_dim=np.int64(24),
        num_networks=np.int64(4),
        num_elites=np.int64(2),
    )
    return out


def spy(alg, s, marks, out):
    """Make the algorithm write down what it draws and sees, in the returned dict and ``out``."""
    seen = {
        name: [] for name in ('actions', 'observations', 'actor', 'critic', 'sizes', 'pointers')
    }
    z_act, z_crit = marks['actor'][0].outputs[0], marks['critic'][0].outputs[0]
    actions_np, rollout, evaluation_paths = (
        alg._policy.actions_np,
        alg._rollout_model,
        alg._evaluation_paths,
    )

    def spy_actions(obs):
        seen['actions'].append(actions_np(obs))
        seen['observations'].append(obs.copy())
        return seen['actions'][-1]

    def spy_rollout(**kw):
        r_ = rollout(**kw)
        seen['sizes'].append(alg._model_pool.size)
        seen['pointers'].append(alg._model_pool._pointer)
        return r_

    def spy_evaluation(policy, env):
        alg._policy.actions_np = actions_np
        paths = evaluation_paths(policy, env)
        alg._policy.actions_np = spy_actions
        for i, path in enumerate(paths):
            for k in ('observations', 'actions', 'rewards', 'terminals'):
                v = path[k]
                out['epoch_%d/evaluation/%d/%s' % (seen['epoch'], i, k)] = np.asarray(
                    v['observations'] if isinstance(v, dict) else v
                )
        return paths

    # the original's body, fetching the drawn noise in the same run
    def do_training(iteration, batch):
        feed = alg._get_feed_dict(iteration, batch)
        _, a_, c_ = s.run([alg._training_ops, z_act, z_crit], feed)
        seen['actor'].append(a_.reshape(len(batch['rewards']), -1))
        seen['critic'].append(c_.reshape(len(batch['rewards']), -1))
        if iteration % alg._target_update_interval == 0:
            alg._update_target()

    # the original's values, with the draws behind them
    def diagnostics(iteration, batch, training_paths, evaluation_paths):
        e = 'epoch_%d/diagnostics/' % seen['epoch']
        q, ql, alpha, c_ = s.run(
            (alg._Q_values, alg._Q_losses, alg._alpha, z_crit), alg._get_feed_dict(iteration, batch)
        )
        shifts, log_scales, log_pis, raw, a_ = alg._policy.diagnostics_model.predict(
            batch['observations']
        )
        out.update({e + 'batch/' + k: np.asarray(v) for k, v in batch.items()})
        out[e + 'critic_latents'] = c_.reshape(len(batch['rewards']), -1)
        out[e + 'policy_latents'] = (raw.astype(np.float64) - shifts) / np.exp(
            log_scales.astype(np.float64)
        )
        r_ = {'Q-avg': np.mean(q), 'Q-std': np.std(q), 'Q_loss': np.mean(ql), 'alpha': alpha}
        for k, v in (
            ('shifts', shifts),
            ('log_scale_diags', log_scales),
            ('-log-pis', -log_pis),
            ('raw-actions', raw),
            ('actions', a_),
        ):
            r_['policy/%s-mean' % k], r_['policy/%s-std' % k] = np.mean(v), np.std(v)
        return r_

    alg._policy.actions_np, alg._rollout_model, alg._do_training = (
        spy_actions,
        spy_rollout,
        do_training,
    )
    alg._evaluation_paths, alg.get_diagnostics = spy_evaluation, diagnostics
    return seen


def after_epoch(alg, s, diag, keys, prefix):
    """Return weights, Adam's slots, the model pool and the metrics ``keys`` as ``prefix...``."""
    out = sac_params(alg, prefix + 'sac')
    parts = [
        ('policy', alg._policy_optimizer, alg._policy.trainable_variables),
        ('log_alpha', alg._alpha_optimizer, [alg._log_alpha]),
    ]
    parts += [
        ('q%d' % (i + 1), o, q.trainable_variables)
        for i, (o, q) in enumerate(zip(alg._Q_optimizers, alg._Qs))
    ]
    for name, o, variables in parts:
        for i, v in enumerate(variables):
            for slot in ('m', 'v'):
                out['%sslots/%s/%d/%s' % (prefix, name, i, slot)] = s.run(o.get_slot(v, slot))
    out.update(
        {
            prefix + 'model_pool/' + k: v.copy()
            for k, v in alg._model_pool.return_all_samples().items()
        }
    )
    out[prefix + 'metrics/values'] = np.array(
        [
            float(np.asarray(diag[k], dtype=np.float64)) if diag[k] is not None else np.nan
            for k in keys
        ]
    )
    return out


@case(
    'mopo/algorithms/mopo.py#L193-L334, softlearning/algorithms/rl_algorithm.py#L259-L306',
    (
        'three epochs of halfcheetah from numpy seed to final weights, the model pool wrapping '
        'around; after each: weights, Adam slots, pool, diagnostics and two evaluation episodes'
    ),
)
def three_epochs():
    return record_epochs('halfcheetah', 3, 91)


@case(
    'mopo/algorithms/mopo.py#L193-L334, softlearning/algorithms/rl_algorithm.py#L259-L306',
    'the same for two epochs of hopper, whose rollouts and episodes end early',
)
def two_epochs_hopper():
    return record_epochs('hopper', 2, 101, retain=2)


@case(
    'mopo/algorithms/mopo.py#L193-L334 (deterministic=True), mopo/models/fake_env.py#L38-L115',
    (
        'the same for two epochs of walker2d with deterministic=True: squared error, averaged '
        'members, no noise'
    ),
)
def two_epochs_deterministic():
    return record_epochs('walker2d', 2, 111, deterministic=True)

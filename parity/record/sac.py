"""SAC: losses and gradients at one point, then sixty whole updates."""

import numpy as np
import tensorflow as tf

from .algorithm import build_mopo, sac_params
from .registry import case
from .session import rng, session
from .settings import SEED


@case(
    'mopo/algorithms/mopo.py#L542-L703',
    (
        'SAC update: targets, losses, gradients of every network; then 60 whole training steps '
        'with the batches and the policy noise that were drawn'
    ),
)
def sac_updates():
    s = session()
    np.random.seed(SEED + 41)
    steps, batch = 60, 32
    alg, d, marks = build_mopo(
        s,
        'halfcheetah',
        (48, 48),
        16,
        3,
        2,
        800,
        batch_size=batch,
        real_ratio=0.25,
        target_entropy=-3,
        lr=3e-4,
        discount=0.99,
        tau=5e-3,
    )
    assert len(marks['actor']) == 1 and len(marks['critic']) == 1, marks
    z_act, z_crit = marks['actor'][0].outputs[0], marks['critic'][0].outputs[0]
    r = rng(10)
    for net in (*alg._Qs, alg._policy):
        net.set_weights(
            [
                v + (0.1 * r.normal(size=v.shape)).astype('f') * (v.ndim == 1)
                for v in net.get_weights()
            ]
        )
    alg._init_training()
    out = sac_params(alg, 'initial')
    term = np.zeros((800, 1), bool)
    term[r.randint(800, size=60)] = True
    src = {
        'observations': d['observations'],
        'actions': np.clip(d['actions'], -0.999, 0.999),
        'next_observations': d['next_observations'],
        'rewards': d['rewards'][:, None],
        'terminals': term,
    }
    idx = r.randint(800, size=(steps, batch))
    out.update({'source/' + k: v for k, v in src.items()})
    out['batch_indices'] = idx
    feed = lambda i: alg._get_feed_dict(i, {k: v[idx[i]] for k, v in src.items()})
    graph = tf.get_default_graph()
    # losses and gradients before any update, with the noise that was drawn for them
    pol_vars = alg._policy.trainable_variables
    # rebuild the same losses with fetchable noise
    ops0 = set(o.name for o in graph.get_operations())
    a = alg._policy.actions([alg._observations_ph])
    lp = alg._policy.log_pis([alg._observations_ph], a)
    za = [
        o for o in graph.get_operations() if o.name not in ops0 and o.type == 'RandomStandardNormal'
    ][0].outputs[0]
    minq = tf.reduce_min(tuple(Q([alg._observations_ph, a]) for Q in alg._Qs), axis=0)
    policy_loss = tf.reduce_mean(alg._alpha * lp - minq)
    alpha_loss = -tf.reduce_mean(alg._log_alpha * tf.stop_gradient(lp + alg._target_entropy))
    ops1 = set(o.name for o in graph.get_operations())
    target = tf.stop_gradient(alg._get_Q_target())
    zc = [
        o for o in graph.get_operations() if o.name not in ops1 and o.type == 'RandomStandardNormal'
    ][0].outputs[0]
    q_losses = [
        tf.losses.mean_squared_error(
            labels=target, predictions=Q([alg._observations_ph, alg._actions_ph]), weights=0.5
        )
        for Q in alg._Qs
    ]
    fetch = {
        'policy_loss': policy_loss,
        'alpha_loss': alpha_loss,
        'q_target': target,
        'q1_loss': q_losses[0],
        'q2_loss': q_losses[1],
        'actor_latents': za,
        'critic_latents': zc,
        'sampled_actions': a,
        'log_pis': lp,
    }
    fetch.update(
        {'gradients/policy/%d' % i: g for i, g in enumerate(tf.gradients(policy_loss, pol_vars))}
    )
    for j, Q in enumerate(alg._Qs):
        fetch.update(
            {
                'gradients/q%d/%d' % (j + 1, i): g
                for i, g in enumerate(tf.gradients(q_losses[j], Q.trainable_variables))
            }
        )
    fetch['gradients/log_alpha'] = tf.gradients(alpha_loss, alg._log_alpha)[0]
    out.update(
        {
            'losses/' + k: (v.reshape(batch, -1) if k.endswith('latents') else v)
            for k, v in s.run(fetch, feed(0)).items()
        }
    )
    # the whole update as the original runs it: one session.run of all training ops, then the soft
    # target update
    za_all, zc_all, diag = [], [], []
    for i in range(steps):
        ops = dict(alg._training_ops)
        _, a_, c_, qv, ql = s.run([ops, z_act, z_crit, alg._Q_values, alg._Q_losses], feed(i))
        za_all.append(a_.reshape(batch, -1))
        zc_all.append(c_.reshape(batch, -1))
        alg._update_target()
        diag.append([np.mean(qv), np.mean(ql), s.run(alg._alpha)])
        if i in (0, 4, 19):
            out.update(sac_params(alg, 'after_%d_steps' % (i + 1)))
    out.update(sac_params(alg, 'after_%d_steps' % steps))
    out.update(
        step_actor_latents=np.array(za_all),
        step_critic_latents=np.array(zc_all),
        step_q_mean__q_loss__alpha=np.array(diag),
        target_entropy=np.float64(-3),
        learning_rate=np.float64(3e-4),
        discount=np.float64(0.99),
        tau=np.float64(5e-3),
        hidden_layer_sizes=np.array([48, 48]),
    )
    return out

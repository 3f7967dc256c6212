"""Policies and the Q-function."""

import numpy as np
import tensorflow as tf
from softlearning.policies.gaussian_policy import FeedforwardGaussianPolicy
from softlearning.policies.uniform_policy import UniformPolicy
from softlearning.value_functions.vanilla import create_feedforward_Q_function

from .data import dataset
from .registry import case
from .session import rng, session


def weights(model, prefix):
    """Return the weights of a Keras model as ``prefix/0``, ``prefix/1``, ...: kernel, bias, ..."""
    return {'%s/%d' % (prefix, i): w for i, w in enumerate(model.get_weights())}


@case(
    (
        'softlearning/policies/gaussian_policy.py#L18-L152, '
        'softlearning/distributions/squash_bijector.py'
    ),
    (
        'squashed Gaussian policy: shift, log scale, actions for given latents, log-'
        'probabilities, also near the bounds'
    ),
)
def gaussian_policy():
    s = session()
    pol = FeedforwardGaussianPolicy(
        input_shapes=((17,),), output_shape=(6,), hidden_layer_sizes=(64, 64), squash=True
    )
    s.run(tf.global_variables_initializer())
    r = rng(6)
    w = [v + (0.3 * r.normal(size=v.shape)).astype('f') * (v.ndim == 1) for v in pol.get_weights()]
    pol.set_weights(w)
    obs = dataset('halfcheetah', 64)['observations'] * np.r_[np.ones(32), 8 * np.ones(32)][
        :, None
    ].astype('f')
    lat = r.normal(size=(64, 6)).astype('f')
    sh, ls, _, _, _ = pol.diagnostics_model.predict(obs)
    det = pol.deterministic_actions_model.predict([obs])
    act = pol.actions_model_for_fixed_latents.predict([obs, lat])
    given = np.clip(r.uniform(-1, 1, size=(64, 6)), -0.999999, 0.999999).astype('f')
    ph = tf.placeholder(tf.float32, [None, 17])
    ops0 = set(o.name for o in tf.get_default_graph().get_operations())
    sampled = pol.actions([ph])
    sampled_lp = pol.log_pis([ph], sampled)
    z = [
        o
        for o in tf.get_default_graph().get_operations()
        if o.name not in ops0 and o.type == 'RandomStandardNormal'
    ][0].outputs[0]
    z_, a_, lp_ = s.run([z, sampled, sampled_lp], {ph: obs})
    out = weights(pol, 'weights')
    out.update(
        observations=obs,
        latents=lat,
        shift=sh,
        log_scale_diag=ls,
        deterministic_actions=det,
        actions=act,
        **{'sampled/latents': z_.reshape(64, 6), 'sampled/actions': a_, 'sampled/log_pis': lp_},
    )
    out.update(
        log_pis_of_actions=pol.log_pis_model.predict([obs, act]),
        given_actions=given,
        log_pis_of_given_actions=pol.log_pis_model.predict([obs, given]),
        hidden_layer_sizes=np.array([64, 64]),
    )
    return out


@case(
    'softlearning/policies/uniform_policy.py',
    'uniform policy: log-probability',
)
def uniform_policy():
    s = session()
    pol = UniformPolicy(input_shapes=((11,),), output_shape=(3,))
    a = rng(7).uniform(-1, 1, size=(10, 3)).astype('f')
    return {'actions': a, 'log_pis': s.run(pol.log_pis_model.outputs[0], {pol.actions_input: a})}


@case(
    'softlearning/value_functions/vanilla.py, softlearning/models/feedforward.py',
    'feed-forward Q-function',
)
def q_function():
    s = session()
    q = create_feedforward_Q_function((17,), (6,), hidden_layer_sizes=(64, 64))
    s.run(tf.global_variables_initializer())
    r = rng(8)
    q.set_weights(
        [v + (0.3 * r.normal(size=v.shape)).astype('f') * (v.ndim == 1) for v in q.get_weights()]
    )
    d = dataset('halfcheetah', 64)
    out = weights(q, 'weights')
    out.update(
        observations=d['observations'],
        actions=d['actions'],
        q=q.predict([d['observations'], d['actions']]),
    )
    return out

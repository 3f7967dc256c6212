"""The original's ensemble, made so that loss, gradients and parameters can be fetched."""

import mopo.models.constructor as constructor
import numpy as np
import tensorflow as tf

from .session import rng


class CapturingAdam(tf.train.AdamOptimizer):
    """AdamOptimizer that remembers the loss tensor and the gradients it was asked to minimise."""

    last = None

    def minimize(self, loss, var_list=None, **kw):
        self.loss_tensor, self.var_list = loss, var_list
        self.grad_tensors = [g if g is not None else None for g in tf.gradients(loss, var_list)]
        CapturingAdam.last = self
        return super(CapturingAdam, self).minimize(loss, var_list=var_list, **kw)


def build_bnn(
    sess,
    obs_dim,
    act_dim,
    hidden,
    nets,
    elites,
    separate,
    deterministic=False,
    name='BNN',
    randomise=True,
):
    """Build an ensemble by the original's ``construct_model`` and keep its loss and gradients.

    ``m.capture`` holds the tensors that the original's optimiser was asked to minimise.
    """
    tf.train.AdamOptimizer, keep = CapturingAdam, tf.train.AdamOptimizer
    try:
        m = constructor.construct_model(
            obs_dim=obs_dim,
            act_dim=act_dim,
            hidden_dim=hidden,
            num_networks=nets,
            num_elites=elites,
            session=sess,
            separate_mean_var=separate,
            deterministic=deterministic,
            name=name,
        )
    finally:
        tf.train.AdamOptimizer = keep
    m.capture = CapturingAdam.last
    # biases start at 0 and logvar bounds are constant: move them so that nothing hides
    if randomise:
        r = rng(5)
        for v in m.optvars:
            if 'biases' in v.name:
                v.load(r.normal(size=v.shape.as_list()).astype(np.float32) * 0.1, sess)
        m.max_logvar.load(
            (0.5 + 0.1 * r.normal(size=m.max_logvar.shape.as_list())).astype(np.float32), sess
        )
        m.min_logvar.load(
            (-10 + 0.1 * r.normal(size=m.min_logvar.shape.as_list())).astype(np.float32), sess
        )
    return m


def names(m):
    """Readable names of m.nonoptvars + m.optvars, in the original's own order.

    That is the order of its .mat files.
    """
    out = ['scaler/mu', 'scaler/sigma']
    for i, _ in enumerate(m.layers):
        out += ['layers/%d/weights' % i, 'layers/%d/biases' % i]
    for i, _ in enumerate(m.var_layers or []):
        out += ['var_layers/%d/weights' % i, 'var_layers/%d/biases' % i]
    return out + ['max_logvar', 'min_logvar']


def params(m, sess, prefix):
    """Return the ensemble's arrays as ``prefix/name``."""
    vals = sess.run(m.nonoptvars + m.optvars)
    return {'%s/%s' % (prefix, n): v for n, v in zip(names(m), vals)}


def grads(m, sess, feed, prefix):
    """Return the gradients of the training loss as ``prefix/name``; zero where there is none."""
    n = names(m)[2:]
    vals = sess.run([g for g in m.capture.grad_tensors if g is not None], feed)
    it = iter(vals)
    return {
        '%s/%s' % (prefix, k): (
            next(it) if g is not None else np.zeros(v.shape.as_list(), np.float32)
        )
        for k, g, v in zip(n, m.capture.grad_tensors, m.capture.var_list)
    }

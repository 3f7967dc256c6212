"""The batched layer, its initial weights, and the input scaler."""

import mopo.models.fc as fc
import mopo.models.utils as mutils
import numpy as np
import tensorflow as tf

from .registry import case
from .session import rng, session


@case(
    'mopo/models/fc.py#L16-L23, mopo/models/fc.py#L84-L106, mopo/models/fc.py#L134-L158',
    'batched ensemble layer: forward on 2-D and 3-D input, every activation, L2 decay',
)
def fc_layer():
    out = {}
    for act in (None, 'ReLU', 'tanh', 'sigmoid', 'softmax', 'swish'):
        s = session()
        l = fc.FC(4, input_dim=5, activation=act, weight_decay=5e-4, ensemble_size=3)
        l.construct_vars()
        r = rng(1)
        w, b = r.normal(size=(3, 5, 4)), r.normal(size=(3, 1, 4))
        l.weights.load(w, s)
        l.biases.load(b, s)
        x2, x3 = r.normal(size=(6, 5)).astype('f'), r.normal(size=(3, 6, 5)).astype('f')
        p2, p3 = tf.placeholder(tf.float32, [None, 5]), tf.placeholder(tf.float32, [3, None, 5])
        o2, o3, d = s.run(
            [l.compute_output_tensor(p2), l.compute_output_tensor(p3), l.get_decays()[0]],
            {p2: x2, p3: x3},
        )
        k = act or 'linear'
        out.update({k + '/output_2d': o2, k + '/output_3d': o3, k + '/decay': d})
        out.update(
            weights=w.astype('f'),
            biases=b.astype('f'),
            input_2d=x2,
            input_3d=x3,
            weight_decay=np.float32(5e-4),
        )
    return out


@case(
    'mopo/models/fc.py#L134-L158',
    (
        'initial weights of a wide ensemble layer, for comparing distributions (truncated normal,'
        ' stddev 1/(2 sqrt(in)))'
    ),
)
def fc_init():
    s = session()
    l = fc.FC(200, input_dim=50, activation='swish', weight_decay=5e-4, ensemble_size=7)
    l.construct_vars()
    s.run(tf.global_variables_initializer())
    w, b = s.run([l.weights, l.biases])
    return {'weights': w, 'biases': b, 'input_dim': np.int64(50)}


@case(
    'mopo/models/utils.py#L45-L106',
    'input scaler: fit with constant and nearly constant columns, transform, inverse',
)
def scaler():
    s = session()
    r = rng(2)
    x = r.normal(size=(500, 6)).astype('f') * np.array([1, 10, 1e-3, 1e-13, 0, 5], 'f') + np.array(
        [0, 3, -2, 1, 7, 1e3], 'f'
    )
    with tf.variable_scope('m'):
        sc = mutils.TensorStandardScaler(6)
    s.run(tf.global_variables_initializer())
    with s.as_default():
        sc.fit(x)
    ph = tf.placeholder(tf.float32, [None, 6])
    y = r.normal(size=(20, 6)).astype('f')
    mu, sg, tr, inv = s.run([sc.mu, sc.sigma, sc.transform(ph), sc.inverse_transform(ph)], {ph: y})
    return {
        'data': x,
        'query': y,
        'mu': mu,
        'sigma': sg,
        'transformed': tr,
        'inverse_transformed': inv,
    }

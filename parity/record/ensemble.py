"""The ensemble at fixed parameters and over its first steps of Adam."""

import mopo.models.constructor as constructor
import numpy as np

from .data import dataset
from .ensembles import build_bnn, grads, params
from .registry import case
from .session import rng, session


def _bnn_case(
    separate,
    deterministic,
    steps=20,
    hidden=32,
    nets=4,
    elites=2,
    domain='hopper',
    batch=48,
    light=False,
):
    """Predictions, losses and gradients at random parameters, then ``steps`` steps of Adam."""
    d = dataset(domain, 2000)
    inputs, targets = constructor.format_samples_for_training(
        dict(d, rewards=d['rewards'][:, None])
    )
    s = session()
    m = build_bnn(
        s,
        d['observations'].shape[1],
        d['actions'].shape[1],
        hidden,
        nets,
        elites,
        separate,
        deterministic,
    )
    with s.as_default():
        m.scaler.fit(inputs)
    out = params(m, s, 'initial')
    r = rng(3)
    idx = r.randint(len(inputs), size=(steps, nets, batch))
    x2, x3 = inputs[idx[0, 0]], inputs[idx[0]]
    f = {m.sy_train_in: x3, m.sy_train_targ: targets[idx[0]]}
    mf, vf = m.predict(x2, factored=True)
    m2, v2 = m.predict(x2, factored=False)
    m3, v3 = m.predict(x3)
    out.update(
        inputs=inputs,
        targets=targets,
        batch_indices=idx,
        separate_mean_var=np.bool_(separate),
        deterministic=np.bool_(deterministic),
        hidden_dim=np.int64(hidden),
        num_networks=np.int64(nets),
        num_elites=np.int64(elites),
        weight_decays=np.array(
            [l.get_weight_decay() for l in m.layers + (m.var_layers or [])], 'f'
        ),
    )
    out.update(
        {
            'predict_2d_factored/mean': mf,
            'predict_2d_factored/var': vf,
            'predict_2d/mean': m2,
            'predict_2d/var': v2,
            'predict_3d/mean': m3,
            'predict_3d/var': v3,
        }
    )
    out.update(
        {
            'mse_loss': s.run(m.mse_loss, f),
            'train_loss': s.run(m.capture.loss_tensor, f),
            'validate': m.validate(inputs[:300], targets[:300]),
        }
    )
    if not light:
        out.update(grads(m, s, f, 'gradients'))
    losses, mses = [], []
    for i in range(steps):
        f = {m.sy_train_in: inputs[idx[i]], m.sy_train_targ: targets[idx[i]]}
        l, e, _ = s.run([m.capture.loss_tensor, m.mse_loss, m.train_op], f)
        losses.append(l)
        mses.append(e)
        if i == 0 and not light:
            out.update(params(m, s, 'after_1_step'))
    out.update(params(m, s, 'after_%d_steps' % steps))
    out.update(step_train_losses=np.array(losses), step_mse_losses=np.array(mses))
    return out


@case(
    (
        'mopo/models/bnn.py#L167-L275, mopo/models/bnn.py#L502-L550, '
        'mopo/models/bnn.py#L624-L693, mopo/models/constructor.py#L8-L43'
    ),
    'ensemble with one head: predictions, losses, gradients, Adam steps',
)
def bnn_joint_head():
    return _bnn_case(False, False)


@case(
    'mopo/models/bnn.py#L650-L664 (separate_mean_var=True), mopo/models/bnn.py#L670-L693',
    (
        'ensemble with separate variance head, as all MOPO configs use: predictions, losses, '
        'gradients, Adam steps'
    ),
)
def bnn_separate_head():
    return _bnn_case(True, False)


@case(
    'mopo/models/bnn.py#L242-L251 (deterministic=True)',
    'ensemble trained on squared error only',
)
def bnn_deterministic():
    return _bnn_case(True, True)


@case(
    'mopo/models/bnn.py, mopo/models/constructor.py#L8-L43',
    'full-size ensemble (7 networks of 4x200, halfcheetah): predictions, losses, 5 Adam steps',
)
def bnn_full_size():
    return _bnn_case(
        True,
        False,
        steps=5,
        hidden=200,
        nets=7,
        elites=5,
        domain='halfcheetah',
        batch=64,
        light=True,
    )

"""The original's own model files."""

import os

import mopo.models.constructor as constructor

from .data import dataset
from .ensembles import build_bnn, params
from .registry import case
from .session import session
from .settings import OUT


@case(
    'mopo/models/bnn.py#L277-L286, mopo/models/bnn.py#L552-L622',
    (
        "the original's own saved model files (.nns structure, .mat weights) and what the saved "
        'model predicts'
    ),
)
def bnn_checkpoint():
    out = {}
    for separate in (False, True):
        name = 'separate' if separate else 'joint'
        s = session()
        m = build_bnn(s, 11, 3, 16, 3, 2, separate, name=name)
        d = dataset('hopper', 200)
        x, _ = constructor.format_samples_for_training(dict(d, rewards=d['rewards'][:, None]))
        with s.as_default():
            m.scaler.fit(x)
        folder = os.path.join(OUT, 'bnn_checkpoint_files')
        os.makedirs(folder, exist_ok=True)
        m.save(folder, 0)
        mean, var = m.predict(x[:32], factored=True)
        out.update(params(m, s, name))
        out.update({name + '/inputs': x[:32], name + '/mean': mean, name + '/var': var})
    return out

"""The configurations as the original resolves them."""

import json
import os

import numpy as np

from . import original
from .registry import case
from .settings import OUT, REPO


@case(
    'examples/config/d4rl/*.py, examples/development/base.py',
    'every config of the original as it resolves: variants.json',
)
def variants():
    out = {}
    folder = os.path.join(REPO, 'examples/config/d4rl')
    for f in sorted(os.listdir(folder)):
        n = f[:-3]
        if n.startswith(('base', '__')) or not f.endswith('.py'):
            continue
        spec = original.variant('examples.config.d4rl.' + n)
        spec['algorithm_params'] = (
            spec['algorithm_params'].toDict()
            if hasattr(spec['algorithm_params'], 'toDict')
            else spec['algorithm_params']
        )
        out[n] = json.loads(
            json.dumps(spec, default=lambda o: o.toDict() if hasattr(o, 'toDict') else float(o))
        )
    with open(os.path.join(OUT, 'variants.json'), 'w') as f:
        json.dump(out, f, indent=1, sort_keys=True)
    return {'names': np.array(sorted(out))}

"""The original's ExperimentRunner for one of its own configurations, without Ray's scheduler."""

import importlib
import os
import types

from dotmap import DotMap


def resolve(spec, root=None):
    """Evaluate the tune.sample_from leaves as ray 0.7 does: called with {'config': whole spec}."""
    root = root if root is not None else spec
    out = {}
    for k, v in spec.items():
        if isinstance(v, dict):
            out[k] = resolve(v, root)
        elif type(v).__name__ == 'sample_from':
            out[k] = v.func(types.SimpleNamespace(get=lambda key, default=None: root))
        else:
            out[k] = v
    return out


def variant(config, seed=0, **kwargs):
    """Return the configuration of the module ``config``, resolved and changed by ``kwargs``."""
    from examples.development.base import get_variant_spec

    params = DotMap(importlib.import_module(config).params)
    args = types.SimpleNamespace(policy='gaussian', checkpoint_replay_pool=None)
    spec = resolve(get_variant_spec(args, params))
    spec['run_params']['seed'] = seed
    spec['algorithm_params']['kwargs'].update(kwargs)
    return spec


def runner(spec, log_dir):
    """Return the original's ExperimentRunner for ``spec``, set up in ``log_dir``."""
    import ray.tune

    os.makedirs(log_dir, exist_ok=True)
    import examples.development.main as main

    os.chdir(log_dir)
    r = main.ExperimentRunner.__new__(main.ExperimentRunner)
    r._setup(spec)
    return r

"""The termination functions of all domains."""

import mopo.static
import numpy as np

from .registry import case
from .session import rng


@case(
    'mopo/static/*.py',
    (
        'termination functions of every domain on random states, states at the thresholds, and '
        'non-finite states'
    ),
)
def termination():
    out = {}
    dims = dict(
        halfcheetah=(17, 6),
        hopper=(11, 3),
        walker2d=(17, 6),
        ant=(27, 8),
        antangle=(27, 8),
        humanoid=(45, 17),
        pendulum=(3, 1),
        point2denv=(4, 2),
        point2dwallenv=(4, 2),
        halfcheetahjump=(17, 6),
        halfcheetahvel=(17, 6),
        halfcheetahveljump=(17, 6),
    )
    r = rng(4)
    for dom in sorted(mopo.static):
        o, a = dims[dom]
        obs, act = r.normal(size=(400, o)), r.normal(size=(400, a))
        nxt = obs + 0.3 * r.normal(size=(400, o))
        nxt[:100, 0] = r.choice(
            [0.2, 0.7, 0.8, 1.0, 2.0, 0.19999, 1.00001, 0.70001, 2.00001, 0.80001], 100
        )
        nxt[50:150, 1] = r.choice([-0.2, 0.2, 0.19999, -0.20001, -1, 1, 0.99999], 100)
        nxt[150:170, 3 % o] = r.choice([99.9, 100.0, 100.1, -100.1], 20)
        nxt[170:190, -1] = r.choice([np.nan, np.inf, -np.inf], 20)
        nxt[190:250, 0] = r.uniform(0.6, 2.1, 60)
        nxt[190:250, 1] = r.uniform(-0.3, 0.3, 60)
        # healthy but for one far coordinate
        nxt[250:310, 0], nxt[250:310, 1] = 1.0, 0.05
        for row, val in zip(
            range(250, 310),
            np.tile([-150, -100.1, -100, -99.9, 99.9, 100, 100.1, 150, 1e6, -1e6], 6),
        ):
            if o > 2:
                nxt[row, 2 + row % (o - 2)] = val
        done = mopo.static[dom].termination_fn(obs, act, nxt)
        out.update(
            {dom + '/obs': obs, dom + '/act': act, dom + '/next_obs': nxt, dom + '/done': done}
        )
        if hasattr(mopo.static[dom], 'recompute_reward_fn'):
            rew = r.normal(size=(400, 1))
            out.update(
                {
                    dom + '/rew': rew,
                    dom + '/recomputed_reward': mopo.static[dom].recompute_reward_fn(
                        obs, act, nxt, rew
                    ),
                }
            )
    return out

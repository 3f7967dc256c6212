"""One penalised step of the learned model."""

import mopo.models.constructor as constructor
import mopo.models.fake_env as fake_env
import mopo.static
import numpy as np

from .data import dataset
from .ensembles import build_bnn, params
from .registry import case
from .session import session
from .settings import SEED


@case(
    'mopo/models/fake_env.py#L21-L115',
    (
        'one step of the learned model: noise, elite choice, penalties (none, max learned std, '
        'max disagreement), terminations, info'
    ),
)
def fake_env_step():
    out = {}
    for dom in ('hopper', 'halfcheetah', 'walker2d'):
        d = dataset(dom, 1000)
        inputs, targets = constructor.format_samples_for_training(
            dict(d, rewards=d['rewards'][:, None])
        )
        s = session()
        m = build_bnn(s, d['observations'].shape[1], d['actions'].shape[1], 24, 5, 3, True)
        with s.as_default():
            m.scaler.fit(inputs)
        m._model_inds = [4, 0, 2]
        out.update(params(m, s, dom + '/params'))
        n = 40
        obs, act = d['observations'][:n], d['actions'][:n]
        out.update({dom + '/obs': obs, dom + '/act': act, dom + '/elites': np.array(m._model_inds)})
        for pen, coeff, learned in (
            ('none', 0.0, False),
            ('learned_var', 1.5, True),
            ('disagreement', 1.5, False),
        ):
            for det in (False, True):
                env = fake_env.FakeEnv(
                    m, mopo.static[dom], penalty_coeff=coeff, penalty_learned_var=learned
                )
                np.random.seed(SEED + 21)
                o, r_, t, info = env.step(obs.copy(), act.copy(), deterministic=det)
                k = '%s/%s/%s/' % (dom, pen, 'deterministic' if det else 'stochastic')
                out.update({k + 'next_obs': o, k + 'rewards': r_, k + 'terminals': t})
                for q, v in info.items():
                    if v is not None:
                        out[k + 'info/' + q] = v
        np.random.seed(SEED + 22)
        env = fake_env.FakeEnv(m, mopo.static[dom], penalty_coeff=1.5, penalty_learned_var=True)
        o, r_, t, info = env.step(obs[0].copy(), act[0].copy())
        k = dom + '/single/'
        out.update({k + 'next_obs': o, k + 'rewards': r_, k + 'terminals': t})
    out.update(
        numpy_seed=np.int64(SEED + 21),
        single_numpy_seed=np.int64(SEED + 22),
        penalty_coeff=np.float64(1.5),
        hidden_dim=np.int64(24),
        num_networks=np.int64(5),
    )
    return out

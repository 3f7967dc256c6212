"""Steps of the real simulators, and the scores that returns are measured by."""

import gym
import numpy as np

from .registry import case
from .session import rng
from .settings import SEED


@case(
    'gym 0.17.3 envs/mujoco/{half_cheetah,hopper,walker2d}.py (v2), mopo/env/ant.py',
    (
        'single environment steps from given MuJoCo states (warm start zeroed): observation, '
        'reward, done (gym 0.17.3 v2 tasks through mujoco-py on MuJoCo 2.1.0), one open-loop '
        'stretch, masses and inertias'
    ),
)
def environment_steps():
    out = {}
    from mopo.env.ant import AntEnv

    for name, env in (
        ('halfcheetah', gym.make('HalfCheetah-v2').unwrapped),
        ('hopper', gym.make('Hopper-v2').unwrapped),
        ('walker2d', gym.make('Walker2d-v2').unwrapped),
        ('antangle', AntEnv()),
    ):
        env.seed(SEED + 61)
        r = rng(12)
        env.reset()
        rec = {k: [] for k in ('qpos', 'qvel', 'action', 'next_obs', 'reward', 'done')}
        for _ in range(150):
            a = r.uniform(env.action_space.low, env.action_space.high).astype('f')
            qpos, qvel = env.sim.data.qpos.copy(), env.sim.data.qvel.copy()
            env.set_state(qpos, qvel)
            env.sim.data.qacc_warmstart[:] = 0
            o, rew, done, _i = env.step(a)
            for k, v in zip(rec, (qpos, qvel, a, o, rew, done)):
                rec[k].append(v)
            if done:
                env.reset()
        out.update({'%s/%s' % (name, k): np.array(v) for k, v in rec.items()})
        # one open-loop stretch: the state drifts on its own, nothing is reset in between
        env.sim.reset()
        env.reset()
        qpos, qvel = env.sim.data.qpos.copy(), env.sim.data.qvel.copy()
        env.set_state(qpos, qvel)
        env.sim.data.qacc_warmstart[:] = 0
        acts = (
            r.uniform(
                env.action_space.low, env.action_space.high, size=(100, env.action_space.shape[0])
            ).astype('f')
            * 0.3
        )
        steps = [env.step(a) for a in acts]
        out.update(
            {
                name + '/open_loop/qpos': qpos,
                name + '/open_loop/qvel': qvel,
                name + '/open_loop/actions': acts,
                name + '/open_loop/obs': np.array([s_[0] for s_ in steps]),
                name + '/open_loop/reward': np.array([s_[1] for s_ in steps]),
            }
        )
        out.update(
            {
                name + '/model/body_mass': env.model.body_mass.copy(),
                name + '/model/body_inertia': env.model.body_inertia.copy(),
                name + '/model/body_ipos': env.model.body_ipos.copy(),
                name + '/model/timestep': np.float64(env.model.opt.timestep),
                name + '/model/frame_skip': np.int64(env.frame_skip),
            }
        )
    return out


@case(
    'd4rl/infos.py',
    'reference scores behind D4RL normalised scores',
)
def reference_scores():
    from d4rl import infos

    names_ = sorted(
        k
        for k in infos.REF_MIN_SCORE
        if k.split('-')[0] in ('halfcheetah', 'hopper', 'walker2d', 'ant')
        and k.endswith(('v0', 'v1', 'v2'))
    )
    return {
        'task': np.array(names_),
        'ref_min': np.array([infos.REF_MIN_SCORE[n] for n in names_]),
        'ref_max': np.array([infos.REF_MAX_SCORE[n] for n in names_]),
    }

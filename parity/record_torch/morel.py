"""MOReL: mjrl's world models, its planner in the pessimistic model, its scripts' threshold."""

import ast
import copy

import numpy as np
import torch

from mjrl.algos import npg_cg
from mjrl.algos.behavior_cloning import BC
from mjrl.algos.mbrl import model_based_npg, nn_dynamics
from mjrl.baselines.mlp_baseline import MLPBaseline
from mjrl.policies.gaussian_mlp import MLP
from mjrl.utils.gym_env import EnvSpec, GymEnv

from ..record.registry import case
from .networks import array, dense, named, noted, replaced, smaller, stacked
from .settings import ARGUMENTS

OBS, ACT, ROWS, MEMBERS, BATCH, EPOCHS = 5, 2, 400, 3, 40, 5
STARTS, HORIZON, ITERATIONS = 8, 20, 2
HIDDEN, SMALL = (32, 24), {100: 20}
PESSIMISM = 3.0
POLICY = {"hidden_sizes": (8, 8), "init_log_std": -1.5, "min_log_std": -1.55}
DAMPING, CG_ITERATIONS, STEP_SIZE, GAMMA, GAE_LAMBDA = 1.0, 10, 0.02, 0.999, 0.97
BASELINE = {"hidden_sizes": (16, 16), "reg_coef": 1e-3, "batch_size": 64, "epochs": 1}


def dataset(randoms):
    """Return rows of a linear system in unlike units, whose last component never changes."""
    units = np.array([1.0, 0.1, 5.0, 1.0, 1.0])
    s = randoms.normal(size=(ROWS, OBS)) * units
    s[:, -1] = 0.5
    a = np.clip(0.5 * randoms.normal(size=(ROWS, ACT)), -1, 1)
    moved = 0.05 * s + np.pad(0.3 * a, ((0, 0), (0, OBS - ACT))) + 0.02 * np.sin(3 * s)
    moved[:, -1] = 0.0
    r = s[:, :1] - 0.1 * np.square(a).sum(1, keepdims=True)
    return tuple(values.astype(np.float32) for values in (s, a, s + moved, r))


def new_models():
    """Return the members, with few reward units."""
    with replaced(torch.nn, "Linear", smaller(SMALL)):
        return [
            nn_dynamics.WorldModel(
                OBS, ACT, learn_reward=True, hidden_size=HIDDEN, seed=ARGUMENTS.seed + i
            )
            for i in range(MEMBERS)
        ]


def fitted(net, optimizer, fit):
    """Call ``fit``; return the batches drawn, the losses, the first gradients, and weights."""
    losses, orders, found = [], [], {}

    def kept(step):
        def call():
            if len(losses) == 1:
                found.update(named("gradients", dense(net.fc_layers, gradients=True)))
            step()
            if len(losses) in (1, 5, 50):
                found.update(named(f"after_{len(losses)}_steps", dense(net.fc_layers)))

        return call

    with (
        replaced(optimizer, "step", kept),
        replaced(torch.Tensor, "backward", noted(losses, of=lambda result, loss: loss)),
        replaced(np.random, "permutation", noted(orders)),
    ):
        fit()
    whole = [order[: ROWS // BATCH * BATCH].reshape(-1, BATCH) for order in orders]
    found["batch_indices"] = np.concatenate(whole)
    found["step_losses"] = np.array(losses)
    return found


def ensemble(models):
    """Return weights and transformations of all members."""
    nets = stacked([dense(model.dynamics_net.fc_layers) for model in models])
    rewards = stacked([dense(model.reward_net.fc_layers) for model in models])
    return {**named("dynamics", nets), **named("rewards", rewards)}


def transformations(model):
    """Return a member's transformations; all members have the same."""
    net, reward = model.dynamics_net, model.reward_net
    return {
        "input_shift": np.concatenate([array(net.s_shift), array(net.a_shift)]),
        "input_scale": np.concatenate([array(net.s_scale), array(net.a_scale)]),
        "output_shift": array(net.out_shift),
        "output_scale": array(net.out_scale),
        "reward_shift": array(reward.out_shift),
        "reward_scale": array(reward.out_scale),
    }


def train(models, s, a, sp, r):
    """Fit all members; return what was drawn and computed on the way."""
    settings, parts = {"fit_mb_size": BATCH, "fit_epochs": EPOCHS}, {"dynamics": [], "rewards": []}
    for model in models:
        dynamics = fitted(
            model.dynamics_net,
            model.dynamics_opt,
            lambda: model.fit_dynamics(s, a, sp, **settings),
        )
        rewards = fitted(
            model.reward_net, model.reward_opt, lambda: model.fit_reward(s, a, r, **settings)
        )
        parts["dynamics"].append(dynamics)
        parts["rewards"].append(rewards)
    found = {}
    for name, members in parts.items():
        found.update(named(name, stacked(members)))
    return found


def script(condition):
    """Return the first statement of run_morel.py that ``condition`` picks, compiled."""
    path = ARGUMENTS.mjrl / "projects" / "morel" / "run_morel.py"
    statement = next(node for node in ast.parse(path.read_text()).body if condition(node))
    return compile(ast.Module([statement], []), path, "exec")


def threshold(models, s, a):
    """Return the discrepancies and the threshold, by the statements of the script."""
    job = {"pessimism_coef": PESSIMISM}
    names = {"models": models, "s": s, "a": a, "np": np, "job_data": job}
    names["delta"] = np.zeros(len(s))
    exec(script(lambda n: isinstance(n, ast.For) and "disagreement" in ast.dump(n)), names)
    exec(script(lambda n: isinstance(n, ast.If) and "truncate_lim" in ast.dump(n)), names)
    return {"discrepancies": names["delta"], "threshold": np.array(job["truncate_lim"])}


@case(
    source="mjrl/algos/mbrl/nn_dynamics.py, projects/morel/run_morel.py#L172-L196",
    about="MOReL's dynamics and reward networks: training, predictions, discrepancy, threshold",
)
def morel_dynamics():
    randoms = np.random.RandomState(ARGUMENTS.seed)
    np.random.seed(ARGUMENTS.seed)
    s, a, sp, r = dataset(randoms)
    models = new_models()
    arrays = {"observations": s, "actions": a, "next_observations": sp, "rewards": r}
    arrays.update(named("initial", ensemble(models)))
    arrays.update(train(models, s, a, sp, r))
    arrays.update(named("final", {**ensemble(models), **transformations(models[0])}))
    far = np.float32([1.5, 1.5, 1.5, 1.5, 1.0]) * s[:50], np.float32(1.5) * a[:50]
    predicted = [(m.predict(*far), array(m.reward(*far))[:, 0]) for m in models]
    arrays["probes/observations"], arrays["probes/actions"] = far
    arrays["probes/next_observations"] = np.stack([next_s for next_s, _ in predicted])
    arrays["probes/rewards"] = np.stack([rewards for _, rewards in predicted])
    arrays.update(threshold(models, s, a))
    arrays["pessimism_coeff"] = np.array(PESSIMISM)
    arrays["learning_rate"] = np.array(models[0].dynamics_opt.defaults["lr"])
    return arrays


class Task(GymEnv):
    """What mjrl asks of a task whose steps are the model's."""

    def __init__(self):
        self.spec, self._horizon, self.act_repeat = EnvSpec(OBS, ACT, HORIZON), HORIZON, 1


def policy_arrays(policy):
    """Return the policy's weights, log stddev included."""
    return {**dense(policy.fc_layers), "log_std": array(policy.log_std)}


def split(policy, vector):
    """Return a flat vector of parameters or gradients as ``policy_arrays`` does."""
    other = copy.deepcopy(policy)
    parts = torch.split(vector, [p.numel() for p in other.parameters()])
    for parameter, part in zip(other.parameters(), parts):
        parameter.data = part.reshape(parameter.shape).clone()
    return policy_arrays(other)


def padded(paths, key):
    """Return a column of all paths, [T, paths, ...], 0 after a path's end."""
    values = np.zeros((HORIZON, len(paths), *paths[0][key].shape[1:]), np.float32)
    for i, path in enumerate(paths):
        values[: len(path[key]), i] = path[key]
    return values


def path_arrays(paths):
    """Return what the planner makes of the paths."""
    keys = ("observations", "actions", "rewards", "returns", "baseline", "advantages")
    arrays = {key: padded(paths, key) for key in keys}
    arrays["lengths"] = np.array([len(path["rewards"]) for path in paths])
    arrays["terminated"] = np.array([path["terminated"] for path in paths])
    return arrays


def baseline_arrays(baseline):
    """Return the baseline's weights."""
    return dense([layer for layer in baseline.model if isinstance(layer, torch.nn.Linear)])


def iteration(agent, starts, limit, with_direction):
    """Take one step of the planner; return what was drawn and computed on the way."""
    noise, orders, gradients, directions, paths = [], [], [], [], []
    with (
        replaced(model_based_npg.torch, "randn", noted(noise)),
        replaced(np.random, "permutation", noted(orders)),
        replaced(agent, "flat_vpg", noted(gradients)),
        replaced(npg_cg, "cg_solve", noted(directions)),
        replaced(
            model_based_npg.process_samples,
            "compute_advantages",
            noted(paths, of=lambda result, given, *others: copy.deepcopy(given)),
        ),
    ):
        before = copy.deepcopy(agent.policy)
        agent.train_step(
            N=len(starts),
            init_states=list(starts),
            horizon=HORIZON,
            gamma=GAMMA,
            gae_lambda=GAE_LAMBDA,
            truncate_lim=limit,
        )
    found = named("paths", path_arrays(list(paths[0])))
    assert np.abs(found["paths/actions"]).max() < 1.0, "the port clips actions (D-117)"
    found["starts"] = starts
    by_member = np.array(noise).reshape(MEMBERS, HORIZON, STARTS, ACT)
    found["latents"] = np.concatenate(by_member, axis=1)
    found["baseline_order"] = orders[0]
    if with_direction:
        found.update(named("gradient", split(before, torch.from_numpy(gradients[0]))))
        found.update(named("direction", split(before, torch.from_numpy(directions[0]))))
    for key in ("alpha", "kl_dist", "surr_improvement", "VF_error_before"):
        found[key] = np.array(agent.logger.log[key][-1])
    found.update(named("policy", policy_arrays(agent.policy)))
    found.update(named("baseline", baseline_arrays(agent.baseline)))
    return found


@case(
    source="mjrl/algos/mbrl/model_based_npg.py, mjrl/algos/npg_cg.py, mjrl/utils/cg_solve.py, "
    "mjrl/utils/process_samples.py, mjrl/baselines/mlp_baseline.py",
    about="two iterations of MOReL's planner: pessimistic paths, advantages, NPG step, baseline",
)
def morel_iterations():
    randoms = np.random.RandomState(ARGUMENTS.seed)
    np.random.seed(ARGUMENTS.seed)
    s, a, sp, r = dataset(randoms)
    models = new_models()
    train(models, s, a, sp, r)
    limit = float(threshold(models, s, a)["threshold"])
    policy = MLP(Task().spec, seed=ARGUMENTS.seed, **POLICY)
    baseline = MLPBaseline(Task().spec, learn_rate=1e-3, **BASELINE)
    agent = model_based_npg.ModelBasedNPG(
        learned_model=models,
        env=Task(),
        policy=policy,
        baseline=baseline,
        normalized_step_size=STEP_SIZE,
        save_logs=True,
        FIM_invert_args={"iters": CG_ITERATIONS, "damping": DAMPING},
    )
    arrays = named("ensemble", {**ensemble(models), **transformations(models[0])})
    arrays.update(named("initial/policy", policy_arrays(policy)))
    arrays.update(named("initial/baseline", baseline_arrays(baseline)))
    vector = torch.from_numpy(randoms.normal(size=policy.d).astype(np.float32))
    rows = torch.from_numpy(s)
    product = agent.HVP(rows, rows, vector, regu_coef=0.0)
    arrays.update({"fisher/observations": s, **named("fisher/vector", split(policy, vector))})
    arrays.update(named("fisher/product", split(policy, product)))
    for k in range(ITERATIONS):
        near = s[randoms.choice(ROWS, STARTS)] * randoms.uniform(0.2, 1.2, (STARTS, 1))
        near[:, -1] = 0.5
        found = iteration(agent, near.astype(np.float32), limit, with_direction=k == 0)
        arrays.update(named(f"iteration_{k}", found))
        lengths = found["paths/lengths"]
        assert lengths.min() < HORIZON == lengths.max(), "no path is cut, or every one"
    settings = {
        "threshold": limit,
        "step_size": STEP_SIZE,
        "cg_iterations": CG_ITERATIONS,
        "cg_damping": DAMPING,
        "discount": GAMMA,
        "gae_lambda": GAE_LAMBDA,
        "min_log_std": POLICY["min_log_std"],
        "baseline_lr": 1e-3,
        "baseline_batch_size": BASELINE["batch_size"],
        "baseline_weight_decay": BASELINE["reg_coef"],
        "baseline_epochs": BASELINE["epochs"],
    }
    arrays.update(named("settings", {k: np.array(v) for k, v in settings.items()}))
    return arrays


@case(
    source="mjrl/algos/behavior_cloning.py, mjrl/policies/gaussian_mlp.py",
    about="MOReL's behaviour cloning: batches drawn, weights after all of them",
)
def morel_cloning():
    randoms = np.random.RandomState(ARGUMENTS.seed)
    np.random.seed(ARGUMENTS.seed)
    s, a, _, _ = dataset(randoms)
    policy = MLP(Task().spec, seed=ARGUMENTS.seed, **POLICY)
    arrays = {"observations": s, "actions": a, **named("initial", policy_arrays(policy))}
    paths, rows = [{"observations": s, "actions": a}], []
    agent = BC(paths, policy, epochs=EPOCHS, batch_size=BATCH, loss_type="MSE")
    with replaced(np.random, "choice", noted(rows)):
        agent.train(suppress_fit_tqdm=True)
    arrays["learning_rate"] = np.array(agent.optimizer.defaults["lr"])
    arrays["batch_indices"] = np.array(rows)
    arrays.update(named("final", policy_arrays(policy)))
    return arrays


@case(
    source="projects/morel/configs/d4rl_hopper_medium.txt, projects/morel/run_morel.py, "
    "mjrl/algos/mbrl/nn_dynamics.py, mjrl/policies/gaussian_mlp.py",
    about="MOReL's configuration for D4RL, and its networks' sizes and initial weights",
)
def morel_defaults():
    randoms = np.random.RandomState(ARGUMENTS.seed)
    folder = ARGUMENTS.mjrl / "projects" / "morel" / "configs"
    config = ast.parse((folder / "d4rl_hopper_medium.txt").read_text().strip(), mode="eval")
    values = eval(compile(config, "d4rl_hopper_medium.txt", "eval"))
    names = (
        "num_models hidden_size fit_lr fit_mb_size fit_epochs policy_size step_size init_log_std "
        "min_log_std gamma gae_lambda update_paths horizon pessimism_coef"
    )
    settings = {name: values[name] for name in names.split()}
    settings.update(values["npg_hp"]["FIM_invert_args"])
    settings["starts_from_init"] = values["start_state"] == "init"
    found = {}
    call = script(lambda n: isinstance(n, ast.Assign) and "MLPBaseline" in ast.dump(n))
    exec(call, {"MLPBaseline": MLPBaseline, "e": Task(), "job_data": {"device": "cpu"}}, found)
    baseline = found["baseline"]
    settings["baseline_sizes"] = baseline.hidden_sizes
    settings["baseline_epochs"], settings["baseline_batch_size"] = (
        baseline.epochs,
        baseline.batch_size,
    )
    settings["baseline_lr"] = baseline.optimizer.defaults["lr"]
    settings["baseline_weight_decay"] = baseline.optimizer.defaults["weight_decay"]
    policy = MLP(Task().spec, seed=ARGUMENTS.seed, hidden_sizes=values["policy_size"])
    settings["max_log_std"] = policy.max_log_std_val[0]
    model = nn_dynamics.WorldModel(
        OBS, ACT, learn_reward=True, hidden_size=values["hidden_size"], seed=ARGUMENTS.seed
    )
    arrays = named("settings", {k: np.array(v) for k, v in settings.items()})
    networks = {
        "policy": dense(policy.fc_layers),
        "dynamics": dense(model.dynamics_net.fc_layers),
        "rewards": dense(model.reward_net.fc_layers),
        "baseline": baseline_arrays(baseline),
    }
    for name, weights in networks.items():
        for i, values in weights.items():
            arrays[f"shapes/{name}/{i}"] = np.array(values.shape)
            sample = randoms.choice(values.ravel(), min(values.size, 400), False)
            arrays[f"initial/{name}/{i}"] = sample
    return arrays

"""BCQ: continuous_BCQ/BCQ.py and its replay buffer."""

import inspect

import numpy as np
import torch

import BCQ as original
import utils

from ..record.registry import case
from .networks import array, dense, named, noted, replaced, shift, smaller
from .settings import ARGUMENTS

OBS, ACT, ROWS, BATCH, STEPS, STATES = 5, 2, 400, 20, 50, 6
SMALL = {750: 32, 400: 24, 300: 16}


VAE, CRITICS, PERTURBATION = "vae", "critics", "perturbation"


def layers(policy):
    """Return the linear layers of each network: those of each optimiser, and the targets'."""
    vae, critic, target = policy.vae, policy.critic, policy.critic_target
    return {
        VAE: {
            "encoder": (vae.e1, vae.e2, (vae.mean, vae.log_std)),
            "decoder": (vae.d1, vae.d2, vae.d3),
        },
        CRITICS: {
            "critic_1": (critic.l1, critic.l2, critic.l3),
            "critic_2": (critic.l4, critic.l5, critic.l6),
        },
        PERTURBATION: {"perturbation": actor_layers(policy.actor)},
        "targets": {
            "target_critic_1": (target.l1, target.l2, target.l3),
            "target_critic_2": (target.l4, target.l5, target.l6),
            "target_perturbation": actor_layers(policy.actor_target),
        },
    }


def actor_layers(actor):
    """Return the linear layers of the perturbation network."""
    return actor.l1, actor.l2, actor.l3


def weights(policy, kinds=(VAE, CRITICS, PERTURBATION, "targets"), gradients=False):
    """Return weights, or gradients, as the port names them."""
    found = {}
    for kind in kinds:
        for name, parts in layers(policy)[kind].items():
            found.update(named(name, dense(parts, gradients)))
    return found


def transitions(randoms):
    """Return rows of a linear system; some actions on their bounds, some rows terminal."""
    observations = randoms.normal(size=(ROWS, OBS)).astype(np.float32)
    actions = np.clip(randoms.normal(size=(ROWS, ACT)), -1, 1).astype(np.float32)
    moved = 0.9 * observations + 0.3 * np.pad(actions, ((0, 0), (0, OBS - ACT)))
    following = (moved + 0.1 * randoms.normal(size=moved.shape)).astype(np.float32)
    rewards = (following[:, :1] - 0.1 * np.square(actions).sum(1, keepdims=True)).astype(np.float32)
    return {
        "observations": observations,
        "actions": actions,
        "rewards": rewards,
        "terminals": randoms.uniform(size=(ROWS, 1)) < 0.1,
        "next_observations": following,
    }


def small_policy(randoms):
    """Return a policy with few units; targets apart; two log stddevs below their lower bound."""
    with replaced(torch.nn, "Linear", smaller(SMALL)):
        policy = original.BCQ(OBS, ACT, 1.0, torch.device("cpu"))
    shift(policy.actor_target.parameters(), randoms, 0.1)
    shift(policy.critic_target.parameters(), randoms, 0.1)
    with torch.no_grad():
        policy.vae.log_std.bias.copy_(torch.tensor([-4.8, -0.5, -5.2, 0.3]))
    return policy


def filled_buffer(policy, source):
    """Return the authors' buffer with the transitions."""
    count = len(source["rewards"])
    buffer = utils.ReplayBuffer(OBS, ACT, policy.device, max_size=count)
    columns = ("observations", "actions", "next_observations", "rewards", "terminals")
    for row in zip(*(source[name] for name in columns)):
        buffer.add(*row)
    return buffer


def train(policy, source):
    """Take all steps of the authors' loop; return what was drawn and computed on the way."""
    buffer, found = filled_buffer(policy, source), {}
    encoding, latents, errors, losses, indices = [], [], [], [], []

    def first_gradients(kind):
        def replacement(step):
            def call(*arguments, **options):
                if len(losses) <= 3:
                    gradients = weights(policy, [kind], gradients=True)
                    found.update(named("losses/gradients", gradients))
                return step(*arguments, **options)

            return call

        return replacement

    with (
        replaced(original.torch, "randn_like", noted(encoding)),
        replaced(original.torch, "randn", noted(latents)),
        replaced(original.F, "mse_loss", noted(errors, of=lambda result, *given: (result, *given))),
        replaced(torch.Tensor, "backward", noted(losses, of=lambda result, loss: loss)),
        replaced(np.random, "randint", noted(indices)),
        replaced(policy.vae_optimizer, "step", first_gradients(VAE)),
        replaced(policy.critic_optimizer, "step", first_gradients(CRITICS)),
        replaced(policy.actor_optimizer, "step", first_gradients(PERTURBATION)),
    ):
        for k in range(STEPS):
            policy.train(buffer, 1, BATCH)
            if k + 1 in (1, 5, STEPS):
                found.update(named(f"after_{k + 1}_steps", weights(policy)))
    (reconstruction, _, _), (_, q1, target), (_, q2, _) = errors[:3]
    found.update(
        {
            "losses/reconstruction": reconstruction,
            "losses/target": target,
            "losses/q1": q1,
            "losses/q2": q2,
            "step_losses": np.array(losses).reshape(STEPS, 3),
            "batch_indices": np.array(indices),
            "step_encoding": np.array(encoding),
            "step_next_latents": np.array(latents[::2]),
            "step_latents": np.array(latents[1::2]),
        }
    )
    return found


def selected(policy, randoms):
    """Return the actions that the policy takes in some states, with the latent vectors drawn."""
    states = randoms.normal(size=(STATES, OBS)).astype(np.float32)
    latents = []
    with replaced(original.torch, "randn", noted(latents)):
        actions = [policy.select_action(state) for state in states]
    return {"states": states, "latents": np.array(latents), "actions": np.array(actions)}


def bounds(policy, source):
    """Return the encoder with log stddevs far beyond both bounds, and what it gives."""
    vae = policy.vae
    with torch.no_grad():
        vae.log_std.bias.copy_(torch.tensor([-9.0, 15.0, 20.0, -4.0]))
        rows = (torch.from_numpy(source[k][:16]) for k in ("observations", "actions"))
        _, mean, std = vae(*rows)
    encoder = dense((vae.e1, vae.e2, (vae.mean, vae.log_std)))
    return {**named("encoder", encoder), "mean": array(mean), "std": array(std)}


@case(
    source="continuous_BCQ/BCQ.py#L53-L190",
    about="fifty updates of BCQ from fixed weights and noise: losses, gradients, weights; actions",
)
def bcq_updates():
    randoms = np.random.RandomState(ARGUMENTS.seed)
    torch.manual_seed(ARGUMENTS.seed)
    source, policy = transitions(randoms), small_policy(randoms)
    arrays = {**named("source", source), **named("initial", weights(policy))}
    arrays.update(train(policy, source))
    arrays.update(named("selection", selected(policy, randoms)))
    arrays.update(named("bounds", bounds(policy, source)))
    for name in ("discount", "tau", "lmbda"):
        arrays[name] = np.array(getattr(policy, name))
    arrays["phi"] = np.array(policy.actor.phi)
    arrays["learning_rate"] = np.array(policy.vae_optimizer.defaults["lr"])
    return arrays


@case(
    source="continuous_BCQ/BCQ.py#L8-L108, continuous_BCQ/main.py#L136-L150",
    about="BCQ's sizes, coefficients and initial weights, as the authors leave them",
)
def bcq_defaults():
    randoms = np.random.RandomState(ARGUMENTS.seed)
    torch.manual_seed(ARGUMENTS.seed)
    policy = original.BCQ(OBS, ACT, 1.0, torch.device("cpu"))
    arrays = {}
    for name, values in weights(policy).items():
        arrays[f"shapes/{name}"] = np.array(values.shape)
        arrays[f"initial/{name}"] = randoms.choice(values.ravel(), min(values.size, 400), False)
    settings = {
        k: p.default
        for f in (original.BCQ.__init__, original.BCQ.train)
        for k, p in inspect.signature(f).parameters.items()
        if p.default is not inspect.Parameter.empty
    }
    drawn = []
    with replaced(original.torch, "randn", noted(drawn)):
        policy.select_action(np.zeros(OBS))
        policy.train(filled_buffer(policy, transitions(randoms)), 1, BATCH)
    settings["num_evaluation_actions"] = len(drawn[0])
    settings["num_sampled_actions"] = len(drawn[1]) // BATCH
    settings["latent_dim"] = policy.vae.latent_dim
    optimizers = (policy.vae_optimizer, policy.critic_optimizer, policy.actor_optimizer)
    settings["lr"] = [optimizer.defaults["lr"] for optimizer in optimizers]
    arrays.update(named("settings", {k: np.array(v) for k, v in settings.items()}))
    return arrays

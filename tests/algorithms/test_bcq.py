"""BCQ: formulas, order of its step, what it learns."""

import numpy as np
import pytest
import tensorflow as tf

from mopo_tf2.algorithms.bc import BC
from mopo_tf2.algorithms.bcq import (
    BCQ,
    Noise,
    critic_loss,
    reconstruction_loss,
)
from mopo_tf2.configs.bc import BCConfig
from mopo_tf2.configs.bcq import BCQConfig
from mopo_tf2.dynamics.termination import never
from mopo_tf2.types import Transitions
from tests.algorithms.toy_tasks import Line, rows_of, undecided_actions

TINY = {
    "vae_hidden_sizes": (8,),
    "perturbation_hidden_sizes": (6,),
    "critic_hidden_sizes": (7,),
    "num_sampled_actions": 3,
    "batch_size": 16,
    "epoch_length": 6,
    "updates_per_call": 3,
    "eval_n_episodes": 0,
}


@pytest.fixture
def make(dataset):
    def make(seed=0, cls=BCQ, **changes):
        return cls(BCQConfig(**{**TINY, **changes}), dataset, never, seed=seed)

    return make


@pytest.fixture
def batch(dataset):
    return Transitions(*(tf.constant(column[:16]) for column in dataset))


@pytest.fixture
def noise():
    randoms = np.random.RandomState(1)
    return Noise(*(randoms.normal(size=(n, 2)).astype(np.float32) for n in (16, 48, 16)))


def values(layers):
    return [variable.numpy() for layer in layers for variable in layer.variables]


def equal(left, right):
    return all(np.array_equal(a, b) for a, b in zip(left, right, strict=True))


def test_losses_are_mean_squared_errors():
    loss = reconstruction_loss(tf.constant([[1.0, 0.0]]), tf.constant([[0.0, 0.5]]))
    assert float(loss) == 0.625
    q = tf.constant([[[1.0], [3.0]], [[0.0], [0.0]]])  # summed over the critics
    assert float(critic_loss(q, tf.constant([[1.0], [1.0]]))) == 2.0 + 1.0


def test_target_follows_the_formula_on_the_target_networks(make, batch, noise):
    bcq = make(discount=0.9)
    for layer in (bcq.target_perturbation, *bcq.target_critics):
        layer.set_weights([1.5 * weight + 0.1 for weight in layer.get_weights()])
    expected = np.zeros((16, 1))
    for row in range(16):
        following = batch.next_observations[row : row + 1]
        best = -np.inf
        for latent in noise.next_latents[3 * row : 3 * row + 3]:
            action = bcq.decoder(following, np.clip(latent[None], -0.5, 0.5))
            action = bcq.target_perturbation(following, action)
            q = [float(critic(following, action)[0, 0, 0]) for critic in bcq.target_critics]
            best = max(best, 0.75 * min(q) + 0.25 * max(q))
        alive = 1.0 - float(batch.terminals[row, 0])
        expected[row] = float(batch.rewards[row, 0]) + 0.9 * alive * best
    np.testing.assert_allclose(bcq.target(batch, noise.next_latents), expected, rtol=1e-5)


class Recorded(BCQ):
    """Notes the networks before each of its gradient steps, and the loss."""

    def _apply(self, name, tape, loss):
        self.steps.append((name, self.networks(), float(loss)))
        super()._apply(name, tape, loss)

    def networks(self):
        return {
            "vae": values([self.encoder, self.decoder]),
            "critics": values(self.critics),
            "perturbation": values([self.perturbation]),
            "targets": values([*self.target_critics, self.target_perturbation]),
        }


def test_a_step_is_vae_then_critics_then_perturbation_then_targets(make, batch, noise):
    bcq = make(cls=Recorded)
    bcq.steps = []
    bcq.update(batch, noise)
    bcq.steps.append(("targets", bcq.networks(), None))
    order = ["vae", "critics", "perturbation", "targets"]
    assert [name for name, _, _ in bcq.steps] == order
    start = bcq.steps[0][1]
    for i, (_, networks, _) in enumerate(bcq.steps[:-1]):
        changed = [name for name in order if not equal(networks[name], start[name])]
        assert changed == order[:i]
    assert all(not equal(bcq.steps[-1][1][name], start[name]) for name in order)


def test_the_perturbation_is_moved_by_the_new_critic_alone(make, batch, noise):
    bcq = make(cls=Recorded)
    bcq.steps = []
    perturbation = values([bcq.perturbation])
    bcq.update(batch, noise)
    bcq.perturbation.set_weights(perturbation)
    sampled = bcq.decoder(batch.observations, np.clip(noise.latents, -0.5, 0.5))
    expected = float(bcq.perturbation_loss(batch.observations, sampled))
    np.testing.assert_allclose(bcq.steps[2][2], expected, rtol=1e-5)


def test_the_vae_is_moved_by_squared_error_and_weighted_divergence(make, batch, noise):
    bcq = make(cls=Recorded, kl_weight=0.25)
    bcq.steps = []
    reconstruction, kl = (float(part) for part in bcq.vae_losses(batch, noise.encoding))
    bcq.update(batch, noise)
    np.testing.assert_allclose(bcq.steps[0][2], reconstruction + 0.25 * kl, rtol=1e-6)


def test_critics_and_perturbation_move_into_their_targets_by_tau(make, batch, noise):
    tau = 0.25
    bcq = make(tau=tau)
    old = values([*bcq.target_critics, bcq.target_perturbation])
    bcq.update(batch, noise)
    online = values([*bcq.critics, bcq.perturbation])
    target = values([*bcq.target_critics, bcq.target_perturbation])
    for before, source, after in zip(old, online, target, strict=True):
        np.testing.assert_allclose(after, tau * source + (1 - tau) * before, rtol=1e-6, atol=1e-7)


def test_the_latent_vector_has_twice_the_size_of_the_action(make):
    assert make().policy.latent_dim == 2
    assert make(latent_dim=5).policy.latent_dim == 5


def test_bcq_finds_the_good_actions_in_mixed_data_and_bc_the_mixture():
    data, behaviour = rows_of(undecided_actions(0.05), episodes=200, seed=1)
    shared = {"n_epochs": 1, "eval_n_episodes": 10}
    bcq_config = BCQConfig(
        **shared,
        epoch_length=1500,
        vae_hidden_sizes=(64, 64),
        perturbation_hidden_sizes=(32, 32),
        critic_hidden_sizes=(32, 32),
        discount=0.9,
    )
    bc_config = BCConfig(**shared, epoch_length=300, policy_hidden_sizes=(32,), policy_lr=3e-3)
    returns = []
    for cls, config in ((BCQ, bcq_config), (BC, bc_config)):
        environments = [Line() for _ in range(10)]
        (metrics,) = cls(config, data, never, environments=environments).train()
        returns.append(metrics["evaluation/return-average"])
    bcq_return, bc_return = returns
    # The optimum is 5.5; the good actions of the data give 4.4, their mean 0.
    assert bcq_return > 0.7 * Line.BEST_RETURN
    assert abs(bc_return - behaviour) < 0.2 * Line.BEST_RETURN

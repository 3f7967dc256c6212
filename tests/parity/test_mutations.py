"""The suite can fail: each change below, made on purpose, misses at the right place."""

import dataclasses

import pytest
import tensorflow as tf

from mopo_tf2 import gradient_steps
from mopo_tf2.algorithms import bcq, sac
from mopo_tf2.algorithms.morel import learner, model, npg
from mopo_tf2.config import SACConfig
from mopo_tf2.dynamics import losses, model_env, snapshots, termination, training
from mopo_tf2.dynamics.ensemble import GaussianEnsemble
from mopo_tf2.networks import variational_autoencoder
from mopo_tf2.networks.ensemble_dense import EnsembleDense
from parity.cases import layers
from parity.recording import Recording
from tests.eager import eagerly


def miss(rows, group):
    """The row of a group that missed; everything before it must have passed."""
    named = [row for row in rows if row.group == group]
    assert named, f"the table has no row {group!r}"
    missed = [row for row in named if not row.passed]
    assert missed, f"the row {group!r} passes: {named}"
    before = rows[: rows.index(missed[0])]
    assert all(row.passed for row in before), [row for row in before if not row.passed]
    return missed[0]


def test_adam_epsilon_of_keras_in_the_ensemble(monkeypatch, rows_of):
    group = "weights after 1 step"
    monkeypatch.setattr(gradient_steps, "ADAM_EPSILON", 1e-7)
    with eagerly():
        row = miss(rows_of("bnn_separate_head", group), group)
    assert row.where.startswith("after_1_step/")


def test_adam_epsilon_of_keras_in_sac(monkeypatch, rows_of):
    monkeypatch.setattr(gradient_steps, "ADAM_EPSILON", 1e-7)
    with eagerly():
        row = miss(rows_of("sac_updates", "after 1: policy"), "after 1: policy")
    assert row.where.startswith("after_1_steps/policy/")


@pytest.mark.parametrize(
    ("order", "group"),
    [
        (("policy", "critics", "temperature"), "after 1: critics"),
        (("critics", "policy", "temperature"), "after 5: policy"),
    ],
)
def test_sequential_sac_updates(monkeypatch, rows_of, order, group):
    def one_after_the_other(self, batch, noise, next_noise, tau):
        for name in order:
            _, gradients = self.losses_and_gradients(batch, noise, next_noise)
            pairs = zip(gradients[name], self._trained[name], strict=True)
            self.optimizers[name].apply_gradients(pairs)
        networks = self.critics.variables, self.target_critics.variables
        for source, target in zip(*networks, strict=True):
            target.assign(sac.polyak(source.value, target.value, tau))

    monkeypatch.setattr(sac.SAC, "update", one_after_the_other)
    with eagerly():
        row = miss(rows_of("sac_updates", group), group)
    assert row.where.startswith(f"after_{group[6]}_steps/")


def test_penalty_over_elites_only(monkeypatch, rows_of, load):
    predict = model_env.ModelEnvironment._predict

    def elites_only(self, observations, actions):
        means, stds, penalties = predict(self, observations, actions)
        if self.penalty_coeff and self.penalty_learned_var:
            elites = tf.gather(stds, self.ensemble.elites)
            penalties = model_env.learned_std_penalty(elites)[:, None]
        return means, stds, penalties

    monkeypatch.setattr(model_env.ModelEnvironment, "_predict", elites_only)
    whole, group = load("fake_env_step"), "penalty learned_var"
    hopper = {name: whole[name] for name in whole if name.startswith("hopper/") or "/" not in name}
    with eagerly():
        rows = rows_of("fake_env_step", group, Recording(whole.name, hopper))
    row = next(row for row in rows if row.group == group)
    assert not row.passed
    assert row.where.startswith("hopper/learned_var/stochastic/info/penalty")


def test_variance_head_on_the_output(monkeypatch, rows_of):
    build = GaussianEnsemble._build_variables

    def on_the_output(self):
        build(self)
        if self.variance_head is not None:
            self.variance_head = EnsembleDense(self.output_dim, self.num_networks)
            self.variance_head.build((self.num_networks, None, self.output_dim))

    def call(self, inputs):
        hidden = self.scaler.transform(inputs)
        for layer in self.trunk:
            hidden = layer(hidden)
        mean = self.head(hidden)
        raw = self.variance_head(mean)
        return mean, losses.bounded_log_var(raw, self.max_logvar, self.min_logvar)

    monkeypatch.setattr(GaussianEnsemble, "_build_variables", on_the_output)
    monkeypatch.setattr(GaussianEnsemble, "__call__", call)
    group = "names and shapes of the parameters"
    row = miss(rows_of("bnn_separate_head", group), group)
    assert row.where == "initial/var_layers/0/weights"


@pytest.mark.parametrize(
    ("module", "case", "group", "where"),
    [
        (layers, "fc_layer", "weight decay", "/decay"),
        (losses, "bnn_separate_head", "objective", "train_loss"),
    ],
)
def test_doubled_l2_decay(monkeypatch, rows_of, module, case, group, where):
    single = losses.weight_decay
    monkeypatch.setattr(module, "weight_decay", lambda kernels, c: 2.0 * single(kernels, c))
    assert miss(rows_of(case, group), group).where.endswith(where)


def test_patience_one_epoch_too_short(monkeypatch, rows_of):
    update = snapshots.Snapshots.update

    def reached(self, epoch, holdout_losses):
        update(self, epoch, holdout_losses)
        return self.epochs_since_update >= self._max_epochs_since_update

    monkeypatch.setattr(snapshots.Snapshots, "update", reached)
    group = "stop rule on the recorded losses"
    row = miss(rows_of("bnn_train", group), group)
    assert row.where.startswith("epoch_holdout_losses (epoch of the stop)")


def test_bounds_restored_with_the_snapshots(monkeypatch, rows_of):
    end_epoch, finish = training.EnsembleTrainer._end_epoch, training.EnsembleTrainer._finish
    kept = []

    def keep(self, split, best, *others):
        stop = end_epoch(self, split, best, *others)
        if best.epochs_since_update == 0:
            kept[:] = [self.ensemble.max_logvar.numpy(), self.ensemble.min_logvar.numpy()]
        return stop

    def restore(self, *arguments):
        self.ensemble.max_logvar.assign(kept[0])
        self.ensemble.min_logvar.assign(kept[1])
        return finish(self, *arguments)

    monkeypatch.setattr(training.EnsembleTrainer, "_end_epoch", keep)
    monkeypatch.setattr(training.EnsembleTrainer, "_finish", restore)
    group = "final weights: log-variance bounds"
    row = miss(rows_of("bnn_train", group), group)
    assert row.where.startswith(("final/max_logvar", "final/min_logvar"))


def test_target_entropy_of_minus_the_action_size(monkeypatch, rows_of):
    monkeypatch.setattr(SACConfig, "entropy_target", lambda self, act_dim: -float(act_dim))
    group = "gradients: temperature"
    with eagerly():
        row = miss(rows_of("sac_updates", group), group)
    assert row.where == "losses/gradients/log_alpha"


def test_mended_parenthesis_of_hopper(monkeypatch, rows_of):
    mended = termination.hopper_intended
    monkeypatch.setitem(termination.TERMINATION_FUNCTIONS, "hopper", mended)
    row = miss(rows_of("termination", "hopper"), "hopper")
    assert row.where.startswith("hopper/done[")


def test_holdout_without_the_cap(monkeypatch, rows_of):
    split = training.split_holdout

    def uncapped(random_state, inputs, targets, config):
        free = dataclasses.replace(config, model_max_holdout=len(inputs))
        return split(random_state, inputs, targets, free)

    monkeypatch.setattr(training, "split_holdout", uncapped)
    # The split is drawn before anything trains.
    monkeypatch.setattr(training.EnsembleTrainer, "steps", lambda *arguments: None)
    group = "hold-out split and bootstraps"
    row = miss(rows_of("bnn_holdout_cap", group), group)
    assert "num_holdout" in row.where or "bootstrap_indices" in row.where


def tf1_adam(learning_rate, variables, **options):
    return gradient_steps.adam(learning_rate, variables)


def single_latent_kl(mean, log_std):
    return mean.shape[1] * variational_autoencoder.kl_divergence(mean, log_std)


SOFT_CLIPPED_VALUE, CONJUGATE_GRADIENT = bcq.soft_clipped_value, npg.conjugate_gradient


@pytest.mark.parametrize(
    ("owner", "name", "changed", "group"),
    [
        (bcq, "kl_divergence", single_latent_kl, "gradients: encoder"),
        (
            bcq,
            "soft_clipped_value",
            lambda next_q, lmbda, n: SOFT_CLIPPED_VALUE(next_q, 1.0 - lmbda, n),
            "critics' target",
        ),
        (variational_autoencoder, "LOG_STD_BOUNDS", (-20.0, 2.0), "losses"),
        (bcq, "follow", lambda online, target, tau: None, "after 1 steps: target_perturbation"),
        # The perturbation's gradients see the steps of VAE and critics.
        (bcq, "adam", tf1_adam, "gradients: perturbation"),
    ],
)
def test_changed_bcq(monkeypatch, rows_of, owner, name, changed, group):
    monkeypatch.setattr(owner, name, changed)
    with eagerly():
        miss(rows_of("bcq_updates", group), group)


@pytest.mark.parametrize(
    ("owner", "name", "changed", "case", "group"),
    [
        (model, "SHORTEST_TRUNCATED", 1, "morel_iterations", "iteration 0: ends"),
        (
            model.PessimisticModel,
            "ends_have_no_value",
            True,
            "morel_iterations",
            "iteration 0: ends",
        ),
        (learner, "normalised", lambda a: a, "morel_iterations", "iteration 0: gradient"),
        (
            npg,
            "conjugate_gradient",
            lambda product, b, n: CONJUGATE_GRADIENT(product, b, n // 2),
            "morel_iterations",
            "iteration 0: direction",
        ),
        (learner, "adam", tf1_adam, "morel_cloning", "cloned policy"),
    ],
)
def test_changed_morel(monkeypatch, rows_of, owner, name, changed, case, group):
    monkeypatch.setattr(owner, name, changed)
    with eagerly():
        miss(rows_of(case, group), group)

"""Mistakes made on purpose, each with the recorded case or the test that must notice it.

Replacements call the originals, which are bound to names in capitals before anything is patched.
"""

import dataclasses
import math
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from mopo_tf2 import gradient_steps
from mopo_tf2.algorithms import bcq, mopo, offline_sac, sac
from mopo_tf2.algorithms.epoch_metrics import ROLLOUT_KEYS
from mopo_tf2.algorithms.morel import learner, model, npg
from mopo_tf2.algorithms.offline import OfflineAlgorithm
from mopo_tf2.config import MOPOConfig, SACConfig
from mopo_tf2.data import d4rl, replay_pool
from mopo_tf2.dynamics import ensemble, losses, model_env, scaler, snapshots, termination, training
from mopo_tf2.dynamics.rollouts import RolloutStep
from mopo_tf2.networks import (
    ensemble_dense,
    feedforward,
    gaussian_policy,
    unsquashed_policy,
    variational_autoencoder,
)
from mopo_tf2.types import Transitions
from parity.cases import layers

Patch = tuple[Any, str, Any]
"""An object, the name of its attribute, and what replaces it."""


@dataclasses.dataclass(frozen=True)
class Mutation:
    """One mistake.

    Attributes:
        name: as pytest shows it.
        patches: what is replaced.
        case: the recorded case that must miss; or the test that must fail, as FILE::TEST.
        group: the first row of the case's table that must miss.
        where: pattern of the array that is furthest off. In the row "replay", where the replay
            breaks off because rollouts have another number of states, of the error.
        until: the replay ends with this group; by default it is ``group``. "end" is none.
    """

    name: str
    patches: tuple[Patch, ...]
    case: str
    group: str = ""
    where: str = "*"
    until: str = ""


# The ensemble and its training.

BUILD_VARIABLES = ensemble.GaussianEnsemble._build_variables
UPDATE_SNAPSHOTS = snapshots.Snapshots.update
END_EPOCH = training.EnsembleTrainer._end_epoch
FINISH, TRAIN_EPOCH = training.EnsembleTrainer._finish, training.EnsembleTrainer._train_epoch
SHUFFLE_ROWS, SPLIT_HOLDOUT = training.shuffle_rows, training.split_holdout
SELECT_ELITES, WEIGHT_DECAY = training.select_elites, losses.weight_decay
GAUSSIAN_NLL, COLUMN_STATISTICS = losses.gaussian_nll, scaler.column_statistics


def adam_of_keras(learning_rate, variables, **options):
    optimizer = keras.optimizers.Adam(learning_rate, epsilon=gradient_steps.ADAM_EPSILON)
    optimizer.build(variables)
    return optimizer


def variance_head_on_the_output(self):
    BUILD_VARIABLES(self)
    if self.variance_head is not None:
        self.variance_head = ensemble_dense.EnsembleDense(self.output_dim, self.num_networks)
        self.variance_head.build((self.num_networks, None, self.output_dim))


def predict_variance_from_the_mean(self, inputs):
    hidden = self.scaler.transform(inputs)
    for layer in self.trunk:
        hidden = layer(hidden)
    mean = self.head(hidden)
    raw = self.variance_head(mean)
    return mean, losses.bounded_log_var(raw, self.max_logvar, self.min_logvar)


def decay_counted_once(self, inputs, targets):
    mean, _ = self(inputs)
    decay = losses.weight_decay(self.kernels, self.weight_decays)
    return losses.squared_error(mean, targets) + decay / self.num_networks


def patience_one_epoch_too_short(self, epoch, holdout_losses):
    UPDATE_SNAPSHOTS(self, epoch, holdout_losses)
    return self.epochs_since_update >= self._max_epochs_since_update


def rule_relative_to_the_new_loss(self, epoch, holdout_losses):
    best = self.losses.copy()
    self.losses = np.where(best > 1.01 * holdout_losses, np.float32(1e10), np.float32(1e-10))
    stop = UPDATE_SNAPSHOTS(self, epoch, holdout_losses)
    self.losses = np.where(self.epochs == epoch, holdout_losses, best).astype(np.float32)
    return stop


def keep_bounds_with_the_snapshots(self, split, best, *others):
    stop = END_EPOCH(self, split, best, *others)
    if best.epochs_since_update == 0:
        self.kept = [self.ensemble.max_logvar.numpy(), self.ensemble.min_logvar.numpy()]
    return stop


def restore_bounds(self, *arguments):
    self.ensemble.max_logvar.assign(self.kept[0])
    self.ensemble.min_logvar.assign(self.kept[1])
    return FINISH(self, *arguments)


def unshuffled(indices, random_state):
    SHUFFLE_ROWS(indices, random_state)
    return indices


def without_the_short_batch(self, split, indices, *others):
    size = self.config.model_batch_size
    TRAIN_EPOCH(self, split, indices[:, : indices.shape[1] // size * size], *others)


def without_the_cap(random_state, inputs, targets, config):
    free = dataclasses.replace(config, model_max_holdout=len(inputs))
    return SPLIT_HOLDOUT(random_state, inputs, targets, free)


def sample_deviation(data):
    mean, _ = COLUMN_STATISTICS(data)
    return mean, np.std(data, axis=0, keepdims=True, ddof=1)


ENSEMBLE = (
    Mutation(
        "epsilon-of-keras-in-the-ensemble",
        ((gradient_steps, "ADAM_EPSILON", 1e-7),),
        "bnn_separate_head",
        "weights after 1 step",
        "after_1_step/*",
    ),
    Mutation(
        "one-minus-beta-in-float64",
        ((gradient_steps, "adam", adam_of_keras),),
        "tests/test_gradient_steps.py::test_adam_takes_one_minus_beta_in_float32",
    ),
    Mutation(
        "variance-head-on-the-output",
        (
            (ensemble.GaussianEnsemble, "_build_variables", variance_head_on_the_output),
            (ensemble.GaussianEnsemble, "__call__", predict_variance_from_the_mean),
        ),
        "bnn_separate_head",
        "names and shapes of the parameters",
        "initial/var_layers/0/weights",
    ),
    Mutation(
        "doubled-decay-of-a-layer",
        ((layers, "weight_decay", lambda kernels, c: 2.0 * WEIGHT_DECAY(kernels, c)),),
        "fc_layer",
        "weight decay",
        "*/decay",
    ),
    Mutation(
        "doubled-decay",
        ((losses, "weight_decay", lambda kernels, c: 2.0 * WEIGHT_DECAY(kernels, c)),),
        "bnn_separate_head",
        "objective",
        "train_loss",
    ),
    Mutation(
        "half-the-likelihood",
        ((losses, "gaussian_nll", lambda *given: 0.5 * GAUSSIAN_NLL(*given)),),
        "bnn_joint_head",
        "objective",
    ),
    Mutation(
        "stronger-bound-term",
        ((losses, "LOG_VAR_BOUND_COEFF", 0.02),),
        "bnn_joint_head",
        "objective",
    ),
    Mutation(
        "hard-bounds-of-the-log-variance",
        ((losses, "bounded_log_var", lambda raw, high, low: tf.clip_by_value(raw, low, high)),),
        "bnn_joint_head",
        "predicted variance",
        until="predicted variance",
    ),
    Mutation(
        "decay-counted-once-if-deterministic",
        ((ensemble.GaussianEnsemble, "objective", decay_counted_once),),
        "bnn_deterministic",
        "objective",
    ),
    Mutation(
        "initial-weights-of-keras",
        (
            (
                ensemble_dense.EnsembleDense.__init__,
                "__kwdefaults__",
                {"seed": 0, "initializer": ensemble_dense.glorot_uniform},
            ),
        ),
        "fc_init",
        "spread",
    ),
    Mutation(
        "patience-one-epoch-too-short",
        ((snapshots.Snapshots, "update", patience_one_epoch_too_short),),
        "bnn_train",
        "stop rule on the recorded losses",
        "epoch_holdout_losses (epoch of the stop)*",
    ),
    Mutation(
        "every-improvement-counts",
        ((snapshots, "MIN_IMPROVEMENT", 0.0),),
        "bnn_train",
        "stop rule on the recorded losses",
    ),
    # The rules differ only where the best loss is 1.01 to 1.0101 new ones: in no recorded epoch.
    Mutation(
        "rule-relative-to-the-new-loss",
        ((snapshots.Snapshots, "update", rule_relative_to_the_new_loss),),
        "tests/dynamics/test_snapshots.py::"
        "test_only_an_improvement_of_more_than_one_per_cent_counts",
    ),
    # No recorded loss is above 1e3.
    Mutation(
        "first-best-loss-of-1e3",
        ((snapshots, "INITIAL_BEST_LOSS", 1e3),),
        "tests/dynamics/test_snapshots.py::"
        "test_only_an_improvement_of_more_than_one_per_cent_counts",
    ),
    Mutation(
        "bounds-restored-with-the-snapshots",
        (
            (training.EnsembleTrainer, "_end_epoch", keep_bounds_with_the_snapshots),
            (training.EnsembleTrainer, "_finish", restore_bounds),
        ),
        "bnn_train",
        "final weights: log-variance bounds",
        "final/m??_logvar*",
    ),
    Mutation(
        "unshuffled-bootstraps",
        ((training, "shuffle_rows", unshuffled),),
        "bnn_train_capped",
        "hold-out losses of every epoch",
    ),
    Mutation(
        "no-short-last-batch",
        ((training.EnsembleTrainer, "_train_epoch", without_the_short_batch),),
        "bnn_train_capped",
        "hold-out losses of every epoch",
    ),
    Mutation(
        "elites-by-number",
        ((training, "select_elites", lambda *given: sorted(SELECT_ELITES(*given))),),
        "three_epochs",
        "elites",
    ),
    Mutation(
        "no-cap-of-the-holdout",
        (
            (training, "split_holdout", without_the_cap),
            # The split is drawn before anything trains.
            (training.EnsembleTrainer, "steps", lambda *arguments: None),
        ),
        "bnn_holdout_cap",
        "hold-out split and bootstraps",
    ),
    Mutation(
        "sample-deviation-in-the-scaler",
        ((scaler, "column_statistics", sample_deviation),),
        "scaler",
        "fit",
        "sigma*",
    ),
)


# Steps and rollouts of the model.

PREDICT, DRAW_NOISE = model_env.ModelEnvironment._predict, model_env.draw_noise
BRANCHED_ROLLOUTS, LEARNED_STD_PENALTY = mopo.branched_rollouts, model_env.learned_std_penalty


def penalty_of_elites(self, observations, actions):
    means, stds, penalties = PREDICT(self, observations, actions)
    if self.penalty_coeff and self.penalty_learned_var:
        penalties = LEARNED_STD_PENALTY(tf.gather(stds, self.ensemble.elites))[:, None]
    return means, stds, penalties


def members_before_noise(random_state, ensemble, rows):
    members = random_state.choice(ensemble.elites, size=rows)
    noise = random_state.normal(size=(ensemble.num_networks, rows, ensemble.output_dim))
    return noise[members, np.arange(rows)], members.astype(np.int32)


def no_noise_on_rewards(*arguments):
    noise, members = DRAW_NOISE(*arguments)
    noise[:, 0] = 0.0
    return noise, members


def noise_in_float32(*arguments):
    noise, members = DRAW_NOISE(*arguments)
    return noise.astype(np.float32).astype(np.float64), members


def rewards_without_the_penalty(*arguments, **options):
    for step in BRANCHED_ROLLOUTS(*arguments, **options):
        transitions = step.transitions._replace(rewards=step.raw_rewards)
        yield step._replace(transitions=transitions)


def states_in_float32(environment, policy, *others, **options):
    """As if the states were rounded when they are passed on."""
    step = environment.step

    def rounded(observations, *arguments, **settings):
        return step(observations.astype(np.float32), *arguments, **settings)

    def act(observations):
        return policy(observations.astype(np.float32))

    environment.step = rounded
    try:
        yield from BRANCHED_ROLLOUTS(environment, act, *others, **options)
    finally:
        del environment.step


def always_stochastic(*arguments, deterministic, **options):
    return BRANCHED_ROLLOUTS(*arguments, **options)


def finished_rows_go_on(environment, policy, observations, rollout_length, random_state, **_):
    for _ in range(rollout_length):
        actions = policy(observations)
        step = environment.step(observations, actions, random_state)
        rows = (observations, actions, step.next_observations, step.rewards, step.terminals)
        yield RolloutStep(Transitions(*rows), step.penalties, step.raw_rewards)
        observations = step.next_observations


def starts_without_replacement(pool, count, random_state):
    return pool.stored().observations[random_state.permutation(pool.size)[:count]]


ROLLOUTS = (
    Mutation(
        "penalty-over-elites-only",
        ((model_env.ModelEnvironment, "_predict", penalty_of_elites),),
        "fake_env_step",
        "stochastic step: rewards",
        "*/learned_var/stochastic/*",
        until="penalty learned_var",
    ),
    Mutation(
        "penalty-without-the-reward",
        ((model_env, "learned_std_penalty", lambda std: LEARNED_STD_PENALTY(std[:, :, 1:])),),
        "fake_env_step",
        "stochastic step: rewards",
        "*/learned_var/stochastic/*",
        until="penalty learned_var",
    ),
    Mutation(
        "disagreement-that-sees-the-spread",
        (
            (
                model_env,
                "disagreement_penalty",
                lambda means: tf.norm(tf.math.reduce_std(means, axis=0), axis=1),
            ),
        ),
        "fake_env_step",
        "stochastic step: rewards",
        "*/disagreement/stochastic/*",
        until="penalty disagreement",
    ),
    Mutation(
        "members-drawn-before-the-noise",
        ((model_env, "draw_noise", members_before_noise),),
        "fake_env_step",
        "stochastic step: next observations",
    ),
    Mutation(
        "no-noise-on-rewards",
        ((model_env, "draw_noise", no_noise_on_rewards),),
        "fake_env_step",
        "stochastic step: rewards",
    ),
    Mutation(
        "model-noise-in-float32",
        ((model_env, "draw_noise", noise_in_float32),),
        "tests/dynamics/test_model_env.py::test_noise_keeps_double_precision",
    ),
    Mutation(
        "parenthesis-of-hopper-mended",
        (
            (
                termination,
                "TERMINATION_FUNCTIONS",
                {**termination.TERMINATION_FUNCTIONS, "hopper": termination.hopper_intended},
            ),
        ),
        "termination",
        "hopper",
        "hopper/done*",
    ),
    Mutation(
        "finished-rows-go-on",
        ((mopo, "branched_rollouts", finished_rows_go_on),),
        "two_epochs_hopper",
        "replay",
        "ValueError: operands could not be broadcast*",
    ),
    Mutation(
        "starts-without-replacement",
        ((mopo, "rollout_starts", starts_without_replacement),),
        "three_epochs",
        "model pool",
    ),
    Mutation(
        "no-penalty-in-the-pool",
        ((mopo, "branched_rollouts", rewards_without_the_penalty),),
        "three_epochs",
        "model pool",
        "epoch_0/model_pool/rewards*",
    ),
    Mutation(
        "deterministic-is-not-passed-on",
        ((mopo, "branched_rollouts", always_stochastic),),
        "two_epochs_deterministic",
        "replay",
        "ValueError: operands could not be broadcast*",
    ),
    Mutation(
        "states-in-float32",
        ((mopo, "branched_rollouts", states_in_float32),),
        "three_epochs",
        "states of the rollouts in float64",
        until="end",
    ),
    Mutation(
        "rollouts-by-the-mode",
        (
            (
                offline_sac.OfflineSAC,
                "_sample_actions",
                lambda self, observations, _: self.policy.mode(
                    observations.astype(np.float32)
                ).numpy(),
            ),
        ),
        "three_epochs",
        "actions of the rollouts",
    ),
)


# Pools and data.


def in_order_of_time(self):
    """Differs once the pool is full and its pointer is not at the start."""
    shift = self.pointer if self.size == self.capacity else 0
    return Transitions(*(np.roll(column[: self.size], -shift, 0) for column in self._columns))


ADD, MIXED_BATCHES = replay_pool.ReplayPool.add, mopo.mixed_batches


def only_the_first_rows_that_fit(self, transitions):
    ADD(self, Transitions(*(column[: self.capacity] for column in transitions)))


def real_share_rounded(*pools, batch_size, real_ratio, **options):
    ratio = (round(batch_size * real_ratio) + 0.5) / batch_size
    return MIXED_BATCHES(*pools, batch_size=batch_size, real_ratio=ratio, **options)


def with_the_rows_at_a_time_limit(columns, **options):
    kept = np.ones(len(columns["observations"]), bool)
    kept[-1] = False
    return kept


DATA = (
    Mutation(
        "pool-in-order-of-time",
        ((replay_pool.ReplayPool, "stored", in_order_of_time),),
        "replay_pool",
        "stored rows",
        until="end",
    ),
    Mutation(
        "last-row-is-never-drawn",
        (
            (
                replay_pool.ReplayPool,
                "random_indices",
                lambda self, count, random_state: random_state.randint(0, self.size - 1, count),
            ),
        ),
        "replay_pool",
        "random indices",
        until="end",
    ),
    # MOPO's own rollouts always fit; the dataset may not.
    Mutation(
        "first-rows-of-an-oversized-addition",
        ((replay_pool.ReplayPool, "add", only_the_first_rows_that_fit),),
        "tests/data/test_replay_pool.py::test_pool_of_a_dataset_keeps_its_last_rows",
    ),
    Mutation(
        "rows-at-a-time-limit-kept",
        ((d4rl, "kept_rows", with_the_rows_at_a_time_limit),),
        "d4rl_qlearning",
        "no timeouts, terminate on end False",
        until="end",
    ),
    # No recorded episode reaches the time limit after one that ended before it.
    Mutation(
        "time-limit-counted-without-a-slip",
        (
            (
                d4rl,
                "counted_timeouts",
                lambda terminals, limit: (
                    (
                        np.arange(len(terminals))
                        - np.maximum.accumulate(
                            np.where(
                                np.concatenate(([True], terminals[:-1])),
                                np.arange(len(terminals)),
                                0,
                            )
                        )
                    )
                    % limit
                    == limit - 1
                ),
            ),
        ),
        "tests/data/test_d4rl.py::test_counted_timeouts_equal_those_of_the_loop",
    ),
    Mutation(
        "real-share-rounded",
        ((mopo, "mixed_batches", real_share_rounded),),
        "three_epochs",
        "model pool",
        "epoch_0/model_pool/*",
    ),
)


# SAC.

SQUASH, POLYAK = gaussian_policy.squash, sac.polyak


def one_after_the_other(*order):
    def update(self, batch, noise, next_noise, tau):
        for name in order:
            _, gradients = self.losses_and_gradients(batch, noise, next_noise)
            pairs = zip(gradients[name], self._trained[name], strict=True)
            self.optimizers[name].apply_gradients(pairs)
        sac.follow(self.critics, self.target_critics, tau)

    return update


def terminals_that_bootstrap(rewards, terminals, next_q, next_log_pi, alpha, discount):
    return tf.stop_gradient(rewards + discount * (next_q - alpha * next_log_pi))


def mean_of_critics(log_pi, q, alpha):
    return tf.reduce_mean(alpha * log_pi - tf.reduce_mean(q, axis=0))


def squash_by_the_usual_formula(shift, log_scale, latents):
    """Log density with log(1 - a^2 + 1e-6), as other programs have it."""
    raw_actions, actions, _ = SQUASH(shift, log_scale, latents)
    base = -0.5 * tf.square(latents) - log_scale - 0.5 * math.log(2.0 * math.pi)
    log_pi = base - tf.math.log(1.0 - tf.square(actions) + 1e-6)
    return raw_actions, actions, tf.reduce_sum(log_pi, axis=1, keepdims=True)


def normal_instead_of_uniform(seed):
    return keras.initializers.GlorotNormal(seed=seed)


POLICY = (
    Mutation(
        "epsilon-of-keras-in-sac",
        ((gradient_steps, "ADAM_EPSILON", 1e-7),),
        "sac_updates",
        "after 1: policy",
        "after_1_steps/policy/*",
    ),
    Mutation(
        "policy-before-critics",
        ((sac.SAC, "update", one_after_the_other("policy", "critics", "temperature")),),
        "sac_updates",
        "after 1: critics",
        "after_1_steps/*",
    ),
    Mutation(
        "critics-before-policy",
        ((sac.SAC, "update", one_after_the_other("critics", "policy", "temperature")),),
        "sac_updates",
        "after 5: policy",
        "after_5_steps/*",
    ),
    Mutation(
        "target-entropy-of-minus-the-action-size",
        ((SACConfig, "entropy_target", lambda self, act_dim: -float(act_dim)),),
        "sac_updates",
        "gradients: temperature",
        "losses/gradients/log_alpha",
    ),
    Mutation(
        "terminals-that-bootstrap",
        ((sac, "critic_target", terminals_that_bootstrap),),
        "sac_updates",
        "critics' target",
    ),
    Mutation(
        "mean-of-critics-in-the-policy-loss",
        ((sac, "policy_loss", mean_of_critics),),
        "sac_updates",
        "losses",
        "losses/policy_loss",
    ),
    Mutation(
        "critics-loss-without-the-half",
        ((sac, "critic_losses", lambda q, target: tf.reduce_mean((q - target) ** 2, axis=[1, 2])),),
        "sac_updates",
        "losses",
        "losses/q?_loss",
    ),
    Mutation(
        "temperature-loss-on-alpha",
        (
            (
                sac,
                "temperature_loss",
                lambda log_alpha, log_pi, entropy: (
                    -tf.reduce_mean(tf.exp(log_alpha) * tf.stop_gradient(log_pi + entropy))
                ),
            ),
        ),
        "sac_updates",
        "losses",
        "losses/alpha_loss",
    ),
    Mutation(
        "targets-follow-twice-as-fast",
        ((sac, "polyak", lambda source, target, tau: POLYAK(source, target, 2.0 * tau)),),
        "sac_updates",
        "after 1: target critics",
    ),
    Mutation(
        "log-scale-above-minus-5",
        ((gaussian_policy, "LOG_SCALE_BOUNDS", (-5.0, 2.0)),),
        "gaussian_policy",
        "shift and log scale",
        "log_scale_diag*",
    ),
    Mutation(
        "log-pi-by-the-usual-formula",
        ((gaussian_policy, "squash", squash_by_the_usual_formula),),
        "gaussian_policy",
        "log pi of samples",
    ),
    Mutation(
        "mode-that-is-not-squashed",
        (
            (
                gaussian_policy.GaussianPolicy,
                "mode",
                lambda self, observations: tf.clip_by_value(self(observations)[0], -1.0, 1.0),
            ),
        ),
        "gaussian_policy",
        "actions",
        "deterministic_actions*",
    ),
    Mutation(
        "policy-starts-from-a-normal",
        ((feedforward.keras.initializers, "GlorotUniform", normal_instead_of_uniform),),
        "three_epochs",
        "initial weights",
    ),
    Mutation(
        "critics-start-as-the-ensemble-does",
        ((feedforward, "glorot_uniform", ensemble_dense.fan_in_truncated_normal),),
        "three_epochs",
        "initial weights",
    ),
)


# The loop over epochs.

TRAIN_ONE_EPOCH, EVALUATE = mopo.MOPO._train_one_epoch, mopo.MOPO._evaluate
ROLL_OUT_MODEL, BATCHES = mopo.MOPO._roll_out_model, mopo.MOPO._batches


def from_epoch_1(change):
    """Return the patch that calls ``change`` with the algorithm before each epoch but the first."""

    def train(self, clock):
        if self.epoch:
            change(self)
        return TRAIN_ONE_EPOCH(self, clock)

    return ((mopo.MOPO, "_train_one_epoch", train),)


def zero_slots(algorithm):
    for optimizer in algorithm.sac.optimizers.values():
        for slot in (*optimizer._momentums, *optimizer._velocities):
            slot.assign(np.zeros(slot.shape))


def copy_targets(algorithm):
    algorithm.sac.target_critics.set_weights(algorithm.sac.critics.get_weights())


def empty_pool(algorithm):
    algorithm.model_pool.size = algorithm.model_pool.pointer = 0


def evaluate_and_train(self, clock):
    self.early = EVALUATE(self)
    return TRAIN_ONE_EPOCH(self, clock)


def roll_out_in_epoch_0_only(self):
    return dict.fromkeys(ROLLOUT_KEYS, math.nan) if self.epoch else ROLL_OUT_MODEL(self)


def diagnostics_on_the_last_batch(self, count):
    """The block before the diagnostics, which ask for a single batch, has more."""
    if count > 1:
        self.last = BATCHES(self, count)
        return self.last
    return Transitions(*(column[-1:] for column in self.last))


EPOCHS = (
    Mutation(
        "slots-zeroed-from-epoch-1",
        from_epoch_1(zero_slots),
        "two_epochs_hopper",
        "epoch 1: policy",
    ),
    Mutation(
        "targets-copied-from-epoch-1",
        from_epoch_1(copy_targets),
        "two_epochs_hopper",
        "epoch 1: policy",
    ),
    Mutation(
        "temperature-reset-from-epoch-1",
        from_epoch_1(lambda algorithm: algorithm.sac.log_alpha.assign(0.0)),
        "two_epochs_hopper",
        "epoch 1: policy",
    ),
    Mutation(
        "pool-emptied-every-epoch",
        from_epoch_1(empty_pool),
        "three_epochs",
        "model pool",
        "epoch_1/model_pool/*",
        until="epoch 1: policy",
    ),
    Mutation(
        "no-rollouts-from-epoch-1",
        ((mopo.MOPO, "_roll_out_model", roll_out_in_epoch_0_only),),
        "two_epochs_hopper",
        "model pool",
        "epoch_1/model_pool/*",
        until="epoch 1: policy",
    ),
    Mutation(
        "model-retrained-every-epoch",
        from_epoch_1(lambda algorithm: algorithm.train_model()),
        "three_epochs",
        "model pool",
        "epoch_1/model_pool/*",
        until="epoch 1: policy",
    ),
    Mutation(
        "seeded-again-every-epoch",
        from_epoch_1(lambda algorithm: algorithm.streams.host.seed(algorithm.seed)),
        "three_epochs",
        "model pool",
        "epoch_1/model_pool/*",
        until="epoch 1: policy",
    ),
    Mutation(
        "pool-of-one-more-epoch",
        ((MOPOConfig, "model_pool_capacity", property(lambda self: 704)),),
        "three_epochs",
        "model pool",
        "epoch_0/model_pool/*",
    ),
    Mutation(
        "evaluation-before-training",
        (
            (mopo.MOPO, "_train_one_epoch", evaluate_and_train),
            (mopo.MOPO, "_evaluate", lambda self: self.early),
        ),
        "two_epochs_hopper",
        "evaluation: actions on recorded observations",
        "epoch_0/evaluation/*",
    ),
    Mutation(
        "diagnostics-on-the-last-batch",
        ((mopo.MOPO, "_batches", diagnostics_on_the_last_batch),),
        "two_epochs_hopper",
        "batches of the diagnostics",
        "epoch_0/diagnostics/*",
    ),
    # Every replay has the recorded noise.
    Mutation(
        "policy-noise-of-deviation-one-half",
        (
            (
                OfflineAlgorithm,
                "_device_normal",
                lambda self, shape: 0.5 * self.streams.device.normal(shape, dtype=tf.float32),
            ),
        ),
        "tests/algorithms/test_mopo.py::"
        "test_policy_noise_is_standard_normal_independent_and_new_in_every_call",
    ),
)


# BCQ and MOReL.

TF1_ADAM, SOFT_CLIPPED_VALUE = gradient_steps.adam, bcq.soft_clipped_value
CONJUGATE_GRADIENT, STEP_SIZE = npg.conjugate_gradient, npg.normalised_step_size
NEXT_VALUES = npg.next_values


def tf1_adam(learning_rate, variables, **options):
    return TF1_ADAM(learning_rate, variables)


def single_latent_kl(mean, log_std):
    return mean.shape[1] * variational_autoencoder.kl_divergence(mean, log_std)


def standard_deviation(data):
    return data.mean(axis=0), data.std(axis=0)


def no_value_at_the_end(values, lengths, terminated):
    return NEXT_VALUES(values, lengths, np.ones_like(terminated))


BASELINES = (
    Mutation(
        "kl-of-a-single-latent",
        ((bcq, "kl_divergence", single_latent_kl),),
        "bcq_updates",
        "gradients: encoder",
    ),
    Mutation(
        "lambda-of-the-largest",
        (
            (
                bcq,
                "soft_clipped_value",
                lambda next_q, lmbda, n: SOFT_CLIPPED_VALUE(next_q, 1.0 - lmbda, n),
            ),
        ),
        "bcq_updates",
        "critics' target",
    ),
    Mutation(
        "latents-that-are-not-clipped",
        (
            (
                bcq.BCQ,
                "_decode",
                lambda self, observations, latents: self.decoder(observations, latents),
            ),
        ),
        "bcq_updates",
        "critics' target",
    ),
    Mutation(
        "mean-over-critics",
        ((bcq, "critic_loss", lambda q, target: tf.reduce_mean(tf.square(q - target))),),
        "bcq_updates",
        "gradients: critic",
    ),
    Mutation(
        "log-std-of-sac-in-the-encoder",
        ((variational_autoencoder, "LOG_STD_BOUNDS", (-20.0, 2.0)),),
        "bcq_updates",
        "losses",
    ),
    Mutation(
        "targets-of-bcq-that-stay",
        ((bcq, "follow", lambda online, target, tau: None),),
        "bcq_updates",
        "after 1 steps: target_perturbation",
    ),
    # The perturbation's gradients see the steps of VAE and critics.
    Mutation(
        "adam-of-tf1-in-bcq", ((bcq, "adam", tf1_adam),), "bcq_updates", "gradients: perturbation"
    ),
    Mutation(
        "paths-truncated-at-once",
        ((model, "SHORTEST_TRUNCATED", 1),),
        "morel_iterations",
        "iteration 0: ends",
    ),
    Mutation(
        "truncated-paths-are-terminated",
        ((model.PessimisticModel, "ends_have_no_value", True),),
        "morel_iterations",
        "iteration 0: ends",
    ),
    Mutation(
        "raw-advantages",
        ((learner, "normalised", lambda advantages: advantages),),
        "morel_iterations",
        "iteration 0: gradient",
    ),
    Mutation(
        "horizon-without-a-value",
        ((npg, "next_values", no_value_at_the_end),),
        "morel_iterations",
        "iteration 0: advantages",
    ),
    Mutation(
        "half-the-conjugate-gradient",
        (
            (
                npg,
                "conjugate_gradient",
                lambda product, b, n: CONJUGATE_GRADIENT(product, b, n // 2),
            ),
        ),
        "morel_iterations",
        "iteration 0: direction",
    ),
    Mutation(
        "step-size-of-trpo",
        (
            (
                npg,
                "normalised_step_size",
                lambda g, direction, delta: STEP_SIZE(g, direction, 2.0 * delta),
            ),
        ),
        "morel_iterations",
        "iteration 0: step",
    ),
    # In the recorded iterations no component comes near it.
    Mutation(
        "log-std-without-a-minimum",
        ((unsquashed_policy.UnsquashedGaussianPolicy, "clip_log_std", lambda self: None),),
        "tests/algorithms/morel/test_npg.py::test_log_std_does_not_fall_below_its_minimum",
    ),
    Mutation(
        "deviation-instead-of-mean-absolute-deviation",
        ((model, "centre_and_spread", standard_deviation),),
        "morel_dynamics",
        "transformations",
    ),
    Mutation(
        "discrepancy-from-the-first-member",
        (
            (
                model,
                "discrepancy",
                lambda states: tf.reduce_max(tf.norm(states - states[0], axis=-1), axis=0),
            ),
        ),
        "morel_dynamics",
        "discrepancies",
    ),
    Mutation(
        "adam-of-tf1-in-cloning", ((learner, "adam", tf1_adam),), "morel_cloning", "cloned policy"
    ),
)

MUTATIONS = (*ENSEMBLE, *ROLLOUTS, *DATA, *POLICY, *EPOCHS, *BASELINES)

QUICK = {
    "doubled-decay",
    "every-improvement-counts",
    "penalty-over-elites-only",
    "parenthesis-of-hopper-mended",
    "last-row-is-never-drawn",
    "rows-at-a-time-limit-kept",
    "mean-of-critics-in-the-policy-loss",
    "slots-zeroed-from-epoch-1",
    "kl-of-a-single-latent",
    "adam-of-tf1-in-cloning",
}
"""Those that ``make test`` makes: one or two of every part, the quickest."""

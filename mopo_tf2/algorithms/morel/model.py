"""MOReL's model of the task: an ensemble of networks, the pessimistic MDP, and paths in it."""

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from mopo_tf2.chunks import map_in_chunks
from mopo_tf2.dynamics.termination import checked_terminals
from mopo_tf2.dynamics.training import format_samples, shuffle_rows
from mopo_tf2.errors import DivergenceError, InputError
from mopo_tf2.gradient_steps import (
    CompiledSteps,
    adam,
    load_optimizers,
    minimise,
    optimizer_arrays,
)
from mopo_tf2.networks.feedforward import Feedforward
from mopo_tf2.progress import NoProgress, Progress
from mopo_tf2.seeding import random_state_from, spawn_seeds, state_of
from mopo_tf2.types import TerminationFn, Transitions

SHORTEST_TRUNCATED = 4
"""Rows that a path keeps at least where it is truncated, as in mjrl's model_based_npg."""
_SMALLEST_SCALE = 1e-8
_STEPS_PER_CALL = 16
_DATASET_CHUNK = 2048

LossFn = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]
"""Inputs and targets, as of ``ResidualEnsemble.losses`` -> each member's loss [E]."""

SampleFn = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""Observations [N, O] and standard normal latents [N, A] -> actions [N, A], not clipped."""


def centre_and_spread(data: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and mean absolute deviation of each column of data [N, D], each [D] float32.

    mjrl's transformations of inputs and outputs, in its nn_dynamics. The sums are float64, so that
    a constant column has a deviation of exactly 0.
    """
    centre = data.mean(axis=0, dtype=np.float64)
    spread = np.abs(data - centre).mean(axis=0, dtype=np.float64)
    return centre.astype(np.float32), spread.astype(np.float32)


def standardised(values: tf.Tensor, shift: tf.Tensor, scale: tf.Tensor) -> tf.Tensor:
    """Return ``(values - shift) / (scale + 1e-8)``, as in mjrl's nn_dynamics."""
    return (values - shift) / (scale + _SMALLEST_SCALE)


class ResidualEnsemble:
    """E networks (s, a) -> s' - s and E networks (s, a, s') -> reward, trained on squared error.

    Inputs and outputs are standardised by transformations that all members share, and all members
    run as one batched product. A component of s' - s that is constant in the data is predicted as
    0. D-110: the reward is always learned; mjrl's scripts give the task's reward function if there
    is one.

    Args:
        obs_dim: O.
        act_dim: A.
        num_networks: E.
        hidden_layer_sizes: units of each hidden layer of a dynamics network, ReLU.
        reward_hidden_layer_sizes: the same of a reward network.
        seed: of the initial weights; each member has a seed derived from it.

    MOReL paper (Kidambi et al. 2020), section 4; mjrl's nn_dynamics.
    """

    def __init__(
        self,
        obs_dim: int,
        act_dim: int,
        *,
        num_networks: int,
        hidden_layer_sizes: Sequence[int],
        reward_hidden_layer_sizes: Sequence[int] = (100, 100),
        seed: int = 0,
    ):
        self.obs_dim, self.act_dim, self.num_networks = obs_dim, act_dim, num_networks
        dynamics_seed, reward_seed = spawn_seeds(seed, 2)
        shared: dict[str, Any] = {"num_networks": num_networks, "fan_in_uniform": True}
        self.network = Feedforward(hidden_layer_sizes, obs_dim, seed=dynamics_seed, **shared)
        self.network.build((None, obs_dim + act_dim))
        self.reward_network = Feedforward(reward_hidden_layer_sizes, 1, seed=reward_seed, **shared)
        self.reward_network.build((None, obs_dim + act_dim + obs_dim))
        self.input_shift, self.input_scale = _transformation("input", obs_dim + act_dim)
        self.output_shift, self.output_scale = _transformation("output", obs_dim)
        self.reward_shift, self.reward_scale = _transformation("reward", 1)

    def fit_transformations(self, inputs: np.ndarray, targets: np.ndarray) -> None:
        """Set the transformations to the statistics of inputs [N, O + A], targets [N, 1 + O]."""
        for data, shift, scale in (
            (inputs, self.input_shift, self.input_scale),
            (targets[:, 1:], self.output_shift, self.output_scale),
            (targets[:, :1], self.reward_shift, self.reward_scale),
        ):
            centre, spread = centre_and_spread(data)
            shift.assign(centre)
            scale.assign(spread)

    def losses(self, inputs: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
        """Return each member's mean squared error of s' - s [E], outputs standardised.

        Args:
            inputs: [B, O + A] (shared by the members) or [E, B, O + A] float32.
            targets: [B, 1 + O] or [E, B, 1 + O] float32, (reward, s' - s).
        """
        deltas = standardised(targets[..., 1:], self.output_shift, self.output_scale)
        errors = self._raw_deltas(inputs) - deltas
        return tf.reduce_mean(tf.square(errors), axis=[1, 2])

    def reward_losses(self, inputs: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
        """Return each member's mean squared error of the reward [E], reward units.

        The networks see the predicted s', through which no gradient flows. Arguments as ``losses``.
        """
        following = inputs[..., : self.obs_dim] + self._deltas(inputs)
        errors = self._rewards(inputs, tf.stop_gradient(following)) - targets[..., :1]
        return tf.reduce_mean(tf.square(errors), axis=[1, 2])

    def _raw_deltas(self, inputs: tf.Tensor) -> tf.Tensor:
        return self.network(standardised(inputs, self.input_shift, self.input_scale))

    def _deltas(self, inputs: tf.Tensor) -> tf.Tensor:
        """Return s' - s, [E, B, O]."""
        scale = self.output_scale.value
        deltas = self._raw_deltas(inputs) * (scale + _SMALLEST_SCALE) + self.output_shift
        return tf.where(scale >= _SMALLEST_SCALE, deltas, 0.0)

    def _rewards(self, inputs: tf.Tensor, next_observations: tf.Tensor) -> tf.Tensor:
        """Return [E, B, 1] for inputs [B, O + A] or [E, B, O + A] and next states [E, B, O]."""
        known = standardised(inputs, self.input_shift, self.input_scale)
        known += tf.zeros_like(next_observations[..., :1])  # one copy per member
        observed = (self.input_shift[: self.obs_dim], self.input_scale[: self.obs_dim])
        raw = self.reward_network(
            tf.concat([known, standardised(next_observations, *observed)], axis=-1)
        )
        return raw * (self.reward_scale + _SMALLEST_SCALE) + self.reward_shift

    def predict(self, observations: tf.Tensor, actions: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Return each member's rewards [E, B] and next observations [E, B, O].

        Args:
            observations: [B, O] float32.
            actions: [B, A] float32.
        """
        inputs = tf.concat([observations, actions], axis=-1)
        following = observations + self._deltas(inputs)
        return self._rewards(inputs, following)[:, :, 0], following

    def named_variables(self) -> dict[str, keras.Variable]:
        """Return every variable by its name in checkpoints."""
        parts = {"network": self.network, "reward_network": self.reward_network}
        named = {
            f"{name}/{i}": variable
            for name, network in parts.items()
            for i, variable in enumerate(network.variables)
        }
        for name in ("input", "output", "reward"):
            for kind in ("shift", "scale"):
                named[f"{name}_{kind}"] = getattr(self, f"{name}_{kind}")
        return named


def _transformation(name: str, size: int) -> tuple[keras.Variable, keras.Variable]:
    shift = keras.Variable(np.zeros(size, np.float32), trainable=False, name=f"{name}_shift")
    scale = keras.Variable(np.ones(size, np.float32), trainable=False, name=f"{name}_scale")
    return shift, scale


@dataclasses.dataclass
class _Schedule:
    """Where a training stands between two epochs.

    losses: [2, E] float32, of dynamics and rewards after their last epoch.
    epoch: number of epochs done, of both together.
    split_state: of the random state before the split was drawn; see ``seeding.state_of``.
    """

    losses: np.ndarray
    epoch: int
    split_state: tuple[np.ndarray, dict[str, Any]]


class ResidualTrainer:
    """Adam on the members' squared errors for a fixed number of epochs: dynamics, then rewards.

    Between two epochs a training can be saved, as with ``EnsembleTrainer``.

    Args:
        ensemble: trained in place.
        lr: Adam's learning rate.
        batch_size: rows per member and gradient step.
        holdout_ratio: share of rows held out for the reported loss.
        max_holdout: upper bound on the held-out rows.

    mjrl's nn_dynamics. D-112: mjrl holds no rows out.
    """

    def __init__(
        self,
        ensemble: ResidualEnsemble,
        *,
        lr: float,
        batch_size: int,
        holdout_ratio: float,
        max_holdout: int,
    ):
        self.ensemble, self.batch_size = ensemble, batch_size
        self.holdout_ratio, self.max_holdout = holdout_ratio, max_holdout
        parts = (
            (ensemble.losses, ensemble.network),
            (ensemble.reward_losses, ensemble.reward_network),
        )
        self._optimizers = [
            adam(lr, network.trainable_variables, corrected_epsilon=True) for _, network in parts
        ]
        self._parts = [
            (self._steps_on(losses, network.trainable_variables, optimizer), _compiled(losses))
            for (losses, network), optimizer in zip(parts, self._optimizers, strict=True)
        ]
        self._schedule: _Schedule | None = None

    def _steps_on(self, losses: LossFn, variables: list[Any], optimizer: Any) -> CompiledSteps:
        def step(inputs: tf.Tensor, targets: tf.Tensor) -> None:
            with tf.GradientTape() as tape:
                loss = tf.reduce_sum(losses(inputs, targets))
            minimise(optimizer, tape, loss, variables)

        return CompiledSteps(step)

    def train(
        self,
        transitions: Transitions,
        random_state: np.random.RandomState,
        *,
        epochs: int,
        progress: Progress | None = None,
        after_epoch: Callable[[], None] = lambda: None,
    ) -> np.ndarray:
        """Train for ``epochs`` each; return the dynamics' losses on the held-out rows, [E] float32.

        They are mean squared errors of standardised outputs; on training rows if none are held out.

        Draws a permutation [N] for the split, then uniforms [E, n] before each epoch, because each
        member takes the rows in another order. An incomplete last batch is left out of the epoch.

        Raises:
            InputError: if there are no rows to train on.
            DivergenceError: if a loss becomes NaN or infinite.
        """
        progress = progress or NoProgress()
        inputs, targets = format_samples(transitions)
        count = min(int(len(inputs) * self.holdout_ratio), self.max_holdout)
        splitting = random_state
        if self._schedule is None:
            unknown = np.full((len(self._parts), self.ensemble.num_networks), np.nan, np.float32)
            schedule = _Schedule(unknown, 0, state_of(random_state))
        else:  # The split is repeated; the random state is past it.
            schedule = self._schedule
            splitting = random_state_from(*schedule.split_state)
        order = splitting.permutation(len(inputs))
        held, kept = order[:count], order[count:]
        if not len(kept):
            raise InputError(
                f"{len(inputs)} rows leave none to train on; give more data or a smaller "
                "dynamics_holdout_ratio."
            )
        self.ensemble.fit_transformations(inputs[kept], targets[kept])
        judged = held if count else kept[: self.max_holdout]
        members = np.tile(kept, (self.ensemble.num_networks, 1))
        total = len(self._parts) * epochs
        self._schedule, result = schedule, schedule.losses
        for epoch in range(schedule.epoch, total):
            part = epoch // epochs
            steps, losses = self._parts[part]
            order = shuffle_rows(members, random_state)
            self._train_epoch(steps, inputs, targets, order, epoch, progress)
            result[part] = losses(inputs[judged], targets[judged]).numpy()
            if not np.all(np.isfinite(result[part])):
                raise DivergenceError(
                    f"model training diverged: hold-out losses {result[part]} after epoch {epoch}. "
                    "Check the scale of the data or lower dynamics_lr."
                )
            # The epochs of the reward networks repeat the losses of the dynamics.
            progress.model_epoch(epoch, result[0], 0, total, total)
            schedule.epoch = epoch + 1
            if schedule.epoch < total:
                after_epoch()
        self._schedule = None
        return result[0]

    def arrays(self) -> dict[str, np.ndarray]:
        """See ``EnsembleTrainer.arrays``."""
        if self._schedule is None:
            return {}
        split, _ = self._schedule.split_state
        optimizers = optimizer_arrays(self._optimizers)
        return {"losses": self._schedule.losses, "split": split, **optimizers}

    def counters(self) -> dict[str, Any]:
        """See ``EnsembleTrainer.counters``."""
        if self._schedule is None:
            return {}
        return {"epoch": self._schedule.epoch, "split": self._schedule.split_state[1]}

    def load(self, arrays: dict[str, np.ndarray], counters: dict[str, Any]) -> None:
        """See ``EnsembleTrainer.load``."""
        load_optimizers(self._optimizers, arrays)
        split_state = arrays["split"], counters["split"]
        self._schedule = _Schedule(arrays["losses"], counters["epoch"], split_state)

    def _train_epoch(
        self,
        steps: CompiledSteps,
        inputs: np.ndarray,
        targets: np.ndarray,
        indices: np.ndarray,
        epoch: int,
        progress: Progress,
    ) -> None:
        members, rows = indices.shape
        batch_size = min(self.batch_size, rows)
        total = rows // batch_size
        batches = indices[:, : total * batch_size].reshape(members, total, batch_size)
        batches = batches.swapaxes(0, 1)
        for start in range(0, total, _STEPS_PER_CALL):
            chosen = batches[start : start + _STEPS_PER_CALL]
            steps(inputs[chosen], targets[chosen])
            progress.model_step(epoch, start + len(chosen), total)


def _compiled(losses: LossFn) -> LossFn:
    return tf.function(losses, jit_compile=True)


def discrepancy(next_observations: tf.Tensor) -> tf.Tensor:
    """Return disc(s, a) = max_{i, j} |f_i(s, a) - f_j(s, a)|_2, [B] float32.

    Args:
        next_observations: [E, B, O] float32, the members' predictions, simulator units.

    MOReL paper (Kidambi et al. 2020), section 4: the unknown state-action detector.
    """
    members = next_observations.shape[0]
    largest = tf.zeros_like(next_observations[0, :, 0])
    for i in range(members):
        for j in range(i + 1, members):
            distance = tf.norm(next_observations[i] - next_observations[j], axis=-1)
            largest = tf.maximum(largest, distance)
    return largest


def unknown_threshold(dataset_maximum: float, rule: str, coefficient: float) -> float:
    """Return the discrepancy above which a state-action pair is unknown.

    Args:
        dataset_maximum: largest discrepancy on the dataset.
        rule: "max_over_coefficient" (mjrl's), "max" (the dataset's maximum),
            "coefficient_times_max" (another released version of MOReL), or "none": infinity, no
            pair is unknown.
        coefficient: of the two rules that use one.

    Raises:
        InputError: if there is no such rule.
    """
    thresholds = {
        "max": dataset_maximum,
        "coefficient_times_max": coefficient * dataset_maximum,
        "max_over_coefficient": dataset_maximum / coefficient,
        "none": math.inf,
    }
    if rule not in thresholds:
        raise InputError(f"threshold_rule must be one of {', '.join(thresholds)}, got {rule!r}.")
    return thresholds[rule]


class PessimisticStep(NamedTuple):
    """The result of one step of the pessimistic model for B pairs, on the host.

    next_observations: [B, O] float32, of the member that the row follows.
    rewards:           [B] float32; of halted rows the HALT reward, if ``halt`` is "halt".
    halted:            [B] bool, the pair is unknown: the path ends.
    terminals:         [B] bool, the next state ends the task; if ``halt`` is "halt", False where
                       halted.
    discrepancies:     [B] float32.
    """

    next_observations: np.ndarray
    rewards: np.ndarray
    halted: np.ndarray
    terminals: np.ndarray
    discrepancies: np.ndarray


class PessimisticModel:
    """The learned dynamics, in which unknown state-action pairs lead to HALT.

    A pair (s, a) is unknown if disc(s, a) exceeds ``threshold``. If ``halt`` is "halt" (D-114), its
    reward is ``halt_reward`` and the path ends: this one reward stands for all rewards in the
    absorbing state (the paper has -kappa at each step in HALT). If ``halt`` is "truncate", as in
    mjrl, the path ends there, but not before its fourth row; the pair keeps its predicted reward,
    and as long as there is a threshold no path counts as terminated, not even where the task ends.

    Pairs with predictions that are not finite are unknown, whatever the threshold. D-125: mjrl
    bounds states and actions by 100 instead.

    Args:
        ensemble: the learned dynamics.
        termination_fn: decides which next states end the task.
        halt: see above.
        chunk_size: rows per compiled call.

    Attributes:
        threshold: scalar variable, infinite until ``fit``.
        halt_reward: scalar variable, reward units.

    MOReL paper (Kidambi et al. 2020), section 4: the pessimistic MDP.
    """

    def __init__(
        self,
        ensemble: ResidualEnsemble,
        termination_fn: TerminationFn,
        *,
        halt: str = "halt",
        chunk_size: int = 100,
    ):
        self.ensemble, self.termination_fn = ensemble, termination_fn
        self.halt, self.chunk_size = halt, chunk_size
        self.threshold = keras.Variable(
            math.inf, trainable=False, dtype="float32", name="threshold"
        )
        self.halt_reward = keras.Variable(0.0, trainable=False, dtype="float32", name="halt_reward")
        self._compiled_step = tf.function(self._step, jit_compile=True)
        self._compiled_discrepancy = tf.function(self._discrepancy, jit_compile=True)

    def _discrepancy(self, observations: tf.Tensor, actions: tf.Tensor) -> list[tf.Tensor]:
        return [discrepancy(self.ensemble.predict(observations, actions)[1])]

    def _step(
        self, observations: tf.Tensor, actions: tf.Tensor, members: tf.Tensor
    ) -> list[tf.Tensor]:
        rewards, next_observations = self.ensemble.predict(observations, actions)
        chosen = tf.stack([members, tf.range(tf.shape(members)[0])], axis=-1)
        return [
            tf.gather_nd(next_observations, chosen),
            tf.gather_nd(rewards, chosen),
            discrepancy(next_observations),
        ]

    def discrepancies(self, observations: np.ndarray, actions: np.ndarray) -> np.ndarray:
        """Return disc(s, a) [B] float32 of pairs [B, O], [B, A]."""
        inputs = [observations.astype(np.float32), actions.astype(np.float32)]
        return map_in_chunks(self._compiled_discrepancy, inputs, _DATASET_CHUNK)[0]

    def fit(
        self, transitions: Transitions, rule: str, coefficient: float, halt_reward_offset: float
    ) -> float:
        """Set threshold and HALT reward for the dataset; return its largest discrepancy.

        The HALT reward is the dataset's smallest reward minus ``halt_reward_offset``.
        """
        disagreement = self.discrepancies(transitions.observations, transitions.actions)
        largest = float(disagreement.max())
        self.threshold.assign(unknown_threshold(largest, rule, coefficient))
        self.halt_reward.assign(float(transitions.rewards.min()) - halt_reward_offset)
        return largest

    def step(
        self, observations: np.ndarray, actions: np.ndarray, members: np.ndarray
    ) -> PessimisticStep:
        """Take one step from every row, without random draws.

        Args:
            observations: [B, O] float32.
            actions: [B, A] float32; clipped to [-1, 1] here (D-117).
            members: [B] int32, the ensemble member whose prediction each row follows.
        """
        clipped = np.clip(actions, -1.0, 1.0)
        columns = [observations, clipped, members]
        results = map_in_chunks(self._compiled_step, columns, self.chunk_size)
        next_observations, rewards, disagreement = results
        finite = np.isfinite(next_observations).all(axis=-1) & np.isfinite(rewards)
        halted = ~(finite & (disagreement <= self.threshold.numpy()))
        next_observations = np.where(finite[:, None], next_observations, observations)
        halt_reward = self.halt_reward.numpy()
        rewards = np.where(finite, rewards, halt_reward)
        if self.halt == "halt":
            rewards = np.where(halted, halt_reward, rewards)
        ends = checked_terminals(self.termination_fn, observations, clipped, next_observations)
        terminals = ends[:, 0] & ~halted if self.halt == "halt" else ends[:, 0]
        return PessimisticStep(next_observations, rewards, halted, terminals, disagreement)

    @property
    def shortest_path(self) -> int:
        """The number of rows before which an unknown pair does not end a path."""
        return 1 if self.halt == "halt" else SHORTEST_TRUNCATED

    @property
    def ends_have_no_value(self) -> bool:
        """Whether a path that ends before the horizon counts as terminated."""
        return self.halt == "halt" or math.isinf(float(self.threshold.numpy()))

    def named_variables(self) -> dict[str, keras.Variable]:
        """Return threshold and HALT reward by their names in checkpoints."""
        return {"threshold": self.threshold, "halt_reward": self.halt_reward}


class Paths(NamedTuple):
    """N paths side by side, at most T steps long; rows after a path's end are 0.

    observations: [T, N, O] float32.
    actions:      [T, N, A] float32, as drawn, not clipped.
    rewards:      [T, N] float32.
    lengths:      [N] int64, at least 1.
    terminated:   [N] bool, no value is left after the last row (``ends_have_no_value``); False if
                  the path reached T steps.
    halted:       [N] bool, a pair is unknown to the model.
    """

    observations: np.ndarray
    actions: np.ndarray
    rewards: np.ndarray
    lengths: np.ndarray
    terminated: np.ndarray
    halted: np.ndarray


def pessimistic_paths(
    model: PessimisticModel,
    sample: SampleFn,
    starts: np.ndarray,
    latents: np.ndarray,
    members: np.ndarray,
    progress: Progress | None = None,
) -> Paths:
    """Roll the policy out until each path halts, ends or reaches T steps.

    Args:
        model: the pessimistic MDP.
        sample: the policy.
        starts: [N, O] float32, first states.
        latents: [T, N, A] float32, standard normal, the policy's noise; T is the horizon.
        members: [N] int32, the ensemble member that each path follows, as in mjrl.
        progress: receives progress callbacks.

    MOReL paper (Kidambi et al. 2020), algorithm 1: planning in the pessimistic MDP.
    """
    progress = progress or NoProgress()
    horizon, count, act_dim = latents.shape
    paths = Paths(
        np.zeros((horizon, *starts.shape), np.float32),
        np.zeros((horizon, count, act_dim), np.float32),
        np.zeros((horizon, count), np.float32),
        np.zeros(count, np.int64),
        np.zeros(count, bool),
        np.zeros(count, bool),
    )
    states, running = starts.astype(np.float32), np.arange(count)
    for t in range(horizon):
        actions = sample(states, latents[t])[running]
        step = model.step(states[running], actions, members[running])
        paths.observations[t, running] = states[running]
        paths.actions[t, running] = actions
        paths.rewards[t, running] = step.rewards
        paths.lengths[running] += 1
        paths.halted[running] |= step.halted
        # D-123: mjrl's termination files also keep a row of the terminal state itself.
        ends = paths.halted[running] & (t + 1 >= model.shortest_path) | step.terminals
        paths.terminated[running] = ends & model.ends_have_no_value
        states[running] = step.next_observations
        progress.rollout_step(t + 1, horizon, len(running))
        running = running[~ends]
        if not len(running):
            break
    return paths

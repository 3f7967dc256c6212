"""Training of the ensemble: its rules on scripted losses, and its steps."""

import itertools
from types import SimpleNamespace

import numpy as np
import pytest

from mopo_tf2.dynamics import training
from mopo_tf2.dynamics.ensemble import GaussianEnsemble
from mopo_tf2.dynamics.training import EnsembleTrainer, format_samples, shuffle_rows, split_holdout
from mopo_tf2.errors import DivergenceError, InputError
from mopo_tf2.progress import NoProgress
from mopo_tf2.types import Transitions


class Log(NoProgress):
    """Keeps what training reports."""

    def __init__(self):
        self.since, self.steps = [], []

    def model_step(self, epoch, done, total):
        self.steps.append((epoch, done, total))

    def model_epoch(self, epoch, holdout_losses, epochs_since_update, *limits):
        self.since.append(epochs_since_update)


class Scripted(EnsembleTrainer):
    """Takes no gradient steps: notes the batches and answers hold-out losses from a script."""

    def __init__(self, ensemble, script):
        super().__init__(ensemble)
        self.script = iter(script)
        self.batches = []
        self.evaluated = []

    def steps(self, inputs, targets):
        self.batches += list(inputs)

    def holdout_losses(self, inputs, targets):
        self.evaluated.append(inputs)
        return np.array(next(self.script), np.float32)


def numbered_rows(count):
    """Inputs [count, 3] whose first column is the row's number, and targets [count, 3]."""
    inputs = np.random.RandomState(0).normal(size=(count, 3)).astype(np.float32)
    inputs[:, 0] = np.arange(count)
    return inputs, np.random.RandomState(1).normal(size=(count, 3)).astype(np.float32)


def scripted(config, script=None):
    script = itertools.repeat([3.0, 1.0, 2.0]) if script is None else script
    return Scripted(GaussianEnsemble(2, 1, config), script)


def test_holdout_is_a_share_of_the_rows_up_to_the_cap(tiny_config):
    config = tiny_config(model_holdout_ratio=0.25, model_max_holdout=10)
    sizes = []
    for rows in (7, 40, 400):
        split = split_holdout(np.random.RandomState(0), *numbered_rows(rows), config)
        sizes.append((len(split.holdout_inputs), len(split.inputs)))
    assert sizes == [(1, 6), (10, 30), (10, 390)]


def test_targets_are_rewards_and_changes_of_state():
    transitions = Transitions(
        observations=np.array([[1.0, 2.0]], np.float32),
        actions=np.array([[0.5]], np.float32),
        next_observations=np.array([[1.5, 1.0]], np.float32),
        rewards=np.array([[7.0]], np.float32),
        terminals=np.array([[True]]),
    )
    inputs, targets = format_samples(transitions)
    np.testing.assert_array_equal(inputs, [[1.0, 2.0, 0.5]])
    np.testing.assert_array_equal(targets, [[7.0, 0.5, -1.0]])


def test_rows_are_shuffled_by_sorting_uniforms():
    indices = np.arange(12).reshape(2, 6) * 10
    order = np.random.RandomState(3).uniform(size=(2, 6)).argsort(axis=1)
    expected = np.stack([row[ranks] for row, ranks in zip(indices, order, strict=True)])
    np.testing.assert_array_equal(shuffle_rows(indices, np.random.RandomState(3)), expected)


def test_stream_gives_permutation_bootstraps_and_one_shuffle_per_epoch(tiny_config):
    random_state, expected = np.random.RandomState(5), np.random.RandomState(5)
    scripted(tiny_config()).train_on(*numbered_rows(20), random_state, max_epochs=3)
    expected.permutation(20)
    expected.randint(16, size=[3, 16])
    for _ in range(3):
        expected.uniform(size=[3, 16])
    assert random_state.randint(10**9) == expected.randint(10**9)


def test_epochs_run_through_the_bootstraps_in_drawn_then_shuffled_order(tiny_config):
    trainer = scripted(tiny_config())
    trainer.train_on(*numbered_rows(20), np.random.RandomState(5), max_epochs=2)
    expected = np.random.RandomState(5)
    kept = expected.permutation(20)[4:]
    first = expected.randint(16, size=[3, 16])
    seen = np.concatenate([batch[:, :, 0] for batch in trainer.batches], axis=1)
    np.testing.assert_array_equal(seen[:, :16], kept[first])
    np.testing.assert_array_equal(seen[:, 16:], kept[shuffle_rows(first, expected)])


@pytest.mark.parametrize("steps_per_call", [1, 2, 32])
def test_short_last_batch_trains_too(tiny_config, steps_per_call):
    # A fifth is held out: 16, 19 and 8 rows are left.
    for rows, batch_size, sizes in ((19, 4, [4] * 4), (23, 4, [4] * 4 + [3]), (10, 256, [8])):
        settings = {"model_steps_per_call": steps_per_call, "model_batch_size": batch_size}
        log, trainer = Log(), scripted(tiny_config(**settings))
        random_state = np.random.RandomState(0)
        trainer.train_on(*numbered_rows(rows), random_state, max_epochs=1, progress=log)
        assert [batch.shape for batch in trainer.batches] == [(3, size, 3) for size in sizes]
        assert log.steps[-1] == (0, len(sizes), len(sizes))


def test_scaler_sees_the_training_rows_only(tiny_config):
    inputs, targets = numbered_rows(20)
    trainer = scripted(tiny_config())
    trainer.train_on(inputs, targets, np.random.RandomState(5), max_epochs=1)
    kept = np.random.RandomState(5).permutation(20)[4:]
    mean = inputs[kept].mean(axis=0, keepdims=True)
    np.testing.assert_allclose(trainer.ensemble.scaler.mu.numpy(), mean, rtol=1e-6)


def test_training_stops_once_the_patience_is_exceeded(tiny_config):
    trainer = scripted(tiny_config(model_max_epochs_since_update=2))
    result = trainer.train_on(*numbered_rows(20), np.random.RandomState(0))
    assert result.epochs == 4


def test_training_stops_after_the_time_limit_at_the_end_of_an_epoch(tiny_config, monkeypatch):
    clock = itertools.count(step=10)
    monkeypatch.setattr(training, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    trainer = scripted(tiny_config(max_model_t=25))
    result = trainer.train_on(*numbered_rows(20), np.random.RandomState(0))
    assert result.epochs == 3


def test_validation_loss_is_the_mean_over_the_elites(tiny_config):
    # The argument goes before the configuration's number of epochs.
    result = scripted(tiny_config(model_max_epochs=2)).train_on(
        *numbered_rows(20), np.random.RandomState(0), max_epochs=1
    )
    assert (result.elites, result.val_loss, result.epochs) == ([1, 2], 1.5, 1)


def test_without_holdout_the_members_rank_on_the_training_rows(tiny_config):
    trainer = scripted(tiny_config(model_holdout_ratio=0.0, model_max_epochs=2))
    result = trainer.train_on(*numbered_rows(20), np.random.RandomState(0))
    assert (result.epochs, result.elites) == (2, [1, 2])
    assert [len(inputs) for inputs in trainer.evaluated] == [20]


def test_divergence_is_an_error_that_names_member_and_epoch(tiny_config):
    trainer = scripted(tiny_config(), [[1, 1, 1], [1, np.inf, 1]])
    with pytest.raises(DivergenceError, match="member 1 is inf after epoch 1"):
        trainer.train_on(*numbered_rows(20), np.random.RandomState(0))


def test_nan_in_the_targets_is_found_in_the_first_epoch(tiny_config, eager):
    inputs, targets = numbered_rows(20)
    targets[:, 1] = np.nan
    trainer = EnsembleTrainer(GaussianEnsemble(2, 1, tiny_config()))
    with pytest.raises(DivergenceError, match="nan after epoch 0"):
        trainer.train_on(inputs, targets, np.random.RandomState(0))


def test_too_few_rows_to_hold_any_out_are_refused(tiny_config):
    with pytest.raises(InputError, match="4 rows are too few for model_holdout_ratio"):
        scripted(tiny_config()).train_on(*numbered_rows(4), np.random.RandomState(0))


def trained_weights(config):
    """Weights after an epoch of four full batches and a short one, and the trainer."""
    trainer = EnsembleTrainer(GaussianEnsemble(2, 1, config, seed=3))
    trainer.train_on(*numbered_rows(23), np.random.RandomState(1), max_epochs=1)
    return [v.numpy() for v in trainer.ensemble.trainable_variables], trainer


def test_steps_per_call_have_no_effect_on_the_weights(tiny_config, eager):
    singly, _ = trained_weights(tiny_config(model_steps_per_call=1))
    blocks, trainer = trained_weights(tiny_config(model_steps_per_call=3))
    assert int(trainer.optimizer.iterations) == 5
    for got, expected in zip(blocks, singly, strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-6)


def test_many_rows_are_evaluated_in_chunks_with_the_same_losses(tiny_config, monkeypatch, eager):
    trainer = EnsembleTrainer(GaussianEnsemble(2, 1, tiny_config()))
    rows = numbered_rows(20)
    whole = trainer.holdout_losses(*rows)
    monkeypatch.setattr(training, "_EVALUATION_CHUNK", 8)
    seen, evaluate = [], trainer._compiled_squared_error
    trainer._compiled_squared_error = lambda *chunk: seen.append(len(chunk[0])) or evaluate(*chunk)
    np.testing.assert_allclose(trainer.holdout_losses(*rows), whole, rtol=1e-5)
    assert seen == [8, 8, 4]


def test_steps_lead_to_a_smaller_objective(tiny_config):
    inputs, targets = (np.broadcast_to(rows, (20, 3, 12, 3)) for rows in numbered_rows(12))
    trainer = EnsembleTrainer(GaussianEnsemble(2, 1, tiny_config(model_lr=1e-2)))
    before = float(trainer.ensemble.objective(inputs[0], targets[0]))
    trainer.steps(inputs, targets)
    assert float(trainer.ensemble.objective(inputs[0], targets[0])) < before
    assert int(trainer.optimizer.iterations) == 20

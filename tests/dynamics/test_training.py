"""Training of the ensemble, beside the trainings that parity replays: limits and refusals."""

import itertools
from types import SimpleNamespace

import numpy as np
import pytest

from mopo_tf2.dynamics import training
from mopo_tf2.dynamics.ensemble import GaussianEnsemble
from mopo_tf2.dynamics.training import EnsembleTrainer
from mopo_tf2.errors import DivergenceError, InputError


class Scripted(EnsembleTrainer):
    """Takes no gradient steps and answers hold-out losses from a script."""

    def __init__(self, ensemble, script):
        super().__init__(ensemble)
        self.script = iter(script)
        self.batches, self.evaluated = [], []

    def steps(self, inputs, targets):
        self.batches += [len(batch[0]) for batch in inputs]

    def holdout_losses(self, inputs, targets):
        self.evaluated.append(len(inputs))
        return np.array(next(self.script), np.float32)


def random_rows(count):
    """Inputs and targets, [count, 3] each."""
    return np.random.RandomState(0).normal(size=(2, count, 3)).astype(np.float32)


def scripted(config, script=None):
    script = itertools.repeat([3.0, 1.0, 2.0]) if script is None else script
    return Scripted(GaussianEnsemble(2, 1, config), script)


def test_rows_that_do_not_fill_a_batch_train_too(tiny_config):
    trainer = scripted(tiny_config(model_batch_size=256, model_max_epochs=2))
    # The argument goes before the configuration's number of epochs; a fifth is held out.
    trainer.train_on(*random_rows(10), np.random.RandomState(0), max_epochs=1)
    assert trainer.batches == [8]


def test_training_stops_once_the_patience_is_exceeded(tiny_config):
    trainer = scripted(tiny_config(model_max_epochs_since_update=2))
    result = trainer.train_on(*random_rows(20), np.random.RandomState(0))
    assert result.epochs == 4


def test_training_stops_after_the_time_limit_at_the_end_of_an_epoch(tiny_config, monkeypatch):
    clock = itertools.count(step=10)
    monkeypatch.setattr(training, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    trainer = scripted(tiny_config(max_model_t=25))
    result = trainer.train_on(*random_rows(20), np.random.RandomState(0))
    assert result.epochs == 3


def test_without_holdout_the_members_rank_on_the_training_rows(tiny_config):
    trainer = scripted(tiny_config(model_holdout_ratio=0.0, model_max_epochs=2))
    result = trainer.train_on(*random_rows(20), np.random.RandomState(0))
    assert (result.epochs, result.elites) == (2, [1, 2])
    assert trainer.evaluated == [20]


def test_divergence_is_an_error_that_names_member_and_epoch(tiny_config):
    trainer = scripted(tiny_config(), [[1, 1, 1], [1, np.inf, 1]])
    with pytest.raises(DivergenceError, match="member 1 is inf after epoch 1"):
        trainer.train_on(*random_rows(20), np.random.RandomState(0))


def test_too_few_rows_to_hold_any_out_are_refused(tiny_config):
    with pytest.raises(InputError, match="4 rows are too few for model_holdout_ratio"):
        scripted(tiny_config()).train_on(*random_rows(4), np.random.RandomState(0))


def trained_weights(config):
    """Weights after an epoch of four full batches and a short one, and the trainer."""
    trainer = EnsembleTrainer(GaussianEnsemble(2, 1, config, seed=3))
    trainer.train_on(*random_rows(23), np.random.RandomState(1), max_epochs=1)
    return [v.numpy() for v in trainer.ensemble.trainable_variables], trainer


def test_steps_per_call_have_no_effect_on_the_weights(tiny_config, eager):
    singly, _ = trained_weights(tiny_config(model_steps_per_call=1))
    blocks, trainer = trained_weights(tiny_config(model_steps_per_call=3))
    assert int(trainer.optimizer.iterations) == 5
    for got, expected in zip(blocks, singly, strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-6)


def test_many_rows_are_evaluated_in_chunks_with_the_same_losses(tiny_config, monkeypatch, eager):
    trainer = EnsembleTrainer(GaussianEnsemble(2, 1, tiny_config()))
    rows = random_rows(20)
    whole = trainer.holdout_losses(*rows)
    monkeypatch.setattr(training, "_EVALUATION_CHUNK", 8)
    seen, evaluate = [], trainer._compiled_squared_error
    trainer._compiled_squared_error = lambda *chunk: seen.append(len(chunk[0])) or evaluate(*chunk)
    np.testing.assert_allclose(trainer.holdout_losses(*rows), whole, rtol=1e-5)
    assert seen == [8, 8, 4]

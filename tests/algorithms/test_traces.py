"""Compiled functions are compiled once per shape, however long a run is.

A second compilation takes seconds and shows in no result, so only a count of traces sees it.
"""

import numpy as np

from mopo_tf2.dynamics.training import EnsembleTrainer


def traces(*objects):
    """How often each compiled function that ``objects`` hold was traced."""
    return {
        name: value.experimental_get_tracing_count()
        for owner in objects
        for name, value in vars(owner).items()
        if hasattr(value, "experimental_get_tracing_count")
    }


def the_upper_half_ends(observations, actions, next_observations):
    """Some rows of each step go on, so that every rollout step has another number of rows."""
    return next_observations[:, :1] > np.median(next_observations[:, 0])


def test_no_function_of_a_run_is_traced_again_after_its_first_epoch(tiny):
    mopo = tiny(n_epochs=4, rollout_length=3, rollout_batch_size=12, sac={"updates_per_call": 2})
    mopo.model_environment.termination_fn = the_upper_half_ends
    epochs = mopo.train()
    next(epochs)
    after_first = traces(mopo, mopo.sac, mopo.model_environment)
    assert len(list(epochs)) == 3
    assert traces(mopo, mopo.sac, mopo.model_environment) == after_first
    # Three updates at a time, two per call: one shape of two and one of a single update.
    assert after_first["_compiled_updates"] == 2
    assert after_first["_sampled"] == after_first["_compiled_sample"] == 1


def test_ensemble_training_has_one_trace_for_full_blocks_and_one_for_the_last_batch(tiny):
    trainer = EnsembleTrainer(tiny(ensemble={"model_steps_per_call": 3}).ensemble)
    rows = np.random.RandomState(0).normal(size=(61, 3)).astype(np.float32)
    trainer.train_on(rows, rows, np.random.RandomState(1), max_epochs=5)
    assert traces(trainer)["_compiled_steps"] == 2

"""Draws from the pools: rollout starts and stacked SAC batches."""

import numpy as np

from mopo_tf2.data.replay_pool import ReplayPool
from mopo_tf2.types import Transitions


def rollout_starts(pool: ReplayPool, count: int, random_state: np.random.RandomState) -> np.ndarray:
    """Draw ``count`` observations [count, O] with replacement, terminal rows included (Q-26).

    Original: mopo/algorithms/mopo.py:MOPO._rollout_model;
        softlearning/samplers/simple_sampler.py:SimpleSampler.random_batch
    """
    starts: np.ndarray = pool.rows(pool.random_indices(count, random_state)).observations
    return starts


def mixed_batches(
    environment_pool: ReplayPool,
    model_pool: ReplayPool | None,
    random_state: np.random.RandomState,
    *,
    count: int,
    batch_size: int,
    real_ratio: float,
) -> Transitions:
    """Draw ``count`` SAC batches, stacked: columns [count, batch_size, width].

    Each batch has int(batch_size * real_ratio) real rows first and model rows after them (Q-45);
    per batch the real indices are drawn before the model's.

    Args:
        environment_pool: rows of the dataset.
        model_pool: rows of rollouts; None if every row is real.
        random_state: advanced batch by batch.
        count: K.
        batch_size: B.
        real_ratio: in [0, 1].

    Original: mopo/algorithms/mopo.py:MOPO._training_batch
    """
    num_real = int(batch_size * real_ratio)
    num_model = batch_size - num_real
    real = np.empty((count, num_real), np.int64)
    model = np.empty((count, num_model), np.int64)
    for k in range(count):
        real[k] = environment_pool.random_indices(num_real, random_state)
        if model_pool is not None and num_model:
            model[k] = model_pool.random_indices(num_model, random_state)
    real_rows = environment_pool.rows(real)
    if model_pool is None or not num_model:
        return real_rows
    columns = zip(real_rows, model_pool.rows(model), strict=True)
    return Transitions(*(np.concatenate(pair, axis=1) for pair in columns))

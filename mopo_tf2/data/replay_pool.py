"""A ring buffer of transitions."""

import numpy as np

from mopo_tf2.types import Transitions


class ReplayPool:
    """Keeps the last ``capacity`` transitions, as float32 and bool.

    Rows are stored in ring order: once the pool is full, row ``pointer`` is the oldest (Q-65).

    Args:
        capacity: largest number of rows.
        obs_dim: O.
        act_dim: A.

    Original: softlearning/replay_pools/flexible_replay_pool.py:FlexibleReplayPool;
        softlearning/replay_pools/simple_replay_pool.py:SimpleReplayPool
    """

    def __init__(self, capacity: int, obs_dim: int, act_dim: int):
        if capacity < 1:
            raise ValueError(f"capacity must be positive, got {capacity}.")
        self.capacity = capacity
        self.size = 0
        self.pointer = 0
        self._columns = Transitions(
            np.zeros((capacity, obs_dim), np.float32),
            np.zeros((capacity, act_dim), np.float32),
            np.zeros((capacity, obs_dim), np.float32),
            np.zeros((capacity, 1), np.float32),
            np.zeros((capacity, 1), bool),
        )

    def add(self, transitions: Transitions) -> None:
        """Append rows, overwriting the oldest ones once the pool is full.

        Raises:
            ValueError: if a column has another shape than the pool's. (D-65: the original drops
                into a debugger.)

        Original: softlearning/replay_pools/flexible_replay_pool.py:FlexibleReplayPool.add_samples
        """
        count = len(transitions.observations)
        for name, column, values in zip(
            Transitions._fields, self._columns, transitions, strict=True
        ):
            expected = (count, column.shape[1])
            if values.shape != expected:
                raise ValueError(f"{name} must have shape {expected}, got {values.shape}.")
        kept = min(count, self.capacity)
        # If more rows are added than fit, only the last are written, where a full pass would put
        # them.
        first = (self.pointer + count - kept) % self.capacity
        until_end = min(kept, self.capacity - first)
        for column, values in zip(self._columns, transitions, strict=True):
            last = values[count - kept :]
            column[first : first + until_end] = last[:until_end]
            column[: kept - until_end] = last[until_end:]
        self.pointer = (self.pointer + count) % self.capacity
        self.size = min(self.size + count, self.capacity)

    def random_indices(self, count: int, random_state: np.random.RandomState) -> np.ndarray:
        """Draw ``count`` row indices with replacement.

        Raises:
            ValueError: if the pool is empty.

        Original:
            softlearning/replay_pools/flexible_replay_pool.py:FlexibleReplayPool.random_indices
        """
        if self.size == 0:
            raise ValueError("cannot sample from an empty ReplayPool; call add() first.")
        return random_state.randint(0, self.size, count)

    def rows(self, indices: np.ndarray) -> Transitions:
        """Return the rows at ``indices`` (any shape [...]), columns [..., width].

        Original:
            softlearning/replay_pools/flexible_replay_pool.py:FlexibleReplayPool.batch_by_indices
        """
        return Transitions(*(column[indices] for column in self._columns))

    def stored(self) -> Transitions:
        """Return views of all rows in storage order, not in time order (Q-65).

        Original:
            softlearning/replay_pools/flexible_replay_pool.py:FlexibleReplayPool.return_all_samples
        """
        return Transitions(*(column[: self.size] for column in self._columns))

    def restore(self, stored: Transitions, pointer: int) -> None:
        """Restore what ``stored`` and ``pointer`` returned, in an empty pool of equal capacity.

        Raises:
            ValueError: if the rows do not fit, or the pointer does not belong to them.
        """
        self.size = self.pointer = 0
        self.add(stored)
        full = self.size == self.capacity
        if not (0 <= pointer < self.capacity and (full or pointer == self.pointer)):
            raise ValueError(f"pointer {pointer} does not fit {self.size} stored rows.")
        self.pointer = pointer


def pool_of(transitions: Transitions, max_size: int | None) -> ReplayPool:
    """Return a pool with the last ``max_size`` rows of ``transitions``; all for None (Q-60).

    Original: mopo/off_policy/loader.py:restore_pool
    """
    rows = len(transitions.observations)
    capacity = rows if max_size is None else min(rows, max_size)
    pool = ReplayPool(capacity, transitions.observations.shape[1], transitions.actions.shape[1])
    pool.add(transitions)
    return pool

"""Online soft actor-critic, which collects data for the offline methods."""

from typing import Any

import gymnasium
import numpy as np
import tensorflow as tf

from mopo_tf2.algorithms.sac import SAC
from mopo_tf2.configs.online_sac import OnlineSACConfig
from mopo_tf2.data.batches import mixed_batches
from mopo_tf2.data.replay_pool import ReplayPool
from mopo_tf2.errors import DivergenceError
from mopo_tf2.evaluation.recording import Recorder
from mopo_tf2.networks.gaussian_policy import GaussianPolicy
from mopo_tf2.seeding import random_streams
from mopo_tf2.types import FloatArray, Transitions


class OnlineSAC:
    """SAC (Haarnoja et al. 2018) that acts in its task and learns from all recorded steps.

    After ``warm_up`` steps with random actions, one gradient step for each environment step:
    ``block_steps`` environment steps with the current policy, then as many gradient steps on the
    buffer (D-130). The seed of each reset is a function of ``seed`` and the episode's number, so
    that an object restored between two episodes continues bit for bit (D-131).

    Args:
        environment: the task.
        config: every coefficient.
        seed: of every random stream.

    Attributes:
        recorder: all steps, in order of time.
        train_steps: gradient steps taken.

    Original: softlearning/algorithms/sac.py:SAC;
        softlearning/samplers/simple_sampler.py:SimpleSampler.sample
    """

    def __init__(
        self, environment: gymnasium.Env[Any, Any], config: OnlineSACConfig, *, seed: int = 0
    ):
        self.config, self.streams = config, random_streams(seed)
        obs_dim = int(np.prod(environment.observation_space.shape or ()))
        self.act_dim = int(np.prod(environment.action_space.shape or ()))
        seeds = self.streams.weight_seeds
        self.sac = SAC(
            obs_dim,
            self.act_dim,
            config.sac,
            policy_seed=seeds["policy"],
            critics_seed=seeds["critics"],
        )
        self.recorder = Recorder(
            environment,
            config.steps,
            max_path_length=config.max_path_length,
            reset_seed=lambda episode: reset_seed(seed, episode),
        )
        self.pool = ReplayPool(config.steps, obs_dim, self.act_dim)
        self.train_steps = 0
        # Called in every step: as a concrete function a call costs half as much.
        self._sample = tf.function(self.policy.sample, jit_compile=True).get_concrete_function(
            tf.TensorSpec([1, obs_dim], tf.float32), tf.TensorSpec([1, self.act_dim], tf.float32)
        )

    @property
    def policy(self) -> GaussianPolicy:
        """SAC's policy."""
        return self.sac.policy

    @property
    def done(self) -> bool:
        """Whether all environment steps are taken."""
        return self.recorder.size >= self.config.steps

    def step(self) -> None:
        """Take one environment step and, at the end of a block, its gradient steps.

        Raises:
            DivergenceError: if the policy's actions are no longer finite.

        Original: softlearning/algorithms/rl_algorithm.py:RLAlgorithm._train
        """
        config, recorder = self.config, self.recorder
        if recorder.size < config.warm_up:
            action = self.streams.host.uniform(-1.0, 1.0, self.act_dim)
        else:
            action = self.sample_actions(recorder.observation[np.newaxis], self.streams.host)[0]
            if not np.isfinite(action).all():
                raise DivergenceError(
                    f"SAC's actions are no longer finite after {recorder.size} steps and "
                    f"{self.train_steps} gradient steps: lower --set lr={config.sac.lr:g}."
                )
        recorder.step(action)
        learned = recorder.size - config.warm_up
        if learned > 0 and learned % config.block_steps == 0:
            self._learn()

    def sample_actions(
        self, observations: FloatArray, random_state: np.random.RandomState
    ) -> FloatArray:
        """Return actions [1, A] of the stochastic policy for observations [1, O].

        Original: softlearning/policies/gaussian_policy.py:GaussianPolicy.actions_np
        """
        latents = random_state.standard_normal((1, self.act_dim)).astype(np.float32)
        actions, _ = self._sample(tf.constant(observations), tf.constant(latents))
        sampled: FloatArray = actions.numpy()
        return sampled

    def _learn(self) -> None:
        """Take ``block_steps`` gradient steps on the buffer.

        Original: softlearning/algorithms/rl_algorithm.py:RLAlgorithm._do_training_repeats
        """
        self._fill_pool(self.recorder.size)
        config, count = self.config.sac, self.config.block_steps
        batches = mixed_batches(
            self.pool,
            None,
            self.streams.host,
            count=count,
            batch_size=config.batch_size,
            real_ratio=1.0,
        )
        shape = (count, config.batch_size, self.act_dim)
        steps = self.train_steps + np.arange(count)
        tau = np.where(steps % config.target_update_interval == 0, config.tau, 0.0)
        self.sac.update_block(
            batches, self._normal(shape), self._normal(shape), tau.astype(np.float32)
        )
        self.train_steps += count

    def _normal(self, shape: tuple[int, ...]) -> tf.Tensor:
        return self.streams.device.normal(shape, dtype=tf.float32)

    def _fill_pool(self, rows: int) -> None:
        """Copy the recorded rows up to ``rows`` into the pool.

        D-135: also those of the running episode; the original adds an episode when it ends.

        Original: softlearning/replay_pools/replay_pool.py:ReplayPool.add_path
        """
        first = self.pool.size
        new = self.recorder.columns(first)
        count = rows - first
        self.pool.add(
            Transitions(
                new["observations"][:count],
                new["actions"][:count],
                new["next_observations"][:count],
                new["rewards"][:count, np.newaxis],
                new["terminals"][:count, np.newaxis],
            )
        )

    def arrays(self) -> dict[str, np.ndarray]:
        """Return every array that a resumed collection needs.

        Only between two episodes, or when all steps are taken.

        Raises:
            ValueError: if an episode is running: the simulator's state is not in the arrays.
        """
        if not self.recorder.between_episodes and not self.done:
            raise ValueError("an episode is running; save between two episodes.")
        saved = {f"sac/{name}": np.asarray(v) for name, v in self.sac.named_variables().items()}
        for name, column in self.recorder.columns().items():
            saved[f"columns/{name}"] = column
        saved["returns"] = np.array(self.recorder.returns)
        saved["ends"] = np.array(self.recorder.ends, np.int64)
        saved["random/device"] = self.streams.device.state.numpy()
        saved["random/host"] = self.streams.host.get_state(legacy=False)["state"]["key"]
        return saved

    def counters(self) -> dict[str, Any]:
        """Return the plain values that belong to ``arrays``."""
        host = self.streams.host.get_state(legacy=False)
        return {
            "train_steps": self.train_steps,
            "pool_rows": self.pool.size,
            "random_host": [host["state"]["pos"], host["has_gauss"], host["gauss"]],
        }

    def restore(self, arrays: dict[str, np.ndarray], counters: dict[str, Any]) -> None:
        """Restore what ``arrays`` and ``counters`` returned, in a new object.

        Raises:
            KeyError: if an array or counter is missing.
            ValueError: if one has another shape.
        """
        for name, variable in self.sac.named_variables().items():
            variable.assign(arrays[f"sac/{name}"])
        prefix = "columns/"
        columns = {
            name.removeprefix(prefix): values
            for name, values in arrays.items()
            if name.startswith(prefix)
        }
        self.recorder.restore(columns, arrays["returns"].tolist(), arrays["ends"].tolist())
        self._fill_pool(counters["pool_rows"])
        self.train_steps = counters["train_steps"]
        self.streams.device.state.assign(arrays["random/device"])
        self.streams.host.set_state(("MT19937", arrays["random/host"], *counters["random_host"]))


def reset_seed(seed: int, episode: int) -> int:
    """Return the seed of the reset of ``episode`` (from 0); evaluation uses other seeds."""
    return int(np.random.SeedSequence([seed, episode, 1]).generate_state(1)[0])

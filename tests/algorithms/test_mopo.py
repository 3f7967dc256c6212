"""The whole loop: against a recorded epoch, repeated and resumed."""

import json

import numpy as np
import pytest

from mopo_tf2.algorithms.mopo import MOPO
from mopo_tf2.checkpoints import load_arrays, save_arrays
from mopo_tf2.config import EnsembleConfig, MOPOConfig, SACConfig
from mopo_tf2.dynamics.termination import TERMINATION_FUNCTIONS
from mopo_tf2.types import Transitions


def without_times(metrics):
    return {name: value for name, value in metrics.items() if not name.startswith("times/")}


class RecordedNoise:
    """Answers a loop's requests for policy noise and rollout actions from a recording."""

    def __init__(self, recording):
        self.recording = recording
        self.observations = []
        self.updates = {"actor_latents": 0, "critic_latents": 0}
        self.turn = "actor_latents"

    def actions(self, observations):
        self.observations.append(observations)
        return self.recording[f"rollout_actions/{len(self.observations) - 1}"]

    def normal(self, shape):
        if len(shape) == 2:  # the diagnostics, whose noise was not recorded
            return np.zeros(shape, np.float32)
        name, other = self.turn, {"actor_latents", "critic_latents"} - {self.turn}
        (self.turn,) = other
        start = self.updates[name]
        self.updates[name] += shape[0]
        return self.recording[name][start : start + shape[0]]


@pytest.fixture(scope="module")
def epoch(load_recording, set_networks):
    """The recorded epoch, repeated: recording, our MOPO after it, its metrics, what it saw."""
    recording = load_recording("whole_epoch")

    def whole(*names):
        return {name: int(recording[name]) for name in names}

    config = MOPOConfig(
        **whole("rollout_length", "rollout_batch_size", "epoch_length", "model_train_freq"),
        **whole("model_retain_epochs"),
        penalty_coeff=float(recording["penalty_coeff"]),
        real_ratio=float(recording["real_ratio"]),
        rollout_chunk_size=50,
        n_epochs=1,
        eval_n_episodes=0,
        ensemble=EnsembleConfig(
            **whole("num_networks", "num_elites", "hidden_dim", "model_batch_size"),
            **whole("model_max_epochs"),
            model_holdout_ratio=float(recording["holdout_ratio"]),
        ),
        sac=SACConfig(
            **whole("batch_size"),
            hidden_layer_sizes=tuple(int(units) for units in recording["hidden_layer_sizes"]),
            target_entropy=float(recording["target_entropy"]),
            lr=float(recording["learning_rate"]),
            discount=float(recording["discount"]),
            tau=float(recording["tau"]),
        ),
    )
    transitions = Transitions(*(recording[f"env_pool/{name}"] for name in Transitions._fields))
    seed = int(recording["numpy_seed"])
    mopo = MOPO(config, transitions, TERMINATION_FUNCTIONS["hopper"], seed=seed)
    for name, variable in mopo.ensemble.named_variables().items():
        variable.assign(recording[f"initial/model/{name}"])
    set_networks(mopo.sac, recording, "initial/")
    # The recording is from before the original starts training, which copies the critics.
    mopo.sac.target_critics.set_weights(mopo.sac.critics.get_weights())
    noise = RecordedNoise(recording)
    mopo._sample_actions, mopo._device_normal = noise.actions, noise.normal
    (metrics,) = mopo.train()
    return recording, mopo, metrics, noise


def test_model_of_a_whole_epoch_is_that_of_the_original(epoch):
    recording, mopo, metrics, _ = epoch
    assert mopo.ensemble.elites == list(recording["elites"])
    np.testing.assert_allclose(metrics["model/val_loss"], recording["val_loss"], rtol=1e-5)
    for name, variable in mopo.ensemble.named_variables().items():
        expected = recording[f"final/model/{name}"]
        np.testing.assert_allclose(variable.numpy(), expected, rtol=0, atol=2e-6, err_msg=name)


def test_rollouts_of_a_whole_epoch_visit_the_states_of_the_original(epoch):
    recording, _, metrics, noise = epoch
    assert len(noise.observations) == recording["num_rollout_steps"]
    for k, observations in enumerate(noise.observations):
        expected = recording[f"rollout_observations/{k}"]
        np.testing.assert_allclose(observations, expected, rtol=1e-5, atol=2e-6)
    assert metrics["model/mean_rollout_length"] == recording["mean_rollout_length"]


def test_model_pool_after_a_whole_epoch_is_that_of_the_original(epoch):
    recording, mopo, _, _ = epoch
    assert mopo.model_pool.size == recording["model_pool_sizes"][-1]
    assert mopo.model_pool.capacity == recording["model_pool_max_size"]
    for name, column in mopo.model_pool.stored()._asdict().items():
        expected = recording[f"model_pool/{name}"]
        np.testing.assert_allclose(column, expected, rtol=1e-5, atol=2e-6, err_msg=name)


def test_networks_after_a_whole_epoch_are_those_of_the_original(epoch, networks):
    recording, mopo, _, noise = epoch
    assert noise.updates == {"actor_latents": 40, "critic_latents": 40}
    for name, weight in networks(mopo.sac).items():
        expected = recording[f"final/{name}"]
        np.testing.assert_allclose(weight, expected, rtol=0, atol=1e-6, err_msg=name)


def test_metrics_have_the_names_of_the_original_but_those_of_online_sampling(epoch):
    recording, _, metrics, _ = epoch
    missing = {str(key) for key in recording["diagnostics_keys"]} - set(metrics)
    online = {"episodes", "last-path-return", "max-path-return", "total-samples"}
    hooks = {
        f"{part}_{when}_hook" for part in ("epoch", "timestep") for when in ("before", "after")
    }
    assert missing == {f"sampler/{key}" for key in online} | {f"times/{key}" for key in hooks}


def test_metrics_count_timesteps_and_updates(epoch):
    _, _, metrics, _ = epoch
    counts = ("epoch", "timestep", "timesteps_total", "train-steps", "sampler/pool-size")
    assert [metrics[name] for name in counts] == [0.0, 40.0, 40.0, 40.0, 600.0]


@pytest.fixture(scope="module")
def runs(tmp_path_factory, tiny):
    """Three epochs in one go; one epoch with the same seed; the other two from a checkpoint."""
    path = tmp_path_factory.mktemp("runs") / "checkpoint.npz"
    whole, rows, first = tiny(seed=3), [], None
    for metrics in whole.train():
        rows.append(without_times(metrics))
        if first is None:
            first = {name: np.array(array) for name, array in whole.arrays().items()}
            save_arrays(path, whole.arrays(), whole.counters())
    again = tiny(seed=3)
    repeated = without_times(next(again.train()))
    resumed = tiny(seed=4)
    resumed.restore(*load_arrays(path))
    continued = [without_times(metrics) for metrics in resumed.train()]
    return {
        "rows": rows,
        "first": first,
        "whole": whole,
        "again": again,
        "repeated": repeated,
        "resumed": resumed,
        "continued": continued,
    }


def assert_equal_arrays(got, expected):
    assert set(got) == set(expected)
    for name, array in got.items():
        np.testing.assert_array_equal(array, expected[name], err_msg=name)


def test_equal_seeds_give_equal_metrics(runs):
    np.testing.assert_equal(runs["repeated"], runs["rows"][0])


def test_equal_seeds_give_equal_arrays(runs):
    assert_equal_arrays(runs["again"].arrays(), runs["first"])


def test_resumed_run_gives_the_metrics_of_one_that_never_stopped(runs):
    assert len(runs["continued"]) == 2
    for got, expected in zip(runs["continued"], runs["rows"][1:], strict=True):
        np.testing.assert_equal(got, expected)


def test_resumed_run_ends_in_the_state_of_one_that_never_stopped(runs):
    assert_equal_arrays(runs["resumed"].arrays(), runs["whole"].arrays())
    np.testing.assert_equal(runs["resumed"].counters(), runs["whole"].counters())


def test_metrics_have_the_same_keys_every_epoch_and_are_floats(runs):
    keys = [list(row) for row in runs["rows"] + runs["continued"]]
    assert all(other == keys[0] for other in keys)
    assert {type(value) for row in runs["rows"] for value in row.values()} == {float}


def test_epochs_of_training_change_the_policy(runs):
    assert runs["rows"][0]["policy/shifts-mean"] != runs["rows"][2]["policy/shifts-mean"]


def test_model_pool_wraps_at_its_capacity(runs):
    pool = runs["whole"].model_pool
    assert pool.size == pool.capacity == 2 * 2 * 5 * 2
    assert pool.pointer == 3 * 20 % 40


def test_counters_hold_nothing_but_plain_values(runs):
    counters = runs["whole"].counters()
    assert json.loads(json.dumps(counters)) == counters


def test_restoring_arrays_of_other_sizes_is_an_error(runs, tiny):
    other = tiny(sac={"hidden_layer_sizes": (5,)})
    with pytest.raises(ValueError, match="shape"):
        other.restore(runs["first"], runs["whole"].counters())

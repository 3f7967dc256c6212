"""The whole loop, compiled: repeated, resumed, and compiled once."""

import copy

import numpy as np
import pytest
import scipy.stats

from mopo_tf2.checkpoints import load_arrays, save_arrays

BLOCKS = {"rollout_length": 3, "rollout_batch_size": 12, "sac": {"updates_per_call": 2}}


def without_times(metrics):
    return {name: value for name, value in metrics.items() if not name.startswith("times/")}


def the_upper_half_ends(observations, actions, next_observations):
    """Some rows of each step go on, so that every rollout step has another number of rows."""
    return next_observations[:, :1] > np.median(next_observations[:, 0])


def traces(*objects):
    """How often each compiled function that ``objects`` hold was traced."""
    return {
        name: value.experimental_get_tracing_count()
        for owner in objects
        for name, value in vars(owner).items()
        if hasattr(value, "experimental_get_tracing_count")
    }


def compiled_functions(mopo):
    return traces(mopo, mopo.sac, mopo.sac._updates, mopo.model_environment)


@pytest.fixture(scope="module")
def runs(tmp_path_factory, tiny):
    """Three epochs in one go, and the last two of them again from a checkpoint."""
    path = tmp_path_factory.mktemp("runs") / "checkpoint.npz"
    mopo, rows, counts = tiny(seed=3, **BLOCKS), [], []
    mopo.model_environment.termination_fn = the_upper_half_ends
    for metrics in mopo.train():
        rows.append(without_times(metrics))
        counts.append(compiled_functions(mopo))
        if len(rows) == 1:
            save_arrays(path, mopo.arrays(), mopo.counters())
    ends = [state_of(mopo)]
    # In the same object, which is compiled; test_methods.py resumes in new ones.
    mopo.restore(*load_arrays(path))
    again = [without_times(metrics) for metrics in mopo.train()]
    ends.append(state_of(mopo))
    return {"rows": rows, "counts": counts, "again": again, "ends": ends}


def state_of(mopo):
    arrays = {name: np.array(array) for name, array in mopo.arrays().items()}
    return arrays, copy.deepcopy(mopo.counters())


def test_resumed_run_ends_in_the_state_of_one_that_never_stopped(runs):
    np.testing.assert_equal(runs["again"], runs["rows"][1:])
    np.testing.assert_equal(runs["ends"][1], runs["ends"][0])


def test_no_function_of_a_run_is_traced_again_after_its_first_epoch(runs):
    assert runs["counts"][0] == runs["counts"][-1]
    # Blocks of two updates and of one, rollout steps of many sizes: one shape each.
    names = ("_compiled", "_sampled", "_compiled_sample")
    assert [runs["counts"][0][name] for name in names] == [1, 1, 1]


def test_metrics_count_timesteps_and_updates(runs):
    counts = ("epoch", "timestep", "timesteps_total", "train-steps", "sampler/pool-size")
    assert [runs["rows"][1][name] for name in counts] == [1.0, 6.0, 12.0, 12.0, 40.0]


def test_policy_noise_is_standard_normal_independent_and_new_in_every_call(tiny):
    mopo = tiny()
    # [calls, K, B, A]: of every replay the noise is recorded, so only this sees its law.
    noise = np.array([mopo._device_normal((50, 40, 3)) for _ in range(2)], np.float64)
    assert scipy.stats.kstest(noise.ravel(), "norm").pvalue > 0.01
    neighbours = [noise[:, :, 1:], noise[:, :, :-1]], [noise[..., 1:], noise[..., :-1]]
    for one, other in (*neighbours, (noise[:, 1:], noise[:, :-1]), (noise[0], noise[1])):
        correlation = np.corrcoef(one.ravel(), other.ravel())[0, 1]
        assert abs(correlation) < 4 / np.sqrt(one.size)

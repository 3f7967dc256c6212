"""What holds of every method: same seed, same run; resumption; what bad input gets."""

import json
import math
from types import SimpleNamespace

import numpy as np
import pytest

from mopo_tf2.algorithms.registry import ALGORITHMS, make_algorithm
from mopo_tf2.checkpoints import load_arrays, save_arrays
from mopo_tf2.config_fields import from_dict, replace, to_dict
from mopo_tf2.configs.d4rl import TASKS
from mopo_tf2.configs.methods import METHODS, TITLES, convert_config, find_method
from mopo_tf2.dynamics.termination import never
from mopo_tf2.errors import InputError
from mopo_tf2.evaluation.environments import make_environment
from mopo_tf2.types import Transitions
from tests.algorithms.tiny_methods import LOOP, TINY
from tests.eager import eagerly

ROWS, OBS_DIM, ACT_DIM = 67, 17, 6  # 67 is no length of anything else


@pytest.fixture(scope="module", autouse=True)
def without_compilation():
    with eagerly():
        yield


@pytest.fixture(scope="module")
def transitions():
    randoms = np.random.RandomState(0)

    def draw(width):
        return randoms.uniform(-1, 1, size=(ROWS, width)).astype(np.float32)

    observations = 0.1 * draw(OBS_DIM)
    return Transitions(
        observations, draw(ACT_DIM), observations + 0.05 * draw(OBS_DIM), draw(1), draw(1) > 0.9
    )


def tiny_config(method, **changes):
    config = convert_config(TASKS["halfcheetah_mixed"].config(), method)
    settings = {**LOOP, **TINY[method], "epoch_length": 2}
    if "model_batch_size" in settings:
        settings["model_batch_size"] = 32  # two uncompiled steps an epoch
    return replace(config, {**settings, **changes})


@pytest.fixture(scope="module")
def make(transitions):
    """Return a function that makes a tiny object of a method."""
    environments = [make_environment("halfcheetah") for _ in range(2)]

    def make(method, seed):
        config = tiny_config(method)
        return make_algorithm(
            method, config, transitions, never, environments=environments, seed=seed
        )

    return make


def without_times(metrics):
    return {name: value for name, value in metrics.items() if not name.startswith("times/")}


@pytest.fixture(scope="module", params=list(METHODS))
def runs(request, make, tmp_path_factory):
    """Two epochs in one go; one epoch with the same seed; the other one from its checkpoint."""
    method = request.param
    path = tmp_path_factory.mktemp("runs") / "checkpoint.npz"
    whole = make(method, 3)
    rows = [without_times(metrics) for metrics in whole.train()]
    again = make(method, 3)
    first = without_times(next(again.train()))
    save_arrays(path, again.arrays(), again.counters())
    resumed = make(method, 3)
    resumed.restore(*load_arrays(path))
    continued = [without_times(metrics) for metrics in resumed.train()]
    return SimpleNamespace(
        method=method, whole=whole, rows=rows, first=first, resumed=resumed, continued=continued
    )


def test_every_method_is_trained_here_and_has_a_class_and_a_title():
    assert set(TINY) == set(METHODS) == set(ALGORITHMS) == set(TITLES)


def test_equal_seeds_give_equal_metrics_and_a_resumed_run_those_of_one_that_never_stopped(runs):
    np.testing.assert_equal([runs.first, *runs.continued], runs.rows)
    np.testing.assert_equal(runs.resumed.arrays(), runs.whole.arrays())
    ended, undisturbed = runs.resumed.counters(), runs.whole.counters()
    for counters in (ended, undisturbed):
        del counters["model_metrics"]["times/epoch_train_model"]
    np.testing.assert_equal(ended, undisturbed)


def test_counters_hold_nothing_but_plain_values(runs):
    counters = runs.whole.counters()
    np.testing.assert_equal(json.loads(json.dumps(counters)), counters)


def test_metrics_are_floats_of_the_same_names_in_every_epoch(runs):
    assert len({tuple(row) for row in runs.rows}) == 1
    assert {type(value) for row in runs.rows for value in row.values()} == {float}
    assert all(math.isfinite(row["evaluation/return-average"]) for row in runs.rows)


def test_training_moves_the_policy(runs, make):
    untrained, _ = make(runs.method, 3).policy.exported()
    trained, _ = runs.whole.policy.exported()
    assert any(np.any(trained[name] != array) for name, array in untrained.items())


def test_the_exported_policy_acts_as_the_trained_one(runs):
    policy = runs.whole.policy
    read = type(policy).from_exported(*policy.exported())
    observations = np.random.RandomState(1).uniform(-1, 1, (3, OBS_DIM)).astype(np.float32)
    actions = policy.acting(3, seed=5)(observations)
    np.testing.assert_array_equal(read.acting(3, seed=5)(observations), actions)
    assert np.all(np.abs(actions) <= 1.0)


def test_a_checkpoint_does_not_hold_the_dataset(runs):
    assert ROWS not in {length for a in runs.whole.arrays().values() for length in a.shape}


def test_an_older_checkpoint_that_holds_the_dataset_is_read(runs, make):
    arrays, counters = runs.whole.arrays(), runs.whole.counters()
    old = {"environment_pool/rewards": np.zeros((9, 1), np.float32)}
    again = make(runs.method, 3)
    again.restore({**arrays, **old}, {**counters, "environment_pool_pointer": 0})
    np.testing.assert_equal(again.arrays(), dict(arrays))


def test_arrays_of_other_sizes_are_refused(runs, make):
    arrays = runs.whole.arrays()
    name = next(name for name, array in arrays.items() if array.ndim >= 2 and "pool" not in name)
    with pytest.raises(ValueError, match="shape"):
        make(runs.method, 3).restore(
            {**arrays, name: np.concatenate([arrays[name]] * 2)}, runs.whole.counters()
        )


def test_every_configuration_survives_a_file():
    for method in METHODS:
        config = tiny_config(method)
        assert from_dict(METHODS[method], json.loads(json.dumps(to_dict(config)))) == config


@pytest.mark.parametrize("method", [name for name in METHODS if METHODS[name].FIXED])
def test_what_defines_a_method_cannot_be_changed(method):
    name, value = next(iter(METHODS[method].FIXED.items()))
    with pytest.raises(InputError, match=f"{name} is {value} by the definition"):
        tiny_config(method, **{name: not value if isinstance(value, bool) else value + 2})


def test_an_unknown_method_is_refused_and_the_nearest_named():
    with pytest.raises(InputError, match="no algorithm 'mobo': did you mean mopo"):
        find_method("mobo")

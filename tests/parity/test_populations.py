"""The test of populations: closed forms, its level and power, files, and the shipped runs."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

from mopo_tf2.config import EnsembleConfig, SACConfig
from mopo_tf2.configs.d4rl import find_task
from mopo_tf2.errors import InputError
from parity.populations import law, training
from parity.populations.__main__ import TASKS, main
from parity.populations.files import (
    DATA,
    LOGGED,
    ORIGINAL,
    PORT,
    Population,
    read_population,
    write_population,
)
from parity.populations.law import (
    compare_populations,
    energy_distances,
    holm,
    same_law_p_value,
    verdict,
)
from parity.populations.training import SETTINGS, population_config
from parity.populations.wrong_ports import WRONG_PORTS
from tests.eager import eagerly


def population(seeds, *, epochs=3, shifted=None, random_seed=0):
    """Random runs, of which the signal ``shifted`` is three deviations higher."""
    random_state = np.random.RandomState(random_seed)
    index = pd.DataFrame([(s, e) for s in seeds for e in range(epochs)], columns=["seed", "epoch"])
    values = pd.DataFrame(random_state.normal(size=(len(index), len(LOGGED))), columns=LOGGED)
    if shifted is not None:
        values[shifted] += 3.0
    members = pd.DataFrame(random_state.normal(size=(len(index), 2)), columns=["V0", "V1"])
    return Population(index.join(values), index.join(members))


def relabellings(n, m, count=2000):
    first = np.arange(n + m) < n
    random_state = np.random.RandomState(1)
    return np.array([random_state.permutation(first) for _ in range(count)])


def test_energy_distance_of_four_points_on_a_line():
    points = np.array([0.0, 1.0, 10.0, 11.0])
    distances = np.abs(points[:, None] - points)
    labellings = np.array([[True, True, False, False], [True, False, True, False]])
    # Between 10, 11, 9, 10; within 1/2 each. Then between 1, 11, 9, 1; within 5 each.
    assert energy_distances(distances, labellings).tolist() == [20.0 - 1.0, 11.0 - 10.0]


def test_p_value_is_the_share_of_relabellings_that_are_as_far_apart():
    # Of the 6 ways to choose two of four runs, two part 0, 1 from 10, 11.
    first, second = np.array([[0.0], [1.0]]), np.array([[10.0], [11.0]])
    p_value = same_law_p_value(first, second, relabellings(2, 2))
    assert p_value == pytest.approx(1 / 3, abs=0.04)


def test_signal_that_never_moves_is_equal_and_not_tested():
    constant = np.full((3, 2), 300.0)
    assert np.isnan(same_law_p_value(constant, constant, relabellings(3, 3)))


def test_holm_multiplies_by_the_number_of_tests_that_are_left():
    assert holm([0.01, 0.04, np.nan, 0.03]) == pytest.approx(
        [0.03, 0.06, np.nan, 0.06], nan_ok=True
    )
    assert holm([0.9, 0.6]) == [1.0, 1.0]


def test_shifted_signal_is_told_apart_and_named_and_no_other_is():
    signals = compare_populations(population(range(8)), population(range(10, 18), shifted="alpha"))
    assert [signal.name for signal in signals if signal.differs] == ["alpha"]
    assert verdict(signals).endswith(": alpha")


def test_populations_of_one_law_are_not_told_apart(monkeypatch):
    # Of ten pairs the test may tell one or two apart at its level; these it does not.
    monkeypatch.setattr(law, "RELABELLINGS", 500)
    for k in range(5):
        pair = population(range(6), random_seed=k), population(range(10, 16), random_seed=50 + k)
        assert verdict(compare_populations(*pair)).startswith("No difference")


def test_shared_seed_and_single_runs_are_refused():
    with pytest.raises(InputError, match="both populations have seed 3"):
        compare_populations(population([2, 3]), population([3, 4]))
    with pytest.raises(InputError, match="at least 2 runs"):
        compare_populations(population([2, 3]), population([4]))


def test_population_survives_its_files(tmp_path):
    whole = population([1]).joined(population([0], random_seed=1))
    write_population(tmp_path, "task", PORT, whole)
    again = read_population(tmp_path, "task", PORT)
    assert again.seeds == [0, 1]
    pd.testing.assert_frame_equal(again.progress, whole.progress, rtol=1e-6)
    assert again.of_seeds([1]).seeds == [1]
    assert read_population(tmp_path, "task", ORIGINAL) is None
    (tmp_path / "task.port.holdout.csv.gz").write_bytes(b"nothing")
    with pytest.raises(InputError, match="cannot be read"):
        read_population(tmp_path, "task", PORT)


@pytest.mark.parametrize("task", SETTINGS)
def test_shipped_runs_of_the_port_follow_the_original(task, capsys):
    assert main([task, "--shipped"]) == 0, capsys.readouterr().out
    assert "No difference" in capsys.readouterr().out
    for who in (ORIGINAL, PORT):
        assert len(read_population(DATA, task, who).seeds) == 16


@pytest.mark.parametrize("task", SETTINGS)
def test_configuration_is_that_of_the_recorded_runs(task):
    assert task in TASKS
    config = population_config(task)
    recorded = {
        "epoch_length": 250,
        "model_train_freq": 250,
        "rollout_batch_size": 2000,
        "eval_n_episodes": 3,
        "max_path_length": 300,
        "n_epochs": 20,
    }
    assert {name: getattr(config, name) for name in recorded} == recorded
    assert config.rollout_length == find_task(task).rollout_length
    assert (config.ensemble.hidden_dim, config.sac.hidden_layer_sizes) == (64, (64, 64))


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["hopper"], "no population of 'hopper'"),
        (["--seeds", "0"], "--seeds must be positive"),
        (["--wrong", "nothing"], "no wrong port 'nothing': see --list."),
    ],
)
def test_options_that_name_nothing_are_errors_in_one_line(capsys, arguments, told):
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert told in error
    assert error.count("\n") == 1


def test_run_after_another_in_one_process_is_as_the_first_of_a_process(monkeypatch):
    def small(task):
        return dataclasses.replace(
            population_config(task),
            epoch_length=6,
            n_epochs=2,
            model_train_freq=3,
            rollout_batch_size=30,
            rollout_chunk_size=30,
            eval_n_episodes=1,
            max_path_length=5,
            ensemble=EnsembleConfig(hidden_dim=4, model_max_epochs=1),
            sac=SACConfig(hidden_layer_sizes=(4,), batch_size=20),
        )

    monkeypatch.setattr(training, "population_config", small)
    with eagerly():
        after_another = [training._train("hopper_random", seed, None) for seed in (5, 6)][1]
        training._forget()
        alone = training._train("hopper_random", 6, None)
        training._forget()
    assert alone.seeds == [6]
    assert list(alone.holdout) == ["seed", "epoch", *(f"V{i}" for i in range(7))]
    pd.testing.assert_frame_equal(after_another.progress, alone.progress)
    pd.testing.assert_frame_equal(after_another.holdout, alone.holdout)


def test_every_wrong_port_changes_the_configuration_or_patches_what_exists():
    config = population_config("hopper_random")
    for name, wrong in WRONG_PORTS.items():
        assert (wrong.config(config) != config) != bool(wrong.patches), name
        with wrong.applied():
            assert all(getattr(where, what) is new for where, what, new in wrong.patches), name
        assert not any(getattr(where, what) is new for where, what, new in wrong.patches), name


def test_command_trains_what_is_missing_and_tells_another_law_apart(tmp_path, monkeypatch, capsys):
    trained = []

    def train(task, seeds, *, wrong, processes, on_run):
        for seed in seeds:
            trained.append((task, seed, wrong))
            on_run(population([seed], epochs=20, random_seed=seed))

    monkeypatch.setattr(training, "train_population", train)
    arguments = ["hopper_random", "--out", str(tmp_path), "--first-seed", "40", "--seeds"]
    assert main([*arguments, "5"]) == 1
    assert "DIFFERENT at level 0.05, corrected over 21 signals: " in capsys.readouterr().out
    assert main([*arguments, "6"]) == 1
    assert trained == [("hopper_random", seed, None) for seed in range(40, 46)]
    assert "16 runs of the original, 6 of port" in capsys.readouterr().out
    assert main([*arguments, "5", "--wrong", "mean-critics"]) == 1
    assert trained[-1] == ("hopper_random", 44, "mean-critics")

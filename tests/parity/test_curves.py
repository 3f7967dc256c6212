"""Comparison of learning curves: numbers by hand, verdicts, and what is refused."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib import image

from experiments.cli import main
from mopo_tf2.errors import InputError
from parity.curve_files import read_curve, read_references
from parity.curve_report import parity_curves, report
from parity.curves import (
    STATISTICS,
    area_under_curve,
    bootstrap_interval,
    compare,
    compare_holdout,
    mean_of_last,
)

REFERENCE = Path(__file__).parents[2] / "parity/reference_curves/halfcheetah_mixed-sac_replay-seed0"


def write_run(folder, returns, *, seed=None, holdout=None, **parameters):
    folder.mkdir()
    epochs = len(returns)
    columns = {
        "epoch": range(epochs),
        "evaluation/return-average": returns,
        "Q-avg": np.linspace(1.0, 2.0, epochs),
        "Q_loss": np.linspace(3.0, 4.0, epochs),
        "alpha": np.linspace(0.5, 0.1, epochs),
    }
    pd.DataFrame(columns).to_csv(folder / "progress.csv", index=False)
    if seed is not None:
        parameters["seed"] = seed
    (folder / "params.json").write_text(json.dumps(parameters))
    if holdout is not None:
        table = pd.DataFrame(holdout, columns=[f"V{i}" for i in range(len(holdout[0]))])
        table.to_csv(folder / "model_holdout.csv", index_label="epoch")
    return folder


def comparison(tmp_path, reference, *runs):
    references = [read_curve(write_run(tmp_path / "original", reference))]
    ours = [read_curve(write_run(tmp_path / f"run{i}", run, seed=i)) for i, run in enumerate(runs)]
    return compare(references, ours)


def test_area_is_that_of_trapezoids():
    # (0 + 10) / 2 + (10 + 4) / 2 + (4 + 4) / 2
    assert area_under_curve(np.array([0.0, 10.0, 4.0, 4.0])) == 16.0


def test_mean_of_last_takes_what_there_is():
    returns = np.array([1.0, 2.0, 6.0])
    assert mean_of_last(returns, 2) == 4.0
    assert mean_of_last(returns, 20) == 3.0


def test_statistics_of_a_ramp():
    ramp = np.arange(30.0)
    values = {name: statistic(ramp) for name, statistic in STATISTICS.items()}
    assert values == {
        "area under the curve": 29 * 29 / 2,
        "mean of all epochs": 14.5,
        "mean of the last 20": 19.5,
        "mean of the last 10": 24.5,
        "final return": 29.0,
        "best epoch": 29.0,
    }


def test_one_seed_has_no_interval():
    assert bootstrap_interval([5.0], np.random.RandomState(0)) is None


def test_interval_of_two_seeds_is_their_range():
    # The resampled means are 0, 5, 10 with chances 1/4, 1/2, 1/4: both tails hold over 2.5 %.
    assert bootstrap_interval([0.0, 10.0], np.random.RandomState(0)) == (0.0, 10.0)


def test_interval_of_many_seeds_is_near_the_normal_one():
    values = np.random.RandomState(1).normal(size=400)
    low, high = bootstrap_interval(values, np.random.RandomState(0))
    error = values.std() / 20.0
    np.testing.assert_allclose(
        [low, high], values.mean() + np.array([-1.96, 1.96]) * error, atol=0.01
    )


def test_window_is_what_all_curves_have(tmp_path):
    found = comparison(tmp_path, np.arange(30.0), np.arange(25.0), np.arange(40.0))
    assert found.epochs == 25
    assert found.rows["final return"].references == [24.0]
    assert found.rows["final return"].runs == [24.0, 24.0]


@pytest.mark.parametrize(("level", "is_fault"), [(0.71, False), (0.69, True), (2.0, False)])
def test_fault_is_a_mean_of_the_last_twenty_below_seventy_percent(tmp_path, level, is_fault):
    reference = np.full(40, 100.0)
    run = np.where(np.arange(40) < 20, 0.0, 100.0 * level)
    found = comparison(tmp_path, reference, run)
    assert found.rows["mean of the last 20"].share == pytest.approx(level)
    assert found.is_fault is is_fault


def test_share_is_of_the_mean_over_seeds(tmp_path):
    found = comparison(tmp_path, np.full(20, 100.0), np.full(20, 50.0), np.full(20, 110.0))
    assert found.rows["mean of the last 20"].share == pytest.approx(0.8)
    assert found.rows["mean of the last 20"].interval == pytest.approx((50.0, 110.0))


def test_original_that_is_not_positive_gives_no_share_and_no_fault(tmp_path):
    found = comparison(tmp_path, np.full(20, -100.0), np.full(20, -500.0))
    assert np.isnan(found.rows["mean of the last 20"].share)
    assert not found.is_fault
    assert "no share can be formed" in report(found)


def test_verdict_is_in_words(tmp_path):
    text = report(comparison(tmp_path, np.full(20, 100.0), np.full(20, 60.0)))
    assert "Mean return of the last 20 epochs: 60, the original's 100: 60% of it." in text
    assert "FAULT: below 70% of the original's." in text
    assert "The original has one seed: one sample" in text
    assert "One seed of the port is one sample" in text


def test_few_epochs_are_said_to_be_too_few(tmp_path):
    text = report(comparison(tmp_path, np.full(20, 100.0), np.full(6, 100.0)))
    assert "Mean return of the last 6 epochs" in text
    assert "Only 6 common epochs" in text


def test_two_seeds_are_said_to_give_too_narrow_an_interval(tmp_path):
    text = report(comparison(tmp_path, np.ones(20), np.ones(20), np.ones(20)))
    assert "bootstrap of 2 seeds cannot reach beyond" in text


def test_holdout_is_compared_by_medians_with_the_networks_spread():
    reference = pd.DataFrame([[1.0, 2.0, 4.0], [1.0, 1.0, 1.0], [1.0, 2.0, 3.0]])
    run = pd.DataFrame([[2.0, 3.0, 9.0], [1.1, 1.1, 1.1], [1.0, 1.0, 9.0], [5.0, 5.0, 5.0]])
    row = compare_holdout("run", run, reference)
    # Medians 3, 1.1, 1 against 2 in [1, 4], 1 in [1, 1], 2 in [1, 3].
    assert (row.epochs, row.inside) == (3, 2)
    assert (row.worst_epoch, row.worst_ratio, row.last_ratio) == (2, 0.5, 0.5)


def test_run_without_a_holdout_record_has_no_row(tmp_path):
    original = write_run(tmp_path / "o", np.ones(5), holdout=[[1.0, 2.0]] * 3)
    with_record = write_run(tmp_path / "a", np.ones(5), seed=1, holdout=[[1.0, 2.0]] * 4)
    without = write_run(tmp_path / "b", np.ones(5), seed=2)
    found = compare([read_curve(original)], [read_curve(with_record), read_curve(without)])
    assert [(row.run, row.epochs, row.inside) for row in found.holdout] == [("a", 3, 3)]


def test_other_configuration_is_refused(tmp_path):
    nested = {"algorithm_params": {"kwargs": {"penalty_coeff": 1.0, "tau": 0.005}}}
    original = write_run(tmp_path / "o", np.ones(5), **nested)
    run = write_run(tmp_path / "a", np.ones(5), penalty_coeff=5.0, tau=0.005)
    with pytest.raises(InputError, match=r"penalty_coeff is 1.0 in o, 5.0 in a\."):
        compare([read_curve(original)], [read_curve(run)])


def test_two_runs_of_one_seed_are_refused(tmp_path):
    original = read_curve(write_run(tmp_path / "o", np.ones(5), seed=0))
    runs = [read_curve(write_run(tmp_path / name, np.ones(5), seed=0)) for name in "ab"]
    with pytest.raises(InputError, match="a and b both have seed 0"):
        compare([original], runs)


def test_row_in_writing_is_left_out(tmp_path):
    folder = write_run(tmp_path / "a", np.arange(6.0))
    text = (folder / "progress.csv").read_text()
    (folder / "progress.csv").write_text(text[:-8])
    assert list(read_curve(folder).series("evaluation/return-average", 9)) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no table"),
        ("epoch,alpha\n0,1\n", "evaluation/return-average"),
        ("step,alpha\n0,1\n", "'epoch'"),
        ("epoch,evaluation/return-average,Q-avg,Q_loss,alpha\n", "no row"),
        ("epoch,evaluation/return-average,Q-avg,Q_loss,alpha\n1,1,1,1,1\n", "every epoch from 0"),
        ("epoch,evaluation/return-average,Q-avg,Q_loss,alpha\n0,nan,1,1,1\n", "without a return"),
    ],
)
def test_unfit_progress_is_refused(tmp_path, text, message):
    (tmp_path / "progress.csv").write_text(text)
    with pytest.raises(InputError, match=message):
        read_curve(tmp_path)


def test_reference_may_be_a_folder_of_runs():
    (found,) = read_references(REFERENCE.parent)
    assert (found.name, found.seed, len(found.progress)) == (REFERENCE.name, 0, 45)


def test_folder_without_a_reference_is_refused(tmp_path):
    with pytest.raises(InputError, match="expected a reference curve"):
        read_references(tmp_path)


def test_numbers_of_the_original_are_those_of_its_readme():
    curve = read_curve(REFERENCE)
    found = compare([curve], [curve])
    values = {name: round(row.references[0]) for name, row in found.rows.items()}
    assert values["mean of all epochs"] == 1337
    assert values["mean of the last 10"] == 1833
    assert values["mean of the last 20"] == 2151
    assert values["best epoch"] == 4262
    assert found.rows["mean of the last 20"].share == 1.0
    assert [(row.epochs, row.inside) for row in found.holdout] == [(40, 40)]


def test_picture_is_drawn_whole(tmp_path):
    run = write_run(tmp_path / "run", np.full(30, 3000.0), seed=3, holdout=[[1.0, 2.0]] * 5)
    text, is_fault = parity_curves(REFERENCE, [run, run], tmp_path / "new" / "curves.png")
    assert not is_fault
    assert "1 seed of the port" in text
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["curves.png"]
    assert np.ptp(image.imread(tmp_path / "new" / "curves.png")[..., :3]) == 1.0


def test_command_fails_if_the_port_is_at_fault(tmp_path, capsys):
    good = write_run(tmp_path / "good", np.full(45, 3000.0), seed=1)
    bad = write_run(tmp_path / "bad", np.full(45, 100.0), seed=2)
    out = ["--out", str(tmp_path / "curves.png")]
    assert main(["parity-curves", str(REFERENCE), str(good), *out]) == 0
    assert main(["parity-curves", str(REFERENCE), str(bad), *out]) == 1
    assert "FAULT" in capsys.readouterr().out


def test_picture_of_another_kind_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"\.png"):
        parity_curves(REFERENCE, [REFERENCE], tmp_path / "curves.jpg")

"""Comparison of learning curves: numbers by hand, what is said, and what is refused."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib import image

from experiments.cli import main
from mopo_tf2.errors import InputError
from parity import curve_report
from parity.curve_files import read_curve, read_references
from parity.curve_report import parity_curves, report
from parity.curves import STATISTICS, bootstrap_interval, compare, compare_holdout

REFERENCE = Path(__file__).parents[2] / "parity/reference_curves/halfcheetah_mixed-sac_replay-seed0"
HEADER = "epoch,evaluation/return-average,Q-avg,Q_loss,alpha\n"


def write_run(folder, returns, *, holdout=None, **parameters):
    folder.mkdir()
    traces = "".join(f"{epoch},{value},1.5,3.5,0.2\n" for epoch, value in enumerate(returns))
    (folder / "progress.csv").write_text(HEADER + traces)
    (folder / "params.json").write_text(json.dumps(parameters))
    if holdout is not None:
        table = pd.DataFrame(holdout, columns=[f"V{i}" for i in range(len(holdout[0]))])
        table.to_csv(folder / "model_holdout.csv", index_label="epoch")
    return folder


def comparison(tmp_path, reference, *runs):
    references = [read_curve(write_run(tmp_path / "original", reference))]
    ours = [read_curve(write_run(tmp_path / f"run{i}", run, seed=i)) for i, run in enumerate(runs)]
    return compare(references, ours)


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
    assert STATISTICS["mean of the last 20"](np.array([1.0, 2.0, 6.0])) == 3.0


def test_interval_needs_two_seeds_and_is_then_their_range():
    assert bootstrap_interval([5.0], np.random.RandomState(0)) is None
    # The resampled means are 0, 5, 10 with chances 1/4, 1/2, 1/4: both tails hold over 2.5 %.
    assert bootstrap_interval([0.0, 10.0], np.random.RandomState(0)) == (0.0, 10.0)


def test_window_is_what_all_curves_have(tmp_path):
    found = comparison(tmp_path, np.arange(30.0), np.arange(25.0), np.arange(40.0))
    assert found.epochs == 25
    assert found.rows["final return"].references == [24.0]
    assert found.rows["final return"].runs == [24.0, 24.0]


def test_share_is_of_the_means_over_runs(tmp_path):
    runs = [np.where(np.arange(40) < 20, 0.0, 100.0 * level) for level in (0.5, 1.1)]
    found = comparison(tmp_path, np.full(40, 100.0), *runs)
    assert found.rows["mean of the last 20"].share == pytest.approx(0.8)


def test_original_that_is_not_positive_gives_no_share(tmp_path):
    found = comparison(tmp_path, np.full(20, -100.0), np.full(20, -500.0))
    assert "no share can be formed" in report(found)


@pytest.mark.parametrize(
    ("runs", "told"),
    [
        ([np.full(20, 60.0)], "60, the original's 100: 60% of it."),
        ([np.full(20, 60.0)], "The original has one seed: one sample"),
        ([np.full(20, 60.0)], "One seed of the port is one sample"),
        ([np.full(6, 100.0)], "Only 6 common epochs"),
        ([np.ones(20), np.ones(20)], "bootstrap of 2 seeds cannot reach beyond"),
    ],
)
def test_report_says_the_share_and_how_much_it_carries(tmp_path, runs, told):
    assert told in report(comparison(tmp_path, np.full(20, 100.0), *runs))


def test_holdout_is_compared_by_medians_with_the_networks_spread():
    reference = pd.DataFrame([[1.0, 2.0, 4.0], [1.0, 1.0, 1.0], [1.0, 2.0, 3.0]])
    run = pd.DataFrame([[2.0, 3.0, 9.0], [1.1, 1.1, 1.1], [1.0, 1.0, 9.0], [5.0, 5.0, 5.0]])
    row = compare_holdout("run", run, reference)
    # Medians 3, 1.1, 1 against 2 in [1, 4], 1 in [1, 1], 2 in [1, 3].
    assert (row.epochs, row.inside) == (3, 2)
    assert (row.worst_epoch, row.worst_ratio, row.last_ratio) == (2, 0.5, 0.5)


def test_run_without_a_holdout_record_has_no_row(tmp_path):
    original = write_run(tmp_path / "o", np.ones(5), holdout=[[1.0, 2.0]] * 3)
    runs = [
        write_run(tmp_path / "a", np.ones(5), seed=1, holdout=[[1.0, 2.0]] * 4),
        write_run(tmp_path / "b", np.ones(5), seed=2),
    ]
    found = compare([read_curve(original)], [read_curve(run) for run in runs])
    assert [(row.run, row.epochs) for row in found.holdout] == [("a", 3)]


def test_other_configuration_is_refused(tmp_path):
    nested = {"algorithm_params": {"kwargs": {"penalty_coeff": 1.0, "tau": 0.005}}}
    original = write_run(tmp_path / "o", np.ones(5), **nested)
    run = write_run(tmp_path / "a", np.ones(5), penalty_coeff=5.0, tau=0.005)
    with pytest.raises(InputError, match=r"penalty_coeff is 1.0 in o, 5.0 in a\."):
        compare([read_curve(original)], [read_curve(run)])


def test_two_runs_of_one_seed_are_refused(tmp_path):
    curves = [read_curve(write_run(tmp_path / name, np.ones(5), seed=0)) for name in "oab"]
    with pytest.raises(InputError, match="a and b both have seed 0"):
        compare(curves[:1], curves[1:])


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
        (HEADER, "no row"),
        (HEADER + "1,1,1,1,1\n", "every epoch from 0"),
        (HEADER + "0,nan,1,1,1\n", "without a return"),
    ],
)
def test_unfit_progress_is_refused(tmp_path, text, message):
    (tmp_path / "progress.csv").write_text(text)
    with pytest.raises(InputError, match=message):
        read_curve(tmp_path)


def test_reference_may_be_a_folder_of_runs(tmp_path):
    (found,) = read_references(REFERENCE.parent)
    assert (found.name, found.seed, len(found.progress)) == (REFERENCE.name, 0, 45)
    with pytest.raises(InputError, match="expected a reference curve"):
        read_references(tmp_path)


def test_curve_of_the_original_equals_itself():
    curve = read_curve(REFERENCE)
    found = compare([curve], [curve])
    assert {row.share for row in found.rows.values()} == {1.0}
    assert [(row.epochs, row.inside) for row in found.holdout] == [(40, 40)]


def test_picture_is_drawn_whole(tmp_path):
    run = write_run(tmp_path / "run", np.full(30, 3000.0), seed=3, holdout=[[1.0, 2.0]] * 5)
    text = parity_curves(REFERENCE, [run, run], tmp_path / "new" / "curves.png")
    assert "1 seed of the port" in text
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["curves.png"]
    assert np.ptp(image.imread(tmp_path / "new" / "curves.png")[..., :3]) == 1.0
    with pytest.raises(InputError, match=r"\.png"):
        parity_curves(REFERENCE, [REFERENCE], tmp_path / "curves.jpg")


def test_command_shows_a_low_share_without_a_verdict(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(curve_report, "draw", lambda *arguments: None)
    run = write_run(tmp_path / "run", np.full(45, 100.0), seed=2)
    out = ["--out", str(tmp_path / "curves.png")]
    assert main(["parity-curves", str(REFERENCE), str(run), *out]) == 0
    assert "100, the original's 2151: 5% of it." in capsys.readouterr().out

import json
import math
import os
from pathlib import Path

import numpy as np
import pytest

from experiments import results
from experiments.results import BEST, LAST, LAST_TEN, load, runs_of, scores
from experiments.run_folder import State
from experiments.run_spec import changed_spec
from mopo_tf2.errors import InputError
from tests.experiments.scored_runs import SHA256, edit_json, write_run

ORIGINALS = Path(__file__).parents[2] / "parity/reference_curves"
SCORE = "evaluation/normalized-score"
NAN = math.nan


def runs(*roots):
    return runs_of(load(roots))


def states(root):
    return dict(runs(root)[["run", "state"]].to_numpy().tolist())


def only(root, metric=None):
    """The one run of a folder: what it is, or what it scored."""
    (row,) = (runs(root) if metric is None else scores(load([root]), metric)).iloc
    return row


# Which runs there are.


def test_a_row_per_epoch_says_what_the_run_is(tmp_path):
    write_run(tmp_path / "out/a/seed_3", [1.0, 2.0], seed=3, asked=5)
    frame = load([tmp_path / "out"])
    assert frame["epoch"].tolist() == [0, 1]
    assert frame[SCORE].tolist() == [1.0, 2.0]
    said = frame.iloc[0][["run", "method", "config", "task", "dataset", "sha256", "seed"]]
    dataset = "halfcheetah-medium-replay-v0"
    expected = ["a/seed_3", "mopo", "halfcheetah_mixed", "halfcheetah", dataset, SHA256, 3]
    assert said.tolist() == expected
    assert frame.iloc[0][["epochs_done", "epochs_asked", "horizon"]].tolist() == [2, 5, 1000]


def test_runs_are_found_at_any_depth_in_natural_order(tmp_path):
    for name in ("b/seed_10", "b/seed_9", "a/rollout_length=1/seed_0", ".ray/seed_1"):
        write_run(tmp_path / name, [1.0])
    assert runs(tmp_path)["run"].tolist() == ["a/rollout_length=1/seed_0", "b/seed_9", "b/seed_10"]


def test_a_folder_given_twice_or_linked_is_read_once(tmp_path):
    write_run(tmp_path / "out/seed_0", [1.0])
    os.symlink(tmp_path / "out", tmp_path / "out/again")
    os.symlink(tmp_path / "out/loop", tmp_path / "out/loop")
    assert runs(tmp_path / "out", tmp_path / "out/seed_0")["run"].tolist() == ["seed_0"]


def test_runs_of_one_name_in_two_folders_are_told_apart(tmp_path):
    for name in ("a", "b"):
        write_run(tmp_path / name / "seed_0", [1.0])
    assert runs(tmp_path / "a", tmp_path / "b")["run"].tolist() == ["seed_0 #1", "seed_0 #2"]


def test_an_ensemble_that_runs_share_is_not_a_run(tmp_path):
    model = write_run(tmp_path / "out/ensemble", [], asked=5)
    write_run(tmp_path / "out/seed_0", [1.0], model=str(model))
    assert states(tmp_path / "out") == {"seed_0": State.FINISHED}


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: path.mkdir(), r"no run in .* or below: expected folders with config"),
        (lambda path: path.write_text(""), "is a file"),
        (lambda path: None, "does not exist"),
    ],
)
def test_a_place_without_runs_is_refused(tmp_path, make, message):
    make(tmp_path / "place")
    with pytest.raises(InputError, match=message):
        load([tmp_path / "place"])


# How they stand.


def test_a_run_is_finished_once_it_has_the_epochs_asked_for(tmp_path):
    write_run(tmp_path / "a", [1.0, 2.0], asked=2)
    write_run(tmp_path / "b", [1.0, 2.0], asked=3)
    write_run(tmp_path / "c", [], asked=3)
    extended = write_run(tmp_path / "d", [1.0, 2.0])
    extended.write_spec(changed_spec(extended.spec, {}, {"n_epochs": "5"}))
    finished, unfinished = State.FINISHED, State.UNFINISHED
    assert [*states(tmp_path).values()] == [finished, unfinished, State.EMPTY, unfinished]


def test_an_empty_folder_is_an_empty_run_with_the_seed_of_its_name(tmp_path):
    write_run(tmp_path / "seed_0", [1.0])
    (tmp_path / "seed_1").mkdir()
    row = runs(tmp_path).iloc[1]
    assert row[["run", "state", "seed", "described"]].tolist() == ["seed_1", State.EMPTY, 1, False]


@pytest.mark.parametrize(
    ("file", "text", "note"),
    [
        ("config.json", '{"name": "half', "config.json cannot be"),
        ("config.json", '{"algorithm": 5}', "algorithm is 5, expected dict"),
        ("progress.csv", "epoch,a\n0,1\n1,2,3\n", "line 3"),
        ("status.json", "[]", "status.json is not a JSON object"),
    ],
)
def test_a_damaged_run_has_failed_and_says_why(tmp_path, file, text, note):
    write_run(tmp_path / "a/seed_0", [1.0, 2.0])
    write_run(tmp_path / "a/seed_1", [1.0, 2.0], seed=1)
    (tmp_path / "a/seed_1" / file).write_text(text)
    whole, damaged = runs(tmp_path).iloc
    assert damaged["state"] == State.FAILED
    assert note in damaged["note"]
    # It does not become a setting in which the other run differs.
    assert whole[["state", "setting"]].tolist() == [State.FINISHED, ""]


def test_a_column_of_progress_that_is_called_like_a_fact_does_not_replace_it(tmp_path):
    write_run(tmp_path / "run", [1.0])
    (tmp_path / "run/progress.csv").write_text("epoch,seed,method\n0,9,x\n")
    assert load([tmp_path]).iloc[0][["seed", "method"]].tolist() == [0, "mopo"]


# Folders of the first version and of the original.


def test_a_folder_of_before_there_were_methods_is_mopos(tmp_path):
    write_run(tmp_path / "a", [1.0], seed=0)
    write_run(tmp_path / "b", [1.0], seed=1)
    for name in ("config.json", "params.json", "variant.json"):
        edit_json(tmp_path / "b" / name, method=None, model=None)
    old = runs(tmp_path).iloc[1]
    assert old[["method", "state", "label"]].tolist() == ["mopo", State.FINISHED, "MOPO"]
    assert runs(tmp_path)["group"].nunique() == 1


def test_a_folder_with_params_json_alone_says_what_it_is(tmp_path):
    write_run(tmp_path / "run", [1.0], seed=4, method="mbpo")
    (tmp_path / "run/config.json").unlink()
    said = only(tmp_path)[["method", "task", "physics", "seed", "horizon", "state"]]
    assert said.tolist() == ["mbpo", "halfcheetah", "d4rl", 4, 1000, State.FINISHED]
    edit_json(tmp_path / "run/params.json", seed="many")
    assert only(tmp_path)["state"] == State.FAILED


def test_the_originals_run_says_what_it_is():
    row = only(ORIGINALS)
    said = row[["program", "method", "task", "seed", "dataset", "horizon", "state"]].tolist()
    dataset = "halfcheetah-medium-replay-v0"
    expected = ["original", "mopo", "halfcheetah", 0, dataset, 1000, State.UNFINISHED]
    assert said == expected
    said = row[["epochs_done", "epochs_asked", "label"]].tolist()
    assert said == [45, 60, "MOPO (original, TF1)"]


def test_the_originals_runs_in_rays_nested_folders_are_found(tmp_path):
    source = next(ORIGINALS.glob("*/params.json"))
    trial = tmp_path / "ray_mopo/halfcheetah/101e3/seed:4_2020-01-01_00-00-00abc"
    (trial / "checkpoint_20").mkdir(parents=True)
    params = json.loads(source.read_text())
    del params["run_params"]["seed"]
    params["algorithm_params"]["kwargs"]["n_epochs"] = 45
    (trial / "params.json").write_text(json.dumps(params))
    (trial / "progress.csv").write_bytes((source.parent / "progress.csv").read_bytes())
    assert only(tmp_path)[["seed", "state"]].tolist() == [4, State.FINISHED]


# Which are samples of one configuration.


def labels(root):
    return runs(root)["label"].tolist()


def test_seeds_lengths_names_and_shared_models_are_samples_of_one_configuration(tmp_path):
    for seed, config in enumerate(("halfcheetah_mixed", "halfcheetah-medium-replay-v0")):
        write_run(tmp_path / config, [1.0] * (seed + 1), config, seed=seed, model=f"m/{seed}")
    assert runs(tmp_path)["group"].nunique() == 1


def test_settings_are_named_where_they_differ_within_a_method_alike_on_all_data(tmp_path):
    # hopper_medium is shipped with another penalty_coeff.
    for config in ("halfcheetah_mixed", "hopper_medium"):
        for length in (1, 5):
            settings = {"rollout_length": length}
            write_run(tmp_path / config / str(length), [1.0], config, settings=settings)
    write_run(tmp_path / "other", [1.0], method="mbpo")
    expected = ["MOPO, rollout_length=1", "MOPO, rollout_length=5"] * 2
    assert labels(tmp_path) == [*expected, "MBPO"]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"sha256": "a" * 64}, {"sha256": "b" * 64}),
        ({"physics": "d4rl"}, {"physics": "gymnasium"}),
        ({"model": None}, {"model": "models/1"}),
        ({"dataset": None}, {"dataset": "halfcheetah-medium-replay-v2"}),
        ({}, {"settings": {"max_path_length": 20}}),
    ],
)
def test_what_makes_another_configuration(tmp_path, one, other):
    write_run(tmp_path / "a", [1.0], **one)
    write_run(tmp_path / "b", [1.0], seed=1, **other)
    assert runs(tmp_path)["group"].tolist() == [0, 1]


def test_long_labels_are_cut_and_numbered_if_they_then_read_the_same(tmp_path):
    first = {"batch_size": 8, "discount": 0.5, "hidden_dim": 9, "lr": 0.1}
    for number, last in enumerate((0.1, 0.2)):
        write_run(tmp_path / str(number), [1.0], settings={**first, "tau": last})
    write_run(tmp_path / "2", [1.0])
    cut = "MOPO, batch_size=8, discount=0.5, hidden_dim=9, lr=0.1, and 1 more"
    assert labels(tmp_path)[:2] == [f"{cut} #1", f"{cut} #2"]


def test_runs_that_do_not_say_what_they_are_are_told_apart_by_name(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "progress.csv").write_text("epoch,x\n0,1\n")
    assert labels(tmp_path) == ["a", "b"]
    assert runs(tmp_path)["group"].nunique() == 2


# What they scored.


@pytest.mark.parametrize(
    ("values", "expected", "remark"),
    [
        # The last is 4; the last ten are 2 ... 10 and 4, (54 + 4) / 10 = 5.8; the best is 10.
        ([*range(11), 4], (4.0, 5.8, 10.0), ""),
        ([1.0, 2.0, 6.0], (6.0, 3.0, 6.0), "only 3 epochs: LAST TEN is the mean of all"),
        # A nan is not replaced by an older evaluation.
        ([1.0] * 11 + [NAN], (NAN, NAN, 1.0), "after the last epoch (12) is nan: no LAST"),
        (
            [1.0] * 5 + [NAN] + [1.0] * 5 + [3.0],
            (3.0, NAN, 3.0),
            "nan among the last ten evaluations (epoch 6): no LAST TEN",
        ),
        # The last ten are nine times 1 and 3: 12 / 10.
        ([NAN] + [1.0] * 9 + [3.0], (3.0, 1.2, 3.0), "BEST leaves out nan evaluations (epoch 1)"),
        ([1.0] * 9 + [math.inf, 2.0], (2.0, NAN, 2.0), "(epoch 10): no LAST TEN"),
        ([], (NAN, NAN, NAN), ""),
    ],
)
def test_statistics_of_a_run(tmp_path, values, expected, remark):
    write_run(tmp_path / "run", values)
    row = only(tmp_path, "score")
    assert row[[LAST, LAST_TEN, BEST]].tolist() == pytest.approx(expected, nan_ok=True)
    said = "; ".join(row["remarks"])
    assert remark in said
    assert bool(remark) == bool(said)


def test_epochs_that_the_file_lacks_count_as_nan(tmp_path):
    write_run(tmp_path / "run", [1.0, 2.0, 3.0])
    path = tmp_path / "run/progress.csv"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join([*lines[:2], lines[3]]))
    row = only(tmp_path, "score")
    assert row[LAST] == 3.0
    assert math.isnan(row[LAST_TEN])


def test_the_originals_score_is_computed_from_its_return():
    # The last return of the reference curve, with D4RL's references of HalfCheetah.
    frame = load([ORIGINALS])
    last = frame["evaluation/return-average"].iloc[-1]
    expected = 100.0 * (last + 280.178953) / (12135.0 + 280.178953)
    assert scores(frame, "score")[LAST].tolist() == [pytest.approx(expected)]


def test_episodes_of_another_length_than_d4rls_have_no_score_and_say_so(tmp_path):
    folder = write_run(tmp_path / "run", [50.0], settings={"max_path_length": 20})
    # As older versions wrote it.
    rows = "epoch,evaluation/normalized-score,evaluation/return-average\n0,50.0,99.0\n"
    (folder.path / "progress.csv").write_text(rows)
    row = only(tmp_path, "score")
    assert math.isnan(row[BEST])
    assert "belong to episodes of 1000 steps, not 20" in row["remarks"][0]
    assert only(tmp_path, "return")[LAST] == 99.0


def test_runs_in_other_physics_than_d4rls_have_no_score_and_say_so(tmp_path):
    write_run(tmp_path / "run", [50.0], physics="gymnasium")
    row = only(tmp_path, "score")
    assert math.isnan(row[BEST])
    assert "D4RL's scores belong to its own physics, not to gymnasium" in row["remarks"][0]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("epoch,evaluation/return-average\n0,6.0\n", "no reference returns for mine:make; use"),
        ("epoch,model_evaluation/return-average\n0,7.0\n", "use --metric model-return"),
        ("epoch\n0\n", "no number in evaluation/return-average"),
    ],
)
def test_a_run_without_a_score_says_why(tmp_path, text, why):
    write_run(tmp_path / "run", [1.0], environment="mine:make", dataset="mine.hdf5")
    (tmp_path / "run/progress.csv").write_text(text)
    row = only(tmp_path, "score")
    assert math.isnan(row[LAST])
    assert why in row["remarks"][0]


def test_evaluations_stand_beside_the_rows_of_the_frame(tmp_path):
    write_run(tmp_path / "a", [1.0, NAN])
    write_run(tmp_path / "b", [3.0], "hopper_mixed")
    np.testing.assert_array_equal(results.evaluations(load([tmp_path]), "score"), [1.0, NAN, 3.0])


# Statistics.


def iqm(*tasks):
    return results.interquartile_mean(tasks, np.random.RandomState(0))


@pytest.mark.parametrize(
    ("tasks", "expected"),
    [
        ([[7.0]], 7.0),
        # 3 scores: floor(3 / 4) = 0 are dropped.
        ([[1.0, 2.0, 6.0]], 3.0),
        # 4 scores: one at either end; (2 + 6) / 2 = 4.
        ([[1000.0, 6.0, 2.0, -1000.0]], 4.0),
        # 7 scores: floor(7 / 4) = 1 at either end; (2 + 3 + 4 + 5 + 6) / 5 = 4.
        ([[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 70.0]], 4.0),
        # Tasks are pooled: (2 + 3 + 10 + 11) / 4, not the tasks' means.
        ([[0.0, 1.0, 2.0, 3.0], [10.0, 11.0, 12.0, 13.0]], 6.5),
    ],
)
def test_the_interquartile_mean_is_that_of_the_middle_half(tasks, expected):
    assert iqm(*tasks)[0] == pytest.approx(expected)


def test_the_interval_of_two_runs_lies_between_them():
    # The means of the resamples are 0, 1/2 and 1 with probabilities 1/4, 1/2 and 1/4.
    assert iqm([0.0, 1.0]) == (0.5, 0.0, 1.0)


def test_resampling_stays_within_a_task():
    # Every resample holds 0 thrice and 8 thrice; (0 + 0 + 8 + 8) / 4 = 4. Without strata the
    # number of zeros would vary, and the interval would be wide.
    assert iqm([0.0, 0.0, 0.0], [8.0, 8.0, 8.0]) == (4.0, 4.0, 4.0)


def test_the_interval_agrees_with_the_normal_approximation_for_many_runs():
    # 400 scores from a uniform law on [0, 1]. The trimmed mean of a quarter either side has the
    # asymptotic variance (4 / n) (1/96 + 1/32) = 1 / (6 n); 1.96 / sqrt(6 * 400) = 0.0400.
    _, low, high = iqm((np.arange(400) + 0.5) / 400.0)
    assert (low, high) == pytest.approx((0.46, 0.54), abs=0.004)


def test_a_task_with_one_run_has_no_interval():
    assert np.isnan(iqm([1.0, 2.0], [3.0])[1:]).all()

import json
import math
from pathlib import Path

import matplotlib.image
import numpy as np
import pytest

from experiments.logging import RunLogger
from experiments.pictures import plots
from experiments.pictures.curve_groups import curve_groups
from experiments.pictures.curve_panels import RETURN_KEY, SCORE_LABEL, score_axis
from experiments.pictures.plots import learning_curves_figure, plot_learning_curves
from experiments.records.run_groups import by_configuration, group_labels, read_run
from mopo_tf2.errors import InputError
from tests.experiments.run_folders import write_run

ORIGINAL = Path(__file__).parents[3] / "parity/reference_curves/halfcheetah_mixed-sac_replay-seed0"
PARAMS = {"config": "halfcheetah_mixed", "penalty_coeff": 1.0, "n_epochs": 5}


def make_run(folder, seed=0, *, returns=(0.0, 10.0, 20.0, 30.0), params=None, **columns):
    params = (PARAMS if params is None else params) | {"seed": seed}
    with RunLogger(folder, tensorboard=False) as logger:
        logger.write_configuration(params, params)
        for epoch, value in enumerate(returns):
            extra = {name: function(epoch, value) for name, function in columns.items()}
            logger.write(
                {"epoch": epoch, "train-steps": 1000 * (epoch + 1), "alpha": 0.5}
                | {"evaluation/return-average": value}
                | extra
            )
    return folder


def groups_of(*folders):
    return curve_groups([read_run(folder) for folder in folders])


def figure_of(*folders, key=RETURN_KEY):
    return learning_curves_figure(groups_of(*folders), key)


def titles(figure):
    return [axes.get_title(loc="left") for axes in figure.axes]


def main_line(figure, number=0):
    lines = [line for line in figure.axes[0].lines if line.get_linewidth() > 1]
    return [list(values) for values in lines[number].get_data()]


# What is one group.


def test_seeds_of_one_configuration_are_one_group(tmp_path):
    a = make_run(tmp_path / "a", 0)
    b = make_run(tmp_path / "b", 1)
    c = make_run(tmp_path / "c", 0, params=PARAMS | {"penalty_coeff": 0.0})
    groups = groups_of(a, b, c)
    assert [len(group.runs) for group in groups] == [2, 1]
    assert [group.label for group in groups] == ["penalty_coeff=1.0", "penalty_coeff=0.0"]


def test_runs_of_different_length_are_one_group(tmp_path):
    a = make_run(tmp_path / "a", 0)
    b = make_run(tmp_path / "b", 1, params=PARAMS | {"n_epochs": 1000})
    assert len(by_configuration([read_run(a), read_run(b)])) == 1


def test_nested_seed_of_the_originals_params_is_known_for_a_seed(tmp_path):
    for seed in (0, 1):
        make_run(tmp_path / str(seed), seed, params={"run_params": {"seed": seed}})
    runs = [read_run(tmp_path / "0"), read_run(tmp_path / "1")]
    # The flat seed is the same parameter; both are left out.
    assert len(by_configuration(runs)) == 1


def test_groups_are_called_by_their_configuration_if_that_tells_them_apart(tmp_path):
    a = make_run(tmp_path / "a", params={"config": "hopper_mixed", "rollout_length": 5})
    b = make_run(tmp_path / "b", params={"config": "hopper_medium", "rollout_length": 1})
    assert group_labels([[read_run(a)], [read_run(b)]]) == ["hopper_mixed", "hopper_medium"]


def test_run_without_params_is_a_group_called_by_its_folder(tmp_path):
    a, b = (make_run(tmp_path / name) for name in "ab")
    for folder in (a, b):
        (folder / "params.json").unlink()
    assert [len(group.runs) for group in groups_of(a, b)] == [1, 1]
    assert groups_of(a)[0].label == "a"


# What is drawn.


def test_line_is_the_mean_over_the_seeds_that_reached_the_epoch(tmp_path):
    a = make_run(tmp_path / "a", 0, returns=(0.0, 10.0, 20.0))
    b = make_run(tmp_path / "b", 1, returns=(4.0, 30.0))
    epochs, means = main_line(figure_of(a, b))
    assert epochs == [0, 1, 2]
    assert means == [2.0, 20.0, 20.0]


def test_legend_says_how_many_seeds_and_until_when(tmp_path):
    lengths = {0: 5, 1: 3, 2: 2}
    runs = [
        make_run(tmp_path / str(seed), seed, returns=range(length))
        for seed, length in lengths.items()
    ]
    texts = [text.get_text() for text in figure_of(*runs).legends[0].get_texts()]
    assert texts == [
        "halfcheetah_mixed: mean of 3 seeds, of 2 after epoch 1, of 1 after epoch 2",
        "single seeds",
        "band: minimum to maximum of the seeds",
    ]


def test_two_runs_of_one_seed_are_not_called_seeds(tmp_path):
    figure = figure_of(make_run(tmp_path / "a", 3), make_run(tmp_path / "b", 3))
    assert figure.legends[0].get_texts()[0].get_text() == "halfcheetah_mixed: mean of 2 runs"


def test_single_run_has_no_band_and_tells_its_seed(tmp_path):
    figure = figure_of(make_run(tmp_path / "a", 3))
    texts = [text.get_text() for text in figure.legends[0].get_texts()]
    assert texts == ["halfcheetah_mixed: 1 run, seed 3"]
    assert len(figure.axes[0].collections) == 0


def test_epoch_without_a_value_is_left_out_of_the_mean(tmp_path):
    a = make_run(tmp_path / "a", 0, returns=(0.0, math.nan, 20.0))
    b = make_run(tmp_path / "b", 1, returns=(4.0, 30.0, 40.0))
    assert main_line(figure_of(a, b))[1] == [2.0, 30.0, 30.0]


def test_normalised_score_is_a_second_axis_if_one_map_serves_all(tmp_path):
    score = {"evaluation/normalized-score": lambda _, value: 0.5 * value + 7.0}
    figure = figure_of(make_run(tmp_path / "a", **score))
    assert SCORE_LABEL not in titles(figure)
    slope, offset = score_axis(groups_of(tmp_path / "a"))
    assert (slope, offset) == pytest.approx((0.5, 7.0))


def test_normalised_score_is_a_panel_if_tasks_differ(tmp_path):
    scores = [lambda _, value: 0.5 * value, lambda _, value: 2.0 * value + 1.0]
    runs = [
        make_run(tmp_path / str(i), params={"config": i}, **{"evaluation/normalized-score": score})
        for i, score in enumerate(scores)
    ]
    assert SCORE_LABEL in titles(figure_of(*runs))


def test_penalty_panels_stand_in_for_the_holdout_panel(tmp_path):
    holdout = {"model/val_loss": lambda *_: 0.6}
    penalty = {"model/penalty-mean": lambda epoch, _: 0.5 + epoch}
    without = titles(figure_of(make_run(tmp_path / "a", **holdout)))
    assert without[1:] == ["Temperature alpha", "Ensemble hold-out MSE"]
    both = titles(figure_of(make_run(tmp_path / "b", **holdout, **penalty)))
    assert both[1:] == ["Temperature alpha", "Model penalty, mean over rollouts"]


def test_columns_without_a_finite_value_have_no_panel(tmp_path):
    run = make_run(tmp_path / "a", **{"Q_loss": lambda *_: math.nan})
    assert "Critic loss" not in titles(figure_of(run))


def test_groups_differ_in_dash_as_well_as_in_colour(tmp_path):
    runs = [make_run(tmp_path / str(i), params={"penalty_coeff": float(i)}) for i in range(6)]
    lines = [line for line in figure_of(*runs).axes[0].lines if line.get_linewidth() > 1]
    assert len({str(line._unscaled_dash_pattern) for line in lines}) == 6
    assert len({line.get_color() for line in lines}) == 6


def test_axes_are_labelled(tmp_path):
    figure = figure_of(make_run(tmp_path / "a"))
    assert "1,000 updates each" in figure.axes[0].get_xlabel()
    assert figure.axes[0].get_ylabel() == "return (sum of rewards of an episode)"
    assert all(axes.get_xlabel() and axes.get_ylabel() for axes in figure.axes)


# The file.


def test_picture_shows_the_run_and_the_originals_curve(tmp_path):
    run = make_run(tmp_path / "a", returns=np.linspace(0, 3000, 45))
    out = plot_learning_curves(
        [run], tmp_path / "new" / "curve.png", reference=[("original", ORIGINAL / "progress.csv")]
    )
    alone = plot_learning_curves([run], tmp_path / "alone.png")
    pixels = matplotlib.image.imread(out)[..., :3]
    blue, black = np.array([0x00, 0x72, 0xB2]) / 255, np.zeros(3)
    upper = slice(60, 500)  # the large panel without its title
    count = {
        name: int((np.abs(image[upper, 200:] - color).max(axis=-1) < 0.02).sum())
        for name, image, color in (
            ("run", pixels, blue),
            ("reference", pixels, black),
            ("without", matplotlib.image.imread(alone)[..., :3], black),
        )
    }
    assert count["run"] > 1000
    assert count["reference"] > count["without"] + 1000
    assert [entry.name for entry in out.parent.iterdir()] == ["curve.png"]


@pytest.mark.parametrize(("suffix", "magic"), [(".pdf", b"%PDF"), (".svg", b"<?xml")])
def test_format_follows_the_suffix(tmp_path, suffix, magic):
    out = plot_learning_curves([make_run(tmp_path / "a")], tmp_path / f"curve{suffix}")
    assert out.read_bytes().startswith(magic)


def test_original_run_folder_is_a_run_too(tmp_path):
    group = groups_of(ORIGINAL)[0]
    assert group.label == "halfcheetah_medium_replay"
    assert plot_learning_curves([ORIGINAL], tmp_path / "curve.png").stat().st_size > 10_000


def test_run_of_one_epoch_can_be_plotted(tmp_path):
    figure = figure_of(make_run(tmp_path / "a", returns=(5.0,)))
    assert figure.axes[0].lines[0].get_marker() == "o"


def test_folder_given_twice_is_drawn_once(tmp_path, monkeypatch):
    drawn = []
    figure = plots.learning_curves_figure
    monkeypatch.setattr(
        plots,
        "learning_curves_figure",
        lambda groups, key: drawn.extend(groups) or figure(groups, key),
    )
    run = make_run(tmp_path / "a")
    plot_learning_curves([run, tmp_path / "." / "a"], tmp_path / "curve.png")
    assert [len(group.runs) for group in drawn] == [1]


# Bad input.


def test_no_runs_is_an_input_error(tmp_path):
    with pytest.raises(InputError, match="at least one run"):
        plot_learning_curves([], tmp_path / "curve.png")


def test_unknown_suffix_is_an_input_error(tmp_path):
    with pytest.raises(InputError, match=r"ending in \.png, \.pdf, \.svg, got .*curve\.gif"):
        plot_learning_curves([make_run(tmp_path / "a")], tmp_path / "curve.gif")


def test_folder_without_progress_is_an_input_error_and_leaves_no_picture(tmp_path):
    with pytest.raises(InputError, match=r"Expected a run with a progress\.csv"):
        plot_learning_curves([tmp_path / "nothing"], tmp_path / "out" / "curve.png")
    assert not (tmp_path / "out").exists()


def test_unknown_key_is_an_input_error_that_lists_the_columns(tmp_path):
    run = make_run(tmp_path / "a")
    with pytest.raises(InputError, match="no column 'return'; it has: epoch, train-steps, alpha"):
        plot_learning_curves([run], tmp_path / "curve.png", key="return")


def test_key_without_values_is_an_input_error(tmp_path):
    run = make_run(tmp_path / "a", returns=(math.nan, math.nan))
    with pytest.raises(InputError, match="no finite value"):
        plot_learning_curves([run], tmp_path / "curve.png")


@pytest.mark.parametrize("content", ["{", json.dumps([1, 2])])
def test_broken_params_are_an_input_error(tmp_path, content):
    run = make_run(tmp_path / "a")
    (run / "params.json").write_text(content)
    with pytest.raises(InputError, match=r"params\.json is not a JSON object"):
        plot_learning_curves([run], tmp_path / "curve.png")


def test_methods_name_the_curves_of_one_configuration(tmp_path):
    a = write_run(tmp_path / "a", [1.0])
    b = write_run(tmp_path / "b", [1.0], method="morel")
    assert group_labels([[read_run(a)], [read_run(b)]]) == ["MOPO", "MOReL"]

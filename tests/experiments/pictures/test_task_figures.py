import math

import numpy as np
import pytest

from experiments.pictures.curve_groups import MEAN_WIDTH
from experiments.pictures.pages import new_figure
from experiments.pictures.task_figures import curve_pages
from experiments.pictures.task_runs import by_task, styles_of, task_curves
from experiments.records.run_records import read_records
from experiments.tables.published import read_published
from mopo_tf2.errors import InputError
from tests.experiments.run_folders import write_run

TABLE_1 = read_published("mopo-table1")
DATASETS = [
    f"{task}-{kind}-v0"
    for task in ("halfcheetah", "hopper", "walker2d")
    for kind in ("random", "medium", "medium-replay", "medium-expert")
]


def draw(root, **options):
    """The panels of all pages, by title."""
    panels = {}
    for page in curve_pages(by_task(read_records(root)), **options):
        figure = new_figure(*page.size)
        page.draw(figure)
        figure.draw_without_rendering()
        panels |= {axes.get_title(loc="left"): axes for axes in figure.axes}
    return panels


def only(panels):
    (axes,) = panels.values()
    return axes


def means(axes):
    lines = [line for line in axes.lines if line.get_linewidth() == MEAN_WIDTH]
    return [list(line.get_ydata()) for line in lines]


def level_lines(axes):
    """The y of black lines, which go across the panel."""
    return [line.get_ydata()[0] for line in axes.lines if line.get_color() == "black"]


def crosses(axes):
    return [
        tuple(map(float, line.get_xydata()[0])) for line in axes.lines if line.get_marker() == "x"
    ]


def texts(axes):
    return [text.get_text() for text in axes.texts]


def write_twelve(root, seeds=3):
    for dataset in DATASETS:
        for seed in range(seeds):
            write_run(root / dataset / f"seed_{seed}", [1.0, 2.0 + seed], seed=seed, config=dataset)


# What is in a panel.


def test_each_dataset_has_a_panel(tmp_path):
    write_twelve(tmp_path)
    panels = draw(tmp_path)
    assert sorted(panels) == sorted(DATASETS)
    assert all(means(axes) == [[1.0, 3.0]] for axes in panels.values())


def test_mean_is_over_the_seeds_that_reached_the_epoch(tmp_path):
    write_run(tmp_path / "a", [0.0, 10.0, 20.0], seed=0)
    write_run(tmp_path / "b", [4.0, 30.0], seed=1, asked=3)
    assert means(only(draw(tmp_path))) == [[2.0, 20.0, 20.0]]


def test_band_reaches_from_the_lowest_to_the_highest_seed(tmp_path):
    for seed, scores in enumerate(([0.0, 10.0], [4.0, 30.0], [2.0, 20.0])):
        write_run(tmp_path / str(seed), scores, seed=seed)
    (band,) = only(draw(tmp_path)).collections
    corners = {tuple(map(float, point)) for point in band.get_paths()[0].vertices}
    assert {(0, 0), (0, 4), (1, 10), (1, 30)} <= corners


def test_nan_epoch_is_left_out_of_the_mean(tmp_path):
    write_run(tmp_path / "a", [0.0, math.nan, 20.0], seed=0)
    write_run(tmp_path / "b", [4.0, 30.0, 40.0], seed=1)
    assert means(only(draw(tmp_path))) == [[2.0, 30.0, 30.0]]


def test_a_cross_marks_the_end_of_a_run_that_is_not_finished(tmp_path):
    write_run(tmp_path / "a", [0.0, 10.0, 20.0], seed=0)
    write_run(tmp_path / "b", [4.0, 30.0], seed=1, asked=3)
    axes = only(draw(tmp_path))
    assert crosses(axes) == [(1.0, 30.0)]
    assert texts(axes) == ["2 seeds, 1 not finished"]


def test_finished_runs_have_no_cross(tmp_path):
    write_run(tmp_path / "a", [0.0, 10.0])
    assert crosses(only(draw(tmp_path))) == []


def test_task_without_an_epoch_says_so(tmp_path):
    write_run(tmp_path / "a", [], asked=3)
    assert "no epoch to draw" in texts(only(draw(tmp_path)))


def test_return_is_drawn_where_there_is_no_score(tmp_path):
    own = {"config": "hopper_medium", "dataset": "mine", "environment": "own:task"}
    write_run(tmp_path / "a", [7.0, 8.0], **own)
    axes = only(draw(tmp_path))
    assert axes.get_ylabel() == "evaluation return"
    assert means(axes) == [[7.0, 8.0]]


def test_epoch_axis_has_whole_numbers_for_a_single_epoch(tmp_path):
    write_run(tmp_path / "a", [7.0])
    axes = only(draw(tmp_path))
    low, high = axes.get_xlim()
    assert [tick for tick in axes.get_xticks() if low <= tick <= high] == [0.0]


# The published score.


def test_published_score_is_a_labelled_line_for_the_same_dataset(tmp_path):
    write_run(tmp_path / "a", [1.0, 2.0], config="hopper_medium")
    axes = only(draw(tmp_path, published=TABLE_1))
    assert level_lines(axes) == [28.0]
    assert "MOPO\n28.0" in texts(axes)
    low, high = axes.get_ylim()
    assert low < 28.0 < high


@pytest.mark.parametrize(
    "other",
    [
        {"dataset": "hopper-medium-v2"},
        {"dataset": "mine.hdf5"},
        {"physics": "gymnasium"},
        {"environment": "walker2d"},
    ],
)
def test_no_published_score_for_other_data_physics_or_task(tmp_path, other):
    write_run(tmp_path / "a", [1.0, 2.0], config="hopper_medium", **other)
    axes = only(draw(tmp_path, published=TABLE_1))
    assert level_lines(axes) == []
    assert not any("28.0" in text for text in texts(axes))


def test_no_published_score_on_an_axis_of_returns(tmp_path):
    write_run(tmp_path / "a", [1.0, 2.0], config="hopper_medium")
    axes = only(draw(tmp_path, published=TABLE_1, key="evaluation/return-average"))
    assert level_lines(axes) == []


# Configurations.


def write_grid(root):
    for length in (1, 5):
        for coefficient in (0.5, 1.0, 2.0, 5.0):
            for dataset in ("hopper-medium-v0", "walker2d-medium-v0"):
                folder = root / dataset / f"{length}-{coefficient}" / "seed_0"
                settings = {"rollout_length": length, "penalty_coeff": coefficient}
                write_run(folder, [1.0, 2.0], config=dataset, **settings)


def test_configurations_differ_in_more_than_colour(tmp_path):
    write_grid(tmp_path)
    task = by_task(read_records(tmp_path))[0]
    curves = task_curves(task, styles_of([task]))
    assert len({(str(curve.dashes), curve.marker) for curve in curves}) == 8


def test_a_configuration_looks_alike_in_all_tasks(tmp_path):
    write_grid(tmp_path)
    tasks = by_task(read_records(tmp_path))
    styles = styles_of(tasks)
    first, second = ({c.label: c for c in task_curves(task, styles)} for task in tasks)
    assert first.keys() == second.keys()
    assert all(
        (first[label].color, first[label].marker) == (second[label].color, second[label].marker)
        for label in first
    )


def test_thirteen_tasks_are_cut_into_pages_of_like_size(tmp_path):
    for number in range(13):
        write_run(tmp_path / str(number), [1.0], dataset=f"data_{number}")
    pages = curve_pages(by_task(read_records(tmp_path)))
    counts = []
    for page in pages:
        figure = new_figure(*page.size)
        page.draw(figure)
        counts.append(len(figure.axes))
    assert counts == [7, 6]
    assert [page.name for page in pages] == [
        "Learning curves by task (1 of 2)",
        "Learning curves by task (2 of 2)",
    ]


# The layout.


def test_twelve_panels_do_not_overlap_and_nothing_is_cut_off(tmp_path):
    write_twelve(tmp_path)
    (page,) = curve_pages(by_task(read_records(tmp_path)), published=TABLE_1)
    figure = new_figure(*page.size)
    page.draw(figure)
    figure.draw_without_rendering()
    renderer = figure.canvas.get_renderer()
    boxes = [axes.get_tightbbox(renderer) for axes in figure.axes]
    boxes.append(figure.legends[0].get_window_extent(renderer))
    overlaps = [(a, b) for i, a in enumerate(boxes) for b in boxes[:i] if a.overlaps(b)]
    assert overlaps == []
    inside = figure.bbox.padded(1.0)
    assert all(inside.contains(*corner) for box in boxes for corner in np.array(box.get_points()))


def test_long_dataset_names_are_shortened_in_the_middle(tmp_path):
    write_run(tmp_path / "a", [1.0], dataset="a" * 30 + "b" * 30)
    (title,) = draw(tmp_path)
    assert len(title) <= 34
    assert (title[0], title[-1], "…" in title) == ("a", "b", True)


# Bad input.


def test_unknown_key_is_an_input_error_that_lists_the_columns(tmp_path):
    write_run(tmp_path / "a", [1.0])
    with pytest.raises(InputError, match="No run has a column 'x'; known: epoch, evaluation"):
        draw(tmp_path, key="x")


def test_key_without_a_value_is_an_input_error(tmp_path):
    write_run(tmp_path / "a", [math.nan])
    with pytest.raises(InputError, match="No run has a finite value of 'evaluation/normal"):
        draw(tmp_path, key="evaluation/normalized-score")

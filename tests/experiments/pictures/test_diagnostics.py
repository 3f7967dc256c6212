import numpy as np
import pandas as pd
import pytest

from experiments.logging import read_progress
from experiments.pictures.curve_groups import MEAN_WIDTH
from experiments.pictures.diagnostics import diagnostics_pages
from experiments.pictures.pages import new_figure
from experiments.pictures.task_runs import by_task
from experiments.records.run_records import read_records
from tests.experiments.run_folders import write_run

PENALTY = {
    "model/penalty-mean": [3.0, 2.0],
    "model/penalty-max": [9.0, 8.0],
    "model/penalty-reward-share": [0.5, 0.25],
    "model/mean_rollout_length": [5.0, 4.0],
}


def write(folder, columns=PENALTY, holdout=None, **options):
    write_run(folder, [1.0, 2.0], **options)
    progress = read_progress(folder)
    for name, values in columns.items():
        progress[name] = values
    progress.to_csv(folder / "progress.csv", index=False, na_rep="nan")
    if holdout is not None:
        table = pd.DataFrame(holdout, columns=[f"V{i}" for i in range(len(holdout[0]))])
        table.to_csv(folder / "model_holdout.csv", index_label="epoch")
    return folder


def draw(root):
    """The panels of all pages as [row][column]."""
    rows = []
    for page in diagnostics_pages(by_task(read_records(root))):
        figure = new_figure(*page.size)
        page.draw(figure)
        figure.draw_without_rendering()
        columns = figure.axes[0].get_gridspec().ncols
        rows += [figure.axes[i : i + columns] for i in range(0, len(figure.axes), columns)]
    return rows


def mean(axes):
    (line,) = [line for line in axes.lines if line.get_linewidth() == MEAN_WIDTH]
    return list(line.get_ydata())


def test_panels_show_penalty_rollouts_and_holdout_losses(tmp_path):
    write(tmp_path / "a", holdout=[[4.0, 6.0], [1.0, 3.0]])
    (panels,) = draw(tmp_path)
    expected = [*PENALTY.values(), [5.0, 2.0]]
    assert [mean(axes) for axes in panels] == expected


def test_holdout_band_spans_the_networks_of_all_seeds(tmp_path):
    write(tmp_path / "a", {}, [[4.0, 6.0], [1.0, 3.0]], seed=0)
    write(tmp_path / "b", {}, [[2.0, 8.0]], seed=1)
    ((axes,),) = draw(tmp_path)
    (band,) = axes.collections
    corners = {tuple(map(float, point)) for point in band.get_paths()[0].vertices}
    assert {(0, 2), (0, 8), (1, 1), (1, 3)} <= corners
    assert mean(axes) == [5.0, 2.0]


def test_columns_without_a_value_are_left_out(tmp_path):
    write(tmp_path / "a", {"model/penalty-mean": [3.0, 2.0], "model/penalty-max": [np.nan] * 2})
    (panels,) = draw(tmp_path)
    assert [axes.get_title(loc="left").partition("\n")[0] for axes in panels] == ["Penalty, mean"]


def test_task_without_a_column_that_others_have_says_none(tmp_path):
    write(tmp_path / "a", {"model/penalty-mean": [3.0, 2.0]}, config="hopper_medium")
    write(tmp_path / "b", {}, config="walker2d_medium")
    (_, (axes,)) = draw(tmp_path)
    assert [text.get_text() for text in axes.texts] == ["none"]


def test_runs_without_diagnostics_have_no_page(tmp_path):
    write(tmp_path / "a", {})
    assert draw(tmp_path) == []


@pytest.mark.parametrize("text", ["", "epoch,V0,V1\n", "\x00", "epoch,V0\n0,abc\n", "V0\n1.0\n"])
def test_damaged_holdout_file_does_not_stop_the_rest(tmp_path, text):
    folder = write(tmp_path / "a")
    (folder / "model_holdout.csv").write_text(text)
    (panels,) = draw(tmp_path)
    assert len(panels) == 4


def test_half_a_row_of_a_running_model_training_is_left_out(tmp_path):
    folder = write(tmp_path / "a", {})
    (folder / "model_holdout.csv").write_text("epoch,V0,V1\n0,4.0,6.0\n1,1")
    ((axes,),) = draw(tmp_path)
    assert mean(axes)[0] == 5.0


def test_seven_tasks_are_cut_into_pages_and_each_row_names_its_dataset(tmp_path):
    for number in range(7):
        write(tmp_path / str(number), dataset=f"data_{number}")
    rows = draw(tmp_path)
    assert [row[0].get_ylabel() for row in rows] == [f"data_{number}" for number in range(7)]
    assert len(diagnostics_pages(by_task(read_records(tmp_path)))) == 2


def test_ticks_of_the_logarithmic_axis_are_plain_numbers(tmp_path):
    write(tmp_path / "a", {}, [[4.0, 6.0], [0.5, 0.7]])
    ((axes,),) = draw(tmp_path)
    low, high = axes.get_ylim()
    labels = [
        label.get_text()
        for label, y in zip(axes.get_yticklabels(), axes.get_yticks(), strict=True)
        if low <= y <= high
    ]
    assert {"0.5", "1", "2", "5"} <= set(labels)

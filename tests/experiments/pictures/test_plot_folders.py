import re
from pathlib import Path

import matplotlib.image
import numpy as np
import pytest

from experiments.cli import main
from experiments.pictures import plot_folders as module
from experiments.pictures.plot_folders import plot_folders
from mopo_tf2.errors import InputError
from tests.experiments.run_folders import write_run

ORIGINALS = Path(__file__).parents[3] / "parity/reference_curves"


@pytest.fixture
def overlaid(monkeypatch):
    """What ``plot_learning_curves`` was asked to draw."""
    asked = []
    monkeypatch.setattr(
        module, "plot_learning_curves", lambda runs, out, **_: asked.extend(runs) or out
    )
    return asked


def test_run_folders_of_one_task_share_a_panel_of_returns(tmp_path, overlaid):
    runs = [write_run(tmp_path / str(seed), [1.0, 2.0], seed=seed) for seed in range(2)]
    plot_folders(runs, tmp_path / "curves.png")
    assert overlaid == runs


def test_run_folder_without_parameters_is_drawn_as_before(tmp_path, overlaid):
    run = write_run(tmp_path / "a", [1.0, 2.0])
    for name in ("params.json", "config.json"):
        (run / name).unlink()
    plot_folders([run], tmp_path / "curves.png")
    assert overlaid == [run]


def test_a_tree_of_runs_is_drawn_by_task(tmp_path, overlaid):
    write_run(tmp_path / "runs/seed_0", [1.0, 2.0])
    out = plot_folders([tmp_path / "runs"], tmp_path / "curves.png")
    assert overlaid == []
    assert out.stat().st_size > 10_000


def test_run_folders_of_several_tasks_are_drawn_by_task(tmp_path, overlaid):
    configs = ("hopper_medium", "walker2d_medium")
    runs = [write_run(tmp_path / name, [1.0, 2.0], config=name) for name in configs]
    plot_folders(runs, tmp_path / "curves.png")
    assert overlaid == []


def test_originals_runs_are_drawn_by_task_too(tmp_path):
    out = plot_folders([ORIGINALS], tmp_path / "curves.png")
    assert out.stat().st_size > 10_000


def test_pdf_has_curves_and_diagnostics_on_pages_of_their_own(tmp_path):
    run = write_run(tmp_path / "runs/seed_0", [1.0, 2.0])
    (run / "model_holdout.csv").write_text("epoch,V0\n0,2.0\n1,1.0\n")
    out = plot_folders([tmp_path / "runs"], tmp_path / "curves.pdf")
    assert len(re.findall(rb"/Type /Page\b", out.read_bytes())) == 2


def test_svg_needs_no_font(tmp_path):
    write_run(tmp_path / "runs/seed_0", [1.0, 2.0])
    out = plot_folders([tmp_path / "runs"], tmp_path / "curves.svg")
    assert out.read_text().startswith("<?xml")


def test_published_score_of_the_command_line_is_black_in_the_picture(tmp_path):
    write_run(tmp_path / "runs/seed_0", [1.0, 2.0], config="hopper_medium")
    black = []
    for paper in ("mopo-table1", "none"):
        out = tmp_path / f"{paper}.png"
        assert main(["plot", str(tmp_path / "runs"), "--out", str(out), "--paper", paper]) == 0
        pixels = matplotlib.image.imread(out)[..., :3]
        # A row of the picture in which a dotted line runs from side to side.
        dark = (pixels.max(axis=-1) < 0.2).mean(axis=1)
        black.append(int(((dark > 0.25) & (dark < 0.7)).sum()))
    assert black[0] > black[1]


def test_names_with_dollar_signs_and_bytes_that_are_no_text_can_be_drawn(tmp_path):
    write_run(tmp_path / "runs/a", [1.0, 2.0], dataset="$x^$ \x07 \udcff_")
    plot_folders([tmp_path / "runs"], tmp_path / "curves.png")
    pixels = matplotlib.image.imread(tmp_path / "curves.png")[..., :3]
    assert np.ptp(pixels) > 0.5


def test_references_beside_several_tasks_are_an_input_error(tmp_path):
    write_run(tmp_path / "runs/seed_0", [1.0, 2.0])
    reference = [("original", tmp_path / "runs/seed_0/progress.csv")]
    with pytest.raises(InputError, match="--reference goes with run folders of one task"):
        plot_folders([tmp_path / "runs"], tmp_path / "curves.png", reference=reference)


def test_folder_without_runs_is_an_input_error_and_leaves_no_picture(tmp_path):
    (tmp_path / "nothing").mkdir()
    with pytest.raises(InputError, match="no run in"):
        plot_folders([tmp_path / "nothing"], tmp_path / "out" / "curves.png")
    assert not (tmp_path / "out").exists()


def test_runs_that_say_no_task_are_an_input_error(tmp_path):
    for name in ("a", "b"):
        run = write_run(tmp_path / "runs" / name, [1.0, 2.0])
        for file in ("params.json", "config.json"):
            (run / file).unlink()
    with pytest.raises(InputError, match="no run says its task"):
        plot_folders([tmp_path / "runs"], tmp_path / "curves.png")

import math
from pathlib import Path

import numpy as np
import pytest
from matplotlib.colors import to_rgb

from experiments import plots, results
from experiments.plots import Look, curve_pages, diagnostics_pages, panels_of, plot
from experiments.published import read_published
from mopo_tf2.configs.methods import METHODS
from mopo_tf2.errors import InputError
from tests.experiments.scored_runs import write_run
from tests.experiments.tiny_runs import refused

SCORES = [10.0, 30.0, 20.0]
DATA = "halfcheetah-medium-replay-v0"


def panels(*folders: Path) -> list[plots.Panel]:
    return panels_of(results.load(folders))


def test_every_method_has_a_colour_and_dashes_of_its_own_that_differ_in_grey():
    assert set(METHODS) <= set(plots.STYLES)
    colors, dashes = zip(*plots.STYLES.values(), strict=True)
    assert len({to_rgb(color) for color in colors}) == len({*map(repr, dashes)}) == len(colors)


def test_a_method_looks_the_same_whatever_else_is_drawn(tmp_path):
    write_run(tmp_path / "alone" / "seed_0", SCORES, method="bc")
    for method in ("mopo", "bc"):
        write_run(tmp_path / "both" / method, SCORES, method=method)
    [alone], [both] = panels(tmp_path / "alone"), panels(tmp_path / "both")
    styles = {curve.method: curve.style for curve in both.curves}
    assert styles["bc"] == alone.curves[0].style
    assert styles["bc"]["color"] != styles["mopo"]["color"]


def test_epochs_are_counted_from_one_and_smoothing_looks_back(tmp_path):
    write_run(tmp_path / "seed_0", SCORES)
    write_run(tmp_path / "seed_1", SCORES[:2], seed=1)
    [panel] = panels(tmp_path)
    table = panel.curves[0].table(plots.SCORE, smooth=2)
    assert list(table.index) == [1.0, 2.0, 3.0]
    np.testing.assert_allclose(table.iloc[:, 0], [10.0, 20.0, 25.0])
    np.testing.assert_allclose(table.iloc[:, 1], [10.0, 20.0, math.nan])


def test_curves_are_titled_by_their_data_and_say_how_many_seeds_they_are(tmp_path):
    for seed in (0, 1):
        write_run(tmp_path / f"seed_{seed}", SCORES, seed=seed)
    [page] = curve_pages(panels(tmp_path), None)
    [cell] = page.cells
    assert cell.title == DATA
    assert "2 seeds" in cell.note
    labels = [line.get_label() for line in plots._legend(page, Look(), 100)]
    assert any("MOPO: mean of 2 seeds" in label for label in labels)


def test_published_scores_stand_on_the_same_data_only(tmp_path):
    newer = "halfcheetah-medium-replay-v2"
    write_run(tmp_path / "a", SCORES)
    write_run(tmp_path / "b", SCORES, dataset=newer)
    pages = curve_pages(panels(tmp_path), read_published("mopo-table1"))
    shown = {cell.title: [n.value for n in cell.published] for cell in pages[0].cells}
    assert shown == {DATA: [53.1], newer: []}


def test_holdout_losses_of_morel_and_mopo_have_axes_of_their_own(tmp_path):
    for method in ("mopo", "morel"):
        run = write_run(tmp_path / method, SCORES, method=method)
        run.write_holdout(0, np.array([0.5, 0.25]))
    [page] = diagnostics_pages(panels(tmp_path))
    titles = [cell.title for cell in page.cells]
    assert len([title for title in titles if title.startswith("Hold-out")]) == 2


@pytest.mark.parametrize(
    ("suffix", "band"), [("png", "minmax"), ("pdf", "std"), ("svg", "se"), ("png", "ci")]
)
def test_a_picture_is_written_in_each_format_with_each_band(tmp_path, suffix, band):
    for seed in (0, 1, 2):
        write_run(tmp_path / f"seed_{seed}", [value * (1 + seed) for value in SCORES], seed=seed)
    out = tmp_path / f"curves.{suffix}"
    look = Look(smooth=2, band=band, title="$10 % <b>", size=(6.0, 5.0))
    assert plot([tmp_path], out, look=look) == out
    start = out.read_bytes()[:200]
    assert {"png": b"PNG", "pdf": b"%PDF", "svg": b"<?xml"}[suffix] in start


def test_a_single_seed_has_no_band_and_ci_is_within_the_range():
    import pandas as pd

    table = pd.DataFrame({"a": [1.0, 2.0], "b": [3.0, math.nan]})
    low, high = results.spread(table, "ci")
    assert 1.0 <= low[0] <= high[0] <= 3.0
    assert math.isnan(low[1])


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["--size", "wide"], "8x5"),
        (["--smooth", "0"], "--smooth"),
        (["--format", "png", "--out", "x.pdf"], "x.pdf"),
        (["--out", "x.gif"], ".png"),
        (["--key", "no-such-column"], "no-such-column"),
        (["--reference", "nameless.csv"], "LABEL=CSV"),
    ],
)
def test_what_cannot_be_drawn_is_refused(tmp_path, monkeypatch, options, named):
    write_run(tmp_path / "seed_0", SCORES)
    monkeypatch.chdir(tmp_path)
    assert named in refused("plot", tmp_path / "seed_0", *options)
    assert [path.name for path in tmp_path.iterdir()] == ["seed_0"]


def test_nothing_to_draw_is_said(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no run"):
        plot([tmp_path], tmp_path / "x.png")

import base64
import os
import re
import shutil
import subprocess
from pathlib import Path

import matplotlib.image
import numpy as np
import pytest

from experiments.cli import main
from experiments.logging import read_progress
from experiments.report import page as report
from experiments.report.page import write_report
from mopo_tf2.errors import InputError
from tests.experiments.report.html_reader import Reader
from tests.experiments.run_folders import SHA256, write_run

ORIGINALS = Path(__file__).parents[3] / "parity/reference_curves"
BLUE = np.array([0x00, 0x72, 0xB2]) / 255
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
needs_chromium = pytest.mark.skipif(
    CHROMIUM is None, reason="no Chromium on PATH (on Debian: apt-get install chromium)"
)


def write_sweep(root):
    for config in ("hopper_medium", "walker2d_medium"):
        for seed in range(2):
            folder = write_run(
                root / config / f"seed_{seed}", np.arange(30.0) + seed, seed=seed, config=config
            )
            progress = read_progress(folder)
            progress["model/penalty-mean"] = 2.0 + progress["epoch"]
            progress.to_csv(folder / "progress.csv", index=False)
    write_run(root / "walker2d_medium/seed_2", [1.0], seed=2, config="walker2d_medium", asked=30)
    return root


@pytest.fixture
def sweep(tmp_path):
    return write_sweep(tmp_path / "sweep")


def texts(out):
    return "\n".join(Reader(out.read_text()).texts)


# What is on the page.


def test_page_shows_scores_published_numbers_and_where_they_are_from(sweep, tmp_path):
    text = texts(write_report([sweep], tmp_path / "report.html"))
    assert "29.5 ± 0.5" in text
    assert "28.0 (MOPO Table 1)" in text


def test_page_names_what_is_not_finished_first(sweep, tmp_path):
    text = texts(write_report([sweep], tmp_path / "report.html"))
    note = "1 run is not finished, and in no average of the tables:"
    name = "walker2d_medium/seed_2 (unfinished, 1 of 30 epochs)"
    assert text.index(note) < text.index(name) < text.index("29.5 ± 0.5")


def test_many_unfinished_runs_are_named_in_part_and_counted(tmp_path):
    for seed in range(23):
        write_run(tmp_path / f"runs/seed_{seed}", [1.0], seed=seed, asked=2)
    text = texts(write_report([tmp_path / "runs"], tmp_path / "report.html"))
    assert "23 runs are not finished" in text
    assert "and 3 more, in the list of all runs" in text


def test_page_has_data_physics_settings_and_the_command(sweep, tmp_path):
    out = tmp_path / "report.html"
    assert main(["report", str(sweep), "--out", str(out), "--title", "A & B"]) == 0
    text = texts(out)
    for expected in (SHA256, "d4rl", "penalty_coeff", f"report {sweep} --out {out}", "'A & B'"):
        assert expected in text
    assert re.search(r"<h1>A &amp; B</h1>", out.read_text())


def test_page_shows_what_the_sweep_was_asked_for(sweep, tmp_path):
    (sweep / "sweep.json").write_text('{"seeds": 2, "suite": "<d4rl>"}')
    assert '"suite": "<d4rl>"' in texts(write_report([sweep], tmp_path / "report.html"))


def test_page_carries_everything_in_itself(sweep, tmp_path):
    reader = Reader(write_report([sweep], tmp_path / "report.html").read_text())
    images = [image["src"].partition(",") for image in reader.of("img")]
    assert [kind for kind, *_ in images] == ["data:image/svg+xml;base64"] * 2
    loaded = [e for e in reader.elements if e[0] in ("script", "link", "iframe", "object", "base")]
    assert loaded == []
    assert all(link["href"].startswith("#") for link in reader.of("a"))
    for *_, data in images:
        svg = base64.b64decode(data).decode()
        assert re.findall(r'(?:href|src)="(?!#)[^"]*"', svg) == []


def test_hostile_names_are_harmless(tmp_path):
    evil = "<script>alert(1)<"
    root = tmp_path / evil
    folder = root / "$x^$" / os.fsdecode(b"bad\xff\x07")
    write_run(
        folder, [1.0, 2.0], dataset=f"{evil}/script>.hdf5", note='"><script>alert(2)</script>'
    )
    (root / "sweep.json").write_text('{"a": "</pre><script>alert(3)</script>"}')
    reader = Reader(write_report([root], tmp_path / "report.html").read_text())
    assert reader.of("script") == []
    assert any("alert(2)</script>" in text for text in reader.texts)


def test_runs_of_the_original_have_a_page_too(tmp_path):
    text = texts(write_report([ORIGINALS], tmp_path / "report.html"))
    assert "Parameters of the original's runs have other names" in text


def test_runs_without_diagnostics_have_a_page_too(tmp_path):
    write_run(tmp_path / "runs/a", [1.0])
    text = texts(write_report([tmp_path / "runs"], tmp_path / "report.html"))
    assert "No run recorded a penalty" in text


# The file.


def test_page_is_written_whole_or_not_at_all(sweep, tmp_path, monkeypatch):
    out = tmp_path / "report.html"
    out.write_text("before")

    def fail(*_arguments, **_options):
        raise OSError("disk full")

    monkeypatch.setattr(report, "page", fail)
    with pytest.raises(OSError, match="disk full"):
        write_report([sweep], out)
    assert out.read_text() == "before"
    assert {entry.name for entry in tmp_path.iterdir()} == {"report.html", "sweep"}


def test_another_suffix_is_an_input_error(sweep, tmp_path):
    with pytest.raises(InputError, match=r"ending in \.html or \.htm, got .*report\.pdf"):
        write_report([sweep], tmp_path / "report.pdf")


def test_folder_without_runs_is_an_input_error_and_leaves_no_page(tmp_path):
    (tmp_path / "nothing").mkdir()
    with pytest.raises(InputError, match="no run in"):
        write_report([tmp_path / "nothing"], tmp_path / "out/report.html")
    assert not (tmp_path / "out").exists()


# In a browser, without a network.


def browse(page, profile, *options):
    """Open ``page`` in headless Chromium; return what it wrote to the console."""
    command = [
        *(CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic"),
        *("--no-first-run", "--disable-background-networking", "--disable-component-update"),
        *("--disable-sync", f"--user-data-dir={profile}", "--hide-scrollbars"),
        # Nobody answers there: whatever is asked of a network fails.
        *("--proxy-server=127.0.0.1:9", "--enable-logging=stderr"),
        *options,
        page.as_uri(),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True)
    return [line for line in done.stderr.splitlines() if "CONSOLE" in line]


@needs_chromium
def test_page_opens_in_a_browser_without_a_network(sweep, tmp_path):
    page = write_report([sweep], tmp_path / "report.html")
    shot = tmp_path / "shot.png"
    size = "--window-size=1000,4000"
    console = browse(page, tmp_path / "profile", size, f"--screenshot={shot}")
    assert console == []
    pixels = matplotlib.image.imread(shot)[..., :3]
    is_blue = np.abs(pixels - BLUE).max(axis=-1) < 0.02
    is_dark = pixels.max(axis=-1) < 0.35
    curves = np.flatnonzero(is_blue.any(axis=1))
    # The lines of two tasks' curves, and below them those of the diagnostics.
    assert is_blue.sum() > 1500
    assert np.diff(curves).max() > 100
    # The table stands above the curves, and its rules go across most of the page.
    above = is_dark[: curves[0]]
    assert (above.mean(axis=1) > 0.4).sum() >= 3


@needs_chromium
def test_page_prints(sweep, tmp_path):
    page = write_report([sweep], tmp_path / "report.html")
    printed = tmp_path / "report.pdf"
    browse(page, tmp_path / "profile", "--no-pdf-header-footer", f"--print-to-pdf={printed}")
    pages = len(re.findall(rb"/Type\s*/Page\b", printed.read_bytes()))
    assert 2 <= pages <= 6


@needs_chromium
def test_browser_test_would_see_a_page_that_asks_the_network_or_fails(tmp_path):
    page = tmp_path / "bad.html"
    page.write_text("<img src='http://localhost:1/x.png'><script>undefined_name()</script>")
    shot = tmp_path / "shot.png"
    console = browse(page, tmp_path / "profile", f"--screenshot={shot}")
    assert any("undefined_name" in line for line in console)

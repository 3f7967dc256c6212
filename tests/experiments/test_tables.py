import csv
import io
import json
import math
import re
import shutil
import subprocess

import pytest

from experiments.results import BEST, LAST, LAST_TEN, load
from experiments.tables import COLUMNS, make_table, render
from tests.experiments.scored_runs import edit_json, write_run
from tests.experiments.tiny_runs import mopo, refused

CONSTANT = [5.0] * 12


def table(root, paper="mopo-table1", **options):
    return make_table(load([root]), paper, **options)


def last(root, column="mean", **options):
    """The entries of a column in the rows at the last epoch."""
    rows = table(root, **options).rows
    return rows[column][rows["statistic"] == LAST].tolist()


def excluded(root, **options):
    lines = table(root, **options).excluded
    return dict(zip(lines["folder"], lines["notes"].map("; ".join), strict=True))


def markdown_rows(text):
    """The rows of the first table as dicts of cells."""
    lines = [line for line in text.split("\n\n")[1].splitlines() if line.startswith("|")]
    header, _, *rows = [[c.strip() for c in re.split(r"(?<!\\)\|", x)[1:-1]] for x in lines]
    return [dict(zip(header, row, strict=True)) for row in rows]


# Averages over seeds.


def test_cells_are_mean_and_deviation_over_seeds(tmp_path):
    # LAST 4 and 10: mean 7, deviation 3. LAST TEN: seed 0 has 2 ... 10, 4: 5.8; seed 1 has nine
    # times 0 and 10: 1; mean 3.4, deviation 2.4. BEST 10 and 12: mean 11, deviation 1.
    write_run(tmp_path / "seed_0", [*range(11), 4], seed=0)
    write_run(tmp_path / "seed_1", [12.0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 10.0], seed=1)
    rows = table(tmp_path).rows.set_index("statistic")
    for name, expected in ((LAST, (7, 3)), (LAST_TEN, (3.4, 2.4)), (BEST, (11, 1))):
        assert rows.loc[name, ["mean", "std"]].tolist() == pytest.approx(expected)


def test_only_finished_runs_are_averaged_and_the_others_listed(tmp_path):
    write_run(tmp_path / "a", CONSTANT)
    write_run(tmp_path / "b", [90.0] * 12, seed=1, asked=20)
    write_run(tmp_path / "c", [], seed=2)
    write_run(tmp_path / "d", [90.0] * 12, seed=3)
    edit_json(tmp_path / "d/config.json", seed="x")
    (tmp_path / "e").mkdir()
    assert last(tmp_path) == [5.0]
    said = excluded(tmp_path)
    assert [*said] == ["b", "c", "d", "e"]
    assert said["d"] == "seed is 'x', expected int"


def test_unfinished_runs_are_averaged_on_request_and_marked_and_damaged_ones_never(tmp_path):
    write_run(tmp_path / "a", CONSTANT)
    write_run(tmp_path / "b", [9.0] * 12, seed=1, asked=20)
    write_run(tmp_path / "c", [90.0] * 12, seed=2)
    edit_json(tmp_path / "c/config.json", algorithm=5)
    text = render(table(tmp_path, include_unfinished=True), "markdown")
    assert markdown_rows(text)[0]["LAST"] == "7.0 ± 2.0*"
    assert "seed 1 is unfinished (12 of 20 epochs) and included in the averages" in text
    assert [*excluded(tmp_path, include_unfinished=True)] == ["c"]


def test_two_runs_of_one_seed_count_once_and_the_finished_one_does(tmp_path):
    write_run(tmp_path / "a", [90.0] * 12, asked=20)
    write_run(tmp_path / "b", CONSTANT)
    write_run(tmp_path / "c", [80.0] * 12)
    assert last(tmp_path, include_unfinished=True) == [5.0]
    said = excluded(tmp_path, include_unfinished=True)
    assert said == dict.fromkeys("ac", "its seed counts once, as b")


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"scores": CONSTANT, "asked": 20}, "12 of 20"),
        ({"scores": [7.0] * 11 + [math.nan]}, "last epoch (12) is nan: no LAST"),
        (
            {"scores": CONSTANT, "settings": {"max_path_length": 20}},
            "belong to episodes of 1000 steps, not 20",
        ),
    ],
)
def test_a_row_without_a_number_says_why(tmp_path, options, why):
    write_run(tmp_path / "seed_0", **options)
    text = render(table(tmp_path), "markdown")
    assert markdown_rows(text)[0]["LAST"] == "n/a"
    assert why in text


def test_a_seed_that_other_rows_have_is_said(tmp_path):
    for config, seeds in (("halfcheetah_mixed", (0, 1, 2)), ("hopper_mixed", (0, 2))):
        for seed in seeds:
            write_run(tmp_path / f"{config}/{seed}", CONSTANT, config, seed=seed)
    said = "no run of seed 1, which other rows have"
    assert [said in notes for notes in last(tmp_path, "notes")] == [False, True]


# What a row is called, and which columns there are.


def test_a_table_of_one_method_names_it_in_every_format(tmp_path):
    write_run(tmp_path / "a", CONSTANT, method="mbpo")
    made = table(tmp_path)
    assert markdown_rows(render(made, "markdown"))[0]["Method"] == "MBPO"
    assert re.search(r"\bMBPO\b", render(made, "latex"))
    first = next(csv.DictReader(io.StringIO(render(made, "csv"))))
    for line in (first, read_json(made)["rows"][0]):
        assert (line["method"], line["program"]) == ("MBPO", "mopo_tf2")


def test_a_column_is_shown_if_it_has_a_value(tmp_path):
    write_run(tmp_path / "a", CONSTANT)
    columns = ["Dataset", "Method", LAST, LAST_TEN, BEST]
    assert [*markdown_rows(render(table(tmp_path, "none"), "markdown"))[0]] == columns
    settings = {"penalty_coeff": 5.0}
    write_run(tmp_path / "b", CONSTANT, physics="gymnasium", settings=settings)
    write_run(tmp_path / "c", CONSTANT, settings=settings)
    shown = markdown_rows(render(table(tmp_path), "markdown"))
    cells = [(row["Setting"], row["Physics"], row["Published"]) for row in shown]
    one, five = "penalty_coeff=1.0", "penalty_coeff=5.0"
    assert cells == [(one, "", "53.1"), (five, "", "53.1"), (five, "gymnasium", "")]


def test_data_of_the_users_are_shown_with_their_hash(tmp_path):
    write_run(tmp_path / "a", CONSTANT, dataset="mine.hdf5")
    assert last(tmp_path, "dataset") == ["mine.hdf5 (sha256 01234567)"]


def test_the_published_numbers_are_those_of_the_rows_data(tmp_path):
    write_run(tmp_path / "a", CONSTANT)
    published = table(tmp_path).published
    assert {*published["dataset"]} == {"halfcheetah-medium-replay-v0"}
    assert published.set_index("method")["mean"]["BEAR"] == 36.2


def test_a_table_of_another_metric_is_not_shown_and_that_is_said(tmp_path):
    # Score 50 lies in the middle of -280.178953 and 12135.
    write_run(tmp_path / "a", [50.0])
    assert last(tmp_path, metric="return") == [pytest.approx(5927.4105235)]
    assert "mopo-table1 has another metric" in render(table(tmp_path, metric="return"), "markdown")


def test_runs_without_a_simulator_show_the_return_in_the_model(tmp_path):
    write_run(tmp_path / "a", [1.0])
    (tmp_path / "a/progress.csv").write_text("epoch,model_evaluation/return-average\n0,7.0\n")
    made = table(tmp_path)
    assert (made.metric, made.rows["mean"][0]) == ("model-return", 7.0)


def test_table_2_shows_the_batch_and_all_methods(tmp_path):
    write_run(tmp_path / "a", CONSTANT, dataset="ant-angle.hdf5", environment="mine:angle")
    text = render(table(tmp_path, "mopo-table2"), "markdown")
    assert "| ant-angle | 866.7      | 2311.9    | 2530.9 ± 137.0 |" in text


# Over tasks.


def two_tasks(root, first, second):
    for config, values in (("halfcheetah_mixed", first), ("hopper_mixed", second)):
        for seed, score in enumerate(values):
            write_run(root / f"{config}/{seed}", [score], config, seed=seed)
    lines = table(root).aggregates
    return lines[lines["statistic"] == LAST].iloc[0]


def test_statistics_over_tasks(tmp_path):
    # Task means 3 and 12: 7.5. Pooled 1, 2, 3, 6, 8, 10, 14, 16 (8 runs): without two at either
    # end (3 + 6 + 8 + 10) / 4 = 6.75. Published 53.1 and 67.5: 60.3.
    line = two_tasks(tmp_path, [1.0, 2.0, 3.0, 6.0], [8.0, 10.0, 14.0, 16.0])
    assert line[["mean", "iqm", "published"]].tolist() == pytest.approx([7.5, 6.75, 60.3])
    assert line["ci_low"] < 6.75 < line["ci_high"]
    assert line["notes"] == ["interval from 4 seeds a task: unreliable below 5"]


@pytest.mark.parametrize(
    ("first", "second", "mean", "notes"),
    [
        (
            [1.0, 2.0],
            [8.0],
            4.75,
            ["tasks weigh by their seeds (1 to 2)", "no interval: a task has a single seed"],
        ),
        (
            [math.nan],
            [6.0],
            6.0,
            ["no interval: a task has a single seed", "1 of 2 tasks have no number"],
        ),
    ],
)
def test_what_weakens_statistics_over_tasks_is_said(tmp_path, first, second, mean, notes):
    line = two_tasks(tmp_path, first, second)
    assert (line["mean"], line["notes"]) == (mean, notes)
    assert math.isnan(line["ci_low"])


def test_one_task_or_two_versions_of_the_data_are_not_averaged_over(tmp_path):
    write_run(tmp_path / "a", CONSTANT, "hopper_medium")
    write_run(tmp_path / "b", CONSTANT, "hopper-medium-v2")
    write_run(tmp_path / "c", CONSTANT, dataset="halfcheetah-sac-replay-v0")
    assert table(tmp_path).aggregates.empty


# Formats.


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Two methods on four tasks, names that LaTeX takes for commands, runs that do not count."""
    root = tmp_path_factory.mktemp("out")
    for config in ("halfcheetah_mixed", "halfcheetah_medium_expert", "hopper_mixed"):
        for method in ("mopo", "mopo-true-penalty"):
            for seed in (0, 1):
                path = root / f"{config}/{method}/{seed}"
                write_run(path, [0.1 + 0.2, 100.0 + seed], config, method=method, seed=seed)
    name = "50%_of_{mine}&|a_very_long_name_without_any_end_that_nobody_would_type_twice.hdf5"
    write_run(root / "own/seed_0", [1.0], dataset=name)
    write_run(root / "unfinished/seed_2", [1.0], seed=2, asked=3)
    (root / "a_folder_with_a_long_name_that_holds_nothing_at_all/seed_1").mkdir(parents=True)
    return root


@pytest.fixture(scope="module")
def made(runs):
    return table(runs)


def read_json(made):
    return json.loads(render(made, "json"))


def test_markdown_lines_up_and_prints_every_note_that_it_refers_to(made):
    text = render(made, "markdown")
    blocks = [[x for x in part.splitlines() if x.startswith("|")] for part in text.split("\n\n")]
    for lines in blocks:
        assert len({tuple(m.start() for m in re.finditer(r"(?<!\\)\|", x)) for x in lines}) <= 1
    referred = {n for row in markdown_rows(text) for n in row["Notes"].split(", ") if n}
    assert referred == set(re.findall(r"^(\d+)\. ", text.split("Over tasks")[0], flags=re.M))


def test_csv_and_json_hold_the_same_with_every_digit(made):
    lines = list(csv.DictReader(io.StringIO(render(made, "csv"))))
    assert tuple(lines[0]) == COLUMNS
    parts = read_json(made)
    kinds = {"run_group": "rows", "over_tasks": "aggregates", "not_counted": "excluded"}
    for kind, part in (*kinds.items(), ("published", "published")):
        own = [line for line in lines if line["kind"] == kind]
        assert [line["mean"] for line in own] == [str(x.get("mean", "")) for x in parts[part]]
        assert own
    # The mean of 0.1 + 0.2 and 100 and of 0.1 + 0.2 and 101, as Python sums them.
    tens = [x["mean"] for x in parts["rows"] if x["statistic"] == LAST_TEN and x["n_seeds"] == 2]
    assert tens == [((0.1 + 0.2 + 100.0) / 2 + (0.1 + 0.2 + 101.0) / 2) / 2] * 6


@pytest.mark.parametrize("paper", ["a4paper", "letterpaper"])
def test_latex_fits_the_page(made, tmp_path, paper):
    text = render(made, "latex")
    assert text.count(r"\toprule") == text.count(r"\begin{table}") == 4
    if not shutil.which("pdflatex"):
        pytest.skip("pdflatex is not installed")
    packages = r"\usepackage{array,booktabs,graphicx}"
    head = rf"\documentclass[{paper}]{{article}}{packages}\begin{{document}}"
    (tmp_path / "t.tex").write_text(f"{head}\n{text}\\end{{document}}\n")
    options = ["-halt-on-error", "-interaction=nonstopmode", "t.tex"]
    done = subprocess.run(["pdflatex", *options], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:]
    wide = re.findall(r"Overfull \\hbox \(([\d.]+)pt", done.stdout)
    assert [float(points) for points in wide if float(points) > 1.0] == []
    assert "Float too large" not in done.stdout


# The command.


def test_the_command_prints_markdown_or_json(runs, made):
    assert mopo("table", runs).out == render(made, "markdown")
    answer = mopo("table", runs, "--json", "--paper", "none")
    assert json.loads(answer.out)["paper"] is None


@pytest.mark.parametrize(
    ("name", "start"), [("t.md", "D4RL"), ("t.csv", "kind,"), ("t.tex", "%"), ("t.json", "{")]
)
def test_the_command_writes_the_format_of_the_suffix(runs, tmp_path, name, start):
    out = tmp_path / "new" / name
    assert mopo("table", runs, "--out", out).code == 0
    assert out.read_text().startswith(start)
    assert [path.name for path in out.parent.iterdir()] == [name]


@pytest.mark.parametrize(
    ("out", "message"), [("", "is a folder"), ("t.xls", "or give --format"), ("file/t.md", "file")]
)
def test_the_command_refuses_a_place_that_it_cannot_write(runs, tmp_path, out, message):
    (tmp_path / "file").write_text("")
    assert message in refused("table", runs, "--out", tmp_path / out)

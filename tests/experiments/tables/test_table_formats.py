import csv
import io
import math
import re

import pytest

from experiments.records.run_records import read_records
from experiments.tables.paper_table import make_table
from experiments.tables.table_formats import CSV_COLUMNS, render
from mopo_tf2.errors import InputError
from tests.experiments.run_folders import write_run
from tests.experiments.tiny_runs import mopo


@pytest.fixture
def runs(tmp_path):
    """Two seeds on the paper's data (LAST 4 and 10), an unfinished and an empty one, own data."""
    root = tmp_path / "out"
    write_run(root / "a/seed_0", [4.0] * 10, seed=0)
    write_run(root / "a/seed_1", [10.0] * 10, seed=1)
    write_run(root / "a/seed_2", [90.0], seed=2, asked=10)
    (root / "a/seed_3").mkdir()
    write_run(root / "b/seed_0", [1.0] * 9 + [math.nan], dataset="50%_of_{mine}&|more.hdf5")
    return root


def rendered(root, output_format, **options):
    return render(make_table(read_records(root), **options), output_format)


def csv_rows(text):
    return list(csv.DictReader(io.StringIO(text)))


def block(text, title):
    """Return the rows of the Markdown table below a title, as lists of cells."""
    lines = text.split(f"**{title}**", 1)[1].strip().split("\n\n")[0].splitlines()
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]


def test_markdown_has_cells_seeds_epochs_and_the_published_number(runs):
    header, _, first, *_ = block(rendered(runs, "markdown"), "Runs")
    assert dict(zip(header, first, strict=True)) == {
        "Dataset": "50%_of_{mine}&\\|more.hdf5 (sha256 01234567)",
        "Configuration": "halfcheetah_mixed",
        "LAST": "n/a",
        "LAST TEN": "n/a",
        "BEST": "1.0",
        "Published": "",
        "Seeds": "1 (0)",
        "Epochs": "10",
        "Notes": "1, 2, 3, 4, 5",
    }


def test_markdown_shows_the_papers_number_with_its_source(runs):
    second = block(rendered(runs, "markdown"), "Runs")[3]
    assert second[2:8] == ["7.0 ± 3.0"] * 3 + ["53.1 (MOPO Table 1)", "2 of 3 (0, 1)", "10"]


def test_markdown_marks_unfinished_runs_that_are_averaged(runs):
    # (4 + 10 + 90) / 3 = 34.7, and sqrt((30.7^2 + 24.7^2 + 55.3^2) / 3) = 39.2.
    text = rendered(runs, "markdown", include_unfinished=True)
    second = block(text, "Runs")[3]
    assert (second[2], second[6], second[7]) == ("34.7 ± 39.2*", "3 (0, 1, 2)", "1 to 10")
    assert "seed 2 is unfinished (1 of 10 epochs) and averaged in" in text


def test_markdown_lists_what_is_not_averaged(runs):
    rows = block(rendered(runs, "markdown"), "Runs that are not averaged")[2:]
    dataset = "halfcheetah-medium-replay-v0"
    assert rows == [
        ["a/seed_2", dataset, "2", "unfinished", "1 of 10", ""],
        ["a/seed_3", "unknown", "3", "empty", "0 of ?", "empty folder"],
    ]


def test_markdown_lines_up(runs):
    for part in rendered(runs, "markdown").split("\n\n"):
        lines = [line for line in part.splitlines() if line.startswith("|")]
        bars = {tuple(m.start() for m in re.finditer(r"(?<!\\)\|", line)) for line in lines}
        assert len(bars) <= 1


def test_caption_says_what_each_statistic_is_and_how_best_picks(runs):
    text = rendered(runs, "markdown")
    for said in ("ddof 0", "LAST:", "LAST TEN:", "it picks the epoch by the evaluation itself"):
        assert said in text


def test_every_note_that_is_referred_to_is_printed(runs):
    text = rendered(runs, "markdown")
    referred = {n for row in block(text, "Runs")[2:] for n in row[-1].split(", ") if n}
    below = text.split("**Runs**")[1].split("**Over tasks**")[0]
    assert referred == set(re.findall(r"^(\d+)\. ", below, flags=re.M))


def test_csv_has_one_row_for_each_group_and_statistic(runs):
    rows = csv_rows(rendered(runs, "csv"))
    groups = [row for row in rows if row["kind"] == "run_group"]
    assert [row["statistic"] for row in groups] == ["LAST", "LAST TEN", "BEST"] * 2
    last = groups[3]
    assert (last["dataset"], last["method"]) == ("halfcheetah-medium-replay-v0", "mopo_tf2")
    assert (float(last["mean"]), float(last["std"])) == (7.0, 3.0)
    assert (last["n_seeds"], last["seeds"], last["epochs_min"]) == ("2", "0 1", "10")


def test_csv_leaves_the_cell_of_a_nan_empty(runs):
    assert csv_rows(rendered(runs, "csv"))[0]["mean"] == ""


def test_csv_has_every_digit(tmp_path):
    write_run(tmp_path / "a", [0.1 + 0.2])
    assert csv_rows(rendered(tmp_path, "csv"))[0]["mean"] == "0.30000000000000004"


def test_csv_has_published_numbers_aggregates_and_runs_not_counted(runs):
    rows = csv_rows(rendered(runs, "csv"))
    published = {row["method"]: row["mean"] for row in rows if row["kind"] == "published"}
    assert (published["MOPO"], published["MOReL"]) == ("53.1", "40.2")
    assert [row["folder"] for row in rows if row["kind"] == "not_counted"] == [
        "a/seed_2",
        "a/seed_3",
    ]
    iqm = {row["dataset"]: row["iqm"] for row in rows if row["kind"] == "over_tasks"}
    assert iqm["D4RL v0"] == "7.0"


def test_csv_has_a_fixed_header(runs):
    header = rendered(runs, "csv").splitlines()[0]
    assert header == ",".join(CSV_COLUMNS)


def test_latex_escapes_what_latex_takes_for_commands(runs):
    text = rendered(runs, "latex")
    assert r"50\%\_of\_\{mine\}\&\textbar{}more.hdf5" in text
    assert not re.search(r"(?<!\\)[%#]", text)
    for line in text.splitlines():
        if not line.endswith(r" \\"):
            assert not re.search(r"(?<!\\)&", line)


def test_latex_has_as_many_cells_in_each_line_as_columns(runs):
    for tabular in rendered(runs, "latex").split(r"\begin{tabular}")[1:]:
        columns = re.match(r"\{(l+)\}", tabular)[1]
        lines = [line for line in tabular.splitlines() if line.endswith(r" \\")]
        assert lines
        assert {len(re.findall(r"(?<!\\)&", line)) + 1 for line in lines} == {len(columns)}


def test_latex_has_balanced_braces_and_environments(runs):
    text = rendered(runs, "latex")
    bare = text.replace(r"\{", "").replace(r"\}", "")
    assert bare.count("{") == bare.count("}")
    for name in ("table", "tabular"):
        assert text.count(rf"\begin{{{name}}}") == text.count(rf"\end{{{name}}}") >= 3


def test_latex_is_plain_ascii_for_these_runs(runs):
    assert rendered(runs, "latex").isascii()


def test_table_2_shows_the_batch_and_all_methods(tmp_path):
    write_run(tmp_path / "a", [5.0] * 10, dataset="ant-angle.hdf5", environment="mine:angle")
    text = rendered(tmp_path, "markdown", paper="mopo-table2")
    assert block(text, "Runs")[0][2:4] == ["Batch mean", "Batch max"]
    published = block(text, "Published numbers (mopo-table2)")
    assert published[0] == ["Data", "Batch mean", "Batch max", "MOPO"]
    assert published[2] == ["ant-angle", "866.7", "2311.9", "2530.9 ± 137.0"]


def test_without_a_paper_there_is_no_published_column(runs):
    text = rendered(runs, "markdown", paper="none")
    assert "Published" not in text


def test_unknown_format_is_refused(runs):
    with pytest.raises(InputError, match="expected a format out of markdown, csv, latex"):
        rendered(runs, "html")


# The command.


def refused(*arguments):
    answer = mopo("table", *arguments)
    assert answer.code == 2, answer
    assert len(answer.err.strip().splitlines()) == 1, answer.err
    return answer.err


def test_command_prints_markdown(runs):
    answer = mopo("table", runs)
    assert answer.code == 0
    assert answer.out == rendered(runs, "markdown")


@pytest.mark.parametrize(("name", "start"), [("t.md", "- "), ("t.csv", "kind,"), ("t.tex", "\\")])
def test_command_writes_the_format_of_the_suffix(runs, tmp_path, name, start):
    out = tmp_path / "new" / name
    assert mopo("table", runs, "--out", out).code == 0
    assert out.read_text().startswith(start)
    assert [path.name for path in out.parent.iterdir()] == [name]


def test_command_takes_the_format_before_the_suffix(runs, tmp_path):
    assert mopo("table", runs, "--format", "csv", "--out", tmp_path / "t.txt").code == 0
    assert (tmp_path / "t.txt").read_text().startswith("kind,")


def test_command_takes_several_folders(runs):
    answer = mopo("table", runs / "a/seed_0", runs / "a/seed_1", "--format", "csv")
    assert csv_rows(answer.out)[0]["n_seeds"] == "2"


def test_command_refuses_a_folder_without_runs(tmp_path):
    assert "no run in" in refused(tmp_path)


def test_command_refuses_an_unknown_paper_with_the_nearest(runs):
    assert "did you mean mopo-table1?" in refused(runs, "--paper", "mopo-tabel1")


def test_command_refuses_a_folder_as_out(runs, tmp_path):
    assert "is a folder" in refused(runs, "--out", tmp_path)


def test_command_refuses_an_out_that_tells_no_format(runs, tmp_path):
    assert "does not tell the format" in refused(runs, "--out", tmp_path / "t.xls")


def test_command_refuses_an_out_below_a_file(runs, tmp_path):
    (tmp_path / "file").write_text("")
    assert "Expected a folder" in refused(runs, "--out", tmp_path / "file/t.md")

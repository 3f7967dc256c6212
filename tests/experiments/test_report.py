import html
import re
from pathlib import Path

import pytest

from experiments.report import write_report
from mopo_tf2.errors import InputError
from tests.experiments.scored_runs import write_run

EVIL = "<script>alert(1)</script>"


@pytest.fixture(scope="module")
def page(tmp_path_factory) -> str:
    folder = tmp_path_factory.mktemp("runs") / f"a {EVIL.replace('/', '')}"
    for seed in (0, 1):
        write_run(folder / f"seed_{seed}", [1.0, 2.0], seed=seed)
    write_run(folder / "short", [1.0], seed=2, asked=5)
    write_run(folder / "bc", [1.0, 3.0], method="bc")
    out = write_report([folder], folder.parent / "page.html", title=f"Runs {EVIL}")
    return out.read_text(encoding="utf-8")


def test_text_out_of_files_stays_text(page):
    assert "<script" not in page
    assert html.escape(EVIL) in page


def test_the_page_loads_nothing(page):
    addresses = re.findall(r"""(?:src|href|action)\s*=\s*["']?(\S*)""", page)
    assert "data:image" in " ".join(addresses)
    assert all(address.startswith(("data:", "#")) for address in addresses)


def test_the_page_has_table_curves_settings_data_and_every_run(page):
    for words in (
        "MOPO",
        "BC",
        "LAST TEN",
        "What all runs have in common",
        "SHA-256",
        "halfcheetah-medium-replay-v0",
        "unfinished, 1 of 5 epochs",
        "excluded from the averages",
        "mopo-tf2 report",
    ):
        assert words in page, words


def test_a_page_of_another_kind_is_refused(tmp_path: Path):
    with pytest.raises(InputError, match=r"\.html"):
        write_report([tmp_path], tmp_path / "page.txt")

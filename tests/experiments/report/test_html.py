import base64

import pytest

from experiments.report.html import element, page, svg_figure, table
from tests.experiments.report.html_reader import Reader

HOSTILE = "</style></title><script>alert(1)</script><img src=x onerror=alert(2)> \"'&amp;"


def test_text_stays_text_wherever_it_is_put():
    text = page(
        HOSTILE,
        [
            element("p", HOSTILE, element("b", HOSTILE), HOSTILE, title=HOSTILE),
            table([HOSTILE], [[HOSTILE]], HOSTILE),
            svg_figure("<svg/>", HOSTILE, HOSTILE),
        ],
    )
    reader = Reader(text)
    assert reader.of("script") == []
    assert [list(image) for image in reader.of("img")] == [["src", "alt"]]
    assert reader.of("p")[0]["title"] == HOSTILE
    # Title, three in the paragraph, head, cell and caption of the table, caption of the figure.
    assert sum(part == HOSTILE for part in reader.texts) == 8


def test_page_forbids_scripts_and_requests():
    (policy,) = [
        meta["content"]
        for meta in Reader(page("", [])).of("meta")
        if meta.get("http-equiv") == "Content-Security-Policy"
    ]
    assert policy == "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


def test_style_is_not_escaped():
    assert '"Helvetica Neue"' in page("", [])


def test_picture_is_carried_in_the_page():
    (image,) = Reader(page("", [svg_figure("<svg>é</svg>", "c", "a")])).of("img")
    kind, _, data = image["src"].partition(",")
    assert kind == "data:image/svg+xml;base64"
    assert base64.b64decode(data).decode() == "<svg>é</svg>"


@pytest.mark.parametrize("letter", ["\x00", "\x07", "\udcff", "\x85"])
def test_what_no_file_can_hold_is_replaced(letter):
    text = page(letter, [element("p", letter, title=letter)])
    assert letter not in text
    assert text.encode().decode().count("\N{REPLACEMENT CHARACTER}") == 3


@pytest.mark.parametrize(
    ("cells", "kind"),
    [
        (["1", "-2.5", "1,000", "3.1 ± 0.2*", "", "n/a"], "number"),
        (["3.11.7"], None),
        (["1", "a"], None),
        (["ab" * 32], "hash"),
    ],
)
def test_columns_of_numbers_and_hashes_are_set_as_such(cells, kind):
    reader = Reader(page("", [table(["name", "x"], [["row", cell] for cell in cells])]))
    assert {cell.get("class") for cell in reader.of("td")} == {kind}


def test_columns_that_are_empty_in_all_rows_are_left_out():
    reader = Reader(page("", [table(["a", "b", "c"], [["1", "", "2"], ["3", "", ""]])]))
    assert [text for text in reader.texts if text in "abc"] == ["a", "c"]
    assert len(reader.of("td")) == 2

import re

import matplotlib.image
import pytest
from matplotlib.lines import Line2D

from experiments.pictures.pages import (
    Page,
    add_legend,
    check_suffix,
    new_figure,
    plain_text,
    printable,
    save_figure,
    save_pages,
    svg_text,
)
from mopo_tf2.errors import InputError


def page(name="page", width=4.0, height=2.0, text="text", color="black"):
    def draw(figure):
        axes = figure.add_subplot()
        axes.set_facecolor(color)
        axes.set_title(text)

    return Page(name, (width, height), draw)


def test_pages_stand_below_each_other_in_a_png(tmp_path):
    save_pages([page(color="red"), page(height=3.0, color="blue")], tmp_path / "out.png")
    pixels = matplotlib.image.imread(tmp_path / "out.png")[..., :3]
    assert pixels.shape[:2] == (750, 600)
    middle = pixels[:, 300]
    red, blue = ((middle == color).all(axis=1).nonzero()[0] for color in ((1, 0, 0), (0, 0, 1)))
    assert red.max() < 300 < blue.min()


def test_pages_are_pages_of_a_pdf(tmp_path):
    save_pages([page(), page(), page()], tmp_path / "out.pdf")
    assert len(re.findall(rb"/Type /Page\b", (tmp_path / "out.pdf").read_bytes())) == 3


@pytest.mark.parametrize("suffix", [".png", ".pdf", ".svg"])
def test_failure_in_drawing_leaves_the_former_picture(tmp_path, suffix):
    def fail(_figure):
        raise RuntimeError("drawing failed")

    out = tmp_path / f"out{suffix}"
    out.write_text("before")
    with pytest.raises(RuntimeError, match="drawing failed"):
        save_pages([Page("page", (4.0, 2.0), fail)], out)
    assert out.read_text() == "before"
    assert [entry.name for entry in tmp_path.iterdir()] == [out.name]


def test_very_tall_picture_is_drawn_with_fewer_dots(tmp_path):
    save_figure(new_figure(0.5, 600.0), tmp_path / "out.png")
    assert matplotlib.image.imread(tmp_path / "out.png").shape[0] == 60_000


def test_svg_of_equal_pages_is_equal_and_needs_no_font():
    first, second = svg_text(page()), svg_text(page())
    assert first == second
    assert "<text" not in first


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("text", ["$x^$", "$\\frac{1$", "\N{CJK UNIFIED IDEOGRAPH-6F22}", "<b>&"])
def test_names_are_drawn_as_they_stand(text):
    assert svg_text(page(text=text)).startswith("<?xml")


def test_text_is_formulas_again_afterwards():
    figure = new_figure(4.0, 2.0)
    with plain_text():
        inside = figure.text(0, 0, "$x$").get_parse_math()
    assert (inside, figure.text(0, 0, "$x$").get_parse_math()) == (False, True)


def test_printable_keeps_text_and_line_ends():
    text = "é\N{CJK UNIFIED IDEOGRAPH-6F22} <b>\n"
    assert printable(text) == text
    assert printable("a\x00\x1b\udcff\tb") == "a" + "\N{REPLACEMENT CHARACTER}" * 4 + "b"


def test_legend_shows_labels_that_begin_with_an_underscore():
    figure = new_figure(4.0, 2.0)
    add_legend(figure, [Line2D([], [], label="_hidden")])
    assert [text.get_text().strip() for text in figure.legends[0].get_texts()] == ["_hidden"]


def test_long_label_of_a_legend_is_wrapped():
    figure = new_figure(4.0, 2.0)
    add_legend(figure, [Line2D([], [], label="name=value, " * 20)])
    (text,) = figure.legends[0].get_texts()
    assert max(map(len, text.get_text().splitlines())) <= 90


def test_unknown_suffix_is_an_input_error():
    with pytest.raises(InputError, match=r"ending in \.png, \.pdf, \.svg, got out\.gif"):
        check_suffix("out.gif")

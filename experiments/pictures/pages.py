"""Figures and the files they are saved to."""

import contextlib
import io
import textwrap
import unicodedata
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib
from matplotlib.artist import Artist
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_pdf import PdfPages
from matplotlib.figure import Figure, FigureBase

from ..files import replacing
from mopo_tf2.errors import InputError

SUFFIXES = (".png", ".pdf", ".svg")
_DOTS_PER_INCH = 150
# The drawing library takes less than 2**16 dots in a direction.
_MAX_DOTS = 60_000
_LEGEND_LETTERS = 90
_MAX_HALF_LINE = 55


@dataclass(frozen=True)
class Page:
    """A part of a picture that belongs together.

    Attributes:
        name: what it shows, for a caption.
        size: (width, height) in inches.
        draw: draws it on a figure or a part of one.
    """

    name: str
    size: tuple[float, float]
    draw: Callable[[FigureBase], None]


def check_suffix(out: Path) -> Path:
    """Return ``out`` as a path.

    Raises:
        InputError: if its suffix names none of the formats.
    """
    out = Path(out)
    if out.suffix.lower() not in SUFFIXES:
        raise InputError(f"Expected a picture ending in {', '.join(SUFFIXES)}, got {out}.")
    return out


@contextlib.contextmanager
def plain_text() -> Iterator[None]:
    """Draw text out of files as it stands.

    Dollar signs are no formulas, and a letter that the font lacks is an empty box without a
    warning for each place it is drawn at.
    """
    with matplotlib.rc_context({"text.parse_math": False}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        yield


def printable(text: str) -> str:
    """Return ``text`` with every character that cannot be drawn or written as U+FFFD.

    Names of files may hold control characters and bytes that are no text. Line ends stay.
    """
    return "".join(
        "\N{REPLACEMENT CHARACTER}"
        if letter != "\n" and unicodedata.category(letter) in ("Cc", "Cs")
        else letter
        for letter in text
    )


def new_figure(width: float, height: float) -> Figure:
    """Return an empty figure of a size in inches that arranges its panels by itself."""
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def legend_columns(handles: Sequence[Artist]) -> int:
    """Return how many columns a legend has: two, or one if a label is long."""
    return 1 if max(len(str(handle.get_label())) for handle in handles) > _MAX_HALF_LINE else 2


def add_legend(
    figure: FigureBase, handles: Sequence[Artist], *, fontsize: float | None = None
) -> None:
    """Put a legend of all panels, at least one line, below them."""
    labels = [_legend_text(str(handle.get_label())) for handle in handles]
    figure.legend(
        handles=list(handles),
        labels=labels,
        loc="outside lower center",
        ncols=legend_columns(handles),
        frameon=False,
        fontsize=fontsize,
        # Long enough for two periods of the longest dash pattern.
        handlelength=3.2,
    )


def _legend_text(label: str) -> str:
    # A legend leaves out labels that start with an underscore.
    text = f" {label}" if label.startswith("_") else label
    return textwrap.fill(printable(text), _LEGEND_LETTERS, drop_whitespace=False)


def save_figure(figure: Figure, out: Path) -> None:
    """Write ``figure`` to ``out`` in the format of its suffix, atomically."""
    dots = min(_DOTS_PER_INCH, _MAX_DOTS / max(figure.get_size_inches()))
    with replacing(out) as temporary:
        figure.savefig(temporary, dpi=dots)


def save_pages(pages: Sequence[Page], out: Path) -> None:
    """Write ``pages`` to ``out``: as pages of a PDF, or one below the other in a PNG or SVG.

    Written atomically.
    """
    if out.suffix.lower() != ".pdf":
        with plain_text():
            save_figure(_stacked(pages), out)
        return
    with plain_text(), replacing(out) as temporary, PdfPages(temporary) as file:
        for page in pages:
            file.savefig(_figure(page))


def svg_text(page: Page) -> str:
    """Return ``page`` as an SVG document that needs no font and no other file."""
    buffer = io.StringIO()
    # Outlines instead of letters: the page looks the same where the font is missing. Without a
    # date and with fixed names of its parts, equal runs give equal bytes.
    fixed = matplotlib.rc_context({"svg.fonttype": "path", "svg.hashsalt": page.name})
    with plain_text(), fixed:
        _figure(page).savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    return buffer.getvalue()


def _figure(page: Page) -> Figure:
    figure = new_figure(*page.size)
    page.draw(figure)
    return figure


def _stacked(pages: Sequence[Page]) -> Figure:
    width = max(page.size[0] for page in pages)
    heights = [page.size[1] for page in pages]
    figure = new_figure(width, sum(heights))
    parts = figure.subfigures(len(pages), 1, height_ratios=heights, squeeze=False)
    for page, part in zip(pages, parts[:, 0], strict=True):
        page.draw(part)
    return figure

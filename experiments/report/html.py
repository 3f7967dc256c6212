"""A self-contained HTML page, built of elements, so that no text can turn into markup."""

import base64
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence
from xml.etree.ElementTree import Element

from ..pictures.pages import printable
from ..report.style import STYLE

# A second wall: whatever got into the page, a browser loads nothing and runs nothing for it.
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
_NUMBER = re.compile(r"[+−-]?(\d{1,3}(,\d{3})+|\d+)(\.\d+)?( ± \d+(\.\d+)?)?\*?")
_HASH = re.compile(r"[0-9a-f]{64}")


def element(tag: str, *content: str | Element, **attributes: str) -> Element:
    """Return an element with texts and elements in it.

    Args:
        tag: its name.
        content: in order. Texts are plain: what looks like markup in them stays text.
        attributes: a trailing "_" of a name is dropped (``class_``).
    """
    names = {name.rstrip("_"): printable(value) for name, value in attributes.items()}
    made = Element(tag, names)
    for part in content:
        if isinstance(part, Element):
            made.append(part)
        elif len(made):
            made[-1].tail = (made[-1].tail or "") + printable(part)
        else:
            made.text = (made.text or "") + printable(part)
    return made


def table(header: Sequence[str], rows: Sequence[Sequence[str]], caption: str = "") -> Element:
    """Return a table in a box that scrolls sideways on a narrow screen.

    Columns of numbers are aligned to the right; the first column names its row. Columns that are
    empty in all rows are left out.
    """
    columns = list(zip(*rows, strict=True)) if rows else [()] * len(header)
    kept = [i for i, cells in enumerate(columns) if i == 0 or any(cells) or not rows]
    header = [header[i] for i in kept]
    rows = [[row[i] for i in kept] for row in rows]
    classes = [_column_class(columns[i]) for i in kept]
    head = element("tr")
    for name, kind in zip(header, classes, strict=True):
        head.append(element("th", name, scope="col", **kind))
    body = element("tbody")
    for row in rows:
        line = element("tr", element("th", row[0], scope="row", **classes[0]))
        line.extend(
            element("td", cell, **kind) for cell, kind in zip(row[1:], classes[1:], strict=True)
        )
        body.append(line)
    made = element("table")
    if caption:
        made.append(element("caption", caption))
    made.extend([element("thead", head), body])
    return element("div", made, class_="table")


def _column_class(cells: Sequence[str]) -> dict[str, str]:
    filled = [cell for cell in cells if cell and cell != "n/a"]
    if filled and all(_NUMBER.fullmatch(cell) for cell in filled):
        return {"class_": "number"}
    if filled and all(_HASH.fullmatch(cell) for cell in filled):
        return {"class_": "hash"}
    return {}


def items(lines: Sequence[str], tag: str = "ul") -> Element:
    """Return a list: "ul" with bullets, "ol" with numbers."""
    return element(tag, *(element("li", line) for line in lines))


def svg_figure(svg: str, caption: str, alternative: str) -> Element:
    """Return a picture that the page carries in itself, with its caption.

    As an image, not as elements of the page: its names and styles cannot meet those of another
    picture, and nothing in it is run.
    """
    data = base64.b64encode(svg.encode()).decode()
    image = element("img", src=f"data:image/svg+xml;base64,{data}", alt=alternative)
    return element("figure", image, element("figcaption", caption))


def page(title: str, content: Sequence[Element]) -> str:
    """Return the whole document."""
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", **{"http-equiv": "Content-Security-Policy", "content": _POLICY}),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("title", title),
        element("style", STYLE),
    )
    root = element("html", head, element("body", element("main", *content)), lang="en")
    # Surrogates, which UTF-8 does not have, were replaced in ``printable``.
    return (
        "<!doctype html>\n" + ElementTree.tostring(root, encoding="unicode", method="html") + "\n"
    )

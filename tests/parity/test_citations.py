"""Every citation of the original names what is there."""

import ast
import json
import re

import pytest

from tests.parity.citations import citations, fault, marks, original_definitions, paragraphs
from tests.parity.documents import ROOT, parsed, python_files

FILES = python_files("mopo_tf2", "experiments", "parity")
DEFINITIONS = {"a/bnn.py": {"BNN", "BNN.train", "BNN.train.shuffle_rows"}}


def test_every_citation_names_a_definition_of_the_original():
    definitions = original_definitions()
    found = [(path, citation) for path in FILES for citation in citations(parsed(path)[1])]
    assert len(found) > 100
    faults = [
        f"{path.relative_to(ROOT)}, {citation.owner or 'module'}: {citation.place}: {wrong}"
        for path, citation in found
        if (wrong := fault(citation.place, definitions))
    ]
    assert not faults, "\n".join(faults)


def test_no_citation_is_overlooked():
    for path in FILES:
        source, tree = parsed(path)
        # A mark in a comment, or in a string that is no docstring, would not be read.
        assert len(paragraphs(tree)) == marks(source), path.relative_to(ROOT)


def test_lines_that_the_recorder_names_are_in_the_original():
    index = json.loads((ROOT / "parity" / "original_index.json").read_text(encoding="utf-8"))
    lines = {path: entry["lines"] for path, entry in index["mopo"]["files"].items()}
    text = "".join(parsed(path)[0] for path in python_files("parity/record"))
    named = re.findall(r"([\w/]+\.py)#L(\d+)-L(\d+)", text)
    assert len(named) == text.count("#L") > 10
    assert [n for n in named if not 1 <= int(n[1]) <= int(n[2]) <= lines.get(n[0], 0)] == []


@pytest.mark.parametrize(
    ("docstring", "cited"),
    [
        ("Do it. Original: mopo/a.py:A.", ["mopo/a.py:A"]),
        ("Do it.\n\n    Original: mopo/a.py:A;\n        b/c.py\n    ", ["mopo/a.py:A", "b/c.py"]),
        ("Do it.\n\n    Original:\n        a/b.py:A (its loss)\n\n    More; text.", ["a/b.py:A"]),
        ("Original: MOPO paper (Yu et al. 2020)", ["MOPO paper (Yu et al. 2020)"]),
        ("Nothing is cited here.", []),
    ],
)
def test_citations_are_read_to_the_end_of_their_paragraph(docstring, cited):
    found = citations(ast.parse(f'def f():\n    """{docstring}"""\n'))
    assert found == [("f", place) for place in cited]


def test_citations_belong_to_what_they_describe():
    source = '"""Original: a.py"""\nclass A:\n    x: int\n    """Original: b.py"""\n'
    source += '    def f(self):\n        """Original: c.py"""\n'
    assert citations(ast.parse(source)) == [("", "a.py"), ("A", "b.py"), ("A.f", "c.py")]


@pytest.mark.parametrize(
    "place",
    ["a/bnn.py:BNN", "a/bnn.py:BNN.train.shuffle_rows", "a/bnn.py", "MOPO paper (Yu et al. 2020)"],
)
def test_right_places_pass(place):
    assert fault(place, DEFINITIONS) is None


MISTYPED = """
a/bnn.py:BNN.trian
a/bnn.py:train
a/bnn.py:
a/bnn:BNN.train
bnn.py:BNN
BNN.train
a/bnn.py:BNN, a/bnn.py:BNN.train
a/bnn.py#L1
the paper
"""


@pytest.mark.parametrize("place", MISTYPED.split("\n"))
def test_mistyped_places_are_faults(place):
    assert fault(place, DEFINITIONS) is not None

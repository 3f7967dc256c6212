"""The recorder: Python 3.7, no port in it, and as it was when it made the recordings."""

import ast
import hashlib
from collections import Counter
from pathlib import Path

import pytest

RECORDER = Path(__file__).parents[2] / "parity" / "record"
TREES = {
    path.stem: ast.parse(path.read_text(encoding="utf-8"), feature_version=(3, 7))
    for path in sorted(RECORDER.glob("*.py"))
}
# What the modules of the recorder that made the shipped set consisted of (``fingerprint``). To
# change one on purpose is to make another recorder: record anew, then take its fingerprint.
FINGERPRINTS = {
    "algorithm": "30a3f38bfd7d32bd",
    "configurations": "470066917c0e5602",
    "data": "df077a60497e7601",
    "ensemble": "0d725a8ebe61d1bd",
    "ensembles": "b74821458b51c5bd",
    "environments": "dffc0e380671cf9a",
    "epoch": "407ce7b1ac97bb24",
    "epochs": "4fe96b615602706c",
    "index_original": "218130a5aead4e2a",
    "layers": "72588bb3664bd159",
    "loaders": "85b3aff9e2ce329f",
    "model_checkpoint": "7fdbc1de6e2e34b5",
    "model_env": "3fd5625323f55e49",
    "original": "556502a89b011630",
    "policy": "7f51ae2771d0f98d",
    "pools": "135fec84d3852208",
    "run_checkpoint": "0ddc50b41be1bad2",
    "sac": "3081e348312df1c0",
    "session": "5d4e61b1aa0231fc",
    "termination": "2f15151ed643dacb",
    "training": "83c91db5dec82722",
}


def fingerprint(module):
    """Hash of the names, attributes, keywords and constants in a module, docstrings aside.

    Not of its syntax tree, whose form differs among versions of Python.
    """
    found = Counter()
    for node in ast.walk(module):
        match node:
            case ast.Name(id=name) | ast.Attribute(attr=name) | ast.arg(arg=name):
                found[f"name {name}"] += 1
            case ast.keyword(arg=name):
                found[f"keyword {name}"] += 1
            case ast.Constant(value=value):
                found[f"constant {value!r}"] += 1
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
            docstring = ast.get_docstring(node, clean=False)
            found[f"constant {docstring!r}"] -= docstring is not None
    lines = sorted(f"{what} {count}" for what, count in found.items() if count > 0)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]


@pytest.mark.parametrize("name", TREES)
def test_module_is_python_3_7_and_imports_nothing_of_the_port(name):
    nodes = list(ast.walk(TREES[name]))
    imported = {
        alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names
    }
    for node in nodes:
        if isinstance(node, ast.ImportFrom):
            assert node.level <= 1, "an import from outside the recorder"
            imported.add("" if node.level else node.module)
    packages = {name.split(".")[0] for name in imported}
    assert not packages & {"mopo_tf2", "experiments", "parity", "benchmarks"}


def test_every_module_is_what_made_the_recordings():
    assert {name: fingerprint(TREES[name]) for name in FINGERPRINTS} == FINGERPRINTS


def test_recorder_of_torch_imports_nothing_of_the_library():
    for path in (RECORDER.parent / "record_torch").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom):
                name = node.module or ""
                # ..record.registry is a dictionary of cases.
                assert node.level <= 1 or name == "record.registry", path.name
            elif isinstance(node, ast.Import):
                name = " ".join(alias.name for alias in node.names)
            else:
                continue
            assert "mopo_tf2" not in name, path.name
            assert "tensorflow" not in name, path.name

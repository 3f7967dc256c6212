"""The recorder: Python 3.7, no port in it, and as it was when it made the recordings."""

import ast
import hashlib
import json
from collections import Counter
from pathlib import Path

import pytest

PARITY = Path(__file__).parents[2] / "parity"
MODULES = sorted((PARITY / "record").glob("*.py"))
MANIFEST = json.loads((PARITY / "recordings" / "manifest.json").read_text())


def tree(path):
    return ast.parse(path.read_text(encoding="utf-8"), feature_version=(3, 7))


TREES = {path.stem: tree(path) for path in MODULES}
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


def functions(module):
    return [node for node in module.body if isinstance(node, ast.FunctionDef)]


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
    imported = set()
    for node in ast.walk(TREES[name]):
        if isinstance(node, ast.Import):
            imported.update(alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level <= 1, "an import from outside the recorder"
            imported.add("" if node.level else (node.module or "").split(".")[0])
    assert not imported & {"mopo_tf2", "experiments", "parity", "benchmarks"}


def test_cases_are_those_of_the_manifest_with_the_same_source_and_description():
    recorded = {name: (c["source"], c["about"]) for name, c in MANIFEST["cases"].items()}
    decorated = {
        node.name: tuple(ast.literal_eval(value) for value in decorator.args)
        for module in TREES.values()
        for node in functions(module)
        for decorator in node.decorator_list
    }
    assert decorated == recorded


def test_every_group_of_cases_is_imported_by_the_command():
    imports = [node for node in TREES["__main__"].body if isinstance(node, ast.ImportFrom)]
    imported = {alias.name for node in imports if node.module is None for alias in node.names}
    holding = {
        name
        for name, module in TREES.items()
        if {node.name for node in functions(module)} & set(MANIFEST["cases"])
    }
    assert imported == holding


def test_every_module_is_what_made_the_recordings():
    assert {name: fingerprint(TREES[name]) for name in FINGERPRINTS} == FINGERPRINTS

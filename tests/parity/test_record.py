"""The recorder: Python 3.7, no port in it, and every case and array of the recordings."""

import ast
import hashlib
import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

PARITY = Path(__file__).parents[2] / "parity"
MODULES = sorted((PARITY / "record").glob("*.py"))
MANIFEST = json.loads((PARITY / "recordings" / "manifest.json").read_text())

# What each function of the recorder that made the shipped set consisted of (``fingerprint``). To
# change one on purpose is to make another recorder: record anew, then take its fingerprint.
FINGERPRINTS = {
    "session": "23b937849e7597d7",
    "rng": "fe109ad4223c3b18",
    "dataset": "df077a60497e7601",
    "build_bnn": "d1f7ebad781cdb3d",
    "names": "0fb8911cda4fca87",
    "params": "9923992944638631",
    "grads": "7c6c4264f09d35a4",
    "fc_layer": "5097b73254890567",
    "fc_init": "444a0de5a6496fd8",
    "scaler": "e0728cec5213289e",
    "_bnn_case": "2557d5a77a6d3ae6",
    "bnn_joint_head": "4008633dbf057df1",
    "bnn_separate_head": "cd9ffc65a3f328c1",
    "bnn_deterministic": "a7342e5e84570178",
    "bnn_full_size": "4fd1a77a6a509532",
    "_bnn_train": "300de6268603f9bf",
    "_noisy": "3682a30920a7f19d",
    "bnn_train": "65c8708f36d96e0e",
    "bnn_holdout_cap": "6f2b0272705a2c55",
    "bnn_train_capped": "2e8d7bc97777e862",
    "bnn_train_spread": "11b6d07e2f1ebcdb",
    "bnn_checkpoint": "7fdbc1de6e2e34b5",
    "termination": "2f15151ed643dacb",
    "fake_env_step": "3fd5625323f55e49",
    "weights": "3d9ce420affc23e0",
    "gaussian_policy": "5762ac9769013abf",
    "uniform_policy": "62da17c87968d8fe",
    "q_function": "fd953121c43fa463",
    "replay_pool": "135fec84d3852208",
    "d4rl_qlearning": "0306349197e5766b",
    "loaders": "a4d844ee60629d03",
    "build_mopo": "194aa9e3e09e7a34",
    "sac_params": "17bac23b4d5b598b",
    "sac_updates": "3081e348312df1c0",
    "model_rollouts": "6519759a3478ab55",
    "whole_epoch": "3ebcc5650d31e6d5",
    "run_checkpoint": "0ddc50b41be1bad2",
    "environment_steps": "ce5c47dee454112c",
    "reference_scores": "bd737be8f3946dc0",
    "variants": "470066917c0e5602",
    "resolve": "a844e2a2df97e6ec",
    "variant": "0d21281e195ebe47",
    "runner": "262fd00cccf9345d",
    "definitions": "bdf18ee2fd77c08e",
    "entry": "4b765d921d9dd21a",
}


def tree(path):
    return ast.parse(path.read_text(encoding="utf-8"), feature_version=(3, 7))


def functions():
    """Every function of the recorder by name; main and helpers of scripts are left out."""
    return {
        node.name: node
        for path in MODULES
        for node in tree(path).body
        if isinstance(node, ast.FunctionDef) and node.name in FINGERPRINTS
    }


def cases():
    """Name -> (source, about), as the decorators say."""
    return {
        node.name: tuple(ast.literal_eval(value) for value in decorator.args)
        for node in functions().values()
        for decorator in node.decorator_list
    }


def fingerprint(function):
    """Hash of the names, attributes, keywords and constants of a function, docstring aside.

    Not of its syntax tree, whose form differs among versions of Python.
    """
    docstring = ast.get_docstring(function, clean=False)
    found = Counter()
    for node in ast.walk(function):
        match node:
            case ast.Name(id=name) | ast.Attribute(attr=name) | ast.arg(arg=name):
                found[f"name {name}"] += 1
            case ast.keyword(arg=name):
                found[f"keyword {name}"] += 1
            case ast.Constant(value=value):
                found[f"constant {value!r}"] += 1
    if docstring is not None:
        found[f"constant {docstring!r}"] -= 1
    lines = sorted(f"{what} {count}" for what, count in found.items() if count)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.name)
def test_module_is_python_3_7_and_imports_nothing_of_the_port(path):
    imported = set()
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            imported.update(alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level <= 1, "an import from outside the recorder"
            imported.add("" if node.level else (node.module or "").split(".")[0])
    assert not imported & {"mopo_tf2", "experiments", "parity", "benchmarks"}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.name)
def test_module_and_its_functions_are_documented(path):
    module = tree(path)
    assert ast.get_docstring(module)
    undocumented = [
        node.name
        for node in module.body
        if isinstance(node, ast.FunctionDef)
        and not ast.get_docstring(node)
        and not node.decorator_list  # a case: its description is the decorator's
    ]
    assert set(undocumented) <= {"spy"}


def test_cases_are_those_of_the_manifest_with_the_same_source_and_description():
    recorded = {name: (c["source"], c["about"]) for name, c in MANIFEST["cases"].items()}
    assert cases() == recorded


def test_every_group_of_cases_is_imported_by_the_command():
    command = tree(PARITY / "record" / "__main__.py")
    imported = {
        alias.name
        for node in command.body
        if isinstance(node, ast.ImportFrom) and node.module is None
        for alias in node.names
    }
    holding = {
        path.stem
        for path in MODULES
        for node in tree(path).body
        if isinstance(node, ast.FunctionDef) and node.name in MANIFEST["cases"]
    }
    assert imported == holding


def test_every_function_is_what_made_the_recordings():
    assert {name: fingerprint(node) for name, node in functions().items()} == FINGERPRINTS


@pytest.mark.parametrize("name", sorted(MANIFEST["cases"]))
def test_every_recorded_array_has_its_name_from_the_recorder(name):
    literals = set()
    for node in (n for path in MODULES for n in ast.walk(tree(path))):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            literals.update(part for part in node.value.split("/"))
        elif isinstance(node, ast.keyword):
            literals.add(node.arg)
    # The keys of FakeEnv.step's info, which the recorder takes as they are.
    literals |= {"mean", "std", "dev", "log_prob", "penalty"}
    literals |= {"penalized_rewards", "unpenalized_rewards"}
    patterns = {part for part in literals if part and "%" in part}
    unknown = set()
    with np.load(PARITY / "recordings" / MANIFEST["cases"][name]["file"]) as arrays:
        for part in {part for array in arrays.files for part in array.split("/")}:
            known = part in literals or part.isdigit()
            if not known and not any(_fits(part, pattern) for pattern in patterns):
                unknown.add(part)
    assert not unknown


def _fits(part, pattern):
    """Whether ``part`` can come from a %-format; a bare "%s" says nothing."""
    head, _, tail = pattern.replace("%d", "%s").partition("%s")
    return bool(head or tail) and part.startswith(head) and part.endswith(tail)

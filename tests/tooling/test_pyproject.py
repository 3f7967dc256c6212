"""pyproject.toml: supported Pythons, and that the code imports only what it declares."""

import ast
import functools
import sys

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from tests.tooling.project import ROOT, read_pyproject

PACKAGES = ("mopo_tf2", "experiments", "parity", "benchmarks")
# Import name -> distribution, where they differ.
DISTRIBUTIONS = {"mujoco_py": "mujoco-py", "tensorflow_probability": "tensorflow-probability"}
# viskit is the user's own second command (environment.yml says why).
UNDECLARED = {"viskit"}


def declared(*extras):
    """Names of the core dependencies and of those of some extras."""
    project = read_pyproject()["project"]
    lines = list(project["dependencies"])
    for extra in extras:
        lines += project["optional-dependencies"][extra]
    return {canonicalize_name(Requirement(line).name) for line in lines}


def imported_packages(node, *, eager_only):
    """Top-level names that a syntax tree imports; eager_only leaves out function bodies."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            yield from (alias.name.split(".")[0] for alias in child.names)
        elif isinstance(child, ast.ImportFrom) and child.module and not child.level:
            yield child.module.split(".")[0]
        elif not (eager_only and isinstance(child, ast.FunctionDef)):
            yield from imported_packages(child, eager_only=eager_only)


@functools.cache
def trees():
    """Syntax trees by name, without the recorder, which runs beside the original."""
    paths = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]
    names = {path.relative_to(ROOT).as_posix(): path for path in paths}
    return {
        name: ast.parse(path.read_text(encoding="utf-8"))
        for name, path in names.items()
        if not name.startswith("parity/record/")
    }


def undeclared_imports(folder, known, *, eager_only):
    """Third-party packages by file that are imported and not ``known``."""
    found = {}
    for name, tree in trees().items():
        imported = set(imported_packages(tree, eager_only=eager_only)) if folder in name else set()
        foreign = imported - set(sys.stdlib_module_names) - set(PACKAGES) - UNDECLARED
        packages = {canonicalize_name(DISTRIBUTIONS.get(package, package)) for package in foreign}
        if packages - known:
            found[name] = packages - known
    return found


@pytest.mark.parametrize(
    ("python", "fit"),
    [("3.10.13", False), ("3.11.0", True), ("3.12.1", True), ("3.13.9", True), ("3.14.0", False)],
)
def test_supported_pythons(python, fit):
    assert SpecifierSet(read_pyproject()["project"]["requires-python"]).contains(python) is fit


def test_every_import_is_declared():
    known = declared("tune", "minari", "d4rl")
    assert undeclared_imports("", known, eager_only=False) == {}


def test_the_library_imports_its_optional_packages_only_where_they_are_used():
    assert undeclared_imports("mopo_tf2/", declared(), eager_only=True) == {}

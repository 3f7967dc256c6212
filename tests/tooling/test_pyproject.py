"""pyproject.toml: extras, the command, and that the code imports only what it declares."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

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


def declared(*extras: str) -> set[str]:
    """Names of the core dependencies and of those of some extras."""
    project = read_pyproject()["project"]
    lines = list(project["dependencies"])
    for extra in extras:
        lines += project["optional-dependencies"][extra]
    return {canonicalize_name(Requirement(line).name) for line in lines}


def imported_packages(node: ast.AST, *, eager_only: bool) -> Iterator[str]:
    """Top-level names that a syntax tree imports; eager_only leaves out function bodies."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            yield from (alias.name.split(".")[0] for alias in child.names)
        elif isinstance(child, ast.ImportFrom) and child.module and not child.level:
            yield child.module.split(".")[0]
        elif not (eager_only and isinstance(child, ast.FunctionDef)):
            yield from imported_packages(child, eager_only=eager_only)


def third_party_imports(path: Path, *, eager_only: bool) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    names = set(imported_packages(tree, eager_only=eager_only))
    foreign = names - set(sys.stdlib_module_names) - set(PACKAGES)
    return {str(canonicalize_name(DISTRIBUTIONS.get(name, name))) for name in foreign} - UNDECLARED


def source_files() -> list[Path]:
    """Python files of the packages, without the recorder, which runs beside the original."""
    files = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]
    return [path for path in files if not path.is_relative_to(ROOT / "parity" / "record")]


@pytest.mark.parametrize("extra", ["tune", "minari", "d4rl", "gpu", "dev"])
def test_extra_exists_and_is_not_empty(extra: str) -> None:
    assert read_pyproject()["project"]["optional-dependencies"][extra]


@pytest.mark.parametrize(
    ("python", "fit"),
    [("3.10.13", False), ("3.11.0", True), ("3.12.1", True), ("3.13.9", True), ("3.14.0", False)],
)
def test_supported_pythons(python: str, fit: bool) -> None:
    assert SpecifierSet(read_pyproject()["project"]["requires-python"]).contains(python) is fit


def test_every_import_is_declared() -> None:
    known = declared("tune", "minari", "d4rl")
    missing = {
        str(path.relative_to(ROOT)): names
        for path in source_files()
        if (names := third_party_imports(path, eager_only=False) - known)
    }
    assert not missing


def test_the_library_imports_its_optional_packages_only_where_they_are_used() -> None:
    core = declared()
    eager = {
        str(path.relative_to(ROOT)): names
        for path in source_files()
        if path.is_relative_to(ROOT / "mopo_tf2")
        and (names := third_party_imports(path, eager_only=True) - core)
    }
    assert not eager


def test_package_data_patterns_match_the_shipped_dataset() -> None:
    patterns = read_pyproject()["tool"]["setuptools"]["package-data"]["mopo_tf2"]
    shipped = {path.name for pattern in patterns for path in (ROOT / "mopo_tf2").glob(pattern)}
    assert "halfcheetah-sac-replay-v0.hdf5" in shipped

"""pyproject.toml declares what the code imports."""

import ast
import sys

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.tooling.project import ROOT, read_pyproject

PACKAGES = ("mopo_tf2", "experiments", "parity", "benchmarks")
# viskit is the user's own second command (environment.yml says why).
KNOWN = {*sys.stdlib_module_names, *PACKAGES, "viskit"}
IMPORTED_AS = {"mlflow-skinny": "mlflow"}


def imported_packages(node, *, eager_only):
    """Top-level names that a syntax tree imports; eager_only leaves out function bodies."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            yield from (alias.name.split(".")[0] for alias in child.names)
        elif isinstance(child, ast.ImportFrom) and child.module and not child.level:
            yield child.module.split(".")[0]
        elif not (eager_only and isinstance(child, ast.FunctionDef)):
            yield from imported_packages(child, eager_only=eager_only)


@pytest.mark.parametrize(
    ("folders", "extras", "eager_only"),
    [
        (PACKAGES, ("tune", "minari", "wandb", "mlflow", "export", "d4rl"), False),
        (("mopo_tf2",), (), True),
    ],
    ids=["everything", "the library, its optional packages only where they are used"],
)
def test_every_import_is_declared(folders, extras, eager_only):
    project = read_pyproject()["project"]
    lines = list(project["dependencies"])
    for extra in extras:
        lines += project["optional-dependencies"][extra]
    named = {canonicalize_name(Requirement(line).name) for line in lines}
    declared = {IMPORTED_AS.get(name, name) for name in named}
    undeclared = {
        f"{path.relative_to(ROOT)}: {package}"
        for folder in folders
        for path in (ROOT / folder).rglob("*.py")
        if path.parent.name not in ("record", "record_torch")  # run beside the originals
        for package in imported_packages(ast.parse(path.read_bytes()), eager_only=eager_only)
        if package not in KNOWN and canonicalize_name(package) not in declared
    }
    assert undeclared == set()

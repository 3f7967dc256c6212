"""The locks pin every package of every supported Python, by hash and without addresses."""

import re

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.tooling.project import LOCKS, ROOT, pinned_versions, read_lock, read_pyproject

PYTHONS = ("3.11", "3.12", "3.13")
EXTRAS_OF_LOCK = {
    "core.lock": (),
    "full.lock": ("tune", "minari", "wandb", "mlflow", "export", "dev"),
}


@pytest.mark.parametrize("lock", LOCKS)
def test_every_pin_is_exact_with_hashes_and_without_an_address(lock):
    text = (ROOT / lock).read_text(encoding="utf-8")
    assert not re.search(r"://| @ |^-", text, re.MULTILINE)
    for requirement, hashes in read_lock(lock):
        assert [specifier.operator for specifier in requirement.specifier] == ["=="], requirement
        assert hashes, f"{requirement} has no hash"
        assert all(re.fullmatch(r"sha256:[0-9a-f]{64}", value) for value in hashes), requirement


@pytest.mark.parametrize("python", PYTHONS)
@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_meets_the_ranges_of_pyproject(lock, python):
    project, build = read_pyproject()["project"], read_pyproject()["build-system"]
    # The editable install is built without a network.
    declared = [*project["dependencies"], *build["requires"]]
    for extra in EXTRAS_OF_LOCK[lock]:
        declared += project["optional-dependencies"][extra]
    pins = pinned_versions(lock, python)
    for requirement in map(Requirement, declared):
        version = pins.get(canonicalize_name(requirement.name))
        assert version is not None, f"{lock} lacks {requirement}: make lock"
        assert requirement.specifier.contains(version), f"{lock} has {version}, not {requirement}"


@pytest.mark.parametrize("python", PYTHONS)
def test_the_full_lock_holds_the_core_lock_at_the_same_versions(python):
    core = pinned_versions("core.lock", python)
    full = pinned_versions("full.lock", python)
    assert {name: full.get(name) for name in core} == core

"""The locks pin every package of every supported Python, by hash and without addresses."""

import re

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.tooling.project import LOCKS, ROOT, pinned_versions, read_lock, read_pyproject

PYTHONS = ("3.11", "3.12", "3.13")
EXTRAS_OF_LOCK = {"core.lock": (), "full.lock": ("tune", "minari", "dev")}


@pytest.mark.parametrize("lock", LOCKS)
def test_every_pin_is_exact_and_has_hashes(lock):
    for requirement, hashes in read_lock(lock):
        assert [specifier.operator for specifier in requirement.specifier] == ["=="], requirement
        assert hashes, f"{requirement} has no hash"
        assert all(re.fullmatch(r"sha256:[0-9a-f]{64}", value) for value in hashes), requirement


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_names_no_address_and_no_option(lock):
    text = (ROOT / lock).read_text(encoding="utf-8")
    assert "://" not in text
    assert " @ " not in text
    assert not [line for line in text.splitlines() if line.startswith("-")]


@pytest.mark.parametrize("python", PYTHONS)
@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_meets_the_ranges_of_pyproject(lock, python):
    project = read_pyproject()["project"]
    declared = list(project["dependencies"])
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


def test_the_core_lock_leaves_out_what_only_tools_and_extras_need():
    assert not {"ray", "minari", "pytest", "mypy", "d4rl", "gym"} & set(
        pinned_versions("core.lock", "3.11")
    )


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_brings_the_build_tool_of_the_editable_install(lock):
    version = pinned_versions(lock, "3.11")["setuptools"]
    (requirement,) = read_pyproject()["build-system"]["requires"]
    assert Requirement(requirement).specifier.contains(version)

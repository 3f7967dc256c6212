"""environment.yml: the user's whole list, pinned, at the versions that the tests run with."""

import re

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.tooling.check_environment import unmet_pins
from tests.tooling.conda_pip_section import pip_section
from tests.tooling.project import ROOT, pinned_versions, read_pyproject


def environment_pins():
    lines = pip_section(ROOT / "environment.yml")
    requirements = [Requirement(line) for line in lines if not line.startswith("-")]
    return {
        canonicalize_name(requirement.name): str(requirement.specifier).removeprefix("==")
        for requirement in requirements
    }


def test_every_pin_names_one_version():
    for name, version in environment_pins().items():
        assert re.fullmatch(r"\d+(\.\d+)*", version), f"{name}: {version!r}"


def test_pins_agree_with_the_lock_wherever_both_name_a_package():
    pins = environment_pins()
    environment = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
    (python,) = [
        entry.removeprefix("python=")
        for entry in environment["dependencies"]
        if str(entry).startswith("python=")
    ]
    locked = pinned_versions("full.lock", python)
    shared = pins.keys() & locked.keys()
    assert {name: pins[name] for name in shared} == {name: locked[name] for name in shared}


def test_the_comparison_with_d4rl_runs_on_locked_versions():
    text = (ROOT / "tests" / "d4rl_reference" / "requirements.txt").read_text(encoding="utf-8")
    pins = dict(line.split("==") for line in text.splitlines() if line and line[0] != "#")
    locked = pinned_versions("full.lock", "3.11")
    shared = pins.keys() & locked.keys()
    assert {"numpy", "mujoco", "gymnasium"} <= shared
    assert {name: pins[name] for name in shared} == {name: locked[name] for name in shared}


def test_every_dependency_of_the_library_is_pinned():
    declared = map(Requirement, read_pyproject()["project"]["dependencies"])
    assert {canonicalize_name(requirement.name) for requirement in declared} <= set(
        environment_pins()
    )


def test_the_original_stack_is_the_one_of_the_d4rl_extra():
    pins = environment_pins()
    for requirement in map(
        Requirement, read_pyproject()["project"]["optional-dependencies"]["d4rl"]
    ):
        assert requirement.specifier.contains(pins[requirement.name]), requirement


def test_channels_are_conda_forge_only():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
    assert environment["channels"] == ["conda-forge", "nodefaults"]


def test_an_environment_without_a_pip_section_is_refused(tmp_path):
    path = tmp_path / "environment.yml"
    path.write_text("dependencies: [python=3.11, pip]\n", encoding="utf-8")
    with pytest.raises(ValueError, match="must have one pip section, has 0"):
        pip_section(path)


def test_unmet_pins_name_a_missing_package_and_a_wrong_version():
    messages = unmet_pins(["--editable .", "no-such-package-of-ours==1.0", "pytest==0.1"])
    assert len(messages) == 2
    assert messages[0] == "no-such-package-of-ours==1.0: not installed"
    assert messages[1].startswith("pytest==0.1: ")

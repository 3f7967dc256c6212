"""environment.yml: the user's whole list, pinned, at the versions that the tests run with."""

import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.tooling.conda_pip_section import pip_section
from tests.tooling.project import ROOT, pinned_versions, read_pyproject


def environment_pins():
    lines = pip_section(ROOT / "environment.yml")
    requirements = [Requirement(line) for line in lines if not line.startswith("-")]
    return {
        canonicalize_name(requirement.name): str(requirement.specifier).removeprefix("==")
        for requirement in requirements
    }


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


def test_the_comparison_with_d4rl_runs_on_the_same_versions():
    text = (ROOT / "tests" / "d4rl_reference" / "requirements.txt").read_text(encoding="utf-8")
    pins = dict(line.split("==") for line in text.splitlines() if line and line[0] != "#")
    locked = pinned_versions("full.lock", "3.11")
    for versions, expected in (
        (locked, {"numpy", "mujoco", "gymnasium"}),
        (environment_pins(), {"d4rl", "gym", "mujoco-py", "cython"}),
    ):
        shared = pins.keys() & versions.keys()
        assert expected <= shared
        assert {name: pins[name] for name in shared} == {name: versions[name] for name in shared}


def test_every_dependency_of_the_library_and_of_the_original_stack_is_pinned_in_its_range():
    pins, project = environment_pins(), read_pyproject()["project"]
    for line in (*project["dependencies"], *project["optional-dependencies"]["d4rl"]):
        requirement = Requirement(line)
        assert requirement.specifier.contains(pins[canonicalize_name(requirement.name)]), line

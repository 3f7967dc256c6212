"""The project's own files, read once for the tests of the tooling."""

import tomllib
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
LOCKS = ("core.lock", "full.lock")


def read_pyproject() -> dict[str, Any]:
    """Return pyproject.toml as nested dictionaries."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def read_lock(name: str) -> list[tuple[Requirement, list[str]]]:
    """Return each pin of a lock file with its hashes; one may differ by Python version."""
    logical_lines = (ROOT / name).read_text(encoding="utf-8").replace("\\\n", " ").splitlines()
    pins = []
    for line in filter(str.strip, logical_lines):
        requirement, *hashes = line.split(" --hash=")
        pins.append((Requirement(requirement), [value.strip() for value in hashes]))
    return pins


def pinned_versions(name: str, python: str) -> dict[str, str]:
    """Return package -> version of a lock file for Linux and one Python, for example "3.11"."""
    environment = {
        "python_version": python,
        "python_full_version": f"{python}.0",
        "sys_platform": "linux",
        "platform_system": "Linux",
        "os_name": "posix",
    }
    return {
        pin.name: next(iter(pin.specifier)).version
        for pin, _ in read_lock(name)
        if pin.marker is None or pin.marker.evaluate(environment)
    }

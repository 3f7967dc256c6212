"""Check the Python that runs this: every pin of a requirements file is met, the library imports.

The original's stack (d4rl, gym, mujoco-py) is only looked up, since importing it takes the
MuJoCo 2.1.0 binaries.
"""

import importlib
import importlib.metadata
import pkgutil
import sys
from pathlib import Path

from packaging.requirements import Requirement


def unmet_pins(lines: list[str]) -> list[str]:
    """Return one message for each requirement that the running Python does not meet."""
    messages = []
    for requirement in (Requirement(line) for line in lines if not line.startswith("-")):
        try:
            installed = importlib.metadata.version(requirement.name)
        except importlib.metadata.PackageNotFoundError:
            messages.append(f"{requirement}: not installed")
            continue
        if not requirement.specifier.contains(installed):
            messages.append(f"{requirement}: {installed} is installed")
    return messages


def import_library() -> list[str]:
    """Import mopo_tf2, each module in it, and the command line; return their names."""
    library = importlib.import_module("mopo_tf2")
    modules = pkgutil.walk_packages(library.__path__, prefix="mopo_tf2.")
    names = [module.name for module in modules] + ["mopo_tf2.experiments.cli"]
    for name in names:
        importlib.import_module(name)
    return names


def main(requirements: Path) -> None:
    """Exit 1 with one line for each pin that is not met; fail on an import that does."""
    lines = [line for line in requirements.read_text(encoding="utf-8").splitlines() if line]
    messages = unmet_pins(lines)
    if messages:
        raise SystemExit("\n".join(messages))
    names = import_library()
    print(f"{requirements}: all pins met; {len(names)} modules imported.")


if __name__ == "__main__":
    main(Path(sys.argv[1]))

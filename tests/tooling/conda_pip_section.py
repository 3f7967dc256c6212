"""Print the pip section of a conda environment file, one requirement a line, as pip -r reads it."""

import sys
from pathlib import Path

import yaml


def pip_section(path: Path) -> list[str]:
    """Return its lines as written: ``name==version`` and pip options."""
    dependencies = yaml.safe_load(path.read_text(encoding="utf-8"))["dependencies"]
    sections = [entry["pip"] for entry in dependencies if isinstance(entry, dict)]
    if len(sections) != 1:
        raise ValueError(f"{path} must have one pip section, has {len(sections)}.")
    return [str(line) for line in sections[0]]


if __name__ == "__main__":
    print("\n".join(pip_section(Path(sys.argv[1]))))

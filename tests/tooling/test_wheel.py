"""The wheel holds the whole program and its data, and works without the checkout."""

import importlib.util
import shutil
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

from tests.tooling.project import ROOT

SOURCES = ("mopo_tf2", "experiments", "parity", "benchmarks")
DATA = (
    "mopo_tf2/datasets/*.hdf5",
    "mopo_tf2/data/*.json",
    "experiments/paper/*.csv",
    "experiments/**/*.j2",
    "parity/recordings/**/*",
    "parity/reference_curves/**/*",
    "parity/original_index.json",
    "parity/populations/data/*.csv.gz",
    "parity/populations/*.hdf5",
)
pytestmark = pytest.mark.slow


def run(*command, cwd):
    finished = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stdout + finished.stderr
    return finished.stdout


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    """The sources without what earlier builds may have left beside them, and one template more."""
    folder = tmp_path_factory.mktemp("copy")
    for name in SOURCES:
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder)
    (folder / "experiments" / "probe.html.j2").touch()
    return folder


@pytest.fixture(scope="module")
def wheel(copy, tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    options = ["--no-deps", "--no-build-isolation", "--no-index", "--quiet"]
    run(sys.executable, "-m", "pip", "wheel", ".", *options, "-w", str(folder), cwd=copy)
    (path,) = folder.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def names(wheel):
    with zipfile.ZipFile(wheel) as archive:
        return {name for name in archive.namelist() if ".dist-info/" not in name}


def name_in_wheel(path, copy):
    name = path.relative_to(copy).as_posix()
    return name if name.startswith("mopo_tf2/") else f"mopo_tf2/{name}"


def test_the_wheel_holds_every_module_but_the_recorder_and_all_data_in_mopo_tf2(copy, names):
    assert {name.split("/")[0] for name in names} == {"mopo_tf2"}
    modules = {path for source in SOURCES for path in (copy / source).rglob("*.py")}
    recorder = {path for path in modules if path.parent.name in ("record", "record_torch")}
    found = {name for name in names if name.endswith(".py")}
    assert found == {name_in_wheel(path, copy) for path in modules - recorder}
    for pattern in DATA:
        files = [path for path in copy.glob(pattern) if path.is_file()]
        assert files, pattern
        assert [path for path in files if name_in_wheel(path, copy) not in names] == []


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """Run Python with the wheel and the dependencies of this environment, without the checkout."""
    folder = tmp_path_factory.mktemp("installed")
    venv.EnvBuilder(symlinks=True).create(folder / "venv")
    python = folder / "venv" / "bin" / "python"
    options = ["install", "--no-deps", "--no-index", "--no-compile", "--quiet"]
    run(sys.executable, "-m", "pip", "--python", python, *options, wheel, cwd=folder)
    (site_packages,) = folder.glob("venv/lib/python*/site-packages")
    # A path alone: the .pth files in it, an editable install's for one, are not read.
    dependencies = Path(importlib.util.find_spec("tensorflow").origin).parents[1]
    (site_packages / "dependencies.pth").write_text(f"{dependencies}\n")
    return lambda *arguments: run(python, "-P", *arguments, cwd=folder)


def test_the_installed_package_has_a_version_and_is_not_the_checkout(installed):
    program = "import mopo_tf2; print(mopo_tf2.__version__, mopo_tf2.__file__)"
    version, place = installed("-c", program).split(maxsplit=1)
    assert version[0].isdigit()
    assert not Path(place.strip()).is_relative_to(ROOT)


@pytest.mark.parametrize(
    ("command", "told"),
    [(["mopo_tf2", "--help"], "train"), (["mopo_tf2.parity", "--list"], "sac_updates")],
)
def test_commands_run_from_the_wheel(installed, command, told):
    assert told in installed("-m", *command)

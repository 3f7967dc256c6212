"""The Makefile's decisions, with a scripted Python in place of a real one: nothing is installed."""

import os
import shutil
import subprocess

import pytest

from tests.tooling.project import LOCKS, ROOT

# Answers the Makefile's questions as a fit Python would and writes each installation to a log.
SCRIPTED_PYTHON = """#!/bin/sh
case "$1 $2" in
  "-m venv") mkdir -p "$4/bin" && cp "$0" "$4/bin/python" ;;
  "-m pip")
    echo "$*" >> pip.log
    test ! -e pip-must-fail || exit 1
    printf '#!/bin/sh\\necho "mopo-tf2 $*"\\n' > .venv/bin/mopo-tf2
    chmod +x .venv/bin/mopo-tf2 ;;
  "--version ") echo "Python 3.11.0" ;;
esac
"""
UNFIT_PYTHON = """#!/bin/sh
case "$2" in
  *print*) echo "Python 3.9" ;;
  *) exit 1 ;;
esac
"""


class Checkout:
    """A folder with the files that an installation reads, and make to run in it."""

    def __init__(self, folder, script=SCRIPTED_PYTHON):
        self.folder = folder
        for name in ("Makefile", "pyproject.toml", "environment.yml", *LOCKS):
            shutil.copy(ROOT / name, folder / name)
        path = self.folder / "scripted-python"
        path.write_text(script, encoding="utf-8")
        path.chmod(0o755)

    def make(self, *targets, python="./scripted-python"):
        # Not the variables of the make that may have started the tests.
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(("MAKE", "MFLAGS"))}
        return subprocess.run(
            ["make", *targets, f"PYTHON={python}"],
            cwd=self.folder,
            env=inherited,
            capture_output=True,
            text=True,
            check=False,
        )

    def installations(self):
        """Locks and folders that pip was asked to install, in order."""
        log = self.folder / "pip.log"
        return [line.split()[-1] for line in log.read_text().splitlines()] if log.exists() else []


@pytest.fixture
def checkout(tmp_path):
    """A checkout whose installation is done, and forgotten by the log."""
    made = Checkout(tmp_path)
    assert made.make("install").returncode == 0
    assert made.installations() == ["full.lock", "."]
    (tmp_path / "pip.log").unlink()
    return made


@pytest.mark.parametrize(
    ("python", "reason"),
    [("./scripted-python", "Python 3.9"), ("no-such-python", "does not run")],
)
def test_an_unfit_python_is_one_clear_line(tmp_path, python, reason):
    result = Checkout(tmp_path, UNFIT_PYTHON).make("install", python=python)
    (error,) = [line for line in result.stderr.splitlines() if not line.startswith("make: ")]
    assert result.returncode != 0
    assert "needs Python 3.11, 3.12 or 3.13" in error
    assert f"{python}: {reason}" in error
    assert not (tmp_path / ".venv").exists()


def test_a_second_install_does_nothing(checkout):
    assert checkout.make("install").returncode == 0
    assert checkout.installations() == []


@pytest.mark.parametrize("name", ["full.lock", "pyproject.toml"])
def test_a_changed_file_installs_again(checkout, name):
    with (checkout.folder / name).open("a", encoding="utf-8") as file:
        file.write("# changed\n")
    checkout.make("install")
    assert checkout.installations() == ["full.lock", "."]


def test_a_failed_install_is_tried_again(tmp_path):
    checkout, obstacle = Checkout(tmp_path), tmp_path / "pip-must-fail"
    obstacle.touch()
    assert checkout.make("install").returncode != 0
    assert not [*(tmp_path / ".venv").glob(".full-*")]
    obstacle.unlink()
    assert checkout.make("install").returncode == 0
    assert checkout.installations() == ["full.lock", "full.lock", "."]


def test_demo_takes_the_core_lock_and_runs_the_command(tmp_path):
    checkout = Checkout(tmp_path)
    assert checkout.make("demo").stdout.splitlines()[-1] == "mopo-tf2 demo"
    assert checkout.installations() == ["core.lock", "."]


def test_a_copied_checkout_installs_itself(checkout):
    copy = checkout.folder / "copy"
    shutil.copytree(checkout.folder, copy, ignore=lambda *_: {"copy"})
    moved = Checkout(copy)
    moved.make("install")
    assert moved.installations() == ["full.lock", "."]

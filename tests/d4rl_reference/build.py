"""Build the real thing: d4rl on gym on mujoco-py on MuJoCo 2.1.0, in a virtual environment.

    python tests/d4rl_reference/build.py .venv-d4rl
    .venv-d4rl/bin/python -m pytest tests/d4rl_reference

Everything comes from the package registry; MuJoCo 2.1.0 is taken out of the wheel of
free-mujoco-py, which carries it. mujoco-py compiles its extension against Mesa's off-screen
renderer: where its development files are missing, root has them installed by apt-get, anyone else
is told what to install. A finished build is left alone.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
REQUIREMENTS = HERE / "requirements.txt"
BINARIES_WHEEL = "free-mujoco-py==2.1.6"
BINARIES_PREFIX = "mujoco_py/binaries/linux/mujoco210/"
PYTHON = (3, 11)  # numpy needs at least this, mujoco-py's compilation at most
DEBIAN_PACKAGES = ("gcc", "libc6-dev", "libosmesa6-dev", "libgl1-mesa-dev", "patchelf")
COMPILED_AGAINST = """
#include <GL/osmesa.h>
int main(void) { return OSMesaGetCurrentContext() != 0; }
"""


class BuildError(Exception):
    """What the caller has to mend, in one line."""


def main(arguments: list[str]) -> int:
    """Build into the folder that ``arguments`` names and return the exit code."""
    if len(arguments) != 1:
        print(f"usage: python {Path(__file__).name} VENV_DIR", file=sys.stderr)
        return 2
    venv = Path(arguments[0]).absolute()
    try:
        build(venv)
    except BuildError as error:
        print(f"test-d4rl: {error}", file=sys.stderr)
        return 1
    except subprocess.CalledProcessError as error:
        command = " ".join(map(str, error.cmd))
        print(f"test-d4rl: this failed with code {error.returncode}: {command}", file=sys.stderr)
        return 1
    return 0


def build(venv: Path) -> None:
    """Build everything in ``venv``, unless a stamp says that it is there."""
    content = REQUIREMENTS.read_bytes() + Path(__file__).read_bytes() + str(venv).encode()
    stamp = venv / f".d4rl-{hashlib.sha256(content).hexdigest()[:16]}"
    if stamp.exists():
        return
    if sys.platform != "linux" or os.uname().machine != "x86_64":
        raise BuildError("MuJoCo 2.1.0 is at hand for Linux on x86_64 only.")
    interpreter = find_interpreter()
    provide_system_packages()
    print(f"Building d4rl, mujoco-py and MuJoCo 2.1.0 in {venv.name}: three minutes", flush=True)
    shutil.rmtree(venv, ignore_errors=True)
    run([interpreter, "-m", "venv", venv])
    python = venv / "bin/python"
    pip = [python, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    run([*pip, "install", "--no-deps", "-r", REQUIREMENTS])
    with tempfile.TemporaryDirectory() as folder:
        # It declares Python < 3.11, for its own code, which is not used.
        flags = ["--no-deps", "--ignore-requires-python", "--only-binary=:all:", "--dest", folder]
        run([*pip, "download", *flags, BINARIES_WHEEL])
        (wheel,) = Path(folder).glob("*.whl")
        extract_binaries(wheel, venv / "mujoco210")
    compile_mujoco_py(venv)
    stamp.touch()


def find_interpreter() -> str:
    """Return a Python of the version that mujoco-py compiles with."""
    if sys.version_info[:2] == PYTHON:
        return sys.executable
    found = shutil.which("python{}.{}".format(*PYTHON))
    if found is None:
        raise BuildError(
            "mujoco-py needs Python {0}.{1}, this is {2}.{3}; install python{0}.{1}.".format(
                *PYTHON, *sys.version_info[:2]
            )
        )
    return found


def provide_system_packages() -> None:
    """Install the compiler, patchelf and Mesa's development files if they are missing."""
    if has_system_packages():
        return
    by_hand = f"apt-get install {' '.join(DEBIAN_PACKAGES)}"
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise BuildError(
            f"mujoco-py compiles against packages that are missing; as root: {by_hand} "
            "(names are Debian's)."
        )
    print(f"Installing {' '.join(DEBIAN_PACKAGES)} by apt-get", flush=True)
    run(["apt-get", "-qq", "update"])
    quiet = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    install = ["apt-get", "-qq", "install", "--yes", "--no-install-recommends", *DEBIAN_PACKAGES]
    run(install, environment=quiet)
    if not has_system_packages():
        raise BuildError(f"something is still missing after: {by_hand}.")


def has_system_packages() -> bool:
    """Whether patchelf is there and a program that draws with Mesa compiles and links."""
    if shutil.which("patchelf") is None or shutil.which("gcc") is None:
        return False
    with tempfile.TemporaryDirectory() as folder:
        command = ["gcc", "-x", "c", "-", "-lOSMesa", "-lGL", "-o", f"{folder}/program"]
        result = subprocess.run(command, input=COMPILED_AGAINST.encode(), capture_output=True)
    return result.returncode == 0


def extract_binaries(wheel: Path, target: Path) -> None:
    """Put the MuJoCo 2.1.0 that ``wheel`` carries for Linux into the folder ``target``."""
    with zipfile.ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if name.startswith(BINARIES_PREFIX)]
        for name in names:
            path = target / name.removeprefix(BINARIES_PREFIX)
            if name.endswith("/"):
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(archive.read(name))
    if not (target / "bin/libmujoco210.so").is_file():
        raise BuildError(f"{wheel.name} carries no MuJoCo 2.1.0 for Linux.")


def compile_mujoco_py(venv: Path) -> None:
    """Have mujoco-py compile its extension, and let that find MuJoCo beside it."""
    binaries = venv / "mujoco210"
    environment = os.environ | {
        "MUJOCO_PY_MUJOCO_PATH": str(binaries),
        "MUJOCO_PY_FORCE_CPU": "1",
        "LD_LIBRARY_PATH": str(binaries / "bin"),
    }
    command = [str(venv / "bin/python"), "-c", "import mujoco_py"]
    result = subprocess.run(command, env=environment, capture_output=True, text=True)
    if result.returncode:
        print(result.stdout + result.stderr, file=sys.stderr)
        raise BuildError("mujoco-py did not compile; its output stands above.")
    # The tests then need no LD_LIBRARY_PATH, which would have to be set before Python starts.
    name = "cymj_*_{}{}.so".format(*PYTHON)  # the wheel carries some for older Pythons
    (extension,) = venv.glob(f"lib/python*/site-packages/mujoco_py/generated/{name}")
    run(["patchelf", "--force-rpath", "--set-rpath", binaries / "bin", extension])


def run(command: list[str | Path], environment: dict[str, str] | None = None) -> None:
    """Run ``command`` and wait for it; fail if it does."""
    subprocess.run([str(part) for part in command], env=environment, check=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""How the comparison's virtual environment is built: the parts that need no network."""

import zipfile

import pytest

from tests.d4rl_reference import build


def wheel_with(folder, *names):
    wheel = folder / "free_mujoco_py-0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for name in names:
            archive.writestr(name, f"content of {name}")
    return wheel


def test_linux_binaries_are_taken_out_of_the_wheel(tmp_path):
    inside = "mujoco_py/binaries/linux/mujoco210"
    wheel = wheel_with(
        tmp_path,
        f"{inside}/bin/libmujoco210.so",
        f"{inside}/include/mujoco.h",
        "mujoco_py/binaries/macos/mujoco210/bin/libmujoco210.dylib",
    )
    build.extract_binaries(wheel, tmp_path / "out")
    files = [path for path in (tmp_path / "out").rglob("*") if path.is_file()]
    assert sorted(path.name for path in files) == ["libmujoco210.so", "mujoco.h"]
    library = (tmp_path / "out/bin/libmujoco210.so").read_text()
    assert library == f"content of {inside}/bin/libmujoco210.so"
    with pytest.raises(build.BuildError, match=r"carries no MuJoCo 2\.1\.0"):
        build.extract_binaries(wheel_with(tmp_path, "mujoco_py/__init__.py"), tmp_path / "none")


def test_missing_system_packages_are_named_to_who_cannot_install_them(monkeypatch):
    monkeypatch.setattr(build, "has_system_packages", lambda: False)
    monkeypatch.setattr(build.os, "geteuid", lambda: 1000)
    with pytest.raises(build.BuildError, match=r"as root: apt-get install .*libosmesa6-dev"):
        build.provide_system_packages()


def test_failed_build_exits_1_with_one_line(tmp_path, monkeypatch, capsys):
    def refuse():
        raise build.BuildError("no compiler.")

    monkeypatch.setattr(build, "provide_system_packages", refuse)
    monkeypatch.setattr(build, "find_interpreter", lambda: "python")
    assert build.main([str(tmp_path / "venv")]) == 1
    assert capsys.readouterr().err == "test-d4rl: no compiler.\n"
    assert not (tmp_path / "venv").exists()

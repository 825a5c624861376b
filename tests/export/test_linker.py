"""The C compiler: how it is found, and what is said where there is none or where it fails."""

from pathlib import Path

import pytest

from weft.export import linker
from weft.isa import WeftError


def refused(act) -> str:
    with pytest.raises(WeftError) as caught:
        act()
    return str(caught.value)


def test_the_user_s_own(monkeypatch):
    monkeypatch.setenv("CC", "gcc -m64")
    assert linker.compiler(linker.host_architecture()) == ["gcc", "-m64"]
    assert linker.compiler(linker.host_architecture(), "g++ -x c") == ["g++", "-x", "c"]
    assert refused(lambda: linker.compiler("riscv64", "no-such-gcc -O1")) == (
        "library for riscv64: its C compiler must be on the path, but found no no-such-gcc; try: another --cc")


def test_none(monkeypatch):
    monkeypatch.delenv("CC", raising=False)
    monkeypatch.setenv("PATH", "/nowhere")
    own = linker.host_architecture()
    assert refused(lambda: linker.compiler(own)) == (
        f"library for {own}: linking needs a C compiler, but found none of gcc, cc, clang; try: g++ of your system, which brings one, or --cc")


def test_none_for_another_machine(monkeypatch):
    monkeypatch.setattr(linker.importlib.util, "find_spec", lambda name: None)
    assert refused(lambda: linker.compiler("armv7")) == (
        "library for armv7: linking for another machine needs its C compiler, but found none; try: the Python package ziglang (weft's extra `cross`), "
        "or --cc aarch64-linux-gnu-gcc and the like")


@pytest.mark.parametrize("name, message", [
    ("net.dll", "library net.dll: its name ends in .so (shared) or .o (to be linked into a program), but found '.dll'; try: net.so"),
    ("nowhere/net.so", "library nowhere/net.so: its folder must be there, but found no nowhere; try: mkdir")])
def test_names(name, message):
    assert refused(lambda: linker.check_output(Path(name))) == message


def test_the_compiler_s_own_words(tmp_path):
    message = refused(lambda: linker.link(tmp_path / "a.so", {"a.c": "int f(void) { return 1 }\n"}, {}, ["gcc"], "f"))
    assert message.startswith(f"library {tmp_path / 'a.so'}: the C compiler must accept it, but found gcc: a.c: In function") and "expected" in message
    assert not list(tmp_path.iterdir())


def test_nothing_but_what_is_asked_for_is_written(tmp_path):
    linker.link(tmp_path / "a.so", {"a.c": "int f(void) { return 1; }\n"}, {}, ["gcc"], "f")
    assert [p.name for p in tmp_path.iterdir()] == ["a.so"]


def test_a_header_is_left_alone_where_it_is_the_same(tmp_path):
    linker.write_header(tmp_path / "a.h", "x")
    (tmp_path / "a.h").chmod(0o400)
    before = (tmp_path / "a.h").stat().st_ino
    linker.write_header(tmp_path / "a.h", "x")
    assert (tmp_path / "a.h").stat().st_ino == before

"""Values as C, and what C finds this CPU to have."""

import ctypes
import subprocess

import pytest

from weft.export import linker, tables
from weft.export.linker import host_architecture
from weft.llvm import machine


def test_identifiers_and_comments():
    assert [tables.identifier(t) for t in ("net", "my-net.2", "2nd", "", "größe")] == ["net", "my_net_2", "_2nd", "_", "gr__e"]
    assert tables.comment("a */ b\nc ü \\") == "a * / b c ? /"


def test_strings():
    assert tables.string('a "b" ü?\\\n') == '"a \\042b\\042 \\303\\274\\077\\134\\012"'


def test_tables():
    assert tables.row([1, "x", [2, (True, -3)]]) == "{1, x, {2, {1, -3}}}"
    assert tables.table("int t[]", [[1], [2]]) == "static const int t[] = {\n    {1},\n    {2},\n};\n"
    assert tables.table("int t[]", [], "0") == "static const int t[] = {\n    0,\n};\n"


def test_every_form_is_known_to_c():
    for form in machine.FORMS.values():
        expected = set(form.features) if form.architecture == "x86_64" else set()
        assert {name for k, name in enumerate(tables.FEATURES) if tables.needs(form) >> k & 1} == expected


@pytest.mark.skipif(host_architecture() != "x86_64", reason="features of x86-64")
def test_c_finds_what_llvm_finds(tmp_path):
    source = '#include "cpu.h"\nint has(unsigned needs);\nint has(unsigned needs) { return cpu_has(needs); }\n'
    linker.link(tmp_path / "cpu.so", {"cpu.c": source, "cpu_features.h": tables.features()}, {}, ["gcc", "-Wall", "-Wextra", "-Werror"], "has")
    has, known = ctypes.CDLL(str(tmp_path / "cpu.so")).has, machine.host_features()
    assert {name: bool(has(1 << k)) for k, name in enumerate(tables.FEATURES)} == {name: known[name] for name in tables.FEATURES}
    assert has(0) and not has(1 << 31)


@pytest.mark.cross
@pytest.mark.parametrize("cpu, lacks", [("Nehalem", {"avx", "avx2", "fma", "avx512f"}), ("Haswell", {"avx512f", "avx512vnni"}), ("max", {"avx512f"})])
def test_what_a_lesser_cpu_lacks(cpu, lacks, tmp_path):
    from tests.export.test_cross import qemu

    emulator = qemu("x86_64", cpu)
    (tmp_path / "cpu_features.h").write_text(tables.features())
    lines = "".join(f'    if (cpu_has(1u << {k})) puts("{name}");\n' for k, name in enumerate(tables.FEATURES))
    (tmp_path / "main.c").write_text(f'#include <stdio.h>\n#include "cpu.h"\nint main(void) {{\n{lines}    return 0;\n}}\n')
    subprocess.run(["gcc", "-I", tmp_path, "-I", linker.SOURCES, tmp_path / "main.c", "-o", tmp_path / "main"], check=True)
    found = set(subprocess.run([*emulator, tmp_path / "main"], capture_output=True, text=True, check=True).stdout.split())
    assert "sse4.2" in found and not found & lacks
    assert ("avx2" in found) == (cpu != "Nehalem")

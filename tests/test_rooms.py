"""A room imports only downward: isa, then hw and llvm, then runtime, then sim, compiler and fpga, then export and bench, then the command."""

import ast
from pathlib import Path

import pytest

WEFT = Path(__file__).parent.parent / "weft"
ALLOWED = {
    "isa": {"isa"},
    "hw": {"isa", "hw"},
    "llvm": {"isa", "llvm"},
    "runtime": {"isa", "llvm", "runtime"},
    "sim": {"isa", "llvm", "runtime", "sim"},
    "compiler": {"isa", "llvm", "runtime", "compiler"},
    "export": {"isa", "llvm", "runtime", "sim", "export"},
    "fpga": {"isa", "hw", "fpga"},
    "report": {"isa", "runtime", "report"},
}
ALLOWED["bench"] = {*ALLOWED, "bench"}
USES_HW = {"sim/rtl", "sim/interactive.py"}  # the RTL device is the one part of sim that looks at the hardware


def imported_rooms(path: Path) -> set[str]:
    package = ("weft", *path.relative_to(WEFT).parent.parts)
    rooms = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names = [a.name.split(".") for a in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = list(package[:len(package) - node.level + 1]) if node.level else []
            stem = base + (node.module.split(".") if node.module else [])
            names = [stem] if len(stem) > 1 else [stem + [a.name] for a in node.names]
        else:
            continue
        rooms |= {n[1] for n in names if n[0] == "weft" and len(n) > 1}
    return rooms


@pytest.mark.parametrize("path", sorted(p for room in ALLOWED for p in (WEFT / room).rglob("*.py")), ids=lambda p: str(p.relative_to(WEFT)))
def test_rooms_import_only_downward(path):
    relative = path.relative_to(WEFT)
    allowed = set(ALLOWED[relative.parts[0]])
    if any(str(relative).startswith(part) for part in USES_HW):
        allowed.add("hw")
    assert imported_rooms(path) <= allowed


def test_the_test_itself_sees_imports():
    assert imported_rooms(WEFT / "sim" / "functional.py") == {"isa", "runtime", "sim"}


@pytest.mark.parametrize("room", [room for room in ALLOWED if room not in ("bench", "llvm", "report")])
def test_root_links_lead_to_the_rooms(room):
    link = WEFT.parent / room
    assert link.is_symlink() and link.resolve() == (WEFT / room).resolve()

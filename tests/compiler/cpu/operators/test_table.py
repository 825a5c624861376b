"""docs/operators.md names every operator, and the file that its kernels for CPUs are in."""

from pathlib import Path

from weft.compiler.cpu.operators import OPERATORS
from weft.runtime.kernels import KERNELS

ROOT = Path(__file__).parents[4]
TEXT = (ROOT / "docs" / "operators.md").read_text().split("## On CPUs")[1].split("## Pieces")[0]
ROWS = [[cell.strip() for cell in line.split("|")[1:-1]] for line in TEXT.splitlines() if line.startswith("| ")][2:]
HERE = "weft.compiler.cpu.operators"


def test_every_operator_is_named_with_its_file():
    named = {op.strip(): where for where, ops, *_ in ROWS for op in ops.split(",")}
    for op, known in OPERATORS.items():
        file = known.build.__module__.removeprefix(f"{HERE}.") + ".py"
        assert named.pop(op) == f"[{file}](../weft/compiler/cpu/operators/{file})"
    assert set(named.values()) == {"none"} and set(named) == set(KERNELS) - set(OPERATORS)


def test_every_kernel_has_a_meaning():
    assert set(OPERATORS) - set(KERNELS) == {"layout"}  # which changes no value

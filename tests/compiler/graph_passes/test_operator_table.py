"""docs/operators.md names every operator that can be imported, once, and those run where it says."""

from pathlib import Path

import numpy as np
import pytest

from tests.compiler.frontends.qdq import Qdq
from tests.compiler.graph_passes.networks import EDGE, NETWORKS, ON_HOST
from weft.compiler import graph_passes
from weft.compiler.frontends import onnx as frontend
from weft.compiler.frontends.onnx_operators import ATTRIBUTES
from weft.compiler.frontends.tflite_operators import _CONVERT
from weft.compiler.graph_passes.tables import BINARY, UNARY
from weft.isa import DEFAULT

PAGE = Path(__file__).parents[3] / "docs" / "operators.md"
ROWS = [[cell.strip() for cell in line.split("|")[1:-1]]
        for line in PAGE.read_text().split("## On CPUs")[0].splitlines() if line.startswith("| ")][2:]


def column(index: int, where: str | None = None) -> list[str]:
    return [name.strip() for row in ROWS if where in (None, row[2]) for name in row[index].split(",") if name.strip()]


def test_every_operator_is_named_once():
    assert sorted(column(0)) == sorted(ATTRIBUTES)
    assert sorted(column(1)) == sorted(_CONVERT)


def test_operators_of_the_accelerator_are_shown_to_run_there():
    shown = {*UNARY, *BINARY, "Identity", "Dropout"}  # those by the test below; the last two leave nothing
    for name, network in NETWORKS.items():
        if name not in ON_HOST:
            q = Qdq((1, 5, 8, 9))
            network(q)
            shown |= {node.op_type for node in q.nodes}
    assert set(column(0, "accelerator")) <= shown
    assert not shown.intersection(column(0, "host")) - {"QuantizeLinear", "DequantizeLinear"}


@pytest.mark.parametrize("op", [op for op in (*UNARY, *BINARY) if op != "Gelu"])  # which opset 19 has not
def test_functions_are_tables(op):
    q = Qdq((1, 5, 4, 3), zero_point=-128)
    number = [q.constant(np.float32(0.7))] if op in BINARY else []
    output = q.op(op, [q.x, *number], (0.03, -5))
    placed = graph_passes.run(frontend.load(q.model(output).SerializeToString(), op), DEFAULT)
    assert {n.op for n in placed.nodes if n.where == "host"} <= EDGE
    assert [n.op for n in placed.nodes if n.where == "accel"] == ["lut"]

"""Products of two computed matrices as one operator: every byte stays the same."""

import numpy as np
import pytest

from weft.compiler.graph import Graph, Node, TensorType
from weft.compiler.graph_passes.fuse_products import FuseProducts
from weft.isa import DEFAULT
from weft.isa.quantise import pack_lanes
from weft.runtime.kernels import KERNELS


def graph(zero_point: int | None, reads: int = 1) -> Graph:
    made = Graph("g", inputs=["x", "w"], outputs=["y"])
    made.tensors |= {name: TensorType(shape, "int8") for name, shape in (("x", (3, 20)), ("w", (5, 20)), ("y", (3, 5)))}
    lanes = made.add_constant("q", pack_lanes(np.arange(5), 3000, 20, 1, -128, 127))
    if zero_point is not None:
        made.tensors["b"] = TensorType((5,), "qnt")
        made.nodes.append(Node("bias", "product_bias", ["w", lanes], ["b"], {"zero_point": zero_point}))
        lanes = "b"
        made.outputs += ["b"] * (reads > 1)
    made.nodes.append(Node("y", "dense", ["x", "w", lanes], ["y"]))
    return made


def run(made: Graph, x: np.ndarray, w: np.ndarray) -> np.ndarray:
    values = {**made.constants, "x": x, "w": w}
    for node in made.nodes:
        values |= zip(node.outputs, KERNELS[node.op](node.attrs, *(values[name] for name in node.inputs)))
    return values["y"]


@pytest.mark.parametrize("zero_point", [None, 0, -77])
def test_every_byte_is_the_same(zero_point):
    rng, plain = np.random.default_rng(0), graph(zero_point)
    fused = plain.copy()
    FuseProducts()(fused, DEFAULT)
    fused.prune()
    fused.validate()
    assert [(node.op, node.attrs) for node in fused.nodes] == [("product", {"zero_point": zero_point or 0})]
    assert fused.macs(fused.nodes[0]) == plain.macs(plain.nodes[-1]) == 300
    x, w = (rng.integers(-128, 128, shape).astype(np.int8) for shape in ((3, 20), (5, 20)))
    assert np.array_equal(run(plain, x, w), run(fused, x, w))


def test_lanes_that_others_read_stay():
    made = graph(5, reads=2)
    FuseProducts()(made, DEFAULT)
    assert [node.op for node in made.nodes] == ["product_bias", "dense"]

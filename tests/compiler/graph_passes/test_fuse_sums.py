"""Sums in the tile of a convolution: which are fused, and every byte stays the same."""

import numpy as np
import pytest

from tests.compiler.harness import Network
from weft.compiler.graph import Graph
from weft.compiler.graph_passes import FuseSums
from weft.compiler.pipeline import build
from weft.isa import DEFAULT, PRESETS
from weft.runtime.kernels import KERNELS


def block(side: int = 0, table: bool = False) -> Graph:
    """Three convolutions, to the last of which the first is added."""
    network = Network(3)
    x = network.conv2d(network.input(1, 20, 9, 7), 24, 3, 1, 1)
    y = network.conv2d(network.conv2d(x, 40, 1), 24, 3, 1, 1, pad_value=5)
    network.add(*((y, x) if side == 0 else (x, y)))
    if table:
        network.fuse_table()
    return network.graph


def fused(graph: Graph) -> Graph:
    graph = graph.copy()
    FuseSums()(graph, DEFAULT)
    graph.prune()
    graph.validate()
    return graph


def values(graph: Graph, x: np.ndarray) -> dict[str, np.ndarray]:
    found = {**graph.constants, graph.inputs[0]: x}
    for node in graph.nodes:
        found |= zip(node.outputs, KERNELS[node.op](node.attrs, *(found[name] for name in node.inputs)))
    return {name: found[name] for name in graph.outputs}


@pytest.mark.parametrize("config", PRESETS.values(), ids=PRESETS)
@pytest.mark.parametrize(("side", "table", "threads"), [(0, False, 2), (1, True, 2), (1, False, 1)])
def test_every_byte_is_the_same(config, side, table, threads):
    plain = block(side, table)
    graph = fused(plain)
    assert [node.op for node in graph.nodes] == ["conv2d", "conv2d", "conv2d_add"]
    assert sum(map(graph.macs, graph.nodes)) == sum(map(plain.macs, plain.nodes))
    x = np.random.default_rng(0).integers(-128, 128, graph.tensors[graph.inputs[0]].shape, np.int8)
    before, after = values(plain, x), values(graph, x)
    assert before.keys() == after.keys() and all(np.array_equal(before[name], after[name]) for name in before)
    assert build(graph, config, virtual_threads=threads).run(x, device="functional")[1].bit_exact


def test_the_one_of_most_products_takes_the_sum():
    network = Network(1)
    x = network.conv2d(network.input(1, 16, 8, 8), 16, 1)
    network.add(network.conv2d(x, 32, 1), network.conv2d(x, 32, 3, 1, 1))
    small, large = network.graph.nodes[1].name, network.graph.nodes[2]
    ops = {node.op: node for node in fused(network.graph).nodes[1:]}
    assert ops["conv2d"].name == small and ops["conv2d_add"].inputs[1] == large.inputs[1]


def test_what_is_read_twice_or_is_the_networks_output_stays():
    network = Network(1)
    x = network.conv2d(network.input(1, 16, 8, 8), 16, 1)
    y = network.conv2d(x, 16, 3, 1, 1)
    network.add(network.add(y, x), y)
    assert [node.op for node in fused(network.graph).nodes] == ["conv2d", "conv2d", "add", "add"]
    network = Network(1)
    x = network.conv2d(network.input(1, 16, 8, 8), 16, 1)
    y, z = network.conv2d(x, 16, 3, 1, 1), network.max_pool(x, 1, 1)
    network.add(y, z)
    network.graph.outputs.append(y)
    assert [node.op for node in fused(network.graph).nodes] == ["conv2d", "conv2d", "max_pool", "add"]


def test_a_sum_with_the_convolutions_own_input_stays():
    network = Network(1)
    x = network.max_pool(network.input(1, 16, 8, 8), 1, 1)
    network.add(x, network.conv2d(x, 16, 3, 1, 1))
    assert [node.op for node in fused(network.graph).nodes] == ["max_pool", "conv2d", "add"]

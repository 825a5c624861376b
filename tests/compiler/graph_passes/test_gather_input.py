"""Gathered inputs: every fold is exact, the best is chosen, and a module packs what its first convolution wants."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.compiler.harness import Network, random_inputs
from weft.compiler import pipeline
from weft.compiler.graph_passes import GatherInput
from weft.compiler.graph_passes.gather_input import attributes, estimated_cycles, folded_weights, folds
from weft.compiler.operators.conv2d import shape_of
from weft.isa import DEFAULT, PRESETS
from weft.runtime.kernels import KERNELS
from weft.runtime.layout import gathered_shape
from weft.runtime.module import Module, from_bytes, to_bytes


@st.composite
def first_layers(draw):
    kernel = draw(st.tuples(st.integers(1, 7), st.integers(1, 7)))
    dilation = draw(st.sampled_from([1, 1, 2]))
    reach = [(k - 1) * dilation for k in kernel]
    pads = tuple(draw(st.integers(0, min(reach[side % 2], 4))) for side in range(4))
    size = [draw(st.integers(max(1, reach[d] + 1 - pads[d] - pads[d + 2]), 9 + reach[d])) for d in (0, 1)]
    network = Network(draw(st.integers(0, 99)))
    x = network.input(draw(st.integers(1, 2)), draw(st.integers(1, 4)), *size)
    network.conv2d(x, draw(st.integers(1, 20)), kernel, (draw(st.integers(1, 3)), draw(st.integers(1, 3))), pads, dilation,
                   draw(st.integers(-128, 127)))
    return network


@given(first_layers())
def test_every_fold_computes_the_same(network):
    (node,), graph = network.graph.nodes, network.graph
    x = random_inputs(network)[node.inputs[0]]
    w, qnt = (graph.constants[name] for name in node.inputs[1:])
    (expected,) = KERNELS["conv2d"](node.attrs, x, w, qnt)
    out, pads = expected.shape[2:], node.attrs["pads"]
    ways = [list(folds(x.shape[2 + d], out[d], w.shape[2 + d], node.attrs["strides"][d], pads[d], pads[d + 2],
                       node.attrs["dilations"][d])) for d in (0, 1)]
    for rows, columns in itertools.product(*ways):
        (y,) = KERNELS["conv2d"](attributes(node, rows, columns), x, folded_weights(w, rows, columns), qnt)
        np.testing.assert_array_equal(y, expected)


@given(first_layers(), st.sampled_from([PRESETS[name] for name in ("default", "1x8x8", "2x16x16")]), st.sampled_from([1, 2]))
def test_a_module_packs_what_its_convolution_wants(network, config, threads):
    graph = network.graph.copy()
    GatherInput()(graph, config)
    graph.prune()
    module: Module = from_bytes(to_bytes(pipeline.build(graph, config, virtual_threads=threads)))
    inputs = random_inputs(network)
    outputs, report = module.run(*inputs.values())
    assert report.bit_exact and report.macs == network.graph.macs(network.graph.nodes[0])
    (node,) = network.graph.nodes
    (expected,) = KERNELS["conv2d"](node.attrs, *inputs.values(),
                                    *(network.graph.constants[name] for name in node.inputs[1:]))
    np.testing.assert_array_equal(outputs[node.outputs[0]], expected)


@pytest.mark.parametrize("size, kernel, stride, outputs, times",
                         [(224, 7, 2, 64, 4), (224, 3, 2, 32, 2.5), (32, 3, 1, 16, 1.6)])
def test_gathering_is_estimated_to_pay(size, kernel, stride, outputs, times):
    network = Network()
    network.conv2d(network.input(1, 3, size, size), outputs, kernel, stride, kernel // 2)
    (node,), graph = network.graph.nodes, network.graph
    before = estimated_cycles(shape_of(node, graph, DEFAULT), DEFAULT)
    GatherInput()(graph, DEFAULT)
    assert gathered_shape(graph.tensors[node.inputs[0]].shape, node.attrs["gather"])[1] == graph.tensors[node.inputs[1]].shape[1]
    assert before > times * estimated_cycles(shape_of(node, graph, DEFAULT), DEFAULT)


def test_an_input_of_two_operators_stays_plain():
    network = Network()
    x = network.input(1, 3, 16, 16)
    network.conv2d(x, 16, 3)
    network.conv2d(x, 16, 5)
    GatherInput()(network.graph, DEFAULT)
    assert all("gather" not in node.attrs for node in network.graph.nodes)


def test_what_the_accelerator_makes_stays_plain():
    network = Network()
    network.conv2d(network.conv2d(network.input(1, 40, 16, 16), 3, 1), 16, 3)
    GatherInput()(network.graph, DEFAULT)
    assert all("gather" not in node.attrs for node in network.graph.nodes)

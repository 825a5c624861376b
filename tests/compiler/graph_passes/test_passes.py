"""Whole networks of one or a few operators through all passes, against ONNX's reference evaluator before any of them."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.compiler.frontends.qdq import Qdq
from tests.compiler.graph_passes.convolutions import network_conv_relu_quantised_between, network_shortcut
from tests.compiler.graph_passes.networks import EDGE, NETWORKS, ON_HOST, network_add_relu
from weft.compiler import graph_passes, pipeline, reference
from weft.compiler.frontends import onnx as frontend
from weft.compiler.graph import TensorType
from weft.compiler.graph_passes.lanes import scale_lanes
from weft.compiler.graph_passes.widen_groups import widened
from weft.isa import DEFAULT, PRESETS
from weft.runtime.kernels import KERNELS

# Means of neighbours at one scale lie half way between two numbers time and again; there float32 rounds by its own error
HALF_WAY = {"resize_linear": 0.97, "resize_linear_asymmetric": 0.9, "resize_linear_corners": 0.9}


@pytest.mark.parametrize("unsigned", [False, True], ids=["int8", "uint8 in batches of two"])
@pytest.mark.parametrize("name", NETWORKS)
def test_network(name, unsigned):
    batch, config = (2, PRESETS["2x16x16"]) if unsigned else (1, DEFAULT)
    q = Qdq((batch, 5, 8, 9), unsigned=unsigned)
    output = NETWORKS[name](q)
    imported = frontend.load(q.model(output).SerializeToString(), name)
    placed = graph_passes.run(imported, config)
    images = q.images(4)
    expected = q.run(images, output)
    actual = np.concatenate([reference.run(placed, {"x": x})[output] for x in images])
    units = np.rint(np.abs(actual - expected) / q.scales[output])
    few = max((1 - HALF_WAY.get(name, 0.99)) * units.size, 1)
    assert units.max() <= 1 and np.count_nonzero(units) <= few, Counter(units.reshape(-1).tolist())
    host = {n.op for n in placed.nodes if n.where == "host"} - EDGE
    assert host == ON_HOST.get(name, set())
    assert all(n.reason for n in placed.nodes if n.where == "host")
    assert pipeline.build(placed, config).run(images[0])[1].bit_exact


@pytest.mark.parametrize("name", NETWORKS)
def test_every_pass_keeps_the_meaning(name):
    q = Qdq((1, 5, 8, 9), seed=1)
    output = NETWORKS[name](q)
    graph = frontend.load(q.model(output).SerializeToString(), name)
    x = q.images(1)[0]
    stages = [reference.run(graph, {"x": x})[output]]

    def after(passed, stage):
        values = reference.run(stage, {"x": x})[output]
        units = np.rint(np.abs(values - stages[-1]) / q.scales[output])
        # fused operators round once where two rounded: that is what fusing is for, and only legalising may show it
        assert units.max() <= 1 and (units == 0).mean() >= HALF_WAY.get(name, 0.98), passed
        stages.append(values)

    graph_passes.run(graph, DEFAULT, after)
    assert len(stages) == 1 + len(graph_passes.PASSES)


@pytest.mark.parametrize("name", ["resize_linear", "resize_linear_asymmetric"])
def test_resizing_at_one_scale_is_exact(name):
    q = Qdq((1, 5, 8, 9))
    q.scales = {"x.dq": np.float32(0.02)}
    output = NETWORKS[name](q)
    placed = graph_passes.run(frontend.load(q.model(output).SerializeToString(), name), DEFAULT)
    node = next(n for n in placed.nodes if n.op == "pieces")
    x = q.rng.integers(-128, 128, (1, 5, 8, 9)).astype(np.int8)
    onnx_node = next(n for n in q.nodes if n.op_type == "Resize")
    factors = (2, 2) if name == "resize_linear" else (4, 2)
    attrs = {a.name: a.s.decode() for a in onnx_node.attribute} | {"scales": (1, 1, *factors)}
    (exact,) = KERNELS["Resize"](attrs, x.astype(np.float64) - 3)  # halves, quarters, ... of whole numbers
    (stored,) = KERNELS["pieces"](node.attrs, x, *(placed.constants[name] for name in node.inputs[1:]))
    np.testing.assert_array_equal(stored, np.rint(exact) + 3)


def test_passes_leave_the_graph_they_were_given():
    q = Qdq((1, 5, 8, 9))
    graph = frontend.load(q.model(network_add_relu(q)).SerializeToString(), "add")
    before = str(graph)
    graph_passes.run(graph, DEFAULT)
    assert str(graph) == before


def test_a_clamp_is_fused_into_its_producer():
    q = Qdq((1, 5, 8, 9))
    graph = frontend.load(q.model(network_conv_relu_quantised_between(q)).SerializeToString(), "relu")
    placed = graph_passes.run(graph, DEFAULT)
    assert [n.op for n in placed.nodes] == ["quantize", "conv2d", "dequantize"]
    lanes = placed.constants[placed.nodes[1].inputs[2]]
    assert set(lanes["minimum"]) == {4} and set(lanes["maximum"]) == {127}


def test_a_shortcut_becomes_one_exact_convolution():
    q = Qdq((1, 5, 8, 9))
    graph = frontend.load(q.model(network_shortcut(q)).SerializeToString(), "shortcut")
    placed = graph_passes.run(graph, DEFAULT)
    assert [n.op for n in placed.nodes] == ["quantize", "conv2d", "dequantize"]
    x = np.arange(-128, 128).astype(np.int8)[:256].repeat(2)[:360].reshape(1, 5, 8, 9)
    (y,) = reference.evaluate(placed, placed.nodes[1], [x, *(placed.constants[c] for c in placed.nodes[1].inputs[1:])])
    np.testing.assert_array_equal(y[:, 2:7], x[:, :, ::2, ::2])
    assert (y[:, :2] == 3).all() and (y[:, 7:] == 3).all()


@given(st.integers(1, 4), st.integers(1, 3), st.integers(1, 3), st.integers(1, 3), st.integers(0, 2 ** 31))
def test_widened_weights_compute_the_same(merged, rest, each_in, each_out, seed):
    rng, groups = np.random.default_rng(seed), merged * rest
    w = rng.integers(-128, 128, (groups * each_out, each_in, 2, 1)).astype(np.int8)
    x = rng.integers(-128, 128, (1, groups * each_in, 3, 3)).astype(np.int8)
    qnt = scale_lanes(len(w), 0.01, 0, TensorType((), "int8", 1.0, 0), {}, "half_even")
    attrs = dict(strides=(1, 1), pads=(1, 0, 0, 0), dilations=(1, 1), groups=groups, pad_value=-9)
    (narrow,) = KERNELS["conv2d"](attrs, x, w, qnt)
    (wide,) = KERNELS["conv2d"](attrs | {"groups": rest}, x, widened(w, groups, merged), qnt)
    np.testing.assert_array_equal(narrow, wide)


def test_widening_counts_only_the_networks_own_work():
    q = Qdq((1, 32, 4, 4))
    graph = frontend.load(q.model(q.op("Conv", [q.x, *q.weights(q.x, (32, 2, 3, 3))], group=16)).SerializeToString(), "wide")
    placed = graph_passes.run(graph, DEFAULT)
    node = next(n for n in placed.nodes if n.op == "conv2d")
    assert (node.attrs["groups"], placed.tensors[node.inputs[1]].shape) == (2, (32, 16, 3, 3))
    assert placed.macs(node) == 32 * 2 * 2 * 18


@pytest.mark.parametrize("kernel, op", [((3, 3), "depthwise_conv2d"), ((1, 16), "depthwise_conv2d"), ((1, 17), "conv2d")])
def test_depthwise_convolutions_have_an_operator_where_their_rows_fit(kernel, op):
    q = Qdq((1, 20, 4, 18))
    graph = frontend.load(q.model(q.op("Conv", [q.x, *q.weights(q.x, (20, 1, *kernel))], group=20)).SerializeToString(),
                          "rows")
    placed = graph_passes.run(graph, DEFAULT)
    node = next(n for n in placed.nodes if n.where == "accel")
    assert node.op == op
    assert placed.macs(node) == np.prod(placed.tensors[node.outputs[0]].shape) * np.prod(kernel)
    x = q.images(1)[0]
    before = reference.run(graph_passes.run(graph, DEFAULT, passes=[p for p in graph_passes.PASSES if p.name != "widen-groups"]), {"x": x})
    after = reference.run(placed, {"x": x})
    np.testing.assert_array_equal(after[placed.outputs[0]], before[placed.outputs[0]])


def test_host_and_accelerator_take_turns_as_seldom_as_they_can():
    q = Qdq((1, 5, 8, 9))
    a = q.op("Conv", [q.x, *q.weights(q.x, (5, 5, 1, 1))])
    sums = [q.op("Add", [q.op("Softmax", [a], axis=axis), a]) for axis in (1, 2)]  # host, accel, host, accel
    graph = frontend.load(q.model(q.op("Add", sums)).SerializeToString(), "turns")
    stages = {}
    placed = graph_passes.run(graph, DEFAULT, lambda name, g: stages.__setitem__(name, g))

    def turns(g):
        return sum(a.where != b.where for a, b in zip(g.nodes, g.nodes[1:], strict=False))

    assert (turns(stages["place"]), turns(placed)) == (6, 4)
    x = q.images(1)[0]
    (y,) = graph.outputs
    np.testing.assert_array_equal(reference.run(placed, {"x": x})[y], reference.run(stages["place"], {"x": x})[y])
